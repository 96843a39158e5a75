//! What is kept of one connection.

use crate::decode::Segment;
use crate::model::{ConnId, Direction};
use crate::source::Hook;

use super::clock::{Moment, Now};
use super::duplex::Duplex;
use super::orient::{self, Certainty, Role};
use super::sights::Sights;
use super::table::Ends;
use super::{Connection, Flow};

/// One connection.
#[derive(Debug)]
pub(super) struct Slot<F> {
    pub(super) info: Connection,
    pub(super) duplex: Duplex,
    pub(super) flow: F,
    /// How it is known which end is the client.
    pub(super) certainty: Certainty,
    /// Network namespace, where the addresses are loopback; else 0.
    pub(super) netns: u64,
    /// Last segment, or the end.
    pub(super) touched: Moment,
    /// When its flow wants to be woken.
    pub(super) wakes: Moment,
    /// The time of its entry in the list of deadlines.
    pub(super) scheduled: Moment,
    /// Bytes of memory that it was last seen to hold.
    pub(super) held: usize,
    pub(super) is_closed: bool,
    /// A segment of it carried the numbers of both ends.
    pub(super) has_begun: bool,
}

impl<F: Flow> Slot<F> {
    /// A connection of which this is the first segment.
    pub(super) fn new(id: ConnId, first: &Segment<'_>, now: Now) -> Self {
        let (role, certainty) = orient::sender(first);
        let (client, server) = match role {
            Role::Client => (first.src, first.dst),
            Role::Server => (first.dst, first.src),
        };
        Self {
            info: Connection {
                id,
                client,
                server,
                client_cookie: 0,
                server_cookie: 0,
                started_in_middle: !first.flags.syn,
                conflict: false,
                sights: None,
            },
            duplex: Duplex::default(),
            flow: F::default(),
            certainty,
            netns: namespace(first),
            touched: now.clock,
            wakes: Moment::NEVER,
            scheduled: Moment::NEVER,
            held: 0,
            is_closed: false,
            has_begun: false,
        }
    }
}

impl<F> Slot<F> {
    /// What it is found by.
    pub(super) fn ends(&self) -> Ends {
        Ends::of(self.info.client, self.info.server, self.netns)
    }

    /// Whether it is found by these.
    #[inline]
    pub(super) fn is_between(&self, ends: Ends) -> bool {
        ends.are_of(self.info.client, self.info.server, self.netns)
    }

    /// Which way a segment of this connection goes.
    pub(super) fn direction(&self, segment: &Segment<'_>) -> Direction {
        match segment.src == self.info.client {
            true => Direction::ClientToServer,
            false => Direction::ServerToClient,
        }
    }

    /// Whether it stays as it is which end is the client.
    pub(super) fn is_oriented(&self) -> bool {
        let is_known = self.certainty == Certainty::Handshake || self.info.sights.is_some();
        is_known || !self.duplex.is_silent()
    }

    /// Corrects which end is the client, as long as nothing was handed out.
    pub(super) fn orient(&mut self, segment: &Segment<'_>) {
        if self.is_oriented() {
            return;
        }
        let (role, certainty) = orient::sender(segment);
        if certainty <= self.certainty {
            return;
        }
        self.certainty = certainty;
        let sender = match role {
            Role::Client => Direction::ClientToServer,
            Role::Server => Direction::ServerToClient,
        };
        if sender != self.direction(segment) {
            let info = &mut self.info;
            std::mem::swap(&mut info.client, &mut info.server);
            std::mem::swap(&mut info.client_cookie, &mut info.server_cookie);
            self.duplex.flip();
        }
    }

    /// Takes in another connection that turned out to be this one, under other addresses.
    pub(super) fn join(&mut self, mut other: Self, swapped: bool, sights: Box<Sights>) {
        if swapped {
            other.duplex.flip();
            std::mem::swap(&mut other.info.client_cookie, &mut other.info.server_cookie);
        }
        self.duplex.join(other.duplex);
        for (mine, other) in [
            (&mut self.info.client_cookie, other.info.client_cookie),
            (&mut self.info.server_cookie, other.info.server_cookie),
        ] {
            if *mine == 0 {
                *mine = other;
            }
        }
        self.certainty = self.certainty.max(other.certainty);
        self.info.started_in_middle &= other.info.started_in_middle;
        self.info.sights = Some(sights);
        self.info.name_ends();
    }

    /// Notes the cookie of the socket at this host's end. A SYN meets the server's listening
    /// socket, which is not the connection's.
    pub(super) fn learn_cookies(&mut self, segment: &Segment<'_>) {
        let vantage = segment.vantage;
        let own = match vantage.hook {
            Hook::Egress => segment.src,
            Hook::Ingress => segment.dst,
            Hook::Unknown => return,
        };
        let is_server = own == self.info.server;
        if vantage.cookie == 0 || segment.flags.syn && is_server {
            return;
        }
        match is_server {
            true => self.info.server_cookie = vantage.cookie,
            false => self.info.client_cookie = vantage.cookie,
        }
    }
}

/// Network namespace, where it tells connections apart: two of them can use the same loopback
/// addresses at once. Of other addresses the same packet is seen in several.
pub(super) fn namespace(segment: &Segment<'_>) -> u64 {
    match segment.src.ip().is_loopback() && segment.dst.ip().is_loopback() {
        true => segment.vantage.netns,
        false => 0,
    }
}
