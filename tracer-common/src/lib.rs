//! What the kernel side (`tracer-ebpf`) and the tool say to each other: the records of the ring
//! buffer, the counters, and the names of both.
//!
//! Every record is `repr(C)` with its padding written out, so that both sides agree on each byte
//! and no uninitialised byte leaves the kernel in a header. Payload fields are integers and byte
//! arrays only: any bit pattern is a value. Integers are in the byte order of the host, as both
//! sides run on it; addresses are bytes in network order.
#![no_std]
// For the one instruction in `hold` that no library offers on the kernel side's target.
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod hold;
#[cfg(feature = "std")]
mod parse;
#[cfg(feature = "std")]
pub use parse::Record;

/// Map: the ring buffer that carries every record.
pub const EVENTS: &str = "EVENTS";
/// Map: the counters, a `u64` per CPU at each index of [`counter`].
pub const COUNTERS: &str = "COUNTERS";
/// Map: the connections whose requests are held, a [`hold::Slot`] with its room each.
pub const SLOTS: &str = "SLOTS";
/// Map: which slot is of which connection, a [`hold::Set`] for each [`hold::WAYS`] of them.
pub const SETS: &str = "SETS";

/// Indices into [`COUNTERS`].
pub mod counter {
    /// Packets of traced ports that a probe saw.
    pub const PACKETS: u32 = 0;
    /// Packets of those that found the ring buffer full.
    pub const LOST_PACKETS: u32 = 1;
    /// Owners that found it full.
    pub const LOST_OWNERS: u32 = 2;
    /// Started programs that found it full.
    pub const LOST_EXECS: u32 = 3;
    /// Packets whose bytes could not be copied.
    pub const UNREADABLE: u32 = 4;
    /// Packets longer than the snap length: only their beginning was shipped.
    pub const CUT: u32 = 5;
    /// Owners that the kernel side could not remember; they are reported again and again.
    pub const OWNERS_FULL: u32 = 6;
    /// Words to peers that are not traced that found the ring buffer full.
    pub const LOST_TALKS: u32 = 7;
    /// Requests that were held.
    pub const HELD: u32 = 8;
    /// Requests of those that were let go, as their answer is not wanted.
    pub const LET_GO: u32 = 9;
    /// Requests of those that were shipped, as their answer is, or to be decided in the tool.
    pub const HELD_SHIPPED: u32 = 10;
    /// Connections that could not be followed and were shipped whole.
    pub const WHOLE: u32 = 11;
    /// Wanted answers whose request was not held: it was evicted, or sent before the start.
    pub const UNHELD: u32 = 12;
    /// Connections for which there was no room.
    pub const HOLD_FULL: u32 = 13;
    /// Requests that were shipped for no other reason than to have some of each route.
    pub const SAMPLED: u32 = 14;
    /// How many counters there are.
    pub const COUNT: u32 = 15;
}

/// Global variables of the kernel side that the loader sets. Each is constant from then on, so the
/// verifier drops what they switch off.
pub mod global {
    /// `[u64; 1024]`: a bit for each traced port, bit `port % 64` of word `port / 64`.
    pub const PORTS: &str = "PORTS";
    /// `u32`: at most this many bytes of a packet are shipped.
    pub const SNAP_LEN: &str = "SNAP_LEN";
    /// `u32`: not 0 where a packet that comes in over loopback was seen as it went out.
    pub const SKIP_LO_INGRESS: &str = "SKIP_LO_INGRESS";
    /// `u32`: not 0 where packet probes may ask for the cookie of the network namespace
    /// (Linux 6.15).
    pub const NETNS_COOKIE: &str = "NETNS_COOKIE";
    /// `u32`: not 0 where requests are held until their answer is known.
    pub const HOLDING: &str = "HOLDING";
    /// `u32`: bytes of a request that are held, [`Room::bytes`](crate::hold::Room::bytes).
    pub const HOLD_BYTES: &str = "HOLD_BYTES";
    /// `u32`: how many sets of slots there are.
    pub const HOLD_SETS: &str = "HOLD_SETS";
    /// `[u64; 6]`: random keys, odd, under which [`hold::Ends`](crate::hold::Ends) are filed.
    pub const HOLD_KEYS: &str = "HOLD_KEYS";
    /// `[u64; 16]`: a bit for each status that is wanted, bit `status % 64` of word `status / 64`.
    pub const STATUSES: &str = "STATUSES";
    /// `[[u64; 2]; 8]`: how requests of wanted methods begin ([`hold::method`](crate::hold::method)).
    pub const METHODS: &str = "METHODS";
    /// `u64`: wake the tool early once this many bytes wait in the ring buffer.
    pub const WAKE_BYTES: &str = "WAKE_BYTES";
    /// `u32`: offset of `group_leader` in `struct task_struct`, in bytes; 0 where not known, and
    /// so for the others.
    pub const TASK_GROUP_LEADER: &str = "TASK_GROUP_LEADER";
    /// `u32`: offset of `start_boottime` in `struct task_struct`.
    pub const TASK_START_BOOTTIME: &str = "TASK_START_BOOTTIME";
    /// `u32`: offset of `comm` in `struct task_struct`.
    pub const TASK_COMM: &str = "TASK_COMM";
    /// `u32`: offset of `filename` in `struct linux_binprm`.
    pub const BINPRM_FILENAME: &str = "BINPRM_FILENAME";
    /// `u32`: offset of `peer` in `struct unix_sock`.
    pub const UNIX_PEER: &str = "UNIX_PEER";
    /// `u32`: offset of `addr` in `struct unix_sock`.
    pub const UNIX_ADDR: &str = "UNIX_ADDR";
    /// `u32`: offset of `len` in `struct unix_address`.
    pub const UNIX_ADDRESS_LEN: &str = "UNIX_ADDRESS_LEN";
    /// `u32`: offset of `name` in `struct unix_address`.
    pub const UNIX_ADDRESS_NAME: &str = "UNIX_ADDRESS_NAME";
}

