//! What the loader sets before the programs are loaded; see `tracer_common::global`.

use aya_ebpf::Global;
use tracer_common::{PORT_WORDS, SNAP_LEN_MAX};

#[unsafe(no_mangle)]
static PORTS: [u64; PORT_WORDS] = [0; PORT_WORDS];
#[unsafe(no_mangle)]
pub static SNAP_LEN: Global<u32> = Global::new(SNAP_LEN_MAX);
#[unsafe(no_mangle)]
pub static SKIP_LO_INGRESS: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static NETNS_COOKIE: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static WAKE_BYTES: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
pub static TASK_GROUP_LEADER: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static TASK_START_BOOTTIME: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static TASK_COMM: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static BINPRM_FILENAME: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static UNIX_PEER: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static UNIX_ADDR: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static UNIX_ADDRESS_LEN: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static UNIX_ADDRESS_NAME: Global<u32> = Global::new(0);

/// Whether either port of a connection is traced.
#[inline(always)]
pub fn traced(port: u16, other: u16) -> bool {
    is_traced(port) || is_traced(other)
}

/// Whether this port is traced.
#[inline(always)]
pub fn is_traced(port: u16) -> bool {
    // SAFETY: a port shifted right by 6 is below 1024, the length of the array. The read is
    // volatile because the loader changes the value behind the compiler's back.
    let word = unsafe {
        (&raw const PORTS)
            .cast::<u64>()
            .add(usize::from(port >> 6))
            .read_volatile()
    };
    word >> (port & 63) & 1 != 0
}
