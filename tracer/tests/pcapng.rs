//! What `-w` writes is a capture: this tool and an independent parser read back the same.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, PcapBlockOwned, PcapError, PcapNGReader};
use tracer403::model::{
    Around, Case, ConnId, Container, Direction, Endpoint, Exchange, Health, Hop, LossPlace,
    MissingProbe, Owner, OwnerQuality, Packet, Preflight, Response, Settled, Talk, Timestamp, Told,
    Unread, UnreadPeer,
};
use tracer403::output::pcapng::PcapngSink;
use tracer403::output::{Mode, Session, Sink, WholeFile};
use tracer403::ports::Ports;
use tracer403::source::pcap::CaptureFile;
use tracer403::source::{Hook, Record, SocketOwner, SocketUse, Source, probes};

#[test]
fn packets_owners_and_losses_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.pcapng");
    let mut file = create(&path);
    let cases = [
        case(1, Some(owner("nginx", 7)), None),
        case(2, None, Some(odd_owner())),
    ];
    for case in &cases {
        file.case(case).unwrap();
    }
    let mut health = Health::default();
    health.add_lost(LossPlace::RingPacket, 3);
    health.add_lost(LossPlace::CaptureFile, 4);
    health.add_lost(LossPlace::RingOwner, 50);
    file.finish(&health).unwrap();

    let back = read(&path);
    let packets: Vec<_> = cases.iter().flat_map(|c| c.packets.clone()).collect();
    assert_eq!(back.packets.len(), packets.len());
    for ((read, _), written) in back.packets.iter().zip(&packets) {
        assert_eq!(
            (read.at, read.link_type, read.wire_len, &read.data),
            (
                written.at,
                written.link_type,
                written.wire_len,
                &written.data
            )
        );
        assert_eq!((read.settled, read.lost), (written.settled, written.lost));
    }
    assert_eq!(back.lost, 7, "packets, not owners");

    let [server, client] = &back.owners[..] else {
        panic!("{:?}", back.owners)
    };
    let exchange = cases[0].exchange();
    assert_eq!(Some(&server.owner), exchange.server.owner.as_ref());
    assert_eq!(server.socket.local, Some(exchange.server.addr));
    assert_eq!(server.socket.remote, Some(exchange.client.addr));
    assert_eq!(server.used, SocketUse::Sent);
    let own_first_packet = Timestamp::from_nanos(1_100_000_002);
    assert_eq!(server.at, own_first_packet);
    let exchange = cases[1].exchange();
    assert_eq!(Some(&client.owner), exchange.client.owner.as_ref());
    assert_eq!(client.socket.local, Some(exchange.client.addr));
    assert_eq!(client.at, Timestamp::from_nanos(2_100_000_001));

    // The end whose owner is known is the one that is here.
    let hooks: Vec<_> = back.packets.iter().map(|(_, hook)| *hook).collect();
    let (into, out) = (Hook::Ingress, Hook::Egress);
    assert_eq!(hooks, [into, out, into, out, into, out]);
}

#[test]
fn an_independent_parser_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.pcapng");
    let mut file = create(&path);
    let case = case(1, Some(owner("a b", 7)), None);
    file.case(&case).unwrap();
    file.finish(&Health::default()).unwrap();

    let mut reader = PcapNGReader::new(1 << 16, fs::File::open(&path).unwrap()).unwrap();
    let (mut packets, mut comments, mut statistics) = (Vec::new(), Vec::new(), 0);
    loop {
        match reader.next() {
            Ok((used, block)) => {
                match block {
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        packets.push(packet.data[..packet.caplen as usize].to_vec());
                        let texts = packet.options.iter().filter(|o| o.code.0 == 1);
                        let texts = texts.map(|o| o.value[..usize::from(o.len)].to_vec());
                        comments.extend(texts.map(|t| String::from_utf8(t).unwrap()));
                    }
                    PcapBlockOwned::NG(Block::InterfaceStatistics(_)) => statistics += 1,
                    _ => {}
                }
                reader.consume(used);
            }
            Err(PcapError::Eof) => break,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
    let expected: Vec<_> = case.packets.iter().map(|p| p.data.clone()).collect();
    assert_eq!(packets, expected);
    assert_eq!(statistics, 1);
    assert_eq!(
        comments,
        [
            "tracer403 case=1 end=client addr=192.0.2.1:4000 peer=[2001:db8::1]:80",
            "tracer403 case=1 end=server addr=[2001:db8::1]:80 peer=192.0.2.1:4000 pid=7 tid=8 \
             uid=33 comm=a%20b quality=exact",
        ]
    );
}

