//! Packets: the ones with a traced port go to the tool as they are.
//!
//! One core for all entry points. It reads through load helpers, because any part of a packet can
//! lie outside its linear part, and it never trusts the length in the IP header: with segmentation
//! offload a packet is longer than that field can say.

use core::hint::black_box;
use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{
    bpf_get_netns_cookie, bpf_get_socket_cookie, bpf_ktime_get_ns, bpf_skb_load_bytes,
};
use aya_ebpf::programs::sk_buff::SkBuff;
use tracer_common::hold::Settled;
use tracer_common::{
    HOOK_INGRESS, KIND_PACKET, LINK_ETHERNET, PacketRecord, SNAP_LEN_MAX, counter,
};

use crate::emit;
use crate::headers::{self, Found};
use crate::hold;
use crate::settings::{HOLDING, NETNS_COOKIE, SKIP_LO_INGRESS, SNAP_LEN, traced};

/// Where a probe meets packets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At a socket, which knows its network namespace.
    Socket,
    /// At an interface. What comes in there has no socket yet, and the kernel then answers with
    /// the first namespace's cookie. All interfaces of a session are of one namespace.
    Interface,
}

/// Takes in a packet that begins with `link`, unless it is none of ours: ships it, or lets the hold
/// decide.
#[inline(always)]
pub fn take(skb: &SkBuff, hook: u32, link: u32, place: Place) {
    let seen_before = hook == HOOK_INGRESS && SKIP_LO_INGRESS.load() != 0 && is_over_loopback(skb);
    if seen_before {
        return;
    }
    // The socket's ports, without a look at the packet.
    if place == Place::Socket && !socket_is_traced(skb) {
        return;
    }
    if HOLDING.load() != 0 {
        if let Some(shipped) = hold::take(skb, hook, link, place) {
            ship(skb, hook, link, place, shipped.longest, shipped.settled);
            shipped.is_out();
        }
    } else if is_traced(skb, link).unwrap_or(false) {
        emit::count(counter::PACKETS);
        ship(skb, hook, link, place, u32::MAX, Settled::UNKNOWN);
    }
}

/// Index of the loopback interface, the first of every network namespace.
const LO: u32 = 1;

const ETHERNET_HEADER: u32 = 14;
const VLAN_TAG: u32 = 4;
/// Tags inside the packet, behind the one that the kernel keeps beside it.
const VLAN_TAGS_MAX: usize = 2;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;

/// Whether the socket of a packet has a traced port.
#[inline(always)]
fn socket_is_traced(skb: &SkBuff) -> bool {
    let (local, remote) = socket_ports(skb);
    traced(local, remote) || remote == 0
}

/// The socket's own port, and its peer's: 0 for one that has none, as one that listens.
#[inline(always)]
pub fn socket_ports(skb: &SkBuff) -> (u16, u16) {
    // SAFETY: the context is that of the running program, at a socket.
    let (local, remote) = unsafe { ((*skb.skb).local_port, (*skb.skb).remote_port) };
    // The peer's is in network order, in whichever half.
    (local as u16, u32::from_be(remote) as u16)
}

/// Whether this is TCP with a traced port. `None` where the packet is too short to be TCP.
#[inline(always)]
fn is_traced(skb: &SkBuff, link: u32) -> Option<bool> {
    match headers::read(skb, link) {
        Found::Plain(headers) => Some(traced(headers.from, headers.to)),
        Found::Special | Found::Short => is_special_traced(skb, link),
    }
}

/// The same, step by step. A later fragment of a TCP datagram does not tell its ports; it counts as
/// traced, for the tool puts fragments together.
#[inline(always)]
pub fn is_special_traced(skb: &SkBuff, link: u32) -> Option<bool> {
    let ip = ip_at(skb, link)?;
    let head = words::<10>(skb, ip)?;
    let word = |at: usize| u32::from_be(head[at]);
    let (tcp, fragment) = match word(0) >> 28 {
        4 => {
            if word(2) >> 16 & 0xff != u32::from(TCP) {
                return None;
            }
            let header_len = (word(0) >> 24 & 0x0f) * 4;
            (ip + header_len, word(1) & IPV4_FRAGMENT_OFFSET != 0)
        }
        6 => tcp_after_ipv6(skb, ip + IPV6_HEADER, (word(1) >> 8) as u8)?,
        _ => return None,
    };
    if fragment {
        return Some(true);
    }
    let ports: [u8; 4] = load(skb, tcp)?;
    Some(traced(u16(&ports, 0), u16(&ports, 2)))
}

/// Offset of the IP header.
#[inline(always)]
pub fn ip_at(skb: &SkBuff, link: u32) -> Option<u32> {
    match link {
        LINK_ETHERNET => ip_after_ethernet(skb),
        _ => Some(0),
    }
}

