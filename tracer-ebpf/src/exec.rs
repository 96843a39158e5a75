//! Programs that start: a short-lived client is gone before anybody could look it up in /proc.

use core::ptr;

use aya_ebpf::helpers::generated::{
    bpf_get_current_comm, bpf_ktime_get_ns, bpf_probe_read_kernel_str,
};
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel};
use aya_ebpf::programs::BtfTracePointContext;
use tracer_common::{COMM_LEN, ExecRecord, FILENAME_LEN, KIND_EXEC, counter};

use crate::emit;
use crate::settings::BINPRM_FILENAME;

/// Reports the program that the current process has just become. `ctx` is that of
/// `sched_process_exec`.
#[inline(always)]
pub fn report(ctx: &BtfTracePointContext) {
    let Some(mut entry) = emit::reserve::<{ size_of::<ExecRecord>() }>(counter::LOST_EXECS) else {
        return;
    };
    let record = entry.as_mut_ptr().cast::<ExecRecord>();
    // SAFETY: the entry has the size of the record and is eight-byte aligned as every entry is.
    // Field by field, as the stack of a program has 512 bytes.
    unsafe {
        (&raw mut (*record).kind).write(KIND_EXEC);
        (&raw mut (*record).pid).write((bpf_get_current_pid_tgid() >> 32) as u32);
        (&raw mut (*record).at_ns).write(bpf_ktime_get_ns());
        bpf_get_current_comm((&raw mut (*record).comm).cast(), COMM_LEN as u32);
        let filename = (&raw mut (*record).filename).cast::<u8>();
        filename.write(0);
        bpf_probe_read_kernel_str(filename.cast(), FILENAME_LEN as u32, path(ctx).cast());
    }
    emit::submit(entry);
}

/// Address of the file name as `execve` was given it; null where the loader does not know how to
/// find it (reading from there fails, and leaves an empty name).
#[inline(always)]
fn path(ctx: &BtfTracePointContext) -> *const u8 {
    let offset = BINPRM_FILENAME.load() as usize;
    if offset == 0 {
        return ptr::null();
    }
    let binprm: *const u8 = ctx.arg(2);
    // SAFETY: the helper faults on no address; it fails instead.
    unsafe { bpf_probe_read_kernel(binprm.wrapping_add(offset).cast()) }.unwrap_or(ptr::null())
}