#[test]
fn it_is_whole_after_each_case() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.pcapng");
    let mut file = create(&path);
    assert_eq!(read(&path).packets.len(), 0);
    for number in 1..4 {
        file.case(&case(number, None, None)).unwrap();
        assert_eq!(read(&path).packets.len() as u64, 3 * number);
    }
}

#[test]
fn an_end_that_sent_nothing_is_named_on_the_other_ends_packet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.pcapng");
    let mut case = case(1, Some(owner("server", 7)), Some(owner("client", 9)));
    case.packets
        .retain(|p| p.direction == Direction::ServerToClient);
    create(&path).case(&case).unwrap();
    let pids: Vec<_> = read(&path).owners.iter().map(|o| o.owner.pid).collect();
    assert_eq!(pids, [9, 7]);
}

#[test]
fn endless_values_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.pcapng");
    let long: Arc<str> = "\u{1F980} ".repeat(20_000).into();
    let container = Container {
        runtime: "podman",
        id: long.to_string(),
    };
    let owner = Owner {
        comm: Arc::clone(&long),
        exe: Some(Arc::clone(&long)),
        cgroup: Some(Arc::clone(&long)),
        container: Some(Arc::new(container)),
        ..owner("", 7)
    };
    let case = case(1, Some(owner), None);
    create(&path).case(&case).unwrap();
    let back = read(&path);
    let exe = back.owners[0].owner.exe.as_deref().unwrap();
    assert!(exe.len() > 2_000 && long.starts_with(exe.trim_end_matches('\u{fffd}')));
}

#[test]
fn what_the_host_told_comes_back_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.pcapng");
    let mut case = case(1, None, None);
    let at = |i: u64| Timestamp::from_nanos(1_100_000_000 + i);
    let peers = [
        (Some("10.0.0.1:3306"), None, Unread::NotHttp),
        (Some("[::1]:8181"), None, Unread::PortNotTraced),
        (None, Some("/run/my app/100%.sock"), Unread::UnixSocket),
        (None, None, Unread::UnixSocket),
        (Some("10.0.0.1:443"), None, Unread::Tls),
        (Some("10.0.0.1:50051"), None, Unread::Http2),
    ];
    let talks = peers.map(|(addr, path, why)| {
        let peer = UnreadPeer {
            addr: addr.map(|addr| addr.parse().unwrap()),
            path: path.map(Arc::from),
            why,
        };
        Told::Talk(Talk {
            at: at(2),
            pid: 7,
            tid: 8,
            more: peer.path.is_some(),
            peer,
        })
    });
    let lost = Told::Lost {
        at: at(1),
        count: 2,
        place: LossPlace::RingTalk,
    };
    let late = Told::Lost {
        at: at(9),
        count: 1,
        place: LossPlace::RingOwner,
    };
    let watching = Told::Watching { at: at(0) };
    let around = Told::Around(Around {
        at: at(10),
        client: "192.0.2.1:4000".parse().unwrap(),
        server: "[2001:db8::1]:80".parse().unwrap(),
        passed: 1,
        refused: 2,
        rivals: 3,
        perhaps: 4,
        calls: 5,
        forgotten: true,
        preflight: Preflight::Unfollowed,
    });
    case.told = [
        &[watching.clone(), lost.clone()],
        &talks[..],
        &[late.clone(), around.clone()],
    ]
    .concat();
    let mut file = create(&path);
    file.case(&case).unwrap();
    file.finish(&Health::default()).unwrap();

    let back = read(&path);
    assert_eq!(back.packets.len(), 3);
    let mut expected = vec![(0, watching), (1, lost)];
    expected.extend(talks.map(|talk| (2, talk)));
    expected.extend([(3, late), (3, around)]);
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(place, told)| (place, record(told)))
        .collect();
    assert_eq!(back.told, expected, "each behind this many packets");
}

