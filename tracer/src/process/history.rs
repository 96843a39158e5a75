//! What is known about one socket over time.

use std::collections::VecDeque;

use super::SentBetween;
use crate::model::{Owner, OwnerQuality, Timestamp};
use crate::source::SocketUse;

/// Reports kept of one socket. They come only when the process changes: one that sends and one
/// that receives are two; only a connection that goes from worker to worker has more.
const USES: usize = 16;

/// The reports about one socket, oldest first; the oldest goes when there are too many.
#[derive(Debug, Default)]
pub(super) struct History {
    uses: VecDeque<Use>,
    /// Whether some went.
    is_cut: bool,
}

/// One report.
#[derive(Debug)]
pub(super) struct Use {
    pub(super) at: Timestamp,
    pub(super) used: SocketUse,
    pub(super) owner: Owner,
}

/// Who sent, and the time of the report that says so.
pub(super) struct Answer {
    pub(super) at: Timestamp,
    pub(super) owner: Owner,
}

impl History {
    /// Takes in a report; they may come out of order. One that says what the report before it said
    /// is nothing new: a capture file names the owner with every case.
    pub(super) fn add(&mut self, report: Use) {
        let later = self.uses.iter().rev().take_while(|u| u.at > report.at);
        let place = self.uses.len().saturating_sub(later.count());
        let mut before = self.uses.iter().take(place).rev();
        let previous = before.find(|u| u.used == report.used);
        if previous.is_some_and(|u| u.owner == report.owner) {
            return;
        }
        self.uses.insert(place, report);
        if self.uses.len() > USES {
            self.uses.pop_front();
            self.is_cut = true;
        }
    }

    /// The sender by the rules of [`super::Owners::sender`]. `same` says that this is the very
    /// socket, not just one with the same addresses: then it may have been found held open after
    /// the message, too.
    pub(super) fn sender(&self, sent: SentBetween, same: bool) -> Option<Answer> {
        let exact = |u: &&Use| u.owner.quality == OwnerQuality::Exact;
        let found = self
            .user(sent, exact)
            .or_else(|| self.user(sent, |u| !exact(u)))
            .or_else(|| self.holder(sent, same))?;
        Some(Answer {
            at: found.at,
            owner: found.owner.clone(),
        })
    }

    fn user(&self, sent: SentBetween, of: impl Fn(&&Use) -> bool) -> Option<&Use> {
        let with = |used| self.uses.iter().filter(&of).filter(move |u| u.used == used);
        with(SocketUse::Sent)
            .find(|u| u.at >= sent.from && (u.at < sent.until || u.at == sent.from))
            .or_else(|| with(SocketUse::Sent).rfind(|u| u.at < sent.from))
            // Reports come when the sender changes: had another one sent before, it would be here.
            .or_else(|| with(SocketUse::Sent).next().filter(|_| !self.is_cut))
            .or_else(|| with(SocketUse::Received).rfind(|u| u.at < sent.until))
    }

    fn holder(&self, sent: SentBetween, same: bool) -> Option<&Use> {
        let mut held = self.uses.iter().filter(|u| u.used == SocketUse::Held);
        let before = held.clone().rfind(|u| u.at < sent.until);
        before.or_else(|| held.next().filter(|_| same))
    }
}
