//! To whom a process that serves a traced port sends beside that.
//!
//! What such a process says on sockets that no packet probe looks at is not read; that it was said,
//! and to whom, is told here, so that the tool can know a server that asked nobody from one that
//! asked somebody unread.
//!
//! That a connection begins counts as well: who cannot reach the one to be asked may refuse for that.
//!
//! Where requests are held, so does one to a traced port that was let go with its answer.
//!
//! Only TCP and connected Unix sockets count. Left out are datagrams over IP, and Unix sockets whose
//! peer has no name: pairs, and the server's end of a connection.

use core::ffi::c_void;
use core::ptr;

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::{
    bpf_get_socket_cookie, bpf_ktime_get_ns, bpf_probe_read_kernel, bpf_skc_to_tcp_sock,
};
use aya_ebpf::macros::map;
use aya_ebpf::maps::LruHashMap;
use aya_ebpf::programs::BtfTracePointContext;
use tracer_common::hold::Slot;
use tracer_common::{
    AF_INET, AF_INET6, AF_UNIX, KIND_TALK, TALK_INTERVAL_NS, TALKS_EACH_INTERVAL, TalkRecord,
    UNIX_PATH_LEN, counter,
};

use crate::settings::{
    HOLDING, UNIX_ADDR, UNIX_ADDRESS_LEN, UNIX_ADDRESS_NAME, UNIX_PEER, is_traced,
};
use crate::sock::{SockCommon, read_into};
use crate::{emit, owner};

/// Processes (thread group ids) that received on a socket with a traced port of its own.
#[map]
static SERVING: LruHashMap<u32, u8> = LruHashMap::with_max_entries(16_384, 0);

/// What was last told of a thread's sending on a socket.
#[map]
static TOLD: LruHashMap<Way, Turn> = LruHashMap::with_max_entries(65_536, 0);

/// A thread (as `bpf_get_current_pid_tgid` gives it) and a socket.
#[repr(C)]
struct Way {
    thread: u64,
    cookie: u64,
}

/// A time of [`TALK_INTERVAL_NS`].
#[repr(C)]
#[derive(Clone, Copy)]
struct Turn {
    /// When it began, on `CLOCK_MONOTONIC`, in nanoseconds.
    since: u64,
    /// How often was told.
    told: u64,
}

/// Not 0 once any process serves: until then no send costs a look into a map. It is written here
/// and by nobody else, and never goes back.
#[unsafe(no_mangle)]
static mut ANY_SERVES: u32 = 0;

/// Bytes of `sun_family`, which a Unix socket's address begins with.
const SUN_FAMILY: u32 = 2;

/// Remembers that the current process serves a traced port.
#[inline(always)]
pub fn serves() {
    let process = (bpf_get_current_pid_tgid() >> 32) as u32;
    if SERVING.get_ptr(process).is_some() {
        return;
    }
    // Without room the least recently used goes; what else can fail is memory, and then the next
    // receive tries again.
    if SERVING.insert(process, 1, 0).is_ok() {
        // SAFETY: one aligned word, only ever set to 1. Volatile, as it is read by programs that
        // the compiler does not see run.
        unsafe { (&raw mut ANY_SERVES).write_volatile(1) };
    }
}

/// Tells that the current thread sent on a socket of no traced port, if its process serves one and
/// this was not told too often within [`TALK_INTERVAL_NS`].
#[inline(always)]
pub fn sent(sock: *mut c_void, common: &SockCommon) {
    let family = u32::from(common.family);
    if !matches!(family, AF_INET | AF_INET6 | AF_UNIX) || !is_serving() {
        return;
    }
    let mut peer = Peer::Unknown;
    if family == AF_UNIX {
        peer = Peer::of(sock);
        if matches!(peer, Peer::Nameless) {
            return;
        }
    // SAFETY: `sock` comes from the context of a BTF tracepoint; null for what is no TCP socket.
    } else if unsafe { bpf_skc_to_tcp_sock(sock) }.is_null() {
        return;
    }
    tell_if_new(sock, common, peer);
}

