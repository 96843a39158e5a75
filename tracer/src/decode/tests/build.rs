//! Packets, put together byte by byte.

use crate::model::Timestamp;
use crate::source::{Frame, Vantage};

pub(in crate::decode) const SEQ: u32 = 0xfedc_ba98;
pub(in crate::decode) const ACK: u32 = 0x0102_0304;

pub(in crate::decode) fn frame(link_type: u16, data: &[u8]) -> Frame<'_> {
    Frame {
        at: Timestamp::from_nanos(1),
        link_type,
        wire_len: u32::try_from(data.len()).unwrap(),
        data,
        vantage: Vantage::default(),
    }
}

pub(in crate::decode) fn packet_v4(payload: &[u8]) -> Vec<u8> {
    ipv4(6, &tcp(&[], payload))
}

pub(in crate::decode) fn packet_v6(payload: &[u8]) -> Vec<u8> {
    ipv6(6, &tcp(&[], payload))
}

pub(in crate::decode) fn ether(kind: u16, packet: &[u8]) -> Vec<u8> {
    [&[0x02; 12][..], &kind.to_be_bytes(), packet].concat()
}

pub(in crate::decode) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![
        0x45, 0, total[0], total[1], 0, 9, 0x40, 0, 64, protocol, 0, 0,
    ];
    packet.extend([192, 0, 2, 1, 192, 0, 2, 2]);
    packet.extend(payload);
    packet
}

pub(in crate::decode) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, len[0], len[1], next, 64];
    for last in [1, 2] {
        packet.extend([
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last,
        ]);
    }
    packet.extend(payload);
    packet
}

/// From port 4000 to port 80; `options` in whole words.
pub(in crate::decode) fn tcp(options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0x0f, 0xa0, 0, 80];
    segment.extend(SEQ.to_be_bytes());
    segment.extend(ACK.to_be_bytes());
    let words = u8::try_from(5 + options.len() / 4).unwrap();
    segment.extend([words << 4, 0x18, 4, 0, 0, 0, 0, 0]);
    segment.extend(options);
    segment.extend(payload);
    segment
}
