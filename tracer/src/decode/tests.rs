pub(super) mod build;

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::source::Hook;
use build::*;

#[test]
fn every_link_type_leads_to_the_segment() {
    let v4 = packet_v4(b"GET /");
    let v6 = packet_v6(b"GET /");
    let snap = |kind: u16| [&[0xaa, 0xaa, 3, 0, 0, 0][..], &kind.to_be_bytes()].concat();
    let zeros = |n: usize| vec![0; n];
    let with = |head: Vec<u8>, packet: &[u8]| [head, packet.to_vec()].concat();
    let data_frame = |kind: u8, header: usize| with(vec![kind], &zeros(header - 1));
    for (link_type, frame) in [
        (0, with(vec![2, 0, 0, 0], &v4)),
        (0, with(vec![0, 0, 0, 2], &v4)),
        (0, with(vec![24, 0, 0, 0], &v6)),
        (0, with(vec![28, 0, 0, 0], &v6)),
        (108, with(vec![0, 0, 0, 30], &v6)),
        (1, ether(0x0800, &v4)),
        (1, ether(0x86dd, &v6)),
        (1, ether(0x8100, &with(vec![0, 5, 0x08, 0], &v4))),
        (
            1,
            ether(0x88a8, &with(vec![0, 5, 0x81, 0, 0, 6, 0x86, 0xdd], &v6)),
        ),
        (
            1,
            ether(0x8864, &with(vec![0x11, 0, 0, 1, 0, 47, 0, 0x21], &v4)),
        ),
        (1, ether(53, &with(snap(0x0800), &v4))),
        (1, ether(0x8847, &with(vec![0, 1, 0, 9, 0, 2, 1, 9], &v4))),
        (9, with(vec![0xff, 3, 0, 0x21], &v4)),
        (9, with(vec![0x57], &v6)),
        (12, v4.clone()),
        (14, v6.clone()),
        (50, with(vec![0x0f, 0, 0x08, 0], &v4)),
        (50, with(vec![0xff, 3, 0, 0x57], &v6)),
        (51, with(vec![0x11, 0, 0, 1, 0, 47, 0, 0x21], &v4)),
        (101, v4.clone()),
        (101, v6.clone()),
        (104, with(vec![0x0f, 0, 0x86, 0xdd], &v6)),
        (105, with(data_frame(0x08, 24), &with(snap(0x0800), &v4))),
        (105, with(data_frame(0x88, 28), &with(snap(0x0800), &v4))),
        (113, with(with(zeros(14), &[0x08, 0]), &v4)),
        (
            113,
            with(with(zeros(14), &[0x81, 0, 0, 7, 0x86, 0xdd]), &v6),
        ),
        (
            127,
            with(
                vec![0, 0, 9, 0, 0, 0, 0, 0, 0],
                &with(data_frame(0x88, 26), &with(snap(0x86dd), &v6)),
            ),
        ),
        (192, with(vec![0, 0, 8, 0, 101, 0, 0, 0], &v4)),
        (228, v4.clone()),
        (229, v6.clone()),
        (
            239,
            with(vec![2, 0, 0, 1, 5, 0, 10, 0, 0, 0, 0, 0, 49, 0, 9, 0], &v4),
        ),
        (
            239,
            with(vec![2, 0, 0, 1, 0, 5, 0, 10, 0, 0, 0, 0, 0, 49, 0, 9], &v4),
        ),
        (276, with(with(vec![0x08, 0], &zeros(18)), &v4)),
    ] {
        assert_segment(link_type, &frame, b"GET /");
        let padded = [frame, vec![0xee; 9]].concat();
        assert_segment(link_type, &padded, b"GET /");
    }
}

