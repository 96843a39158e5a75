//! Segments.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tracer403::decode::{Flags, Segment};
use tracer403::limits::Limits;
use tracer403::model::{ConnId, Direction, GapKind, Timestamp};
use tracer403::reassembly::{Connection, Event, Flow, Piece, Reassembler};
use tracer403::source::{Hook, Vantage};

/// Bytes of an operation.
const OPERATION: usize = 8;
/// Flags of an operation.
const SYN: u8 = 1;
const ACK: u8 = 2;
const FIN: u8 = 4;
const RST: u8 = 8;
const CUT: u8 = 16;
const FAR: u8 = 32;

/// Operations of 8 bytes, one after the other; what is left over is ignored.
///
/// | byte | of a segment | of a step in time |
/// | --- | --- | --- |
/// | 0 | bits 0-1: peer, bit 2: from the server, bits 3-4: hook (3 is none), bit 5: 0 | bit 5: 1, bit 6: back |
/// | 1 | SYN 1, ACK 2, FIN 4, RST 8, cut 16, far sequence number 32 | |
/// | 2, 3 | sequence number, little-endian, signed | milliseconds, little-endian |
/// | 4, 5 | acknowledgement number, as above | |
/// | 6 | length of the payload | |
/// | 7 | milliseconds since the operation before; bytes cut, in sixteens | |
///
/// Each payload byte is the lowest byte of its own sequence number, so what comes out tells
/// whether bytes were lost without a gap, and whether gaps are as long as they say.
pub fn reassembly(data: &[u8]) {
    let limits = Limits {
        connections: 3,
        out_of_order: 1_000,
        memory: 3_000,
        ..Limits::default()
    };
    let bound = limits.memory;
    let mut reassembler = Reassembler::new(limits);
    let mut ledger = Ledger::default();
    let mut millis: u64 = 1 << 32;
    let mut payload = [0; 255];
    for operation in data.chunks_exact(OPERATION) {
        let [what, flags, s0, s1, a0, a1, len, step] = *operation else {
            unreachable!("chunks are exact");
        };
        let mut sink =
            |conn: &Connection, held: &mut Held, event: Event<'_>| ledger.note(conn, held, event);
        if what & 0x20 != 0 {
            let by = u64::from(u16::from_le_bytes([s0, s1]));
            millis = match what & 0x40 {
                0 => millis + by,
                _ => millis.saturating_sub(by),
            };
            reassembler.tick(at(millis), &mut sink);
        } else {
            millis += u64::from(step);
            let ends = ends(what & 3);
            let from_server = usize::from(what & 4 != 0);
            let [src, dst] = [ends[from_server], ends[1 - from_server]];
            let seq = number(s0, s1, flags & FAR != 0);
            let first = seq.wrapping_add(u32::from(flags & SYN));
            for (i, byte) in (0_u32..).zip(&mut payload) {
                *byte = first.wrapping_add(i) as u8;
            }
            let segment = Segment {
                at: at(millis),
                src,
                dst,
                seq,
                ack: number(a0, a1, false),
                flags: Flags {
                    syn: flags & SYN != 0,
                    ack: flags & ACK != 0,
                    fin: flags & FIN != 0,
                    rst: flags & RST != 0,
                },
                payload: &payload[..usize::from(len)],
                cut: match flags & CUT {
                    0 => 0,
                    _ => u32::from(step) * 16,
                },
                vantage: vantage(what),
            };
            reassembler.push(&segment, &mut sink);
        }
        assert!(reassembler.memory() <= bound, "{}", reassembler.memory());
    }
    let mut sink =
        |conn: &Connection, held: &mut Held, event: Event<'_>| ledger.note(conn, held, event);
    reassembler.finish(&mut sink);
    assert_eq!(reassembler.memory(), 0);
    let stats = reassembler.stats();
    assert_eq!(stats.gaps, ledger.gaps);
    assert_eq!(stats.gap_bytes, ledger.gap_bytes);
    assert_eq!(stats.connections, ledger.closed.len() as u64);
    assert_eq!(stats.conflicts, 0);
    assert!(ledger.open.is_empty(), "not closed: {:?}", ledger.open);
}

