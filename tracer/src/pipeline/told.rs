//! What the host told beside packets, for as long as a case may need it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::model::{Around, Exchange, Talk, Timestamp, Unread};

/// Talks with peers that are not traced, and connections that are traced but cannot be read.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Since when talks are told; `None` where they are not.
    pub(super) watching_since: Option<Timestamp>,
    /// By time, and in the order in which they came: a file does not hold them in order.
    talks: BTreeMap<(Timestamp, u64), Talk>,
    opaque: BTreeMap<(Timestamp, u64), Opaque>,
    /// How many there were so far.
    count: u64,
    around: VecDeque<Around>,
    /// The time of the latest entry that had to go.
    forgotten_until: Option<Timestamp>,
}

/// Bytes on a connection that cannot be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opaque {
    pub(super) at: Timestamp,
    /// When the last of them were seen.
    pub(super) until: Timestamp,
    /// The end that asks, with the cookie of its socket.
    pub(super) client: (SocketAddr, u64),
    pub(super) server: SocketAddr,
    pub(super) why: Unread,
}

/// Entries kept of each kind: some seconds of a process that asks a database all the time.
const KEPT: usize = 65_536;
/// Bytes that follow within this time go on with what came before.
const AT_ONCE: Duration = Duration::from_micros(100);
/// One entry stands for no longer than this.
const LONGEST: Duration = Duration::from_secs(1);
/// Entries among which one is looked for that was just added.
const JUST_NOTED: usize = 64;
/// Exchanges of which it is known what was around them.
const AROUND: usize = 4_096;

impl Told {
    pub(super) fn talk(&mut self, talk: Talk) {
        if self.talks.len() == KEPT {
            let oldest = self.talks.pop_first().map(|(_, t)| t.at);
            self.forgotten_until = self.forgotten_until.max(oldest);
        }
        self.count += 1;
        self.talks.insert((talk.at, self.count), talk);
    }

    pub(super) fn around(&mut self, around: Around) {
        if self.around.len() == AROUND {
            self.around.pop_front();
        }
        self.around.push_back(around);
    }

    /// Whether this was read from a file that the tool wrote.
    pub(super) fn is_from_file(&self) -> bool {
        !self.around.is_empty()
    }

    /// What was around an exchange when its file was written.
    pub(super) fn around_of(&self, exchange: &Exchange) -> Option<&Around> {
        let is_it = |a: &&Around| {
            (a.at, a.client, a.server)
                == (
                    exchange.started_at(),
                    exchange.client.addr,
                    exchange.server.addr,
                )
        };
        self.around.iter().rev().find(is_it)
    }

    pub(super) fn opaque(&mut self, opaque: Opaque) {
        // What follows at once is one talk.
        if let Some(mut last) = self.opaque.last_entry() {
            let last = last.get_mut();
            if last.client == opaque.client
                && opaque.at.since(last.until) < AT_ONCE
                && opaque.at.since(last.at) < LONGEST
            {
                last.until = last.until.max(opaque.until);
                return;
            }
        }
        if self.opaque.len() == KEPT {
            let oldest = self.opaque.pop_first().map(|(_, o)| o.at);
            self.forgotten_until = self.forgotten_until.max(oldest);
        }
        self.count += 1;
        self.opaque.insert((opaque.at, self.count), opaque);
    }

    /// The connection of this client's end can be read after all.
    pub(super) fn readable(&mut self, client: (SocketAddr, u64)) {
        // It was noted a moment ago: looking further back would be work for nothing.
        let noted = self.opaque.iter().rev().take(JUST_NOTED);
        let keys: Vec<_> = noted
            .filter(|(_, opaque)| opaque.client == client && opaque.why != Unread::LeftOut)
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            self.opaque.remove(&key);
        }
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
        // Some stand for what follows within their time.
        let (first, last) = (from.minus(Talk::SPEAKS_FOR), until.max(from));
        let between = self.talks.range((first, 0)..=(last, u64::MAX));
        let between = between.map(|(_, talk)| talk);
        between.filter(move |talk| talk.pid == pid && (talk.more || talk.at >= from))
    }

    /// What was said on unreadable connections between two times.
    pub(super) fn opaques(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &Opaque> {
        let (first, last) = ((from.minus(LONGEST), 0), (until.max(from), u64::MAX));
        let between = self.opaque.range(first..=last).map(|(_, opaque)| opaque);
        between.filter(move |opaque| opaque.until >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnreadPeer;
    use crate::testing;

    #[test]
    fn a_talk_before_counts_only_where_it_stands_for_more() {
        let at = |micros| testing::START.plus(Duration::from_micros(micros));
        let mut told = Told::default();
        for (micros, pid, more) in [
            (100, 7, true),
            (600, 7, false),
            (700, 7, true),
            (1_300, 7, false),
            (1_400, 8, false),
            (1_900, 7, false),
        ] {
            told.talk(Talk {
                at: at(micros),
                pid,
                tid: pid,
                peer: UnreadPeer {
                    addr: None,
                    path: None,
                    why: Unread::UnixSocket,
                },
                more,
            });
        }
        let talks = told.talks(7, at(1_200), at(1_800));
        let talks: Vec<_> = talks.map(|talk| talk.at).collect();
        assert_eq!(talks, [at(700), at(1_300)]);
    }
}