#[test]
fn tunnels_lead_to_the_segment() {
    let v4 = packet_v4(b"POST");
    let v6 = packet_v6(b"POST");
    let frame = ether(0x0800, &v4);
    let gre = |head: &[u8], inner: &[u8]| ipv4(47, &[head, inner].concat());
    let udp = |port: u16, head: &[u8], inner: &[u8]| {
        let mut datagram = vec![0xc0, 0];
        datagram.extend(port.to_be_bytes());
        datagram.extend(
            u16::try_from(8 + head.len() + inner.len())
                .unwrap()
                .to_be_bytes(),
        );
        datagram.extend([0, 0]);
        ipv4(17, &[&datagram, head, inner].concat())
    };
    let vxlan = [8, 0, 0, 0, 0, 0, 7, 0];
    for packet in [
        ipv4(4, &v4),
        ipv4(41, &v6),
        ipv6(41, &v6),
        ipv6(4, &v4),
        ipv4(137, &[&[0, 1, 1, 9][..], &v4].concat()),
        gre(&[0, 0, 8, 0], &v4),
        gre(
            &[0xb0, 0, 0x86, 0xdd, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4],
            &v6,
        ),
        gre(&[0x20, 0, 0x65, 0x58, 0, 0, 7, 0], &frame),
        gre(&[0, 0, 0x88, 0xbe], &frame),
        gre(
            &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 0, 0, 0, 0, 0],
            &frame,
        ),
        gre(
            &[
                0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
            &frame,
        ),
        gre(
            &[
                0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0,
                0, 0, 0, 0,
            ],
            &frame,
        ),
        gre(
            &[
                0x30, 0x81, 0x88, 0x0b, 0, 9, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21,
            ],
            &v4,
        ),
        gre(&[0, 0, 0x88, 0x47, 0, 1, 1, 9], &v6),
        udp(4789, &vxlan, &frame),
        udp(
            8472,
            &vxlan,
            &ether(0x8100, &[&[0, 5, 0x08, 0][..], &v4].concat()),
        ),
        udp(6081, &[0, 0, 0x65, 0x58, 0, 0, 7, 0], &frame),
        udp(6081, &[1, 0, 0x86, 0xdd, 0, 0, 7, 0, 1, 2, 3, 0], &v6),
        udp(4754, &[0, 0, 8, 0], &v4),
        udp(2152, &[0x30, 0xff, 0, 44, 0, 0, 0, 1], &v4),
        udp(
            2152,
            &[0x34, 0xff, 0, 52, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 1, 2, 0],
            &v4,
        ),
        udp(
            4789,
            &vxlan,
            &ether(0x0800, &gre(&[0, 0, 8, 0], &ipv4(4, &v4))),
        ),
    ] {
        assert_segment(101, &packet, b"POST");
    }
}

#[test]
fn tunnels_without_end_are_nonsense() {
    let mut packet = packet_v4(b"x");
    for depth in 0..12 {
        let decoded = Decoder::new().decode(&frame(101, &packet)) == Decoded::Malformed;
        assert_eq!(decoded, depth > 8, "{depth} tunnels");
        packet = ipv4(4, &packet);
    }
}

#[test]
fn options_and_extension_headers_are_stepped_over() {
    let segment = tcp(&[1, 1, 1, 0], b"data");
    let mut with_options = ipv4(6, &[&[1, 1, 1, 0][..], &segment].concat());
    with_options[0] = 0x46;
    assert_segment(101, &with_options, b"data");
    for (first, headers) in [
        (0, [&[60_u8, 0][..], &[0; 6], &[6, 1], &[0; 14]].concat()),
        (
            43,
            [&[44_u8, 0][..], &[0; 6], &[6, 0, 0, 0, 0, 0, 0, 9]].concat(),
        ),
        (51, [&[6_u8, 4][..], &[0; 22]].concat()),
    ] {
        assert_segment(
            101,
            &ipv6(first, &[headers, segment.clone()].concat()),
            b"data",
        );
    }
}

#[test]
fn what_was_cut_is_counted() {
    let whole = packet_v4(b"0123456789");
    for kept in 0..=10 {
        let cut = &whole[..whole.len() - 10 + kept];
        let segment = segment(101, cut, u32::try_from(whole.len()).unwrap());
        assert_eq!(segment.payload, &b"0123456789"[..kept]);
        assert_eq!(segment.cut as usize, 10 - kept);
    }
    // Within the TCP options.
    let whole = ipv4(6, &tcp(&[1; 12], b"0123456789"));
    let segment = segment(
        101,
        &whole[..whole.len() - 15],
        u32::try_from(whole.len()).unwrap(),
    );
    assert_eq!((segment.payload.len(), segment.cut), (0, 10));
}

#[test]
fn a_length_of_zero_means_what_was_captured() {
    let mut v4 = packet_v4(&[b'x'; 300]);
    v4[2..4].fill(0);
    let mut v6 = packet_v6(&[b'x'; 300]);
    v6[4..6].fill(0);
    for packet in [v4, v6] {
        let wire = u32::try_from(packet.len()).unwrap();
        assert_eq!(segment(101, &packet, wire).payload.len(), 300);
        let cut = segment(101, &packet[..packet.len() - 100], wire);
        assert_eq!((cut.payload.len(), cut.cut), (200, 100));
    }
}

