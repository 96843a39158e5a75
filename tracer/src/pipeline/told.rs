//! What the host told beside packets, for as long as a case may need it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::model::{Talk, Timestamp, Unread};

/// Talks with peers that are not traced, and connections that are traced but cannot be read.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Since when talks are told; `None` where they are not.
    pub(super) watching_since: Option<Timestamp>,
    talks: VecDeque<Talk>,
    opaque: VecDeque<Opaque>,
    /// The time of the latest entry that had to go.
    forgotten_until: Option<Timestamp>,
}

/// Bytes on a connection that cannot be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opaque {
    pub(super) at: Timestamp,
    /// The end that asks, with the cookie of its socket.
    pub(super) client: (SocketAddr, u64),
    pub(super) server: SocketAddr,
    pub(super) why: Unread,
}

/// Entries kept of each kind: some seconds of a process that asks a database all the time.
const KEPT: usize = 65_536;
/// A report stands for all that is said within this time: the kernel side reports no more often.
pub(super) const SPEAKS_FOR: Duration = Duration::from_millis(1);

impl Told {
    pub(super) fn talk(&mut self, talk: Talk) {
        if self.talks.len() == KEPT {
            let oldest = self.talks.pop_front().map(|t| t.at);
            self.forgotten_until = self.forgotten_until.max(oldest);
        }
        self.talks.push_back(talk);
    }

    pub(super) fn opaque(&mut self, opaque: Opaque) {
        let repeats =
            |last: &Opaque| last.client == opaque.client && opaque.at.since(last.at) < SPEAKS_FOR;
        if self.opaque.back().is_some_and(repeats) {
            return;
        }
        if self.opaque.len() == KEPT {
            let oldest = self.opaque.pop_front().map(|o| o.at);
            self.forgotten_until = self.forgotten_until.max(oldest);
        }
        self.opaque.push_back(opaque);
    }

    /// Whether every talk since `from` is known.
    pub(super) fn watched_since(&self, from: Timestamp) -> bool {
        self.watching_since.is_some_and(|since| since <= from)
            && self.forgotten_until.is_none_or(|gone| gone < from)
    }

    /// The talks of a process between two times.
    pub(super) fn talks(
        &self,
        pid: u32,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &Talk> {
        let recent = self.talks.iter().rev();
        recent
            .take_while(move |t| t.at.plus(LATE) >= from)
            .filter(move |t| t.pid == pid && t.at.plus(SPEAKS_FOR) >= from && t.at <= until)
    }

    /// What was said on unreadable connections between two times.
    pub(super) fn opaques(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &Opaque> {
        let recent = self.opaque.iter().rev();
        recent
            .take_while(move |o| o.at.plus(LATE) >= from)
            .filter(move |o| o.at.plus(SPEAKS_FOR) >= from && o.at <= until)
    }
}

/// Reports of several CPUs may be this far out of order.
const LATE: Duration = Duration::from_millis(100);
