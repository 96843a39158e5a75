//! The packets of each connection, kept until it is known whether an output wants them (`-w`).
//!
//! A trail is contiguous: from the start of the connection, or from the last reported exchange,
//! on. So what is written can be read back to the same exchanges.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::limits::Limits;
use crate::model::{ConnId, Direction, Packet, Timestamp};
use crate::source::{Frame, Hook};

/// The trails of all connections.
#[derive(Debug)]
pub struct Trails {
    /// By connection number, so the first is the oldest connection.
    trails: BTreeMap<ConnId, Trail>,
    /// Connections that are over, and since when.
    closed: VecDeque<(Timestamp, ConnId)>,
    keep_closed: Duration,
    bytes: usize,
    evicted: u64,
    limit_each: usize,
    limit_all: usize,
}

#[derive(Debug, Default)]
struct Trail {
    packets: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    packet: Packet,
    /// It was seen as it left a socket of this host, and not yet as it came in at the other.
    is_on_its_way: bool,
}

/// How many packets can leave an end before the first of them comes in at the other, both on this
/// host: as many as a socket sends in one go.
const ON_ITS_WAY: usize = 64;

/// Most bytes of an exchange that is kept to compare others with. Bounds what a sample of large
/// uploads takes: it can be compared with, and is not written.
const COPIED: usize = 64 << 10;

/// What a packet costs beside its bytes.
const OVERHEAD: usize = size_of::<Kept>();

impl Trails {
    /// No trails yet.
    pub fn new(limits: &Limits) -> Self {
        Self {
            trails: BTreeMap::new(),
            closed: VecDeque::new(),
            keep_closed: limits.recent_age,
            bytes: 0,
            evicted: 0,
            limit_each: limits.packets_per_connection,
            limit_all: limits.packets,
        }
    }

    /// Keeps a packet, unless it is the other sight of one that is kept: between two sockets of
    /// this host, each packet is seen as it leaves and as it comes in. Past a bound the oldest
    /// packets go: of this connection, then of the oldest connection.
    pub fn keep(&mut self, conn: ConnId, direction: Direction, frame: &Frame<'_>) {
        let hook = frame.vantage.hook;
        let trail = self.trails.entry(conn).or_default();
        if hook == Hook::Ingress && trail.arrives(frame) {
            return;
        }
        let packet = Packet {
            at: frame.at,
            link_type: frame.link_type,
            wire_len: frame.wire_len,
            data: frame.data.to_vec(),
            direction,
            conn,
            settled: frame.vantage.settled,
            lost: frame.vantage.lost,
        };
        trail.bytes += cost(&packet);
        self.bytes += cost(&packet);
        trail.packets.push_back(Kept {
            packet,
            is_on_its_way: hook == Hook::Egress,
        });
        while trail.bytes > self.limit_each {
            let Some(oldest) = trail.packets.pop_front() else {
                break;
            };
            trail.bytes -= cost(&oldest.packet);
            self.bytes -= cost(&oldest.packet);
            self.evicted += 1;
        }
        while self.bytes > self.limit_all {
            let Some((_, oldest)) = self.trails.pop_first() else {
                break;
            };
            self.bytes -= oldest.bytes;
            self.evicted += oldest.packets.len() as u64;
        }
    }

    /// Takes what was kept of a connection since it was last taken.
    pub fn take(&mut self, conn: ConnId) -> Vec<Packet> {
        self.trails.remove(&conn).map_or_else(Vec::new, |trail| {
            self.bytes -= trail.bytes;
            trail.packets.into_iter().map(|kept| kept.packet).collect()
        })
    }

    /// What was kept of a connection since this time, and stays; nothing where that is more than
    /// 64 KiB.
    pub fn copy(&self, conn: ConnId, since: Timestamp) -> Vec<Packet> {
        let trail = self.trails.get(&conn).into_iter();
        let packets = trail.flat_map(|t| t.packets.iter().rev());
        let latest = packets
            .map(|kept| &kept.packet)
            .take_while(|p| p.at >= since);
        let mut copy = Vec::new();
        let mut bytes = 0;
        for packet in latest {
            bytes += cost(packet);
            if bytes > COPIED {
                return Vec::new();
            }
            copy.push(packet.clone());
        }
        copy.reverse();
        copy
    }

    /// Puts packets that were taken back in front of what came since.
    pub fn give_back(&mut self, conn: ConnId, packets: Vec<Packet>) {
        let trail = self.trails.entry(conn).or_default();
        for packet in packets.into_iter().rev() {
            trail.bytes += cost(&packet);
            self.bytes += cost(&packet);
            trail.packets.push_front(Kept {
                packet,
                is_on_its_way: false,
            });
        }
    }

    /// A connection turned out to be another one under other addresses: its packets are that one's.
    pub fn join(&mut self, conn: ConnId, into: ConnId) {
        let Some(joining) = self.trails.remove(&conn) else {
            return;
        };
        let trail = self.trails.entry(into).or_default();
        trail.bytes += joining.bytes;
        trail.packets.extend(joining.packets);
        for kept in &mut trail.packets {
            kept.packet.conn = into;
        }
        let packets = trail.packets.make_contiguous();
        packets.sort_by_key(|kept| kept.packet.at);
    }

