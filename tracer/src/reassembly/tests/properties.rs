//! Random conversations, captured badly.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::super::*;
use crate::decode::Flags;
use crate::source::Vantage;

/// A segment of a conversation: what was sent, and what its sender had received by then.
#[derive(Clone, Debug)]
struct Sent {
    dir: Direction,
    /// Offset in its stream; one before the start for the SYN.
    offset: i64,
    len: usize,
    ack: Option<u64>,
    flags: Flags,
}

/// A conversation in the order in which it was held.
#[derive(Clone, Debug)]
struct Conversation {
    isn: [u32; 2],
    len: [u64; 2],
    segments: Vec<Sent>,
}

/// How a capture treats one segment.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// Seen again, this many packets later.
    copied: Option<u8>,
    /// Seen so many packets later than it was sent.
    delayed: u8,
    /// Not seen.
    lost: bool,
    /// Where it is seen: before a translation of addresses, behind it, or both.
    at: Place,
}

/// On which side of a translation of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    Behind,
    Both,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn copies_and_disorder_change_nothing(talk in conversation(), fates in fates(0.0)) {
        let seen = replay(&talk, &fates);
        prop_assert_eq!(seen.delivered, talk.len);
        prop_assert_eq!(seen.lost, [0, 0]);
        prop_assert_eq!(seen.ends, [EndKind::Fin; 2]);
        prop_assert_eq!(seen.stats.connections, 1);
        prop_assert_eq!(seen.stats.conflicts, 0);
        prop_assert_eq!(seen.stats.started_in_middle, 0);
        // What each sender had received was handed out before its bytes were.
        for sent in &talk.segments {
            let end = u64::try_from(sent.offset).unwrap_or(0) + sent.len as u64;
            let [mine, other] = order(sent.dir);
            let before = seen.steps.iter().filter(|step| step[mine] < end);
            let other_had = before.map(|step| step[other]).max();
            if let (Some(ack), Some(had), true) = (sent.ack, other_had, sent.len > 0) {
                prop_assert!(had >= ack.min(talk.len[other]), "{sent:?} came after {had}");
            }
        }
    }

    #[test]
    fn before_and_behind_a_translation_it_is_one_connection(
        talk in conversation(),
        fates in translated_fates(),
    ) {
        let made_up = 1 << 20;
        prop_assume!(talk.isn.iter().any(|n| n.wrapping_add(1) >= made_up));
        let seen = replay(&talk, &fates);
        prop_assert_eq!(seen.delivered, talk.len);
        prop_assert_eq!(seen.lost, [0, 0]);
        prop_assert_eq!(seen.stats.connections - seen.stats.joined, 1);
        prop_assert_eq!(seen.stats.conflicts, 0);
    }

    #[test]
    fn what_is_lost_is_a_gap(talk in conversation(), fates in fates(0.2)) {
        let seen = replay(&talk, &fates);
        // Of the last bytes, and the FIN, nothing may tell.
        for mine in [0, 1] {
            let total = seen.delivered[mine] + seen.lost[mine];
            prop_assert!(total <= talk.len[mine] + 1, "{} of {}", total, talk.len[mine]);
            if seen.ends[mine] == EndKind::Fin {
                prop_assert_eq!(total, talk.len[mine]);
            }
            let captured = seen.captured[mine].iter().filter(|c| **c).count() as u64;
            prop_assert_eq!(seen.delivered[mine], captured);
        }
        prop_assert_eq!(seen.lost[0] + seen.lost[1], seen.stats.gap_bytes);
    }

    #[test]
    fn noise_is_bounded(segments in prop::collection::vec(noise(), 0..300)) {
        let limits = Limits {
            connections: 4,
            out_of_order: 2_000,
            memory: 5_000,
            ..Limits::default()
        };
        let mut reassembler = Reassembler::<u64>::new(limits);
        let bytes = [b'x'; 64];
        let mut open = std::collections::BTreeMap::new();
        let mut ok = true;
        let mut check = |conn: &Connection, _: &mut u64, event: Event<'_>| {
            if let Event::Joined { .. } = event {
                return;
            }
            let (next, ended) = open.entry(conn.id).or_insert(([0; 2], [false; 2]));
            let Event::Chunk(chunk) = event else {
                ok &= *ended == [true; 2];
                open.remove(&conn.id);
                return;
            };
            let way = order(chunk.dir)[0];
            ok &= next[way] == chunk.offset && !ended[way];
            match chunk.piece {
                Piece::Data(data) => next[way] += data.len() as u64,
                Piece::Gap { len, .. } | Piece::LeftOut { len } => next[way] += len,
                Piece::LastWaits => {}
                Piece::End(_) => ended[way] = true,
            }
        };
        for (at, port, dir, seq, ack, flags, len, cut) in segments {
            let ends = ends(port);
            let [src, dst] = order(dir).map(|i| ends[i]);
            let segment = Segment {
                at: Timestamp::from_nanos(at),
                src,
                dst,
                seq,
                ack,
                flags,
                payload: &bytes[..len],
                cut,
                vantage: Vantage::default(),
            };
            reassembler.push(&segment, &mut check);
            prop_assert!(reassembler.memory() <= 5_000);
        }
        reassembler.finish(&mut check);
        prop_assert!(ok, "chunks out of order");
        prop_assert!(open.is_empty(), "not closed: {open:?}");
        prop_assert_eq!(reassembler.memory(), 0);
    }
}