/// Offset of the IP header in an Ethernet frame.
#[inline(always)]
fn ip_after_ethernet(skb: &SkBuff) -> Option<u32> {
    let mut at = ETHERNET_HEADER;
    for _ in 0..=VLAN_TAGS_MAX {
        match u16::from_be_bytes(load(skb, at - 2)?) {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => return Some(at),
            ETHERTYPE_VLAN | ETHERTYPE_QINQ => at += VLAN_TAG,
            _ => return None,
        }
    }
    None
}

pub const TCP: u8 = 6;
const IPV4_FRAGMENT_OFFSET: u32 = 0x1fff;
pub const IPV6_HEADER: u32 = 40;
const IPV6_FRAGMENT_OFFSET: u16 = 0xfff8;
/// Extension headers of a packet that are stepped over. Each may occur once (RFC 8200 section 4.1),
/// and there are seven kinds; the verifier wants a bound.
const IPV6_EXTENSIONS_MAX: usize = 8;

/// Offset of the TCP header behind the extension headers, and whether this is a later fragment.
#[inline(always)]
fn tcp_after_ipv6(skb: &SkBuff, mut at: u32, mut next: u8) -> Option<(u32, bool)> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    const DESTINATION: u8 = 60;
    const MOBILITY: u8 = 135;
    const HOST_IDENTITY: u8 = 139;
    const SHIM6: u8 = 140;
    for _ in 0..IPV6_EXTENSIONS_MAX {
        if next == TCP {
            return Some((at, false));
        }
        let header: [u8; 4] = load(skb, at)?;
        at += match next {
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY | HOST_IDENTITY | SHIM6 => {
                (u32::from(header[1]) + 1) * 8
            }
            AUTHENTICATION => (u32::from(header[1]) + 2) * 4,
            FRAGMENT if u16(&header, 2) & IPV6_FRAGMENT_OFFSET != 0 => {
                return (header[0] == TCP).then_some((at, true));
            }
            FRAGMENT => 8,
            _ => return None,
        };
        next = header[0];
    }
    (next == TCP).then_some((at, false))
}

/// Ships a packet in the smallest entry that holds it.
///
/// An entry's size must be a constant, so there are some: small ones for acknowledgements and
/// heads, one for a full Ethernet frame, doubling ones for what offload puts together. The largest
/// four have room for the headers in front of 64 KiB and its multiples.
#[inline(always)]
pub fn ship(skb: &SkBuff, hook: u32, link: u32, place: Place, longest: u32, settled: Settled) {
    let wire_len = skb.len();
    let snap_len = SNAP_LEN.load().min(longest);
    let captured_len = if wire_len > snap_len {
        emit::count(counter::CUT);
        snap_len
    } else {
        wire_len
    };
    let packet = Packet {
        skb,
        hook,
        link,
        place,
        captured_len,
        settled,
    };
    match captured_len {
        0..=128 => packet.ship_in::<{ entry(128) }>(),
        129..=256 => packet.ship_in::<{ entry(256) }>(),
        257..=512 => packet.ship_in::<{ entry(512) }>(),
        513..=1024 => packet.ship_in::<{ entry(1024) }>(),
        1025..=1536 => packet.ship_in::<{ entry(1536) }>(),
        1537..=3072 => packet.ship_in::<{ entry(3072) }>(),
        3073..=8192 => packet.ship_in::<{ entry(8 << 10) }>(),
        8193..=16_384 => packet.ship_in::<{ entry(16 << 10) }>(),
        16_385..=32_768 => packet.ship_in::<{ entry(32 << 10) }>(),
        32_769..=49_152 => packet.ship_in::<{ entry(48 << 10) }>(),
        49_153..=65_792 => packet.ship_in::<{ entry((64 << 10) + 256) }>(),
        65_793..=131_328 => packet.ship_in::<{ entry((128 << 10) + 256) }>(),
        131_329..=262_400 => packet.ship_in::<{ entry((256 << 10) + 256) }>(),
        262_401..=SNAP_LEN_MAX => packet.ship_in::<{ entry(SNAP_LEN_MAX as usize) }>(),
        _ => emit::count(counter::UNREADABLE),
    }
}

const HEADER: usize = size_of::<PacketRecord>();

/// Size of an entry for this many bytes of packet.
const fn entry(packet_len: usize) -> usize {
    HEADER + packet_len
}

struct Packet<'a> {
    skb: &'a SkBuff,
    hook: u32,
    link: u32,
    place: Place,
    captured_len: u32,
    settled: Settled,
}