/// Tells that the current thread begins a TCP connection to a port that is not traced, if its
/// process serves one that is. `ctx` is that of `inet_sock_set_state`.
#[inline(always)]
pub fn connecting(ctx: &BtfTracePointContext) {
    let (from, to): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    // Into this state a socket goes in a system call of its process; in others it may be anybody.
    if from != TCP_CLOSE || to != TCP_SYN_SENT || (HOLDING.load() == 0 && !is_serving()) {
        return;
    }
    let sock: *mut c_void = ctx.arg(0);
    // The peer is in there by now; an own port that nobody asked for is not.
    // SAFETY: it comes from the context of a BTF tracepoint.
    let common = unsafe { SockCommon::read(sock) };
    if HOLDING.load() != 0 {
        if is_traced(common.remote_port()) {
            // SAFETY: `sock` comes from the context of a BTF tracepoint.
            return owner::opens(unsafe { bpf_get_socket_cookie(sock) });
        }
        if !is_serving() {
            return;
        }
    }
    if !is_traced(common.remote_port()) && !is_traced(common.num) {
        tell_if_new(sock, &common, Peer::Unknown);
    }
}

/// States of a TCP socket, as in the kernel's `tcp_states.h`.
const TCP_SYN_SENT: i32 = 2;
const TCP_CLOSE: i32 = 7;

/// Tells that a request of this thread was let go with its answer.
#[inline(always)]
pub fn left_out(slot: &Slot, thread: u64) {
    let Some(mut entry) = emit::reserve::<{ size_of::<TalkRecord>() }>(counter::LOST_TALKS) else {
        return;
    };
    let record = entry.as_mut_ptr().cast::<TalkRecord>();
    // SAFETY: as in `tell`.
    unsafe {
        (&raw mut (*record).kind).write(KIND_TALK);
        (&raw mut (*record).family).write(slot.ends().family());
        (&raw mut (*record).at_ns).write(slot.record().at_ns);
        (&raw mut (*record).cookie).write(slot.record().cookie);
        (&raw mut (*record).pid).write((thread >> 32) as u32);
        (&raw mut (*record).tid).write(thread as u32);
        (&raw mut (*record).local_port).write(0);
        (&raw mut (*record).remote_port).write(slot.ends().server_port);
        (&raw mut (*record).local_addr).write([0; 16]);
        (&raw mut (*record).remote_addr)
            .cast::<[u32; 4]>()
            .write(slot.ends().server);
        (&raw mut (*record).path_len).write(0);
        (&raw mut (*record).more).write(0);
    }
    emit::submit(entry);
}

/// Whether the current process serves a traced port.
#[inline(always)]
fn is_serving() -> bool {
    any_serves() && is_server(bpf_get_current_pid_tgid())
}

/// Whether any process does.
#[inline(always)]
pub fn any_serves() -> bool {
    // SAFETY: see `serves`.
    unsafe { (&raw const ANY_SERVES).read_volatile() != 0 }
}

/// Whether the process of this thread does.
#[inline(always)]
pub fn is_server(thread: u64) -> bool {
    SERVING.get_ptr((thread >> 32) as u32).is_some()
}

/// Tells it, if it was not [`TALKS_EACH_INTERVAL`] times within [`TALK_INTERVAL_NS`].
#[inline(always)]
fn tell_if_new(sock: *mut c_void, common: &SockCommon, peer: Peer) {
    let thread = bpf_get_current_pid_tgid();
    // SAFETY: `sock` comes from the context of a BTF tracepoint.
    let cookie = unsafe { bpf_get_socket_cookie(sock) };
    let way = Way { thread, cookie };
    // SAFETY: the helper takes no argument.
    let now = unsafe { bpf_ktime_get_ns() };
    let entry = TOLD.get_ptr_mut(&way);
    let mut turn = Turn {
        since: now,
        told: 0,
    };
    if let Some(entry) = entry {
        // SAFETY: map values stay mapped while a program runs. Only this thread writes this one.
        let last = unsafe { *entry };
        if now.wrapping_sub(last.since) < TALK_INTERVAL_NS {
            turn = last;
        }
    }
    if turn.told >= TALKS_EACH_INTERVAL {
        return;
    }
    turn.told += 1;
    let more = turn.told == TALKS_EACH_INTERVAL;
    if !tell(sock, common, &way, now, peer, more) {
        return; // Counted as lost; the next send tries again.
    }
    match entry {
        // SAFETY: see above.
        Some(entry) => unsafe { *entry = turn },
        // What cannot be remembered is told again.
        None => drop(TOLD.insert(&way, turn, 0)),
    }
}

