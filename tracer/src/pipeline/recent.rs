//! The exchanges of the last seconds, reported or not: what a reported one may be linked with.
//!
//! Only a host that both serves and asks can have passed a request on. So an exchange is kept only
//! where its client is at an address that serves too, or its server at one that asks too: reading
//! the capture of a host that only serves costs no more than before.

use std::collections::VecDeque;
use std::net::IpAddr;

use hashbrown::HashSet;

use crate::limits::Limits;
use crate::model::{Exchange, Timestamp};
use crate::reassembly::Connection;

/// Exchanges in the order in which they were over. Past a bound the oldest go, and are counted.
#[derive(Debug)]
pub(super) struct Recent {
    entries: VecDeque<Entry>,
    /// What each [`BLOCK`] of the entries has in common; of the first, some may be gone.
    blocks: VecDeque<Block>,
    /// Addresses at which a client was seen, and at which a server.
    asking: HashSet<IpAddr>,
    serving: HashSet<IpAddr>,
    too_many_addresses: bool,
    bytes: usize,
    limit_bytes: usize,
    limit_age: std::time::Duration,
    /// The end of the latest exchange that had to go because of the bound on bytes.
    forgotten_until: Option<Timestamp>,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) exchange: Exchange,
    /// When it was over.
    pub(super) at: Timestamp,
    /// Whether its owners were looked up, late enough for the answer to be final.
    pub(super) is_named: bool,
    bytes: usize,
}

/// When the exchanges of a block were under way: most cases are told long after most of what is kept
/// here began, or was over, and need not look at each.
#[derive(Clone, Copy, Debug)]
struct Block {
    len: usize,
    first_started_at: Timestamp,
    last_over_at: Timestamp,
}

/// What is known of whether the exchanges of a connection can be linked with others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Linkable {
    answer: bool,
    /// How many addresses had been seen. No address is ever forgotten.
    addresses: usize,
}

impl Linkable {
    /// Whether the answer is still the same where so many addresses were seen. Past the bound on
    /// them, nothing tells whether there are others.
    fn holds(self, addresses: usize) -> bool {
        self.answer || self.addresses == addresses && addresses < ADDRESSES
    }
}

/// Exchanges in a block.
const BLOCK: usize = 64;

/// Exchanges looked at for one case, the latest first. Bounds the work for a case on a host with
/// many requests in flight.
const LOOKED_AT: usize = 512;
/// Exchanges that were over too early, and are looked past.
const OLDER: usize = 512;
/// Addresses remembered of each kind. Past it every exchange is kept, whatever its addresses.
const ADDRESSES: usize = 65_536;

impl Recent {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            entries: VecDeque::new(),
            blocks: VecDeque::new(),
            asking: HashSet::new(),
            serving: HashSet::new(),
            too_many_addresses: false,
            bytes: 0,
            limit_bytes: limits.recent,
            limit_age: limits.recent_age,
            forgotten_until: None,
        }
    }

    /// Learns from a new connection which addresses ask and which serve.
    pub(super) fn connection(&mut self, client: IpAddr, server: IpAddr) {
        for (set, ip) in [(&mut self.asking, client), (&mut self.serving, server)] {
            if set.len() < ADDRESSES {
                set.insert(ip);
            } else if !set.contains(&ip) {
                self.too_many_addresses = true;
            }
        }
    }

    /// Whether an exchange between these addresses can be linked with another.
    pub(super) fn wants(&self, client: IpAddr, server: IpAddr) -> bool {
        self.too_many_addresses || self.serving.contains(&client) || self.asking.contains(&server)
    }

    /// As [`wants`](Self::wants), for the ends of a connection: asked anew only where that may have
    /// changed.
    pub(super) fn wants_of(&self, connection: &Connection, known: &mut Linkable) -> bool {
        let addresses = self.asking.len() + self.serving.len();
        // Under several addresses, a connection may come to be known by others.
        if connection.sights.is_some() || !known.holds(addresses) {
            let answer = self.wants(connection.client.ip(), connection.server.ip());
            *known = Linkable { answer, addresses };
        }
        known.answer
    }

    /// Adds one that was over at `at`, unless it can be linked with nothing.
    pub(super) fn add(&mut self, exchange: Exchange, at: Timestamp) {
        if self.wants(exchange.client.addr.ip(), exchange.server.addr.ip()) {
            self.keep(exchange, at);
        }
    }

    /// As [`add`](Self::add), where somebody else keeps it too.
    pub(super) fn add_copy(&mut self, exchange: &Exchange, at: Timestamp) {
        if self.wants(exchange.client.addr.ip(), exchange.server.addr.ip()) {
            self.keep(exchange.clone(), at);
        }
    }

    fn keep(&mut self, exchange: Exchange, at: Timestamp) {
        let bytes = cost(&exchange);
        self.bytes += bytes;
        let started_at = exchange.started_at();
        match self.blocks.back_mut() {
            Some(block) if block.len < BLOCK => {
                block.len += 1;
                block.first_started_at = block.first_started_at.min(started_at);
                block.last_over_at = block.last_over_at.max(at);
            }
            _ => self.blocks.push_back(Block {
                len: 1,
                first_started_at: started_at,
                last_over_at: at,
            }),
        }
        self.entries.push_back(Entry {
            exchange,
            at,
            is_named: false,
            bytes,
        });
        while let Some(oldest) = self.entries.front() {
            let is_old = at.since(oldest.at) > self.limit_age;
            if !is_old && self.bytes <= self.limit_bytes {
                break;
            }
            self.bytes -= oldest.bytes;
            if !is_old {
                self.forgotten_until = self.forgotten_until.max(Some(oldest.at));
            }
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        self.entries.pop_front();
        if let Some(block) = self.blocks.front_mut() {
            block.len -= 1;
            if block.len == 0 {
                self.blocks.pop_front();
            }
        }
    }

    /// Those that were under way between these times, and whether that is all there were.
    pub(super) fn between(&mut self, from: Timestamp, until: Timestamp) -> (Vec<&mut Entry>, bool) {
        let mut all = self.forgotten_until.is_none_or(|gone| gone < from);
        let mut found = Vec::new();
        let mut older = 0;
        let mut entries = self.entries.iter_mut().rev();
        'blocks: for block in self.blocks.iter().rev() {
            // They are in the order of their ends; but a file holds the packets case by case, so
            // that the ends of those that were under way together step back and forth.
            let is_older = block.last_over_at < from;
            if is_older {
                older += block.len;
            }
            if older > OLDER {
                break;
            }
            if is_older || block.first_started_at > until {
                // Not one by one.
                entries.nth(block.len - 1);
                continue;
            }
            for entry in entries.by_ref().take(block.len) {
                if entry.at < from {
                    older += 1;
                } else if entry.exchange.started_at() <= until {
                    if found.len() == LOOKED_AT {
                        all = false;
                        break 'blocks;
                    }
                    found.push(entry);
                }
            }
        }
        (found, all)
    }
}

