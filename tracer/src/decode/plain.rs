//! The usual packet in one step: a whole TCP segment in IPv4 without options.

use std::net::{Ipv4Addr, SocketAddr};

use super::{Flags, Segment};
use crate::source::Frame;

/// The segment in a frame; `None` where anything about it is unusual, right or wrong.
#[inline]
pub(super) fn segment<'a>(frame: &Frame<'a>) -> Option<Segment<'a>> {
    let packet = packet(frame)?;
    let (ip, rest) = packet.split_first_chunk::<20>()?;
    let tcp = rest.first_chunk::<20>()?;
    let [
        0x45,
        _,
        l0,
        l1,
        _,
        _,
        f0,
        f1,
        _,
        6,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = *ip
    else {
        return None;
    };
    let [
        p0,
        p1,
        q0,
        q1,
        n0,
        n1,
        n2,
        n3,
        a0,
        a1,
        a2,
        a3,
        offset,
        flags,
        ..,
    ] = *tcp;
    let is_fragment = u16::from_be_bytes([f0, f1]) & 0x3fff != 0;
    let headers = 20 + usize::from(offset >> 4) * 4;
    if is_fragment || headers < 40 {
        return None;
    }
    let payload = packet.get(headers..usize::from(u16::from_be_bytes([l0, l1])))?;
    let end = |ip: [u8; 4], port: [u8; 2]| {
        SocketAddr::from((Ipv4Addr::from(ip), u16::from_be_bytes(port)))
    };
    Some(Segment {
        at: frame.at,
        src: end([s0, s1, s2, s3], [p0, p1]),
        dst: end([d0, d1, d2, d3], [q0, q1]),
        seq: u32::from_be_bytes([n0, n1, n2, n3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags: Flags::of(flags),
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