    /// A connection is over: it is forgotten some time later ([`Limits::recent_age`]), as an
    /// exchange that it is linked with may yet be reported.
    pub fn close(&mut self, conn: ConnId, at: Timestamp) {
        self.closed.push_back((at, conn));
        while let Some((closed_at, conn)) = self.closed.front().copied()
            && (at.since(closed_at) > self.keep_closed || at < closed_at)
        {
            self.closed.pop_front();
            if let Some(trail) = self.trails.remove(&conn) {
                self.bytes -= trail.bytes;
            }
        }
    }

    /// Packets that went over a bound.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

impl Trail {
    /// Whether a packet that came in is one that was seen leaving.
    fn arrives(&mut self, frame: &Frame<'_>) -> bool {
        let leaving = self.packets.iter_mut().rev().take(ON_ITS_WAY);
        let seen = leaving
            .filter(|kept| kept.is_on_its_way && kept.packet.data == frame.data)
            .last()
            .map(|kept| kept.is_on_its_way = false);
        seen.is_some()
    }
}

fn cost(packet: &Packet) -> usize {
    packet.data.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Vantage;

    #[test]
    fn a_trail_is_taken_once() {
        let mut trails = trails(1 << 20, 1 << 20);
        keep(&mut trails, 1, 10);
        keep(&mut trails, 2, 10);
        keep(&mut trails, 1, 20);
        assert_eq!(lengths(trails.take(ConnId(1))), [10, 20]);
        assert_eq!(lengths(trails.take(ConnId(1))), [0usize; 0]);
        assert_eq!(lengths(trails.take(ConnId(2))), [10]);
        assert_eq!((trails.bytes, trails.evicted()), (0, 0));
    }

    #[test]
    fn a_copy_is_of_the_latest_packets_and_of_no_more_than_its_bound() {
        let mut trails = trails(1 << 20, 1 << 20);
        keep(&mut trails, 1, 10);
        keep(&mut trails, 1, 20);
        let since = Timestamp::default();
        assert_eq!(lengths(trails.copy(ConnId(1), since)), [10, 20]);
        let later = Timestamp::from_nanos(1);
        assert_eq!(lengths(trails.copy(ConnId(1), later)), [0usize; 0]);
        keep(&mut trails, 1, COPIED);
        assert_eq!(lengths(trails.copy(ConnId(1), since)), [0usize; 0]);
        assert_eq!(lengths(trails.take(ConnId(1))), [10, 20, COPIED]);
    }

    #[test]
    fn past_its_bound_a_connection_loses_its_oldest_packets() {
        let mut trails = trails(2 * (100 + OVERHEAD), 1 << 20);
        for len in [98, 99, 100] {
            keep(&mut trails, 1, len);
        }
        assert_eq!(trails.evicted(), 1);
        assert_eq!(lengths(trails.take(ConnId(1))), [99, 100]);
    }

    #[test]
    fn past_the_common_bound_the_oldest_connection_goes() {
        let mut trails = trails(1 << 20, 2 * (100 + OVERHEAD));
        for conn in [1, 2, 3] {
            keep(&mut trails, conn, 100);
        }
        assert_eq!(trails.evicted(), 1);
        assert_eq!(lengths(trails.take(ConnId(1))), [0usize; 0]);
        assert_eq!(lengths(trails.take(ConnId(3))), [100]);
    }

    #[test]
    fn a_packet_between_two_sockets_of_the_host_is_kept_once() {
        let mut trails = trails(1 << 20, 1 << 20);
        let mut see = |hook, data: &[u8]| {
            let vantage = Vantage {
                hook,
                ..Vantage::default()
            };
            let wire_len = data.len() as u32;
            let at = Timestamp::default();
            let frame = Frame {
                at,
                link_type: 101,
                wire_len,
                data,
                vantage,
            };
            trails.keep(ConnId(1), Direction::ClientToServer, &frame);
        };
        see(Hook::Egress, b"a");
        see(Hook::Egress, b"bb");
        see(Hook::Ingress, b"a");
        see(Hook::Ingress, b"bb");
        // Sent again, and seen twice again.
        see(Hook::Egress, b"bb");
        see(Hook::Ingress, b"bb");
        // Nobody saw it leave.
        see(Hook::Ingress, b"ccc");
        see(Hook::Unknown, b"dddd");
        assert_eq!(lengths(trails.take(ConnId(1))), [1, 2, 2, 3, 4]);
    }

    fn trails(limit_each: usize, limit_all: usize) -> Trails {
        Trails::new(&Limits {
            packets_per_connection: limit_each,
            packets: limit_all,
            ..Limits::default()
        })
    }

    fn keep(trails: &mut Trails, conn: u64, len: usize) {
        let data = vec![0; len];
        let frame = Frame {
            at: Timestamp::default(),
            link_type: 1,
            wire_len: len as u32,
            data: &data,
            vantage: Vantage::default(),
        };
        trails.keep(ConnId(conn), Direction::ClientToServer, &frame);
    }

    fn lengths(packets: Vec<Packet>) -> Vec<usize> {
        packets.into_iter().map(|p| p.data.len()).collect()
    }
}
