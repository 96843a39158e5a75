//! The headers of a TCP packet that has nothing special about it, read in as few steps as can be:
//! this is done for every packet.

use aya_ebpf::programs::sk_buff::SkBuff;
use tracer_common::hold::Segment;

use crate::packet;

/// What the headers say.
pub struct Headers {
    /// The sender's address, as it lies there; IPv4 in the first word.
    pub source: [u32; 4],
    /// The receiver's.
    pub target: [u32; 4],
    /// The sender's port.
    pub from: u16,
    /// The receiver's.
    pub to: u16,
    pub is_v4: bool,
    /// The connection opens.
    pub syn: bool,
    pub ack: bool,
    pub segment: Segment,
}

/// What a packet is.
pub enum Found {
    Plain(Headers),
    /// Options of IPv4, extension headers of IPv6, a fragment; or no TCP.
    Special,
    /// Too short to be TCP.
    Short,
}

/// The version of IPv4, and a header of five words.
const IPV4_PLAIN: u32 = 0x45;
const IPV4_HEADER: u32 = 20;
/// More fragments follow, or this is not the first.
const IPV4_FRAGMENT: u32 = 0x3fff;

const FIN: u32 = 0x01;
const SYN: u32 = 0x02;
const RST: u32 = 0x04;
const ACK: u32 = 0x10;

/// What an IP header with nothing behind it but TCP says.
struct Ip {
    source: [u32; 4],
    target: [u32; 4],
    /// Bytes from its beginning to the end of the packet; 0 where that is too long for the field.
    len: u32,
    /// Where that field is, from its beginning.
    length_at: u32,
    header_len: u32,
}

/// Reads the headers of a packet that begins with `link`.
#[inline(always)]
pub fn read(skb: &SkBuff, link: u32) -> Found {
    let Some(ip_at) = packet::ip_at(skb, link) else {
        return Found::Short;
    };
    // The shortest packet of TCP over IP has 40 bytes: both IPv4 headers, or that of IPv6.
    let Some(head) = packet::words::<10>(skb, ip_at) else {
        return Found::Short;
    };
    let is_v4 = u32::from_be(head[0]) >> 24 == IPV4_PLAIN;
    let ip = if is_v4 { ipv4(&head) } else { ipv6(&head) };
    let Some(ip) = ip else {
        return Found::Special;
    };
    let tcp = match is_v4 {
        true => [head[5], head[6], head[7], head[8]],
        false => match packet::words(skb, ip_at + packet::IPV6_HEADER) {
            Some(tcp) => tcp,
            None => return Found::Short,
        },
    };
    let [ports, seq, ack, flags] = tcp.map(u32::from_be);
    let payload_at = ip_at + ip.header_len + (flags >> 28) * 4;
    let flags = flags >> 16;
    let end = match ip.len {
        0 => skb.len(),
        len => (ip_at + len).min(skb.len()),
    };
    Found::Plain(Headers {
        source: ip.source,
        target: ip.target,
        from: (ports >> 16) as u16,
        to: ports as u16,
        is_v4,
        syn: flags & SYN != 0,
        ack: flags & ACK != 0,
        segment: Segment {
            seq,
            ack,
            payload_at,
            len: end.saturating_sub(payload_at),
            length_at: (ip_at + ip.length_at) as u16,
            closes: flags & (FIN | RST) != 0,
        },
    })
}

#[inline(always)]
fn ipv4(head: &[u32; 10]) -> Option<Ip> {
    let word = |at: usize| u32::from_be(head[at]);
    let is_plain = word(2) >> 16 & 0xff == packet::TCP.into() && word(1) & IPV4_FRAGMENT == 0;
    is_plain.then(|| Ip {
        source: [head[3], 0, 0, 0],
        target: [head[4], 0, 0, 0],
        len: word(0) & 0xffff,
        length_at: 2,
        header_len: IPV4_HEADER,
    })
}

#[inline(always)]
fn ipv6(head: &[u32; 10]) -> Option<Ip> {
    let word = |at: usize| u32::from_be(head[at]);
    let is_plain = word(0) >> 28 == 6 && word(1) >> 8 & 0xff == packet::TCP.into();
    let len = word(1) >> 16;
    is_plain.then(|| Ip {
        source: [head[2], head[3], head[4], head[5]],
        target: [head[6], head[7], head[8], head[9]],
        len: if len == 0 {
            0
        } else {
            packet::IPV6_HEADER + len
        },
        length_at: 4,
        header_len: packet::IPV6_HEADER,
    })
}
