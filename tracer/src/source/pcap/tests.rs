mod build;

use std::io::{Cursor, Read, Write};

use proptest::prelude::*;

use super::*;
use crate::model::{LossPlace, Timestamp};
use crate::source::{Frame, Hook};
use build::*;

/// A packet, owned.
type Seen = (u64, u16, u32, Vec<u8>);

/// What came out of a file, and the error it ended with.
#[derive(Debug, Default)]
struct Outcome {
    packets: Vec<Seen>,
    hooks: Vec<Hook>,
    lost: Vec<u64>,
    owners: Vec<crate::source::SocketOwner>,
    told: Vec<Record<'static>>,
    error: Option<SourceError>,
}

impl Outcome {
    fn damage(&self) -> Option<(u64, &str)> {
        match &self.error {
            Some(SourceError::Damaged { offset, what, .. }) => Some((*offset, what)),
            _ => None,
        }
    }
}

#[test]
fn reads_every_variant_of_pcap() {
    for order in [Endian::Little, Endian::Big] {
        for (magic, unit, extra) in [
            (0xa1b2_c3d4, 1_000, 0),
            (0xa1b2_3c4d, 1, 0),
            (0xa1b2_cd34, 1_000, 8),
        ] {
            let mut file = pcap_header(order, magic, 0xf000_0001);
            for (i, len) in [60_usize, 0, 1].into_iter().enumerate() {
                let len32 = u32::try_from(len).unwrap();
                for field in [7 + i as u32, 42, len32, len32 + 5] {
                    order.put(&mut file, field);
                }
                file.extend(vec![0; extra]);
                file.extend(vec![i as u8; len]);
            }
            let outcome = read(&file);
            assert!(outcome.error.is_none(), "{:?}", outcome.error);
            let at = |s: u64| s * 1_000_000_000 + 42 * unit;
            assert_eq!(
                outcome.packets,
                [
                    (at(7), 1, 65, vec![0; 60]),
                    (at(8), 1, 5, vec![]),
                    (at(9), 1, 6, vec![2]),
                ]
            );
        }
    }
}

#[test]
fn reads_sections_interfaces_and_packet_blocks_of_pcapng() {
    let mut file = Vec::new();
    for order in [Endian::Big, Endian::Little] {
        file.extend(section(order));
        // Milliseconds, one hour later; 2^-10 s; picoseconds with a snap length.
        file.extend(interface(order, 1, 0, &[3], 3_600));
        file.extend(interface(order, 101, 0, &[0x80 | 10], 0));
        file.extend(interface(order, 113, 0, &[12], -10_000));
        file.extend(enhanced(order, 0, 1_500, &[1, 2, 3], &[]));
        file.extend(enhanced(
            order,
            1,
            1_536,
            &[4],
            &[(2, order.u32(1)), (1, b"hello".to_vec())],
        ));
        file.extend(enhanced(
            order,
            2,
            2_000_000_000_000,
            &[],
            &[(2, order.u32(2))],
        ));
        // Unknown block, old packet block, simple packet block.
        file.extend(order.block(0x4000_0bad, &[0; 40]));
        let mut old = order.u16(1).to_vec();
        old.extend(order.u16(9));
        for field in [0, 1_024, 2, 60] {
            old.extend(order.u32(field));
        }
        old.extend([8, 9, 0, 0]);
        file.extend(order.block(2, &old));
        let mut simple = order.u32(3);
        simple.extend([5, 6, 7, 0]);
        file.extend(order.block(3, &simple));
    }
    let outcome = read(&file);
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    let section: Vec<Seen> = vec![
        (3_601_500_000_000, 1, 3, vec![1, 2, 3]),
        (1_500_000_000, 101, 1, vec![4]),
        (0, 113, 0, vec![]),
        (1_000_000_000, 101, 60, vec![8, 9]),
        (1_000_000_000, 1, 3, vec![5, 6, 7]),
    ];
    assert_eq!(outcome.packets, [section.clone(), section].concat());
    assert_eq!(
        outcome.hooks[..4],
        [Hook::Unknown, Hook::Ingress, Hook::Egress, Hook::Unknown]
    );
}