impl Flow for u64 {
    fn wakes_at(&self) -> Option<Timestamp> {
        None
    }

    fn memory(&self) -> usize {
        0
    }
}

fn conversation() -> impl Strategy<Value = Conversation> {
    let isn = prop_oneof![any::<u32>(), (0..2_000u32).prop_map(|n| u32::MAX - n)];
    let turns = prop::collection::vec(
        (any::<bool>(), 1..200usize, 1..60usize, any::<bool>()),
        1..12,
    );
    ([isn.clone(), isn], turns, any::<bool>()).prop_map(|(isn, turns, server_first)| {
        let (syn, syn_ack) = (flags(true, false, false), flags(true, true, false));
        let (c2s, s2c) = (Direction::ClientToServer, Direction::ServerToClient);
        let mut talk = Conversation {
            isn,
            len: [0; 2],
            segments: vec![
                Sent {
                    dir: c2s,
                    offset: -1,
                    len: 0,
                    ack: None,
                    flags: syn,
                },
                Sent {
                    dir: s2c,
                    offset: -1,
                    len: 0,
                    ack: Some(0),
                    flags: syn_ack,
                },
            ],
        };
        for (client, len, mss, acked) in turns {
            let dir = if client { c2s } else { s2c };
            talk.send(dir, len, mss);
            if acked {
                talk.put(dir.reverse(), 0, false, 0);
            }
        }
        let dirs = if server_first { [s2c, c2s] } else { [c2s, s2c] };
        talk.put(dirs[0], 0, true, 0);
        talk.put(dirs[1], 0, true, 1);
        talk
    })
}

impl Conversation {
    fn send(&mut self, dir: Direction, len: usize, mss: usize) {
        let mut left = len;
        while left > 0 {
            let len = left.min(mss);
            self.put(dir, len, false, 0);
            left -= len;
        }
    }

    fn put(&mut self, dir: Direction, len: usize, fin: bool, fins_received: u64) {
        let [mine, other] = order(dir);
        self.segments.push(Sent {
            dir,
            offset: self.len[mine] as i64,
            len,
            ack: Some(self.len[other] + fins_received),
            flags: flags(false, true, fin),
        });
        self.len[mine] += len as u64;
    }
}

fn fates(loss: f64) -> impl Strategy<Value = Vec<Fate>> {
    let fate = (
        prop::option::weighted(0.3, 0..30u8),
        prop_oneof![3 => Just(0), 1 => 0..20u8],
        prop::bool::weighted(loss),
    );
    let fate = fate.prop_map(|(copied, delayed, lost)| Fate {
        copied,
        delayed,
        lost,
        at: Place::Before,
    });
    prop::collection::vec(fate, 64)
}

fn translated_fates() -> impl Strategy<Value = Vec<Fate>> {
    let at = prop_oneof![Just(Place::Before), Just(Place::Behind), Just(Place::Both)];
    (fates(0.0), prop::collection::vec(at, 64)).prop_map(|(mut fates, places)| {
        for (fate, at) in fates.iter_mut().zip(places) {
            fate.at = at;
        }
        fates
    })
}

/// What came out.
struct Seen {
    delivered: [u64; 2],
    lost: [u64; 2],
    ends: [EndKind; 2],
    /// Which bytes the capture had.
    captured: [Vec<bool>; 2],
    /// Bytes handed out of both streams, after each chunk.
    steps: Vec<[u64; 2]>,
    stats: Stats,
}