#[test]
fn cases_that_share_a_fact_write_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.pcapng");
    let mut file = create(&path);
    let lost = |at| Told::Lost {
        at: Timestamp::from_nanos(at),
        count: 2,
        place: LossPlace::RingPacket,
    };
    for number in 1..4 {
        let mut case = case(number, None, None);
        case.told = vec![lost(5), lost(number)];
        file.case(&case).unwrap();
    }
    file.finish(&Health::default()).unwrap();
    assert_eq!(read(&path).told.len(), 4);
}

#[test]
fn a_loss_that_is_told_twice_counts_once() {
    for (by_places, all) in [
        (&[][..], 10),
        (&[(LossPlace::RingPacket, 3)], 10),
        (
            &[
                (LossPlace::PacketUnreadable, 3),
                (LossPlace::CaptureFile, 7),
            ],
            10,
        ),
        // These are not in the statistics.
        (&[(LossPlace::RingOwner, 3), (LossPlace::RingTalk, 50)], 63),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.pcapng");
        let mut case = case(1, None, None);
        case.told = by_places
            .iter()
            .map(|&(place, count)| Told::Lost {
                at: Timestamp::from_nanos(1),
                count,
                place,
            })
            .collect();
        let mut health = Health::default();
        health.add_lost(LossPlace::RingPacket, 6);
        health.add_lost(LossPlace::CaptureFile, 4);
        let mut file = create(&path);
        file.case(&case).unwrap();
        file.finish(&health).unwrap();

        assert_eq!(read(&path).lost, all, "{by_places:?}");
    }
}

#[test]
fn what_was_missing_and_traced_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.pcapng");
    let missing = MissingProbe {
        probe: "/proc",
        why: "no permission".to_owned(),
        costs: probes::PROC.1,
    };
    let unknown = MissingProbe {
        probe: "of a later version",
        ..missing.clone()
    };
    let mut sink = PcapngSink::new(WholeFile::create(&path).unwrap());
    let ports = Some("80-81,9000".to_owned());
    sink.start(&Session { ports, ..session() }).unwrap();
    sink.finish(&Health {
        missing: vec![missing.clone(), unknown],
        ..Health::default()
    })
    .unwrap();
    let back = read(&path);
    assert_eq!(back.told, [(0, Record::Missing(missing))]);
    assert_eq!(back.ports.unwrap().to_string(), "80-81,9000");
}

#[test]
fn every_hop_has_its_owners() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.pcapng");
    let mut outer = case(1, Some(owner("proxy", 7)), None);
    let inner = case(2, Some(owner("app", 20)), Some(owner("proxy", 7)));
    // The next request of the outer connection came to another worker.
    let mut sibling = outer.exchange().clone();
    sibling.index = 1;
    sibling.server.owner = Some(owner("proxy", 9));
    let mut response = Response::default();
    response.message.started_at = Timestamp::from_nanos(1_100_000_003);
    sibling.response = Some(Box::new(response));
    // One whose packets are not there.
    let stranger = case(3, Some(owner("stranger", 30)), None);
    outer.siblings = vec![sibling.into(), stranger.exchange().clone().into()];
    outer.chain.after = vec![Hop::new(inner.exchange().clone())];
    let answer = Packet {
        at: Timestamp::from_nanos(1_100_000_004),
        ..outer.packets[1].clone()
    };
    outer.packets.push(answer);
    outer.packets.extend(inner.packets);
    let mut file = create(&path);
    file.case(&outer).unwrap();
    file.finish(&Health::default()).unwrap();

    let back = read(&path);
    let owners: Vec<_> = back
        .owners
        .iter()
        .map(|o| (o.owner.pid, o.at.as_nanos()))
        .collect();
    assert_eq!(
        owners,
        [
            (7, 1_100_000_002),
            (9, 1_100_000_004),
            (7, 2_100_000_001),
            (20, 2_100_000_002)
        ]
    );
    let hooks: Vec<_> = back.packets.iter().map(|(_, hook)| *hook).collect();
    let (into, out, both) = (Hook::Ingress, Hook::Egress, Hook::Unknown);
    assert_eq!(hooks, [into, out, into, out, both, both, both]);
}

/// The record that a fact is read back as.
fn record(told: Told) -> Record<'static> {
    match told {
        Told::Watching { at } => Record::Watching { at },
        Told::Talk(talk) => Record::Talk(talk),
        Told::Around(around) => Record::Around(around),
        Told::Lost { count, place, .. } => Record::Lost { count, place },
    }
}

