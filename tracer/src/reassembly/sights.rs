//! One connection under several pairs of addresses.
//!
//! Where addresses are translated on the way (NAT, the address of a service, a published port), the
//! same packets are seen before and behind it, or requests on one side of it and answers on the
//! other. Their sequence numbers are the same, and both ends choose theirs at random (RFC 9293
//! section 3.4.1): a connection that begins with the two numbers at which another one stands just
//! now is that other one.

use std::net::SocketAddr;
use std::time::Duration;

use hashbrown::HashMap;

use crate::decode::Segment;
use crate::model::{ConnId, Direction};

use super::clock::Moment;
use super::slot::{Slot, namespace};
use super::stream::first_byte;

/// Pairs of addresses of one connection that are known again. More translations than a packet
/// meets on one host.
const SIGHTS: usize = 8;

/// How long after the one sight of a packet the other one may come.
const APART: Duration = Duration::from_secs(1);

/// Below this are numbers that somebody made up: captures written by hand begin many connections
/// with the same ones. A stack chooses two as small once in 2^24 connections.
const MADE_UP: u32 = 1 << 20;

/// Connections that began within the last moments; a new one takes the place of an older one.
const JUST_BEGUN: usize = 4096;

/// One pair of addresses of a connection, and which way packets were seen under it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sight {
    client: SocketAddr,
    server: SocketAddr,
    netns: u64,
    requests: bool,
    answers: bool,
}

/// What packets of one direction show: sender, receiver and network namespace.
type Key = (SocketAddr, SocketAddr, u64);

impl Sight {
    /// What its packets show, one way and the other.
    fn keys(&self) -> [(Key, Direction); 2] {
        let (client, server, netns) = (self.client, self.server, self.netns);
        [
            ((client, server, netns), Direction::ClientToServer),
            ((server, client, netns), Direction::ServerToClient),
        ]
    }
}

/// The pairs of addresses of a connection that has more than one, in the order in which they were
/// first seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sights(Vec<Sight>);

/// The two ends of a connection, each with its own address and the one that the other end knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) client: SocketAddr,
    pub(super) client_seen_as: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) server_seen_as: SocketAddr,
}

impl Sights {
    /// Those of two connections that turned out to be one, the older one first; `None` where there
    /// are too many.
    pub(super) fn of<F>(elder: &Slot<F>, other: &Slot<F>, swapped: bool) -> Option<Self> {
        let mut all = Self::of_one(elder, false);
        all.append(&mut Self::of_one(other, swapped));
        (all.len() <= SIGHTS).then_some(Self(all))
    }

    fn of_one<F>(slot: &Slot<F>, swapped: bool) -> Vec<Sight> {
        let (requests, answers) = slot.duplex.seen();
        let of_known = || {
            let (client, server, netns) = (slot.info.client, slot.info.server, slot.netns);
            let known = Sight {
                client,
                server,
                netns,
                requests,
                answers,
            };
            vec![known]
        };
        let sights = slot.info.sights.as_ref();
        let mut all = sights.map_or_else(of_known, |sights| sights.0.clone());
        if swapped {
            for sight in &mut all {
                std::mem::swap(&mut sight.client, &mut sight.server);
                std::mem::swap(&mut sight.requests, &mut sight.answers);
            }
        }
        all
    }

    /// What each end is, and what it is to the other.
    ///
    /// Where answers alone are seen under a pair, a host's own sockets are looked at: there a
    /// request shows after it was translated, and an answer after it was translated back.
    /// Otherwise the pair that was seen first is that of the client.
    pub(super) fn names(&self) -> Option<Names> {
        let last = self.0.len().checked_sub(1)?;
        let by_client = self.0.iter().position(|s| s.answers && !s.requests);
        let by_server = self.0.iter().rposition(|s| s.requests && !s.answers);
        let (by_client, by_server) = match (by_client, by_server) {
            (None, _) => (0, last),
            (Some(client), Some(server)) => (client, server),
            (Some(client), None) if client == last => (client, 0),
            (Some(client), None) => (client, last),
        };
        let (by_client, by_server) = (self.0.get(by_client)?, self.0.get(by_server)?);
        Some(Names {
            client: by_client.client,
            server_seen_as: by_client.server,
            server: by_server.server,
            client_seen_as: by_server.client,
        })
    }

    /// Notes that a packet was seen under this pair. Returns whether that is news.
    pub(super) fn see(&mut self, sight: usize, dir: Direction) -> bool {
        let Some(sight) = self.0.get_mut(sight) else {
            return false;
        };
        let seen = match dir {
            Direction::ClientToServer => &mut sight.requests,
            Direction::ServerToClient => &mut sight.answers,
        };
        !std::mem::replace(seen, true)
    }
}

/// A packet under another pair of addresses than its connection is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    pub(super) slot: u32,
    /// Which of the connection's [`Sights`] it is.
    pub(super) sight: usize,
    pub(super) dir: Direction,
}

/// What connections that just began begin with, and the other addresses of those that have them.
#[derive(Debug, Default)]
pub(super) struct Translations {
    just_begun: Vec<Option<Begun>>,
    aliases: HashMap<Key, Alias>,
}

/// The numbers of both ends, the smaller one first, as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbers(u64);

#[derive(Clone, Copy, Debug)]
struct Begun {
    numbers: Numbers,
    slot: u32,
    id: ConnId,
    at: Moment,
}

impl Numbers {
    /// Of a segment that carries both, unless they are made up.
    fn of(segment: &Segment<'_>) -> Option<Self> {
        let (mine, other) = (first_byte(segment), segment.ack);
        if !segment.flags.ack || mine.max(other) < MADE_UP {
            return None;
        }
        let (low, high) = (mine.min(other), mine.max(other));
        Some(Self(u64::from(high) << 32 | u64::from(low)))
    }

    /// A place in a table, of numbers that are random already.
    fn place(self) -> usize {
        let folded = self.0 ^ self.0 >> 32;
        folded as usize % JUST_BEGUN
    }
}

impl Translations {
    /// Notes that a connection begins with a segment. Returns another one that began with the same
    /// numbers just now.
    pub(super) fn begin(
        &mut self,
        segment: &Segment<'_>,
        slot: u32,
        id: ConnId,
        now: Moment,
    ) -> Option<(u32, ConnId)> {
        let numbers = Numbers::of(segment)?;
        if self.just_begun.is_empty() {
            self.just_begun.resize(JUST_BEGUN, None);
        }
        let at = now;
        let begun = Begun {
            numbers,
            slot,
            id,
            at,
        };
        let place = self.just_begun.get_mut(numbers.place())?;
        let other = place.replace(begun)?;
        let is_other = other.numbers == numbers && other.id != id && other.at.plus(APART) >= now;
        is_other.then_some((other.slot, other.id))
    }

    /// The connection of a segment, where its addresses are not those that it is known by.
    pub(super) fn find(&self, segment: &Segment<'_>) -> Option<Alias> {
        if self.aliases.is_empty() {
            return None;
        }
        let key = (segment.src, segment.dst, namespace(segment));
        self.aliases.get(&key).copied()
    }

    /// Adds the pairs of a connection.
    pub(super) fn add(&mut self, slot: u32, sights: &Sights) {
        for (sight, pair) in sights.0.iter().enumerate() {
            for (key, dir) in pair.keys() {
                let alias = Alias { slot, sight, dir };
                self.aliases.insert(key, alias);
            }
        }
    }

    /// Removes the pairs of a connection.
    pub(super) fn remove(&mut self, sights: &Sights) {
        for (key, _) in sights.0.iter().flat_map(Sight::keys) {
            self.aliases.remove(&key);
        }
    }
}