#[test]
fn times_saturate() {
    let order = Endian::Little;
    let mut file = section(order);
    file.extend(interface(order, 1, 0, &[0], i64::MAX));
    file.extend(interface(order, 1, 0, &[0xff], i64::MIN));
    file.extend(interface(order, 1, 0, &[127], 0));
    for id in 0..3 {
        file.extend(enhanced(order, id, u64::MAX, &[], &[]));
    }
    let times: Vec<_> = read(&file).packets.iter().map(|p| p.0).collect();
    assert_eq!(times, [u64::MAX, 0, 1]);
}

#[test]
fn counts_losses_once() {
    let order = Endian::Little;
    let mut file = section(order);
    file.extend(interface(order, 1, 0, &[9], 0));
    for (if_drop, os_drop) in [(0, 0), (2, 1), (2, 1), (2, 11)] {
        let mut body = order.u32(0);
        body.extend([0; 8]);
        for (code, count) in [(5_u16, if_drop), (7, os_drop), (4, 1_000)] {
            body.extend(order.u16(code));
            body.extend(order.u16(8));
            body.extend(order.u64(count));
        }
        file.extend(order.block(5, &body));
    }
    assert_eq!(read(&file).lost, [3, 10]);
}

#[test]
fn steps_over_large_blocks_and_stops_at_absurd_ones() {
    let order = Endian::Little;
    let mut file = sample_pcapng();
    let whole = read(&file).packets.len();
    let start = file.len() as u64;
    file.extend(order.block(0x0a, &vec![0; 3 << 20]));
    let cut = file.len();
    file.extend(enhanced(order, 0, 1, &[1], &[]));
    let outcome = read(&file);
    assert!(outcome.error.is_none());
    assert_eq!(outcome.packets.len(), whole + 1);
    // Cut within the large block: the damage is where it begins.
    let outcome = read(&file[..cut - 9]);
    assert_eq!(outcome.damage().map(|d| d.0), Some(start));

    for (kind, len) in [(6, 0x7fff_fff0_u32), (0x0a, 0x7fff_fff0), (6, 8), (6, 33)] {
        let mut file = sample_pcapng();
        let start = file.len() as u64;
        for field in [kind, len, 0, 0] {
            order.put(&mut file, field);
        }
        let outcome = read(&file);
        assert_eq!(outcome.packets.len(), whole);
        assert_eq!(
            outcome.damage(),
            Some((start, &*format!("a block of {len} bytes")))
        );
    }
}

#[test]
fn a_packet_of_absurd_length_is_damage() {
    let mut file = sample_pcap();
    let (whole, start) = (read(&file).packets, file.len() as u64);
    for field in [0, 0, 0xffff_fff0, 0xffff_fff0] {
        Endian::Little.put(&mut file, field);
    }
    let outcome = read(&file);
    assert_eq!(outcome.packets, whole);
    assert_eq!(
        outcome.damage(),
        Some((start, "a packet of 4294967280 bytes"))
    );
}

#[test]
fn removes_compression() {
    let plain = large_pcap();
    let expected = read(&plain).packets;
    let (first, second) = plain.split_at(plain.len() / 2);
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    for packed in [
        gzip(&plain),
        [gzip(first), gzip(second)].concat(),
        gzip(&gzip(&plain)),
        zstd(&plain),
        [zstd(first), zstd(second)].concat(),
        [b"\x50\x2a\x4d\x18\x02\0\0\0ab".to_vec(), zstd(&plain)].concat(),
        zstd(&gzip(&plain)),
    ] {
        let outcome = read(&packed);
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        assert!(outcome.packets == expected);
    }
}

