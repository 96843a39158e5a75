use proptest::prelude::*;

use super::*;
use crate::decode::tests::build::{ether, frame, ipv4, ipv6, packet_v4, tcp};
use crate::decode::{Decoded, Decoder, Segment};

#[test]
fn datagrams_are_put_together_in_any_order() {
    let segment = tcp(&[], b"0123456789abcdefghijklmnopqrstuvwxyz");
    for pieces in [fragments_v4(&segment, 24), fragments_v6(&segment, 24)] {
        assert_eq!(pieces.len(), 3);
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let mut decoder = Decoder::new();
            assert_eq!(push(&mut decoder, 0, &pieces[order[0]]), None);
            assert_eq!(push(&mut decoder, 0, &pieces[order[1]]), None);
            let payload = push(&mut decoder, 0, &pieces[order[2]]).unwrap();
            assert_eq!(payload, b"0123456789abcdefghijklmnopqrstuvwxyz");
        }
    }
}

#[test]
fn the_segment_has_the_time_of_its_last_fragment() {
    let pieces = fragments_v4(&tcp(&[], b"hello"), 16);
    let mut decoder = Decoder::new();
    push(&mut decoder, 5, &pieces[0]);
    let decoded = decoder.decode(&at(9, &pieces[1]));
    assert!(matches!(decoded, Decoded::Tcp(Segment { at, .. }) if at.as_nanos() == 9));
}

#[test]
fn the_first_copy_of_an_overlap_counts() {
    let whole = tcp(&[], b"AAAABBBBCCCCDDDD");
    let mut decoder = Decoder::new();
    assert_eq!(push(&mut decoder, 0, &piece(0, true, &whole[..24])), None);
    // Overlaps both neighbours, which came before it.
    assert_eq!(push(&mut decoder, 0, &piece(32, false, &whole[32..])), None);
    let mut lie = whole.clone();
    lie[20..24].fill(b'x');
    lie[32..].fill(b'x');
    let middle = piece(16, true, &lie[16..32]);
    let cut = crate::source::Frame {
        wire_len: 36,
        ..frame(101, &middle[..32])
    };
    assert_eq!(decoder.decode(&cut), Decoded::Fragment, "it lacks its end");
    let payload = push(&mut decoder, 0, &middle);
    assert_eq!(payload.unwrap(), b"AAAABBBBCCCCDDDD");
}

#[test]
fn nonsense_is_dropped() {
    let (end_at_32, until_32) = (piece(16, false, &[0; 16]), piece(16, true, &[0; 16]));
    for (first, second) in [
        // Past the known end, a second end, an end before what is there.
        (&end_at_32, piece(24, true, &[0; 16])),
        (&end_at_32, piece(24, false, &[0; 16])),
        (&until_32, piece(8, false, &[0; 8])),
        // Not a multiple of eight, nothing, beyond what IP can say.
        (&end_at_32, piece(8, true, &[0; 9])),
        (&end_at_32, piece(8, true, &[])),
        (&until_32, piece(65_528, false, &[0; 16])),
    ] {
        let mut decoder = Decoder::new();
        push(&mut decoder, 0, first);
        assert_eq!(push(&mut decoder, 0, &second), None);
        assert_eq!(decoder.dropped_datagrams(), 1, "{second:02x?}");
    }
}

#[test]
fn fragments_of_every_other_word_are_bounded() {
    let mut decoder = Decoder::new();
    for i in 0..4_000 {
        push(&mut decoder, 0, &piece(i * 16, true, &[0; 8]));
    }
    assert!(decoder.dropped_datagrams() >= 4_000 / (STRETCHES as u64 + 1) - 1);
}

#[test]
fn old_datagrams_and_too_many_of_them_go() {
    let pieces = fragments_v4(&tcp(&[], b"hello"), 16);
    let mut decoder = Decoder::new();
    push(&mut decoder, 0, &pieces[0]);
    assert_eq!(push(&mut decoder, 31_000_000_000, &pieces[1]), None);
    assert_eq!(decoder.dropped_datagrams(), 1);

    let mut decoder = Decoder::new();
    push(&mut decoder, 0, &pieces[0]);
    for i in 0..DATAGRAMS {
        let mut other = piece(0, true, &[0; 8]);
        other[12..14].copy_from_slice(&u16::try_from(i).unwrap().to_be_bytes());
        push(&mut decoder, 0, &other);
    }
    assert_eq!(decoder.dropped_datagrams(), 1);
    assert_eq!(push(&mut decoder, 0, &pieces[1]), None, "the oldest went");
}

