//! The usual packet in one step: a whole TCP segment in IPv4 without options.

use std::net::{Ipv4Addr, SocketAddr};

use super::{Flags, Segment};
use crate::source::Frame;

/// Bytes of the two headers.
const HEADERS: usize = 40;

/// The segment in a frame; `None` where anything about it is unusual, right or wrong.
#[inline]
pub(super) fn segment<'a>(frame: &Frame<'a>) -> Option<Segment<'a>> {
    let packet = packet(frame)?;
    let header: &[u8; HEADERS] = packet.first_chunk()?;
    let be16 = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let be32 = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let is_whole = be16(6) & 0x3fff == 0;
    if header[0] != 0x45 || header[9] != 6 || !is_whole {
        return None;
    }
    let tcp_header = usize::from(header[32] >> 4) * 4;
    if tcp_header < 20 {
        return None;
    }
    let payload = packet.get(20 + tcp_header..usize::from(be16(2)))?;
    let end = |ip: usize, port: usize| {
        let ip = Ipv4Addr::from_bits(be32(ip));
        SocketAddr::from((ip, be16(port)))
    };
    let flag = |bit: u8| header[33] & bit != 0;
    Some(Segment {
        at: frame.at,
        src: end(12, 20),
        dst: end(16, 22),
        seq: be32(24),
        ack: be32(28),
        flags: Flags {
            syn: flag(0x02),
            ack: flag(0x10),
            fin: flag(0x01),
            rst: flag(0x04),
        },
        payload,
        cut: 0,
        vantage: frame.vantage,
    })
}

/// What a frame of a usual link type carries, where that may be IPv4.
fn packet<'a>(frame: &Frame<'a>) -> Option<&'a [u8]> {
    let data = frame.data;
    let (ether_type, header) = match frame.link_type {
        1 => (12, 14),
        113 => (14, 16),
        276 => (0, 20),
        12 | 14 | 101 | 228 => return Some(data),
        _ => return None,
    };
    let is_v4 = data.get(ether_type..)?.starts_with(&[0x08, 0x00]);
    data.get(header..).filter(|_| is_v4)
}
