//! Who uses a socket, learned in the process's own context as it sends or receives.
//!
//! A packet probe cannot tell: in softirq the current task is a stranger. What it can tell is the
//! socket's cookie, and that is the key under which the tool remembers what is learned here.

use core::ffi::c_void;
use core::ptr;

use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_task, bpf_get_socket_cookie,
    bpf_ktime_get_ns, bpf_skc_to_tcp_sock,
};
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_current_uid_gid};
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use aya_ebpf::programs::BtfTracePointContext;
use aya_log_ebpf::warn;
use tracer_common::{
    AF_INET, AF_INET6, COMM_LEN, KIND_OWNER, OwnerRecord, USED_RECEIVED, USED_SENT, counter,
};

use crate::settings::{TASK_COMM, TASK_GROUP_LEADER, TASK_START_BOOTTIME, is_traced, traced};
use crate::sock::{SockCommon, read_into};
use crate::{emit, talk};

/// The last thread that was reported for each use of a socket, by the socket's cookie.
#[map]
static REPORTED: LruHashMap<u64, Reported> = LruHashMap::with_max_entries(65_536, 0);

/// Thread group and thread id, as `bpf_get_current_pid_tgid` gives them; 0 before the first.
#[repr(C)]
struct Reported {
    sender: u64,
    receiver: u64,
    /// Who began the connection. Nobody is told of it.
    opener: u64,
}

/// Remembers that the current thread begins a connection on a socket.
#[inline(always)]
pub fn opens(cookie: u64) {
    let first = Reported {
        sender: 0,
        receiver: 0,
        opener: bpf_get_current_pid_tgid(),
    };
    // Without room it is known once it sends.
    let _ = REPORTED.insert(cookie, first, 0);
}

/// The thread that sends on a socket, or else began its connection; `None` where neither was seen.
#[inline(always)]
pub fn sender(cookie: u64) -> Option<u64> {
    let reported = REPORTED.get_ptr(cookie)?;
    // SAFETY: map values stay mapped while a program runs. A race costs what it costs to take the
    // one for the other.
    let Reported { sender, opener, .. } = unsafe { &*reported };
    let thread = if *sender == 0 { *opener } else { *sender };
    (thread != 0).then_some(thread)
}

/// Reports the current thread as the one that sends on a socket, or receives from it, unless it
/// was the last that was reported. `ctx` is that of `sock_send_length` or `sock_recv_length`.
#[inline(always)]
pub fn learn(ctx: &BtfTracePointContext, used: u32) {
    let sock: *mut c_void = ctx.arg(0);
    let moved: i32 = ctx.arg(1);
    if moved <= 0 {
        return;
    }
    // SAFETY: it comes from the context of a BTF tracepoint.
    let common = unsafe { SockCommon::read(sock) };
    if !matches!(u32::from(common.family), AF_INET | AF_INET6)
        || !traced(common.num, common.remote_port())
    {
        if used == USED_SENT {
            talk::sent(sock, &common);
        }
        return;
    }
    // SAFETY: `sock` comes from the context of a BTF tracepoint, so the kernel vouches for it.
    let cookie = unsafe { bpf_get_socket_cookie(sock) };
    let thread = bpf_get_current_pid_tgid();
    let reported = REPORTED.get_ptr_mut(cookie);
    if let Some(reported) = reported {
        // SAFETY: map values stay mapped while a program runs. A race with another CPU, or with
        // the value's reuse for another socket, costs a report too many.
        if unsafe { *slot(reported, used) } == thread {
            return;
        }
    }
    if used == USED_RECEIVED && is_traced(common.num) {
        talk::serves();
    }
    // SAFETY: as for the cookie; null for what is no TCP socket.
    if unsafe { bpf_skc_to_tcp_sock(sock) }.is_null() || !report(sock, &common, cookie, used) {
        return; // Not remembered: the next call tries again.
    }
    if let Some(reported) = reported {
        // SAFETY: see above.
        unsafe { *slot(reported, used) = thread };
        return;
    }
    let mut first = Reported {
        sender: 0,
        receiver: 0,
        opener: 0,
    };
    // SAFETY: a reference to a local variable.
    unsafe { *slot(&raw mut first, used) = thread };
    if let Err(error) = REPORTED.insert(cookie, first, 0) {
        emit::count(counter::OWNERS_FULL);
        warn!(
            ctx,
            "cannot remember the owner of a socket: error {}", error
        );
    }
}

/// The thread that counts for this use.
///
/// # Safety
/// `reported` must point to a value that may be read.
#[inline(always)]
unsafe fn slot(reported: *mut Reported, used: u32) -> *mut u64 {
    // SAFETY: the caller's.
    unsafe {
        if used == USED_SENT {
            &raw mut (*reported).sender
        } else {
            &raw mut (*reported).receiver
        }
    }
}

/// Writes the record. Whether there was room for it.
///
/// Each field goes straight into the entry: the stack of a program has 512 bytes.
#[inline(always)]
fn report(sock: *const c_void, common: &SockCommon, cookie: u64, used: u32) -> bool {
    let Some(mut entry) = emit::reserve::<{ size_of::<OwnerRecord>() }>(counter::LOST_OWNERS)
    else {
        return false;
    };
    let record = entry.as_mut_ptr().cast::<OwnerRecord>();
    let thread = bpf_get_current_pid_tgid();
    // SAFETY: the entry has the size of the record and is eight-byte aligned as every entry is;
    // the helpers write within the fields that they are given.
    unsafe {
        (&raw mut (*record).kind).write(KIND_OWNER);
        (&raw mut (*record).used).write(used);
        (&raw mut (*record).at_ns).write(bpf_ktime_get_ns());
        (&raw mut (*record).cookie).write(cookie);
        (&raw mut (*record).cgroup_id).write(bpf_get_current_cgroup_id());
        (&raw mut (*record).pid).write((thread >> 32) as u32);
        (&raw mut (*record).tid).write(thread as u32);
        (&raw mut (*record).uid).write(bpf_get_current_uid_gid() as u32);
        (&raw mut (*record).family).write(common.family.into());
        (&raw mut (*record).local_port).write(common.num);
        (&raw mut (*record).remote_port).write(common.remote_port());
        (&raw mut (*record).padding).write(0);
        common.write_addresses(
            sock,
            &raw mut (*record).local_addr,
            &raw mut (*record).remote_addr,
        );
        bpf_get_current_comm((&raw mut (*record).thread_comm).cast(), COMM_LEN as u32);
        write_process(record);
    }
    emit::submit(entry);
    true
}

/// Writes when the current process started and what it is called, where the loader knows how to
/// read that from its main thread; zeros where not.
///
/// # Safety
/// `record` must point to an entry of the ring buffer.
#[inline(always)]
unsafe fn write_process(record: *mut OwnerRecord) {
    // SAFETY: the caller's; the fields lie within the entry.
    unsafe {
        let (start, comm) = (
            &raw mut (*record).start_boottime_ns,
            &raw mut (*record).comm,
        );
        start.write(0);
        comm.write([0; COMM_LEN]);
        let group_leader = TASK_GROUP_LEADER.load() as usize;
        if group_leader == 0 {
            return;
        }
        let task = bpf_get_current_task() as *const u8;
        let mut leader: *const u8 = ptr::null();
        read_into(&raw mut leader, task.wrapping_add(group_leader));
        let offset = TASK_START_BOOTTIME.load() as usize;
        if offset != 0 {
            read_into(start, leader.wrapping_add(offset));
        }
        let offset = TASK_COMM.load() as usize;
        if offset != 0 {
            read_into(comm, leader.wrapping_add(offset));
        }
    }
}