#[test]
fn fragments_of_fragments_in_tunnels() {
    let segment = tcp(&[], b"0123456789abcdefghijklmnopqrstuvwxyz");
    let mut decoder = Decoder::new();
    let mut payload = None;
    for inner in fragments_v4(&segment, 32) {
        let gre = [&[0, 0, 8, 0][..], &inner].concat();
        for mut outer in fragments_v4(&gre, 16) {
            outer[9] = 47;
            assert_eq!(payload, None);
            payload = push(&mut decoder, 0, &outer);
        }
    }
    assert_eq!(payload.unwrap(), b"0123456789abcdefghijklmnopqrstuvwxyz");
}

#[test]
fn udp_tunnels_come_in_fragments_too() {
    let frame = ether(0x0800, &packet_v4(b"hello"));
    let udp = [
        &[0xc0, 0, 18, 181, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 7, 0][..],
        &frame,
    ]
    .concat();
    let mut decoder = Decoder::new();
    let mut payload = None;
    for mut piece in fragments_v4(&udp, 40) {
        piece[9] = 17;
        payload = push(&mut decoder, 0, &piece);
    }
    assert_eq!(payload.unwrap(), b"hello");
}

proptest! {
    /// Against a plain model: bytes that are written once, in any order and overlap.
    #[test]
    fn first_copy_wins(parts in prop::collection::vec((0_usize..20, 1_usize..6, any::<u8>()), 1..40)) {
        let mut model = vec![None; 160];
        let mut waiting: Option<Waiting> = None;
        for (start, len, fill) in parts {
            let bytes = vec![fill; len * 8];
            let layer = crate::decode::layer::Layer { data: &bytes, beyond: 0, depth: 0 };
            let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let key = Key { src: loopback, dst: loopback, id: 1, protocol: 6 };
            let fragment = Fragment { key, protocol: 6, offset: start * 8, last: false, layer };
            let waiting = waiting.get_or_insert_with(|| Waiting::new(Timestamp::default(), &fragment));
            prop_assert!(matches!(waiting.add(&fragment), Ok(false)));
            model.resize(model.len().max((start + len) * 8), None);
            for slot in &mut model[start * 8..(start + len) * 8] {
                slot.get_or_insert(fill);
            }
        }
        let waiting = waiting.unwrap();
        for (at, expected) in model.iter().enumerate() {
            let there = waiting.stretches.iter().any(|s| s.contains(&at));
            prop_assert_eq!(there, expected.is_some());
            if let Some(byte) = expected {
                prop_assert_eq!(waiting.datagram.bytes[at], *byte);
            }
        }
        let apart = waiting.stretches.windows(2).all(|w| w[0].end < w[1].start);
        prop_assert!(apart);
    }
}

/// The payload, where that packet completed a segment.
fn push(decoder: &mut Decoder, nanos: u64, packet: &[u8]) -> Option<Vec<u8>> {
    match decoder.decode(&at(nanos, packet)) {
        Decoded::Tcp(segment) => Some(segment.payload.to_vec()),
        Decoded::Fragment => None,
        other => panic!("{other:?}"),
    }
}

fn at(nanos: u64, packet: &[u8]) -> crate::source::Frame<'_> {
    crate::source::Frame {
        at: Timestamp::from_nanos(nanos),
        ..frame(101, packet)
    }
}

fn fragments_v4(payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let last = (payload.len() - 1) / size;
    let cut = payload.chunks(size).enumerate();
    cut.map(|(i, data)| piece(i * size, i < last, data))
        .collect()
}

fn fragments_v6(payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let last = (payload.len() - 1) / size;
    let cut = payload.chunks(size).enumerate();
    cut.map(|(i, data)| {
        let place = u16::try_from(i * size).unwrap() | u16::from(i < last);
        let header = [&[6, 0][..], &place.to_be_bytes(), &[0, 0, 0, 9]].concat();
        ipv6(44, &[&header, data].concat())
    })
    .collect()
}

/// An IPv4 fragment.
fn piece(offset: usize, more: bool, data: &[u8]) -> Vec<u8> {
    let mut packet = ipv4(6, data);
    let place = u16::try_from(offset / 8).unwrap() | if more { 0x2000 } else { 0 };
    packet[6..8].copy_from_slice(&place.to_be_bytes());
    packet
}
