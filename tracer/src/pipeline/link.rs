//! The chain of a settled exchange: those that were under way with it, and whom each server asked.

use std::net::SocketAddr;

use crate::chain::{self, Pool};
use crate::model::{
    Around, Asked, Chain, Exchange, Hop, OwnerQuality, Pace, Packet, Preflight, Talk, Timestamp,
    Told, Unread, UnreadPeer,
};
use crate::process::{SentBetween, SocketEnd};

use super::{Pipeline, name_owners};

/// A chain, and what was lost while it was under way.
pub(super) struct Linked {
    pub(super) chain: Chain,
    pub(super) lost_meanwhile: u64,
    /// Whether more was under way than could be looked at.
    pub(super) forgotten: bool,
    /// What a file needs beside the packets, so that it gives the same chain.
    pub(super) told: Vec<Told>,
}

impl Pipeline {
    /// The chain that a settled exchange is the outermost reported hop of; `None` where a previous
    /// hop is reported too.
    pub(super) fn link(&mut self, reported: &Exchange) -> Option<Linked> {
        let (from, until) = span(reported);
        let settle = self.options.limits.settle;
        let (entries, all) = self.past.recent.between(from, until);
        let mut pool: Vec<&Exchange> = Vec::with_capacity(entries.len());
        for entry in entries {
            if !entry.is_named {
                let until = entry.at.plus(settle);
                name_owners(&mut self.owners, &mut entry.exchange, until, until);
                entry.is_named = until <= self.now;
            }
            pool.push(&entry.exchange);
        }
        // Oldest first: the first to ask is the first to be given an answer.
        pool.sort_by_key(|e| (e.started_at(), e.conn, e.index));
        let selection = &self.options.selection;
        let limits = &self.options.limits;
        let mut chain = Pool::new(pool).chain(reported, limits, |e| selection.matches(e))?;
        let lost_meanwhile = self.losses.since(reported.started_at());
        let around = self.told.around_of(reported);
        let forgotten = !all || around.is_some_and(|a| a.forgotten);
        let unknown = lost_meanwhile.max(u64::from(forgotten));
        let mut told: Vec<Told> = self
            .told
            .watching_since
            .map(|at| Told::Watching { at })
            .into_iter()
            .collect();
        told.extend(self.losses.told_since(reported.started_at()));
        let is_left_out = self.left_out_until.is_some_and(|until| until >= from);
        for hop in chain.hops_mut() {
            self.take_up(hop);
            if is_left_out {
                let calls = hop.side_calls.iter_mut().map(|call| &mut call.link);
                hop.link.iter_mut().chain(calls).for_each(chain::doubt);
            }
            if hop.asked == Asked::Unknown {
                hop.asked = self.asked(hop, unknown, &mut told);
            }
        }
        Some(Linked {
            chain,
            lost_meanwhile,
            told,
            forgotten,
        })
    }

    /// Takes up what is known of other requests that were under way when a file was written.
    fn take_up(&self, hop: &mut Hop) {
        let Some(around) = self.told.around_of(&hop.exchange) else {
            return;
        };
        if let Some(link) = &mut hop.link
            && around.rivals > link.ambiguous_with
        {
            link.ambiguous_with = around.rivals;
            link.strength = chain::weakened(link.strength, around.rivals);
        }
        if around.calls > calls(hop) {
            // The file was cut, or merged from parts: what is missing was there.
            hop.asked = Asked::Lost((around.calls - calls(hop)).into());
        }
        if around.perhaps > 0 && hop.asked == Asked::Unknown {
            hop.asked = Asked::Ambiguous(around.perhaps);
        }
    }

