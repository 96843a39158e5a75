//! Cases of refused preflights that wait for the request which a browser would not send.
//!
//! A later case of the same connection waits behind them: a file holds the packets of a connection
//! in their order.

use std::collections::VecDeque;

use crate::limits::{PREFLIGHTS_WAITING, PREFLIGHTS_WAITING_BYTES};
use crate::model::{Chain, Exchange, Preflight, Timestamp};

use super::Pipeline;
use super::judge::Unjudged;
use super::preflights::{Forgotten, is_refused};

/// Cases in the order in which they are told.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    cases: VecDeque<Wait>,
    packet_bytes: usize,
}

/// A case without its number.
#[derive(Debug)]
pub(super) struct Wait {
    /// When it may be told, once those in front of it are.
    pub(super) due: Timestamp,
    /// Until when a request counts as that of this preflight.
    pub(super) until: Timestamp,
    pub(super) unjudged: Unjudged,
    /// Whether more was under way than could be looked at.
    pub(super) forgotten: bool,
}

impl Waiting {
    pub(super) fn add(&mut self, wait: Wait) {
        self.packet_bytes += packet_bytes(&wait);
        self.cases.push_back(wait);
    }

    /// Whether a case that waits has a connection in common with this chain.
    pub(super) fn shares(&self, chain: &Chain) -> bool {
        let waiting = self.cases.iter().map(|wait| &wait.unjudged.case.chain);
        let mut conns = waiting.flat_map(Chain::exchanges).map(|e| e.conn);
        conns.any(|conn| chain.exchanges().any(|e| e.conn == conn))
    }

    /// The first case, if it has waited until `now`, or has to go for want of room.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<Wait> {
        let is_full =
            self.cases.len() > PREFLIGHTS_WAITING || self.packet_bytes > PREFLIGHTS_WAITING_BYTES;
        if !is_full && self.cases.front()?.due > now {
            return None;
        }
        self.pop()
    }

    /// The first case, however long it has waited.
    pub(super) fn pop(&mut self) -> Option<Wait> {
        let wait = self.cases.pop_front()?;
        self.packet_bytes -= packet_bytes(&wait);
        Some(wait)
    }
}

fn packet_bytes(wait: &Wait) -> usize {
    let packets = wait.unjudged.case.packets.iter();
    packets.map(|packet| packet.data.len()).sum()
}

impl Pipeline {
    /// What is known of the preflight of an exchange, or of what followed it where it is one;
    /// `None` while the request may still come, which counts until this time.
    pub(super) fn preflight(&self, exchange: &Exchange, until: Timestamp) -> Option<Preflight> {
        // A file of ours says what was known when it was written, and holds only what was reported.
        let told = self.told.around_of(exchange).map(|a| a.preflight);
        if let Some(told) = told.filter(|told| *told != Preflight::NotSeen) {
            return Some(told);
        }
        if !is_refused(exchange) {
            return Some(self.past.preflights.before(exchange));
        }
        let from = exchange.started_at();
        Some(match self.past.preflights.followed_at(exchange) {
            Ok(Some(at)) if at <= until => Preflight::Followed,
            _ if self.is_selective || self.told.is_from_file() => Preflight::Partial,
            Err(Forgotten) => Preflight::Lost,
            Ok(_) if !self.losses.is_whole_since(from) => Preflight::Lost,
            Ok(_) if self.source_ended_at.is_some_and(|at| at >= from) => Preflight::Ended,
            Ok(_) if self.now < until => return None,
            Ok(_) => Preflight::Unfollowed,
        })
    }
}