fn cost(exchange: &Exchange) -> usize {
    let request = exchange.request.iter().map(|r| &r.message);
    let response = exchange.response.iter().map(|r| &r.message);
    let messages = request.chain(response).map(|m| {
        m.head.raw.capacity()
            + m.head.fields.capacity() * size_of::<crate::model::FieldSpan>()
            + m.body.kept.capacity()
            + size_of::<crate::model::Response>()
    });
    size_of::<Entry>() + messages.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing;

    #[test]
    fn those_under_way_are_found_and_the_old_forgotten() {
        let mut recent = recent(Limits::default());
        let end = |seconds| testing::START.plus(Duration::from_secs(seconds));
        recent.add(testing::refused_post(), end(0));
        recent.add(testing::refused_post(), end(1));
        let (found, all) = recent.between(end(1), end(1));
        assert_eq!((found.len(), all), (1, true));
        recent.add(testing::refused_post(), end(60));
        assert_eq!(recent.entries.len(), 1);
        // Age is no loss: nothing that ended so long ago is asked for.
        assert!(recent.between(end(60), end(60)).1);
    }

    #[test]
    fn blocks_leave_out_none_of_those_under_way() {
        let mut recent = recent(Limits::default());
        let time = |millis| testing::START.plus(Duration::from_millis(millis));
        // Each tenth takes long; all are over in order, and the first are forgotten.
        let took = |n: u64| if n.is_multiple_of(10) { 900 } else { 3 };
        for n in 1_000..25_000 {
            let mut exchange = testing::refused_post();
            exchange.index = n;
            let message = &mut exchange.request.as_mut().unwrap().message;
            message.started_at = time(n - took(n));
            recent.add(exchange, time(n));
        }
        assert!(recent.entries.len() < 24_000);
        let kept: usize = recent.blocks.iter().map(|block| block.len).sum();
        assert_eq!(kept, recent.entries.len());
        for from in [15_000, 20_000, 24_100] {
            let (found, all) = recent.between(time(from), time(from + 20));
            let found: Vec<u64> = found.iter().map(|e| e.exchange.index).collect();
            let is_under_way = |n: &u64| *n >= from && n - took(*n) <= from + 20;
            let expected: Vec<u64> = (from..25_000).rev().filter(is_under_way).collect();
            assert_eq!((found, all), (expected, true), "from {from}");
        }
    }

    #[test]
    fn what_had_to_go_for_its_size_is_known_to_be_missing() {
        let mut recent = recent(Limits {
            recent: 1,
            ..Limits::default()
        });
        recent.add(testing::refused_post(), testing::START);
        let (found, all) = recent.between(testing::START, testing::START);
        assert_eq!((found.len(), all), (0, false));
    }

    #[test]
    fn what_can_be_linked_with_nothing_is_not_kept() {
        let mut recent = Recent::new(&Limits::default());
        let exchange = testing::refused_post();
        let (client, server) = (exchange.client.addr.ip(), exchange.server.addr.ip());
        recent.connection(client, server);
        recent.add(exchange.clone(), testing::START);
        assert!(recent.entries.is_empty());
        // Now its server asks another one.
        recent.connection(server, "10.0.0.9".parse().unwrap());
        recent.add(exchange, testing::START);
        assert_eq!(recent.entries.len(), 1);
    }

    fn recent(limits: Limits) -> Recent {
        let mut recent = Recent::new(&limits);
        let client = testing::refused_post().client.addr.ip();
        recent.connection(client, client);
        recent
    }
}
