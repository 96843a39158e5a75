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
    /// The sender's address is one that every network namespace has.
    pub is_loopback: bool,
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

const IPV4: u32 = 20;
const IPV6: u32 = 40;
/// The version of IPv4, and a header of five words.
const IPV4_PLAIN: u32 = 0x45;
const IPV4_FRAGMENT: u32 = 0x3fff;

const FIN: u32 = 0x01;
const SYN: u32 = 0x02;
const RST: u32 = 0x04;
const ACK: u32 = 0x10;

/// Reads the headers of a packet that begins with `link`.
#[inline(always)]
pub fn read(skb: &SkBuff, link: u32) -> Found {
    let Some(ip_at) = packet::ip_at(skb, link) else {
        return Found::Short;
    };
    // The shortest packet of TCP over IP has 40 bytes: both IPv4 headers, or that of IPv6.
    let Some(head) = packet::headers::<10>(skb, ip_at) else {
        return Found::Short;
    };
    let word = |at: usize| u32::from_be(head[at]);
    if word(0) >> 24 == IPV4_PLAIN {
        let protocol = word(2) >> 16 & 0xff;
        if protocol != u32::from(packet::TCP) || word(1) & IPV4_FRAGMENT != 0 {
            return Found::Special;
        }
        let addresses = Addresses {
            source: [head[3], 0, 0, 0],
            target: [head[4], 0, 0, 0],
            is_v4: true,
            is_loopback: word(3) >> 24 == 127,
        };
        // 0 where it is too long for the field.
        let end = ip_at + (word(0) & 0xffff);
        let tcp = [head[5], head[6], head[7], head[8]];
        let at = (ip_at, ip_at + IPV4, ip_at + 2);
        return Found::Plain(headers(skb, addresses, tcp, at, end));
    }
    let next = word(1) >> 8 & 0xff;
    if word(0) >> 28 != 6 || next != u32::from(packet::TCP) {
        return Found::Special;
    }
    let Some(tcp) = packet::headers::<4>(skb, ip_at + IPV6) else {
        return Found::Short;
    };
    let addresses = Addresses {
        source: [head[2], head[3], head[4], head[5]],
        target: [head[6], head[7], head[8], head[9]],
        is_v4: false,
        is_loopback: head[2] | head[3] | head[4] == 0 && word(5) == 1,
    };
    let len = word(1) >> 16;
    let end = if len == 0 { ip_at } else { ip_at + IPV6 + len };
    let at = (ip_at, ip_at + IPV6, ip_at + 4);
    Found::Plain(headers(skb, addresses, tcp, at, end))
}

struct Addresses {
    source: [u32; 4],
    target: [u32; 4],
    is_v4: bool,
    is_loopback: bool,
}

/// `at` are the offsets of both headers and of the length field; `end` is that of the IP packet's
/// end, or `ip_at` where the field does not say.
#[inline(always)]
fn headers(
    skb: &SkBuff,
    addresses: Addresses,
    tcp: [u32; 4],
    (ip_at, tcp_at, length_at): (u32, u32, u32),
    end: u32,
) -> Headers {
    let [ports, seq, ack, flags] = tcp.map(u32::from_be);
    let payload_at = tcp_at + (flags >> 28) * 4;
    let flags = flags >> 16;
    let end = match end {
        end if end == ip_at => skb.len(),
        end => end.min(skb.len()),
    };
    Headers {
        source: addresses.source,
        target: addresses.target,
        from: (ports >> 16) as u16,
        to: ports as u16,
        is_v4: addresses.is_v4,
        is_loopback: addresses.is_loopback,
        syn: flags & SYN != 0,
        ack: flags & ACK != 0,
        segment: Segment {
            seq,
            ack,
            payload_at,
            len: end.saturating_sub(payload_at),
            length_at: length_at as u16,
            closes: flags & (FIN | RST) != 0,
        },
    }
}