#[test]
fn damaged_compression_gives_what_came_before() {
    let plain = large_pcap();
    let expected = read(&plain).packets;
    let zstd = zstd::encode_all(&*plain, 1).unwrap();
    for (packed, name) in [(gzip(&plain), "gzip"), (zstd, "zstd")] {
        let outcome = read(&packed[..packed.len() / 2]);
        let (offset, what) = outcome.damage().expect("an error");
        assert!(what.contains(name), "{what}");
        assert!(offset > 0 && offset < plain.len() as u64);
        assert!(!outcome.packets.is_empty() && outcome.packets.len() < expected.len());
        assert!(expected.starts_with(&outcome.packets));
    }
}

#[test]
fn says_what_a_file_is_that_is_no_capture() {
    for (file, expected) in [
        (&b""[..], "it is empty"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "it starts with the text \"GET / HTTP/1.1\\r\\n\"",
        ),
        (
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "it is a program (ELF)",
        ),
        (
            b"\x01\x02\x03\xff\x01\x02\x03\xff",
            "it starts with 01 02 03 ff",
        ),
        (
            &gzip(b"hello, world"),
            "without its gzip compression, it starts with the text \"hello, world\"",
        ),
    ] {
        match read(file).error {
            Some(SourceError::Format { what, .. }) => assert_eq!(what, expected),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        read(&sample_pcap()[..10]).damage(),
        Some((0, "it ends within the file header"))
    );
}

#[test]
fn a_failing_disk_is_not_a_damaged_file() {
    for file in [sample_pcap(), gzip(&sample_pcap())[..40].to_vec()] {
        let outcome = read_from(Box::new(Cursor::new(file).chain(Failing)));
        assert!(
            matches!(outcome.error, Some(SourceError::Read { .. })),
            "{outcome:?}"
        );
    }
}

#[test]
fn what_is_read_ahead_is_the_same() {
    let order = Endian::Little;
    let large = large_pcap();
    let mut skipping = section(order);
    skipping.extend(interface(order, 1, 0, &[9], 0));
    skipping.extend(order.block(0x4000_0bad, &vec![0; 3 << 20]));
    skipping.extend(enhanced(order, 0, 5, &[1], &[]));
    let largest = pcap(
        [1, 900_000, 1_040_000, 3]
            .into_iter()
            .map(|len| vec![7; len]),
    );
    let zipped = gzip(&large);
    let cut = |file: &[u8], by| file[..file.len() - by].to_vec();
    for file in [
        sample_pcap(),
        sample_pcapng(),
        cut(&large, 1),
        cut(&zipped, 9_000),
        [&large[..], &[0xff; 40]].concat(),
        large,
        zipped,
        skipping,
        largest,
    ] {
        for failing in [false, true] {
            let reader = || -> Box<dyn Read + Send> {
                let file = Cursor::new(file.clone());
                match failing {
                    true => Box::new(file.chain(Failing)),
                    false => Box::new(file),
                }
            };
            let (here, ahead) = (read_from(reader()), read_ahead_from(reader()));
            assert!(here.packets == ahead.packets);
            assert_eq!(format!("{:?}", here.error), format!("{:?}", ahead.error));
        }
    }
}

#[test]
fn every_cut_gives_the_packets_before_it() {
    for file in [sample_pcap(), sample_pcapng()] {
        let whole = read(&file).packets;
        for cut in 0..file.len() {
            let outcome = read(&file[..cut]);
            assert!(whole.starts_with(&outcome.packets), "cut at {cut}");
            if let Some((offset, _)) = outcome.damage() {
                assert!(offset <= cut as u64, "cut at {cut}: damage at {offset}");
            }
            let boundary = outcome.error.is_none();
            assert!(boundary || outcome.packets.len() < whole.len() || cut + 80 > file.len());
        }
    }
}

#[test]
fn position_and_length_are_those_of_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let packed = gzip(&large_pcap());
    file.write_all(&packed).unwrap();
    let mut capture = CaptureFile::open(file.path().to_str().unwrap()).unwrap();
    assert_eq!(capture.len(), Some(packed.len() as u64));
    while capture.next(&mut |_| {}).unwrap() {}
    assert_eq!(capture.position(), packed.len() as u64);
}