impl Packet<'_> {
    #[inline(always)]
    fn ship_in<const SIZE: usize>(&self) {
        let Some(mut entry) = emit::reserve::<SIZE>(counter::LOST_PACKETS) else {
            return;
        };
        let socket = Socket::of(self.skb, self.place);
        let mut header = record(self.skb, self.hook, self.link, socket);
        header.captured_len = self.captured_len;
        header.settled = self.settled.says;
        header.settled_own = self.settled.own;
        header.settled_peer = self.settled.peer;
        // SAFETY: the entry is longer than a header, and eight-byte aligned as every entry is.
        unsafe { entry.as_mut_ptr().cast::<PacketRecord>().write(header) };
        // The verifier has to see at the call itself that the length is at least 1 (it refuses 0)
        // and at most the room that is left. One less, it takes one comparison to show both; the
        // black box keeps the compiler from leaving that out for what it knows of the size class.
        let but_one = black_box(self.captured_len.wrapping_sub(1));
        if but_one >= (SIZE - HEADER) as u32 {
            emit::count(counter::UNREADABLE);
            return entry.discard(0);
        }
        let len = but_one + 1;
        // SAFETY: `len` bytes lie between the header and the end of the entry.
        let failed = unsafe {
            let to = entry.as_mut_ptr().add(HEADER);
            bpf_skb_load_bytes(self.skb.skb.cast(), 0, to.cast(), len)
        };
        if failed == 0 {
            emit::submit(entry);
        } else {
            emit::count(counter::UNREADABLE);
            entry.discard(0);
        }
    }
}

/// Where a packet was met: cookies.
pub struct Socket {
    /// The socket's; 0 where there is none.
    pub cookie: u64,
    /// That of its network namespace; 0 where not known.
    pub netns: u64,
}

impl Socket {
    #[inline(always)]
    pub fn of(skb: &SkBuff, place: Place) -> Self {
        Self {
            cookie: cookie(skb),
            netns: netns(skb, place),
        }
    }
}

/// A record of a packet, without its bytes.
#[inline(always)]
pub fn record(skb: &SkBuff, hook: u32, link: u32, socket: Socket) -> PacketRecord {
    PacketRecord {
        kind: KIND_PACKET,
        // SAFETY: the helper takes nothing and returns a number.
        at_ns: unsafe { bpf_ktime_get_ns() },
        cookie: socket.cookie,
        netns: socket.netns,
        wire_len: skb.len(),
        ifindex: ifindex(skb),
        hook,
        link,
        lost: if HOLDING.load() != 0 { emit::lost() } else { 0 },
        ..PacketRecord::new()
    }
}

#[inline(always)]
fn cookie(skb: &SkBuff) -> u64 {
    // SAFETY: the context is that of the running program.
    unsafe { bpf_get_socket_cookie(skb.skb.cast()) }
}

/// Cookie of the network namespace; 0 where not known.
#[inline(always)]
pub fn netns(skb: &SkBuff, place: Place) -> u64 {
    if place == Place::Interface || NETNS_COOKIE.load() == 0 {
        return 0;
    }
    // SAFETY: the context is that of the running program.
    unsafe { bpf_get_netns_cookie(skb.skb.cast()) }
}

/// Whether a packet passes the loopback interface.
#[inline(always)]
pub fn is_over_loopback(skb: &SkBuff) -> bool {
    ifindex(skb) == LO
}

#[inline(always)]
fn ifindex(skb: &SkBuff) -> u32 {
    // SAFETY: the context is that of the running program.
    unsafe { (*skb.skb).ifindex }
}

/// Headers at an offset, in 32-bit words as they lie there; `None` where the packet ends before.
///
/// They nearly always lie in the linear part, where no helper is needed.
#[inline(always)]
pub fn words<const N: usize>(skb: &SkBuff, offset: u32) -> Option<[u32; N]> {
    // SAFETY: the context is that of the running program.
    let (data, end) = unsafe { ((*skb.skb).data as usize, (*skb.skb).data_end as usize) };
    let from = data + offset as usize;
    if from + size_of::<[u32; N]>() > end {
        return load(skb, offset);
    }
    // One load each: of what may lie anywhere, the compiler would make four.
    // SAFETY: they lie before the end. Where a machine wants words aligned, its kernel aligns these
    // (NET_IP_ALIGN); elsewhere, and to the verifier, any address will do.
    let word = |at: usize| unsafe { (from as *const u32).add(at).read() };
    Some(core::array::from_fn(word))
}

/// What any bytes are one of.
///
/// # Safety
/// Made of integers, without padding.
pub unsafe trait Plain {}

// SAFETY: integers.
unsafe impl<const N: usize> Plain for [u8; N] {}
// SAFETY: integers.
unsafe impl<const N: usize> Plain for [u32; N] {}
// SAFETY: integers.
unsafe impl<const N: usize> Plain for [u64; N] {}

/// Bytes of the packet at an offset, as they lie there; `None` where it ends before.
#[inline(always)]
pub fn load<T: Plain>(skb: &SkBuff, offset: u32) -> Option<T> {
    // Left as it is: zeros would be written one by one, and the helper writes all of it.
    let mut value = MaybeUninit::<T>::uninit();
    let len = size_of::<T>() as u32;
    // SAFETY: there is room for what is asked for.
    let failed =
        unsafe { bpf_skb_load_bytes(skb.skb.cast(), offset, value.as_mut_ptr().cast(), len) };
    // SAFETY: it was written, and any bytes are one.
    (failed == 0).then(|| unsafe { value.assume_init() })
}

/// A big-endian number in a header. The offset is a constant below the array's length.
#[inline(always)]
fn u16<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