    /// Whom the server of a hop asked, where no next hop was found.
    fn asked(&mut self, hop: &Hop, lost: u64, told: &mut Vec<Told>) -> Asked {
        let Some(server) = hop.server() else {
            return Asked::ServerNotSeen;
        };
        let (pid, tid) = (server.pid, server.tid);
        // Who only holds the socket need not be who asks.
        let is_seen = server.quality == OwnerQuality::Exact;
        let (from, until) = span(&hop.exchange);
        let mut peers: Vec<UnreadPeer> = Vec::new();
        let mut add = |peer: UnreadPeer| {
            // A database cannot have answered the request.
            if peer.why != Unread::NotHttp && !peers.contains(&peer) && peers.len() < PEERS {
                peers.push(peer);
            }
        };
        for talk in self.told.talks(pid, from, until) {
            add(talk.peer.clone());
        }
        for opaque in self.told.opaques(from, until) {
            let (local, cookie) = opaque.client;
            let end = SocketEnd {
                cookie,
                local,
                remote: opaque.server,
            };
            let sent = SentBetween {
                from: opaque.at,
                until: opaque.at.plus(self.options.limits.settle),
            };
            if self.owners.sender(end, sent).is_some_and(|o| o.pid == pid) {
                let peer = unread(opaque.server, opaque.why);
                add(peer.clone());
                told.push(Told::Talk(Talk {
                    at: opaque.at,
                    pid,
                    tid,
                    peer,
                    more: true,
                }));
            }
        }
        if !peers.is_empty() {
            return Asked::Unread(peers);
        }
        if lost > 0 {
            return Asked::Lost(lost);
        }
        // A file holds what was asked for the exchanges that it says this of, and for no others.
        let is_whole = !self.told.is_from_file() || self.told.around_of(&hop.exchange).is_some();
        match self.told.watched_since(from) && is_whole {
            _ if !is_seen => Asked::ServerNotSeen,
            true => Asked::Nobody,
            false => Asked::OtherPortsNotSeen,
        }
    }
}

/// Talks kept with a case.
const TALKS: usize = 4_096;
/// Peers named in a verdict.
const PEERS: usize = 8;

fn unread(addr: SocketAddr, why: Unread) -> UnreadPeer {
    UnreadPeer {
        addr: Some(addr),
        path: None,
        why,
    }
}

/// What the servers of these exchanges said to others in the time of these packets: a file that
/// holds the packets must hold this too, or silence would seem to mean something.
pub(super) fn talks<'a>(
    told: &super::told::Told,
    exchanges: impl Iterator<Item = &'a Exchange>,
    packets: &[Packet],
) -> Vec<Told> {
    let (Some(first), Some(last)) = (packets.first(), packets.last()) else {
        return Vec::new();
    };
    let mut pids: Vec<u32> = exchanges
        .filter_map(|e| e.server.owner.as_ref().map(|o| o.pid))
        .collect();
    pids.sort_unstable();
    pids.dedup();
    let talks = pids
        .into_iter()
        .flat_map(|pid| told.talks(pid, first.at, last.at));
    talks.take(TALKS).cloned().map(Told::Talk).collect()
}

/// How many exchanges the server of a hop began for it.
fn calls(hop: &Hop) -> u32 {
    let next = usize::from(hop.asked == Asked::NextHop);
    u32::try_from(hop.side_calls.len() + next).unwrap_or(u32::MAX)
}

/// What was around the hops of a chain, for the file.
pub(super) fn around(
    chain: &Chain,
    pace: Pace,
    preflight: Preflight,
    forgotten: bool,
) -> impl Iterator<Item = Told> {
    chain.hops().enumerate().map(move |(at, hop)| {
        let is_reported = at == chain.reported_at();
        Told::Around(Around {
            at: hop.exchange.started_at(),
            client: hop.exchange.client.addr,
            server: hop.exchange.server.addr,
            passed: if is_reported { pace.passed } else { 0 },
            refused: if is_reported { pace.refused } else { 0 },
            rivals: hop.link.as_ref().map_or(0, |link| link.ambiguous_with),
            perhaps: match hop.asked {
                Asked::Ambiguous(count) => count,
                _ => 0,
            },
            calls: calls(hop),
            forgotten: is_reported && forgotten,
            preflight: if is_reported {
                preflight
            } else {
                Preflight::NotSeen
            },
        })
    })
}

/// From the first byte of the request to the first byte of the answer.
pub(super) fn span(exchange: &Exchange) -> (Timestamp, Timestamp) {
    let from = exchange.started_at();
    let until = exchange.response.as_ref().map(|r| r.message.started_at);
    (from, until.unwrap_or(from))
}