/// What was handed out, checked as it comes.
#[derive(Default)]
struct Ledger {
    /// Each direction of the connections that are open.
    open: BTreeMap<ConnId, [Account; 2]>,
    closed: BTreeSet<ConnId>,
    gaps: u64,
    gap_bytes: u64,
}

/// One direction.
#[derive(Debug, Default)]
struct Account {
    next: u64,
    /// What the byte at offset 0 is or would be; known from the first byte that is there.
    first: Option<u8>,
    ended: bool,
}

impl Ledger {
    fn note(&mut self, conn: &Connection, held: &mut Held, event: Event<'_>) {
        assert_ne!(conn.client, conn.server);
        assert!(!conn.conflict);
        assert!(!self.closed.contains(&conn.id), "{:?} again", conn.id);
        let accounts = self.open.entry(conn.id).or_default();
        match event {
            Event::Chunk(chunk) => {
                let account = match chunk.dir {
                    Direction::ClientToServer => &mut accounts[0],
                    Direction::ServerToClient => &mut accounts[1],
                };
                assert!(!account.ended, "{chunk:?} after the end");
                assert_eq!(chunk.offset, account.next);
                match chunk.piece {
                    Piece::Data(data) => {
                        assert!(!data.is_empty());
                        account.data(data);
                        held.bytes = (held.bytes + data.len()) % 700;
                        held.wakes_at = Some(chunk.at.plus(Duration::from_millis(100)));
                    }
                    Piece::LeftOut { len } => {
                        assert!(len > 0);
                        account.next += len;
                    }
                    Piece::LastWaits => {}
                    Piece::Gap { len, kind } => {
                        assert!(len > 0);
                        account.next += len;
                        if kind == GapKind::Lost {
                            self.gaps += 1;
                            self.gap_bytes += len;
                        }
                    }
                    Piece::End(_) => account.ended = true,
                }
            }
            Event::Woken { at } => {
                let asked = held.wakes_at.take();
                assert!(asked.is_some(), "woken at {at} without having asked");
            }
            Event::Joined { other } => {
                assert!(!self.open.contains_key(&other), "{other:?} told of before");
                assert!(self.closed.insert(other), "{other:?} again");
            }
            Event::Closed { .. } => {
                assert!(accounts.iter().all(|account| account.ended));
                self.open.remove(&conn.id);
                self.closed.insert(conn.id);
            }
        }
    }
}

impl Account {
    fn data(&mut self, data: &[u8]) {
        for byte in data {
            let first = byte.wrapping_sub(self.next as u8);
            assert_eq!(*self.first.get_or_insert(first), first, "at {}", self.next);
            self.next += 1;
        }
    }
}

/// A flow that holds something and wants to be woken.
#[derive(Default)]
struct Held {
    bytes: usize,
    wakes_at: Option<Timestamp>,
}

impl Flow for Held {
    fn memory(&self) -> usize {
        self.bytes
    }

    fn wakes_at(&self) -> Option<Timestamp> {
        self.wakes_at
    }
}

fn ends(peer: u8) -> [SocketAddr; 2] {
    [
        SocketAddr::from(([192, 0, 2, 1], 40_000 + u16::from(peer))),
        SocketAddr::from(([192, 0, 2, 2], 80)),
    ]
}

fn number(low: u8, high: u8, far: bool) -> u32 {
    let near = i32::from(i16::from_le_bytes([low, high])) as u32;
    if far {
        near.wrapping_mul(0x1_0001)
    } else {
        near
    }
}

fn vantage(what: u8) -> Vantage {
    let peer = u64::from(what & 3);
    let (hook, end) = match what >> 3 & 3 {
        0 => (Hook::Unknown, 0),
        1 => (Hook::Egress, u64::from(what >> 2 & 1)),
        2 => (Hook::Ingress, u64::from(!what >> 2 & 1)),
        _ => return Vantage::default(),
    };
    let cookie = match hook {
        Hook::Unknown => 0,
        _ => 1 + peer * 2 + end,
    };
    Vantage {
        settled: None,
        lost: 0,
        hook,
        cookie,
        netns: 1,
        ifindex: 1,
    }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}