/// What the peer of a Unix socket is called.
enum Peer {
    /// The loader does not know where to look.
    Unknown,
    /// It has no name, or there is no peer.
    Nameless,
    /// Its `struct unix_address`.
    Named(*const u8),
}

impl Peer {
    #[inline(always)]
    fn of(sock: *const c_void) -> Self {
        let (peer_at, addr_at) = (UNIX_PEER.load() as usize, UNIX_ADDR.load() as usize);
        if peer_at == 0 || addr_at == 0 {
            return Self::Unknown;
        }
        let peer = pointer(sock.cast::<u8>().wrapping_add(peer_at));
        if peer.is_null() {
            return Self::Nameless;
        }
        let address = pointer(peer.wrapping_add(addr_at));
        if address.is_null() {
            Self::Nameless
        } else {
            Self::Named(address)
        }
    }
}

#[inline(always)]
fn pointer(at: *const u8) -> *const u8 {
    let mut pointer: *const u8 = ptr::null();
    // SAFETY: any bits make a raw pointer.
    unsafe { read_into(&raw mut pointer, at) };
    pointer
}

/// Writes the record. Whether there was room for it.
#[inline(always)]
fn tell(
    sock: *const c_void,
    common: &SockCommon,
    way: &Way,
    now: u64,
    peer: Peer,
    more: bool,
) -> bool {
    let Some(mut entry) = emit::reserve::<{ size_of::<TalkRecord>() }>(counter::LOST_TALKS) else {
        return false;
    };
    let record = entry.as_mut_ptr().cast::<TalkRecord>();
    let is_unix = u32::from(common.family) == AF_UNIX;
    // SAFETY: the entry has the size of the record and is eight-byte aligned as every entry is.
    // Field by field, as the stack of a program has 512 bytes.
    unsafe {
        (&raw mut (*record).kind).write(KIND_TALK);
        (&raw mut (*record).family).write(common.family.into());
        (&raw mut (*record).at_ns).write(now);
        (&raw mut (*record).cookie).write(way.cookie);
        (&raw mut (*record).pid).write((way.thread >> 32) as u32);
        (&raw mut (*record).tid).write(way.thread as u32);
        let (local, remote) = (
            &raw mut (*record).local_addr,
            &raw mut (*record).remote_addr,
        );
        if is_unix {
            (&raw mut (*record).local_port).write(0);
            (&raw mut (*record).remote_port).write(0);
            local.write([0; 16]);
            remote.write([0; 16]);
        } else {
            (&raw mut (*record).local_port).write(common.num);
            (&raw mut (*record).remote_port).write(common.remote_port());
            common.write_addresses(sock, local, remote);
        }
        let path = (&raw mut (*record).path).cast::<u8>();
        let len = if let Peer::Named(address) = peer {
            path_into(path, address)
        } else {
            0
        };
        (&raw mut (*record).path_len).write(len as u16);
        (&raw mut (*record).more).write(more.into());
    }
    emit::submit(entry);
    true
}

/// Copies the name out of a `struct unix_address`; its length, in bytes.
///
/// # Safety
/// `to` must have room for [`UNIX_PATH_LEN`] bytes.
#[inline(always)]
unsafe fn path_into(to: *mut u8, address: *const u8) -> u32 {
    const { assert!(UNIX_PATH_LEN.is_power_of_two()) };
    let mut len = 0_u32;
    // SAFETY: any bits make a number.
    unsafe {
        let len_at = UNIX_ADDRESS_LEN.load() as usize;
        read_into(&raw mut len, address.wrapping_add(len_at));
    }
    if len <= SUN_FAMILY {
        return 0;
    }
    // The kernel's names are shorter than the room; the mask is for the verifier.
    let len = (len - SUN_FAMILY) & (UNIX_PATH_LEN as u32 - 1);
    let name = address.wrapping_add((UNIX_ADDRESS_NAME.load() + SUN_FAMILY) as usize);
    // SAFETY: the caller's; the helper faults on no source address.
    let failed = unsafe { bpf_probe_read_kernel(to.cast(), len, name.cast()) };
    if failed == 0 { len } else { 0 }
}