#[test]
fn a_missing_file_is_named() {
    let error = CaptureFile::open("/nonexistent/x.pcap").err().unwrap();
    assert!(
        error
            .to_string()
            .starts_with("cannot read /nonexistent/x.pcap: No such file")
    );
}

#[test]
fn reads_owners_from_comments() {
    let order = Endian::Little;
    let ours = b"tracer403 case=3 end=server addr=[::1]:80 peer=[::1]:4000 pid=12 tid=13 uid=33 \
        comm=ng%20inx%25 exe=/usr/sbin/nginx cgroup=/a=b container=docker:abc \
        started=1700000000.000000007 quality=relaxed";
    let mut file = section(order);
    file.extend(interface(order, 1, 0, &[9], 0));
    let foreign = b"tracer403 is a fine tool".to_vec();
    file.extend(enhanced(
        order,
        0,
        5,
        &[1],
        &[(1, foreign), (1, ours.to_vec())],
    ));
    let outcome = read(&file);
    assert_eq!(outcome.owners.len(), 1);
    let record = &outcome.owners[0];
    assert_eq!(record.at, Timestamp::from_nanos(5));
    assert_eq!(record.socket.local, Some("[::1]:80".parse().unwrap()));
    assert_eq!(record.socket.remote, Some("[::1]:4000".parse().unwrap()));
    let owner = &record.owner;
    assert_eq!((owner.pid, owner.tid, owner.uid), (12, 13, 33));
    assert_eq!(&*owner.comm, "ng inx%");
    assert_eq!(owner.exe.as_deref(), Some("/usr/sbin/nginx"));
    assert_eq!(owner.cgroup.as_deref(), Some("/a=b"));
    let container = owner.container.as_ref().unwrap();
    assert_eq!((container.runtime, &*container.id), ("docker", "abc"));
    assert_eq!(
        owner.started_at,
        Some(Timestamp::from_nanos(1_700_000_000_000_000_007))
    );
    assert_eq!(owner.quality, crate::model::OwnerQuality::Relaxed);
}

