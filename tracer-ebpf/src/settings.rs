//! What the loader sets before the programs are loaded; see `tracer_common::global`.

use core::hint::black_box;

use aya_ebpf::Global;
use tracer_common::hold::{ENDS_WORDS, Room, method};
use tracer_common::{METHODS_MAX, PORT_WORDS, SNAP_LEN_MAX, STATUS_WORDS};

#[unsafe(no_mangle)]
static PORTS: [u64; PORT_WORDS] = [0; PORT_WORDS];
#[unsafe(no_mangle)]
static STATUSES: [u64; STATUS_WORDS] = [0; STATUS_WORDS];
#[unsafe(no_mangle)]
static METHODS: [method::Start; METHODS_MAX] = [method::ANY; METHODS_MAX];
#[unsafe(no_mangle)]
pub static HOLDING: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
pub static HOLD_BYTES: Global<u32> = Global::new(Room::BYTES_MIN);
#[unsafe(no_mangle)]
pub static HOLD_SETS: Global<u32> = Global::new(1);
#[unsafe(no_mangle)]
static HOLD_KEYS: [u64; ENDS_WORDS] = [0; ENDS_WORDS];
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

/// A key of the hold, by its number below [`ENDS_WORDS`].
#[inline(always)]
pub fn hold_key(at: usize) -> u64 {
    // SAFETY: within the array; volatile as for the ports.
    unsafe { (&raw const HOLD_KEYS).cast::<u64>().add(at).read_volatile() }
}

/// Whether answers of this status, of three digits, are wanted.
#[inline(always)]
pub fn wants_status(status: u32) -> bool {
    // The compiler knows that three digits need no mask; the verifier does not.
    let index = black_box(status >> 6) & (STATUS_WORDS as u32 - 1);
    // SAFETY: the index is below the length of the array; volatile as for the ports.
    let word = unsafe {
        (&raw const STATUSES)
            .cast::<u64>()
            .add(index as usize)
            .read_volatile()
    };
    word >> (status & 63) & 1 != 0
}

/// Whether requests that begin with these eight bytes are of a wanted method.
#[inline(always)]
pub fn wants_method(start: u64) -> bool {
    // SAFETY: within the array; volatile as for the ports.
    let wanted = |at| unsafe {
        (&raw const METHODS)
            .cast::<method::Start>()
            .add(at)
            .read_volatile()
    };
    (0..METHODS_MAX).any(|at| method::begins(start, wanted(at)))
}
