//! Selected exchanges that wait until what the host has to say of them is there: the kernel can
//! report the owner of a socket after the packets.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::{ConnId, Direction, Exchange, Pace, Packet, Timestamp};

/// Exchanges in the order of their numbers, which is the order of their deadlines.
#[derive(Debug)]
pub(super) struct Settling {
    waiting: VecDeque<Waiting>,
    /// Number of the first entry.
    first: u64,
    settle: Duration,
}

#[derive(Debug)]
struct Waiting {
    due: Timestamp,
    exchange: Exchange,
    pace: Pace,
    packets: Vec<Packet>,
    next_request_at: Option<Timestamp>,
    next_response_at: Option<Timestamp>,
}

/// An exchange that waited long enough.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) due: Timestamp,
    pub(super) exchange: Exchange,
    /// What its client had asked for before.
    pub(super) pace: Pace,
    pub(super) packets: Vec<Packet>,
    /// What is learned of the client from then on is not about this exchange.
    pub(super) request_until: Timestamp,
    /// What is learned of the server from then on is not about this exchange.
    pub(super) response_until: Timestamp,
}

impl Settling {
    /// Nothing waits yet. Each exchange will wait for `settle`, in capture time.
    pub(super) fn new(settle: Duration) -> Self {
        Self {
            waiting: VecDeque::new(),
            first: 0,
            settle,
        }
    }

    /// Adds an exchange, which gets the next number.
    pub(super) fn add(
        &mut self,
        exchange: Exchange,
        pace: Pace,
        packets: Vec<Packet>,
        now: Timestamp,
    ) {
        self.waiting.push_back(Waiting {
            due: now.plus(self.settle),
            exchange,
            pace,
            packets,
            next_request_at: None,
            next_response_at: None,
        });
    }

    /// The next message in this direction of the exchange's connection began at `at`.
    pub(super) fn followed(&mut self, number: u64, direction: Direction, at: Timestamp) {
        let index = number
            .checked_sub(self.first)
            .and_then(|i| usize::try_from(i).ok());
        if let Some(waiting) = index.and_then(|i| self.waiting.get_mut(i)) {
            match direction {
                Direction::ClientToServer => waiting.next_request_at = Some(at),
                Direction::ServerToClient => waiting.next_response_at = Some(at),
            }
        }
    }

    /// The packets of the exchanges of a connection that still wait: they go out with those of the
    /// chain that their exchanges belong to.
    pub(super) fn take_packets(&mut self, conn: ConnId) -> Vec<Packet> {
        let waiting = self.waiting.iter_mut();
        let mut packets = Vec::new();
        for entry in waiting.filter(|w| w.exchange.conn == conn) {
            packets.append(&mut entry.packets);
        }
        packets
    }

    /// The first exchange, if it has waited long enough by `now`.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Settled> {
        if self.waiting.front()?.due > now {
            return None;
        }
        self.pop()
    }

    /// The first exchange, however long it has waited.
    pub(super) fn pop(&mut self) -> Option<Settled> {
        let waiting = self.waiting.pop_front()?;
        self.first += 1;
        Some(Settled {
            due: waiting.due,
            exchange: waiting.exchange,
            pace: waiting.pace,
            packets: waiting.packets,
            request_until: waiting.next_request_at.unwrap_or(waiting.due),
            response_until: waiting.next_response_at.unwrap_or(waiting.due),
        })
    }
}
