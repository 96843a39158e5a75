//! The chain of a settled exchange: those that were under way with it, and whom each server asked.

use std::net::SocketAddr;

use crate::chain::Pool;
use crate::model::{Asked, Chain, Exchange, Hop, Timestamp, Unread, UnreadPeer};
use crate::process::{SentBetween, SocketEnd};

use super::{Pipeline, name_owners};

/// A chain, and what was lost while it was under way.
pub(super) struct Linked {
    pub(super) chain: Chain,
    pub(super) lost_meanwhile: u64,
}

impl Pipeline {
    /// The chain that a settled exchange is the outermost reported hop of; `None` where a previous
    /// hop is reported too.
    pub(super) fn link(&mut self, reported: &Exchange) -> Option<Linked> {
        let (from, until) = span(reported);
        let settle = self.options.limits.settle;
        let (entries, all) = self.recent.between(from, until);
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
        let mut chain = Pool::new(&pool).chain(reported, limits, |e| selection.matches(e))?;
        let lost_meanwhile = self.losses.since(reported.started_at());
        let unknown = if all {
            lost_meanwhile
        } else {
            lost_meanwhile.max(1)
        };
        for hop in chain.hops_mut() {
            if hop.asked == Asked::Unknown {
                hop.asked = self.asked(hop, unknown);
            }
        }
        Some(Linked {
            chain,
            lost_meanwhile,
        })
    }

    /// Whom the server of a hop asked, where no next hop was found.
    fn asked(&mut self, hop: &Hop, lost: u64) -> Asked {
        let Some(server) = hop.server() else {
            return Asked::ServerNotSeen;
        };
        let pid = server.pid;
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
                add(unread(opaque.server, opaque.why));
            }
        }
        if !peers.is_empty() {
            return Asked::Unread(peers);
        }
        if lost > 0 {
            return Asked::Lost(lost);
        }
        match self.told.watched_since(from) {
            true => Asked::Nobody,
            false => Asked::OtherPortsNotSeen,
        }
    }
}

/// Peers named in a verdict.
const PEERS: usize = 8;

fn unread(addr: SocketAddr, why: Unread) -> UnreadPeer {
    UnreadPeer {
        addr: Some(addr),
        why,
    }
}

/// From the first byte of the request to the first byte of the answer.
fn span(exchange: &Exchange) -> (Timestamp, Timestamp) {
    let from = exchange.started_at();
    let until = exchange.response.as_ref().map(|r| r.message.started_at);
    (from, until.unwrap_or(from))
}