/// Shows the conversation to a reassembler as the fates have it. Every byte that comes out is
/// compared with the one that was sent.
fn replay(talk: &Conversation, fates: &[Fate]) -> Seen {
    let mut seen = Seen {
        delivered: [0; 2],
        lost: [0; 2],
        ends: [EndKind::Evicted; 2],
        captured: talk.len.map(|len| vec![false; len as usize]),
        steps: vec![[0; 2]],
        stats: Stats::default(),
    };
    let mut capture = Vec::new();
    let is_translated = fates.iter().any(|fate| fate.at != Place::Before);
    for (i, (sent, fate)) in talk.segments.iter().zip(fates.iter().cycle()).enumerate() {
        let is_handshake = sent.flags.syn;
        if fate.lost && !is_handshake {
            continue;
        }
        let delay = if is_handshake {
            0
        } else {
            usize::from(fate.delayed)
        };
        // Both sides are there as it begins.
        let at = match is_handshake && is_translated {
            true => Place::Both,
            false => fate.at,
        };
        for place in [Place::Before, Place::Behind] {
            if at != place && at != Place::Both {
                continue;
            }
            let is_behind = place == Place::Behind;
            capture.push((i + delay, i, is_behind, sent));
            let copy = |later| (i + delay + usize::from(later), i, is_behind, sent);
            capture.extend(fate.copied.map(copy));
        }
        if sent.len > 0 {
            let from = sent.offset as usize;
            seen.captured[order(sent.dir)[0]][from..from + sent.len].fill(true);
        }
    }
    capture.sort_by_key(|(place, i, is_behind, _)| (*place, *i, *is_behind));
    let mut reassembler = Reassembler::<u64>::new(Limits::default());
    let mut sink = |_: &Connection, _: &mut u64, event: Event<'_>| {
        let Event::Chunk(chunk) = event else { return };
        let way = order(chunk.dir)[0];
        let next = seen.delivered[way] + seen.lost[way];
        assert_eq!(chunk.offset, next);
        match chunk.piece {
            Piece::Data(data) => {
                for (i, byte) in (next..).zip(data) {
                    assert_eq!(*byte, byte_at(way, i));
                }
                seen.delivered[way] += data.len() as u64;
            }
            Piece::Gap { len, .. } | Piece::LeftOut { len } => seen.lost[way] += len,
            Piece::LastWaits => {}
            Piece::End(kind) => seen.ends[way] = kind,
        }
        seen.steps
            .push([0, 1].map(|way| seen.delivered[way] + seen.lost[way]));
    };
    for (place, _, is_behind, sent) in capture {
        let [mine, other] = order(sent.dir);
        let ends = if is_behind { ends_behind() } else { ends(1) };
        let start = u64::try_from(sent.offset).unwrap_or(0);
        let payload: Vec<u8> = (start..).take(sent.len).map(|i| byte_at(mine, i)).collect();
        let segment = Segment {
            at: Timestamp::from_nanos(place as u64 * 1_000),
            src: ends[mine],
            dst: ends[other],
            seq: talk.isn[mine]
                .wrapping_add(1)
                .wrapping_add(sent.offset as u32),
            ack: talk.isn[other]
                .wrapping_add(1)
                .wrapping_add(sent.ack.unwrap_or(0) as u32),
            flags: sent.flags,
            payload: &payload,
            cut: 0,
            vantage: Vantage::default(),
        };
        reassembler.push(&segment, &mut sink);
    }
    reassembler.finish(&mut sink);
    seen.stats = reassembler.stats();
    seen
}

fn noise() -> impl Strategy<Value = (u64, u16, Direction, u32, u32, Flags, usize, u32)> {
    let number = || prop_oneof![5 => 0..300u32, 1 => any::<u32>()];
    (
        prop_oneof![5 => 0..1_000_000_000u64, 1 => any::<u64>()],
        0..6u16,
        prop::bool::ANY.prop_map(|c| match c {
            true => Direction::ClientToServer,
            false => Direction::ServerToClient,
        }),
        number(),
        number(),
        prop::bits::u8::ANY.prop_map(|bits| Flags {
            syn: bits & 0x0f == 0x0f,
            ack: bits & 0x30 != 0x30,
            fin: bits & 0x0f == 0x0e,
            rst: bits & 0x1f == 0x0d,
        }),
        0..64usize,
        prop_oneof![9 => Just(0u32), 1 => 0..100u32, 1 => any::<u32>()],
    )
}

fn flags(syn: bool, ack: bool, fin: bool) -> Flags {
    Flags {
        syn,
        ack,
        fin,
        rst: false,
    }
}

fn order(dir: Direction) -> [usize; 2] {
    match dir {
        Direction::ClientToServer => [0, 1],
        Direction::ServerToClient => [1, 0],
    }
}

fn ends(peer: u16) -> [SocketAddr; 2] {
    [
        SocketAddr::from(([192, 0, 2, 1], 40_000 + peer)),
        SocketAddr::from(([192, 0, 2, 2], 80)),
    ]
}

fn ends_behind() -> [SocketAddr; 2] {
    [
        SocketAddr::from(([203, 0, 113, 9], 1_024)),
        SocketAddr::from(([198, 51, 100, 1], 8_080)),
    ]
}

fn byte_at(way: usize, offset: u64) -> u8 {
    (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (40 + way)) as u8
}