#[test]
fn a_length_beyond_the_wire_counts_where_the_header_is_sound() {
    let mut packet = packet_v4(b"0123456789");
    packet.truncate(packet.len() - 4);
    packet[10..12].copy_from_slice(&[0xb6, 0xb9]);
    let sound = segment_of(&packet);
    assert_eq!((sound.payload, sound.cut), (&b"012345"[..], 4));
    packet[2] = 9;
    let damaged = segment_of(&packet);
    assert_eq!((damaged.payload, damaged.cut), (&b"012345"[..], 0));
}

#[test]
fn the_rest_of_the_segment() {
    let mut packet = packet_v4(b"x");
    packet[20 + 13] = 0x13;
    let frame = Frame {
        vantage: Vantage {
            hook: Hook::Egress,
            cookie: 7,
            ..Vantage::default()
        },
        ..frame(101, &packet)
    };
    let mut decoder = Decoder::new();
    let Decoded::Tcp(segment) = decoder.decode(&frame) else {
        panic!("no segment")
    };
    let flags = Flags {
        syn: true,
        ack: true,
        fin: true,
        rst: false,
    };
    assert_eq!(segment.flags, flags);
    assert_eq!((segment.seq, segment.ack), (SEQ, ACK));
    assert_eq!((segment.at, segment.vantage), (frame.at, frame.vantage));
    // On the wire it was IPv6, so it stays that.
    let mut mapped = packet_v6(b"x");
    mapped[8..24].copy_from_slice(
        &"::ffff:192.0.2.1"
            .parse::<std::net::Ipv6Addr>()
            .unwrap()
            .octets(),
    );
    assert!(segment_of(&mapped).src.is_ipv6());
}

#[test]
fn what_is_not_tcp() {
    for (link_type, packet, expected) in [
        (101, ipv4(1, &[0; 8]), Decoded::NotTcp),
        (101, ipv4(17, &[0; 8]), Decoded::NotTcp),
        (1, ether(0x0806, &[0; 28]), Decoded::NotTcp),
        (1, ether(38, &[0x42; 38]), Decoded::NotTcp),
        (9_999, vec![1, 2, 3], Decoded::NotTcp),
        (105, vec![0x80; 40], Decoded::NotTcp),
        (1, vec![0; 13], Decoded::Malformed),
        (101, vec![], Decoded::Malformed),
        (101, vec![0x51; 40], Decoded::Malformed),
        (101, ipv4(6, &[0; 19]), Decoded::Malformed),
        (101, ipv4(6, &[0; 20]), Decoded::Malformed),
        (101, packet_v4(b"")[..30].to_vec(), Decoded::Malformed),
        (1, ether(0x8100, &[0x81, 0].repeat(20)), Decoded::Malformed),
    ] {
        assert_eq!(
            Decoder::new().decode(&frame(link_type, &packet)),
            expected,
            "{packet:?}"
        );
    }
}