fn create(path: &Path) -> PcapngSink<WholeFile> {
    let mut sink = PcapngSink::new(WholeFile::create(path).unwrap());
    sink.start(&session()).unwrap();
    sink
}

fn session() -> Session {
    Session {
        version: "0",
        mode: Mode::Live,
        inputs: Vec::new(),
        ports: None,
        filter: String::new(),
    }
}

#[derive(Default)]
struct Back {
    packets: Vec<(Packet, Hook)>,
    owners: Vec<SocketOwner>,
    lost: u64,
    /// What custom blocks say, and how many packets came before each.
    told: Vec<(usize, Record<'static>)>,
    ports: Option<Ports>,
}

fn read(path: &Path) -> Back {
    let mut back = Back::default();
    let mut file = CaptureFile::open(path.to_str().unwrap()).unwrap();
    let mut sink = |record: Record<'_>| match record {
        Record::Packet(frame) => back.packets.push((
            Packet {
                at: frame.at,
                link_type: frame.link_type,
                wire_len: frame.wire_len,
                data: frame.data.to_vec(),
                direction: Direction::ClientToServer,
                conn: ConnId::default(),
                settled: frame.vantage.settled,
                lost: frame.vantage.lost,
            },
            frame.vantage.hook,
        )),
        Record::Owner(owner) => back.owners.push(owner),
        Record::Lost { count, place } => {
            back.lost += count;
            if place != LossPlace::CaptureFile {
                back.told
                    .push((back.packets.len(), Record::Lost { count, place }));
            }
        }
        Record::Watching { at } => back
            .told
            .push((back.packets.len(), Record::Watching { at })),
        Record::Talk(talk) => back.told.push((back.packets.len(), Record::Talk(talk))),
        Record::Around(around) => back.told.push((back.packets.len(), Record::Around(around))),
        Record::Held { counts, .. } => panic!("{counts:?}"),
        Record::Missing(probe) => back.told.push((back.packets.len(), Record::Missing(probe))),
        Record::Tick { .. } => panic!("{record:?}"),
    };
    while file.next(&mut sink).unwrap() {}
    back.ports = file.ports().cloned();
    back
}

fn case(number: u64, server: Option<Owner>, client: Option<Owner>) -> Case {
    let end = |addr: &str, owner| Endpoint {
        addr: addr.parse::<SocketAddr>().unwrap(),
        translated: None,
        cookie: 0,
        owner,
    };
    let packet = |i: u64, link_type, direction| Packet {
        at: Timestamp::from_nanos(number * 1_000_000_000 + 100_000_000 + i),
        link_type,
        wire_len: 90,
        data: vec![number as u8; 80 + i as usize],
        direction,
        conn: ConnId(number),
        // Not of every packet: neither where nothing is known to be settled, nor before a loss.
        settled: i.is_multiple_of(2).then_some(Settled {
            own: 0xfedc_ba98,
            peer: i as u32,
        }),
        lost: i as u32 / 2,
    };
    let exchange = Exchange {
        conn: ConnId(number),
        index: 0,
        client: end("192.0.2.1:4000", client),
        server: end("[2001:db8::1]:80", server),
        request: None,
        interim: Vec::new(),
        response: None,
        anomalies: Vec::new(),
        proxy_client: None,
        client_addresses: Vec::new(),
    };
    Case {
        packets: vec![
            packet(1, 1, Direction::ClientToServer),
            packet(2, 101, Direction::ServerToClient),
            packet(3, 1, Direction::ClientToServer),
        ],
        ..Case::of(number, exchange)
    }
}

fn owner(comm: &str, pid: u32) -> Owner {
    Owner {
        pid,
        tid: pid + 1,
        uid: 33,
        started_at: None,
        comm: comm.into(),
        exe: None,
        cgroup: None,
        container: None,
        quality: OwnerQuality::Exact,
    }
}

fn odd_owner() -> Owner {
    let container = Container {
        runtime: "cri-o",
        id: "0123abcd".into(),
    };
    Owner {
        started_at: Some(Timestamp::from_nanos(1_700_000_000_123_456_789)),
        exe: Some("/opt/my app/100%=\u{fc}n\u{ef}\n".into()),
        cgroup: Some("/system.slice/a\\x2db.service".into()),
        container: Some(Arc::new(container)),
        quality: OwnerQuality::Guess,
        ..owner("%41", 9)
    }
}