#[test]
fn custom_blocks_of_others_are_left_alone() {
    for order in [Endian::Little, Endian::Big] {
        let watching = b"tracer403 watching at=0.000000007";
        let talk = "tracer403 talk at=0.000000001 pid=1 tid=2";
        let long = format!("{talk} path={} why=unix_socket", "x".repeat(70_000));
        let mut file = section(order);
        for (kind, enterprise, text) in [
            (0x0bad, 32_473, &watching[..]),
            (0x4000_0bad, 32_473, watching),
            (0x0bad, 1, watching),
            (0x0bad, 32_473, b""),
            (0x0bad, 32_473, b"tracer403"),
            (0x0bad, 32_473, b"tracer403 watching at=now"),
            (0x0bad, 32_473, b"tracer403 lost count=-1 place=ring_packet"),
            (0x0bad, 32_473, b"tracer403 lost count=1 place=elsewhere"),
            (0x0bad, 32_473, b"tracer403 missing probe=x why=y"),
            (0x0bad, 32_473, b"tracer403 ports list=x"),
            (0x0bad, 32_473, b"\xff\xff"),
            (0x0bad, 32_473, format!("{talk} addr=x why=tls").as_bytes()),
            (0x0bad, 32_473, format!("{talk} why=tls").as_bytes()),
            (0x0bad, 32_473, long.as_bytes()),
        ] {
            let mut body = order.u32(enterprise);
            body.extend(text);
            body.resize(body.len().next_multiple_of(4), 0);
            file.extend(order.block(kind, &body));
        }
        // One without room for a number.
        file.extend(order.block(0x0bad, &[]));
        let outcome = read(&file);
        assert!(outcome.error.is_none());
        assert_eq!(outcome.told.len(), 3, "{:?}", outcome.told);
        let at = Timestamp::from_nanos(7);
        assert_eq!(outcome.told[1], Record::Watching { at });
        let Record::Talk(talk) = &outcome.told[2] else {
            panic!("{:?}", outcome.told[2]);
        };
        assert_eq!(talk.peer.path.as_ref().map(|path| path.len()), Some(512));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A flipped byte changes what it says and what follows, never what came before.
    #[test]
    fn a_flip_leaves_what_came_before(at in any::<prop::sample::Index>(), bit in 0..8_u8, ng: bool) {
        let mut file = if ng { sample_pcapng() } else { sample_pcap() };
        let whole = read(&file).packets;
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        let before = read(&file[..at]).packets;
        let outcome = read(&file);
        prop_assert!(whole.starts_with(&before));
        prop_assert!(outcome.packets.starts_with(&before));
        let is_of_the_file = matches!(
            outcome.error,
            None | Some(SourceError::Damaged { .. } | SourceError::Format { .. })
        );
        prop_assert!(is_of_the_file);
    }

    /// Noise behind a valid header: an end or an error, never a panic, and never more than is there.
    #[test]
    fn noise_is_bounded(noise in prop::collection::vec(any::<u8>(), 0..600), kind in 0..3) {
        let mut file = match kind {
            0 => sample_pcap(),
            1 => sample_pcapng(),
            _ => Vec::new(),
        };
        file.extend(noise);
        let outcome = read(&file);
        let bytes: usize = outcome.packets.iter().map(|p| p.3.len()).sum();
        prop_assert!(bytes <= file.len());
    }

    /// It does not matter in what portions the bytes come.
    #[test]
    fn portions_do_not_matter(portion in 1_usize..200, ng: bool) {
        struct Slow(Cursor<Vec<u8>>, usize);
        impl Read for Slow {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                let n = buf.len().min(self.1);
                self.0.read(&mut buf[..n])
            }
        }
        let file = if ng { sample_pcapng() } else { sample_pcap() };
        let outcome = read_from(Box::new(Slow(Cursor::new(file.clone()), portion)));
        prop_assert!(outcome.error.is_none());
        prop_assert_eq!(outcome.packets, read(&file).packets);
    }
}

fn read(file: &[u8]) -> Outcome {
    read_from(Box::new(Cursor::new(file.to_vec())))
}

/// There is nothing to be had from it.
struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("no medium"))
    }
}

fn read_from(reader: Box<dyn Read + Send>) -> Outcome {
    outcome_of(CaptureFile::from_reader("test", reader))
}

fn read_ahead_from(reader: Box<dyn Read + Send>) -> Outcome {
    outcome_of(
        CaptureFile::from_reader("test", reader).and_then(|mut file| {
            file.read_ahead()?;
            Ok(file)
        }),
    )
}

fn outcome_of(file: Result<CaptureFile, SourceError>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut file = match file {
        Ok(file) => file,
        Err(error) => {
            outcome.error = Some(error);
            return outcome;
        }
    };
    loop {
        let more = file.next(&mut |record| match record {
            Record::Packet(Frame {
                at,
                link_type,
                wire_len,
                data,
                vantage,
            }) => {
                outcome.hooks.push(vantage.hook);
                outcome
                    .packets
                    .push((at.as_nanos(), link_type, wire_len, data.to_vec()));
            }
            Record::Lost { count, place } => {
                assert_eq!(place, LossPlace::CaptureFile);
                outcome.lost.push(count);
            }
            Record::Owner(owner) => outcome.owners.push(owner),
            Record::Watching { at } => outcome.told.push(Record::Watching { at }),
            Record::Talk(talk) => outcome.told.push(Record::Talk(talk)),
            other => panic!("{other:?}"),
        });
        match more {
            Ok(true) => {}
            Ok(false) => return outcome,
            Err(error) => {
                assert!(matches!(
                    file.next(&mut |_| panic!("after the end")),
                    Ok(false)
                ));
                outcome.error = Some(error);
                return outcome;
            }
        }
    }
}