#[test]
fn agrees_with_etherparse() {
    let payload = b"an independent builder";
    let v4 = etherparse::PacketBuilder::ethernet2([1; 6], [2; 6])
        .double_vlan(1.try_into().unwrap(), 2.try_into().unwrap())
        .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .tcp(4_000, 80, SEQ, 1_024)
        .ack(ACK)
        .options(&[etherparse::TcpOptionElement::Timestamp(1, 2)])
        .unwrap();
    let mut bytes = Vec::new();
    v4.write(&mut bytes, payload).unwrap();
    assert_segment(1, &bytes, payload);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the bytes are: no panic, and a payload that lies in them.
    #[test]
    fn noise_does_no_harm(
        link_type in prop::sample::select(LINK_TYPES),
        head in prop::sample::select(heads()),
        noise in prop::collection::vec(any::<u8>(), 0..200),
        more in 0_u32..100,
    ) {
        let bytes = [head, noise].concat();
        let mut decoder = Decoder::new();
        for frame in [frame(link_type, &bytes), Frame { wire_len: more, ..frame(1, &bytes) }] {
            if let Decoded::Tcp(segment) = decoder.decode(&frame) {
                prop_assert!(segment.payload.len() <= 65_535 + bytes.len());
            }
        }
    }

    /// The quick way finds what the long one finds.
    #[test]
    fn a_plain_packet_is_what_its_layers_say(
        (link_type, header) in prop::sample::select(PLAIN),
        flips in prop::collection::vec((0_usize..64, any::<u8>()), 0..4),
        shorter in 0_usize..8,
        beyond in prop_oneof![4 => Just(0_u32), 1 => 1_u32..9],
    ) {
        let mut bytes = [header, &packet_v4(b"GET / HTTP/1.1")[..]].concat();
        bytes.truncate(bytes.len() - shorter);
        for (at, value) in flips {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        let wire_len = u32::try_from(bytes.len()).unwrap() + beyond;
        let frame = Frame { wire_len, ..frame(link_type, &bytes) };
        let mut decoder = Decoder::new();
        if let Some(segment) = plain::segment(&frame) {
            prop_assert_eq!(Decoded::Tcp(segment), decoder.take_apart(&frame));
        }
    }

    /// A flip in a packet of tunnels does no harm either.
    #[test]
    fn flips_do_no_harm(at in any::<prop::sample::Index>(), value: u8) {
        let inner = ether(0x8100, &[&[0, 5, 0x08, 0][..], &packet_v4(b"x")].concat());
        let gre = [&[0x20, 0, 0x65, 0x58, 0, 0, 0, 1][..], &inner].concat();
        let mut packet = ipv6(0, &[&[47, 0, 0, 0, 0, 0, 0, 0][..], &gre].concat());
        assert_segment(101, &packet, b"x");
        let at = at.index(packet.len());
        packet[at] = value;
        let _ = Decoder::new().decode(&frame(101, &packet));
    }
}

/// Link types whose packets may be plain, and a header of each.
const PLAIN: &[(u16, &[u8])] = &[
    (1, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0]),
    (12, &[]),
    (101, &[]),
    (113, &[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0]),
    (228, &[]),
    (
        276,
        &[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0],
    ),
];

#[test]
fn a_plain_packet_goes_the_quick_way() {
    for (link_type, header) in PLAIN {
        let bytes = [header, &packet_v4(b"x")[..]].concat();
        let segment = plain::segment(&frame(*link_type, &bytes));
        assert_eq!(segment.unwrap().payload, b"x", "link type {link_type}");
    }
}

const LINK_TYPES: &[u16] = &[
    0, 1, 9, 12, 50, 51, 100, 101, 104, 105, 108, 113, 127, 166, 192, 228, 229, 239, 276,
];

/// Beginnings that lead noise deep into the decoder.
fn heads() -> Vec<Vec<u8>> {
    let deep = |protocol| {
        let mut head = ipv4(protocol, &[]);
        head[2] = 0xff;
        ether(0x0800, &head)
    };
    let mut heads: Vec<_> = [4, 6, 17, 41, 47, 137].into_iter().map(deep).collect();
    heads.extend([0, 43, 44, 51, 60].map(|next| {
        let mut head = ipv6(next, &[]);
        head[4] = 0xff;
        ether(0x86dd, &head)
    }));
    heads.push(ether(0x8864, &[]));
    heads.push(Vec::new());
    heads
}

fn assert_segment(link_type: u16, bytes: &[u8], payload: &[u8]) {
    let segment = segment(link_type, bytes, u32::try_from(bytes.len()).unwrap());
    assert_eq!(
        segment.payload, payload,
        "link type {link_type}: {bytes:02x?}"
    );
    assert_eq!((segment.src.port(), segment.dst.port()), (4_000, 80));
    assert_eq!((segment.seq, segment.ack, segment.cut), (SEQ, ACK, 0));
    let expected: [SocketAddr; 2] = match segment.src {
        SocketAddr::V4(_) => ["192.0.2.1:4000", "192.0.2.2:80"],
        SocketAddr::V6(_) => ["[2001:db8::1]:4000", "[2001:db8::2]:80"],
    }
    .map(|a| a.parse().unwrap());
    assert_eq!([segment.src, segment.dst], expected);
}

fn segment_of(packet: &[u8]) -> Segment<'_> {
    segment(101, packet, u32::try_from(packet.len()).unwrap())
}

fn segment(link_type: u16, data: &[u8], wire_len: u32) -> Segment<'_> {
    let frame = Frame {
        wire_len,
        ..frame(link_type, data)
    };
    match link::frame(link_type, Layer::new(&frame)) {
        Some(Found::Tcp(segment)) => segment,
        other => panic!("link type {link_type}: {other:?} of {data:02x?}"),
    }
}