/// Words of [`global::PORTS`].
pub const PORT_WORDS: usize = 1024;
/// Words of [`global::STATUSES`].
pub const STATUS_WORDS: usize = 16;
/// Methods of [`global::METHODS`].
pub const METHODS_MAX: usize = 8;

/// The largest packet that can be shipped, in bytes: the largest that the kernel builds
/// (`GSO_MAX_SIZE`, BIG TCP) with all its headers.
pub const SNAP_LEN_MAX: u32 = (512 << 10) + 256;

/// [`PacketRecord::kind`].
pub const KIND_PACKET: u32 = 1;
/// [`OwnerRecord::kind`].
pub const KIND_OWNER: u32 = 2;
/// [`ExecRecord::kind`].
pub const KIND_EXEC: u32 = 3;
/// [`TalkRecord::kind`].
pub const KIND_TALK: u32 = 4;

/// [`PacketRecord::hook`]: into a socket or namespace.
pub const HOOK_INGRESS: u32 = 1;
/// [`PacketRecord::hook`]: out of it.
pub const HOOK_EGRESS: u32 = 2;

/// [`PacketRecord::link`]: the bytes begin with the IP header.
pub const LINK_RAW_IP: u32 = 1;
/// [`PacketRecord::link`]: the bytes begin with an Ethernet header.
pub const LINK_ETHERNET: u32 = 2;

/// [`PacketRecord::settled`]: it says up to where both directions are settled.
pub const SETTLED_BOTH: u16 = 1;

/// [`OwnerRecord::used`]: the process sent bytes.
pub const USED_SENT: u32 = 1;
/// [`OwnerRecord::used`]: it received bytes.
pub const USED_RECEIVED: u32 = 2;

/// Address family of [`TalkRecord`]: Unix.
pub const AF_UNIX: u32 = 1;
/// Address family of [`OwnerRecord`]: IPv4.
pub const AF_INET: u32 = 2;
/// Address family of [`OwnerRecord`]: IPv6.
pub const AF_INET6: u32 = 10;

/// Longest file name of [`ExecRecord`], in bytes with its NUL; a longer one is cut.
pub const FILENAME_LEN: usize = 256;
/// Room for the name of a Unix socket, in bytes; the kernel's have 108 at most.
pub const UNIX_PATH_LEN: usize = 128;
/// Within this time, in nanoseconds, a thread gets at most [`TALKS_EACH_INTERVAL`] of
/// [`TalkRecord`] for the same socket. The last of them speaks for what follows.
pub const TALK_INTERVAL_NS: u64 = 1_000_000;
/// As many as one request hardly needs: silence after fewer is known to be silence.
pub const TALKS_EACH_INTERVAL: u64 = 4;
/// Length of a command name, in bytes with its NUL.
pub const COMM_LEN: usize = 16;

/// A packet. Its bytes follow in the same ring buffer entry; behind them may be padding, which
/// means nothing.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(Debug))]
pub struct PacketRecord {
    /// [`KIND_PACKET`].
    pub kind: u32,
    /// Bytes of the packet that follow; less than `wire_len` where the snap length cut it.
    pub captured_len: u32,
    /// When, on `CLOCK_MONOTONIC`, in nanoseconds.
    pub at_ns: u64,
    /// Cookie of the socket at this host's end; 0 where there is none.
    pub cookie: u64,
    /// Cookie of the network namespace; 0 where not known, and at interfaces.
    pub netns: u64,
    /// Length of the packet from `link` on, in bytes. The kernel's own length, not that of the IP
    /// header: with segmentation offload one packet stands for many on the wire.
    pub wire_len: u32,
    /// Index of the interface; 0 where not known.
    pub ifindex: u32,
    /// [`HOOK_INGRESS`] or [`HOOK_EGRESS`].
    pub hook: u32,
    /// What the bytes begin with: [`LINK_RAW_IP`] or [`LINK_ETHERNET`].
    pub link: u32,
    /// In its direction, no byte before this sequence number will come any more: it was shipped, or
    /// left out on purpose.
    pub settled_own: u32,
    /// The same of the other direction.
    pub settled_peer: u32,
    /// [`SETTLED_BOTH`], or 0 where the two before this say nothing.
    pub settled: u16,
    /// Offset of the length field of its IP header, in bytes; 0 but where requests are held.
    pub length_at: u16,
    /// Where requests are held, how many records of packets, of any connection, had found no room
    /// before; it wraps around. Where two records of a connection differ in it, what is missing
    /// between them may be lost and not left out.
    pub lost: u32,
}

impl PacketRecord {
    /// All zeros.
    pub const fn new() -> Self {
        Self {
            kind: 0,
            captured_len: 0,
            at_ns: 0,
            cookie: 0,
            netns: 0,
            wire_len: 0,
            ifindex: 0,
            hook: 0,
            link: 0,
            settled_own: 0,
            settled_peer: 0,
            settled: 0,
            length_at: 0,
            lost: 0,
        }
    }
}

impl Default for PacketRecord {
    fn default() -> Self {
        Self::new()
    }
}

/// A process used a socket of a traced port.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(Debug))]
pub struct OwnerRecord {
    /// [`KIND_OWNER`].
    pub kind: u32,
    /// [`USED_SENT`] or [`USED_RECEIVED`].
    pub used: u32,
    /// When, on `CLOCK_MONOTONIC`, in nanoseconds.
    pub at_ns: u64,
    /// Cookie of the socket.
    pub cookie: u64,
    /// Id of the process's cgroup (version 2): the inode number of its directory.
    pub cgroup_id: u64,
    /// When the process started, on `CLOCK_BOOTTIME`, in nanoseconds; 0 where not known.
    pub start_boottime_ns: u64,
    /// Process id (thread group), in the initial PID namespace.
    pub pid: u32,
    /// Thread id, in the initial PID namespace.
    pub tid: u32,
    /// Real user id, in the initial user namespace.
    pub uid: u32,
    /// [`AF_INET`] or [`AF_INET6`].
    pub family: u32,
    /// The socket's own port.
    pub local_port: u16,
    /// Its peer's port.
    pub remote_port: u16,
    /// Zero.
    pub padding: u32,
    /// The socket's own address; IPv4 in the first four bytes.
    pub local_addr: [u8; 16],
    /// Its peer's address.
    pub remote_addr: [u8; 16],
    /// Command name of the process, up to a NUL; empty where not known.
    pub comm: [u8; COMM_LEN],
    /// Command name of the thread, up to a NUL.
    pub thread_comm: [u8; COMM_LEN],
}

/// A process started a program.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(Debug))]
pub struct ExecRecord {
    /// [`KIND_EXEC`].
    pub kind: u32,
    /// Process id, in the initial PID namespace.
    pub pid: u32,
    /// When, on `CLOCK_MONOTONIC`, in nanoseconds.
    pub at_ns: u64,
    /// Command name, up to a NUL.
    pub comm: [u8; COMM_LEN],
    /// File name as it was given to `execve`, up to a NUL; empty where not known. What is behind
    /// the NUL means nothing.
    pub filename: [u8; FILENAME_LEN],
}

/// A process that serves a traced port sent on a socket that has none (TCP, or a Unix socket), or
/// began a TCP connection.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(Debug))]
pub struct TalkRecord {
    /// [`KIND_TALK`].
    pub kind: u32,
    /// [`AF_UNIX`], [`AF_INET`] or [`AF_INET6`].
    pub family: u32,
    /// When, on `CLOCK_MONOTONIC`, in nanoseconds.
    pub at_ns: u64,
    /// The socket's cookie.
    pub cookie: u64,
    /// Process id (thread group), in the initial PID namespace.
    pub pid: u32,
    /// Thread id, in the initial PID namespace.
    pub tid: u32,
    /// The socket's own port; 0 for a Unix socket, and where it has none yet.
    pub local_port: u16,
    /// Its peer's port; 0 for a Unix socket.
    pub remote_port: u16,
    /// How many bytes of `path` there are; what is behind them means nothing.
    pub path_len: u16,
    /// Not 0 where what follows within [`TALK_INTERVAL_NS`] is not told.
    pub more: u16,
    /// The socket's own address; IPv4 in the first four bytes. Zeros for a Unix socket.
    pub local_addr: [u8; 16],
    /// Its peer's address.
    pub remote_addr: [u8; 16],
    /// What the peer of a Unix socket is bound to, as in `sockaddr_un::sun_path`: a path with its
    /// NUL, or a NUL and an abstract name.
    pub path: [u8; UNIX_PATH_LEN],
}

// A change of layout is a change of both sides: these make it a decision.
const _: () = assert!(size_of::<PacketRecord>() == 64 && align_of::<PacketRecord>() == 8);
const _: () = assert!(size_of::<OwnerRecord>() == 128 && align_of::<OwnerRecord>() == 8);
const _: () = assert!(size_of::<ExecRecord>() == 288 && align_of::<ExecRecord>() == 8);
const _: () = assert!(size_of::<TalkRecord>() == 200 && align_of::<TalkRecord>() == 8);
