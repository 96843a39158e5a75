//! How often each client asked for each route within the last seconds.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::hash_map::Entry;
use hashbrown::{DefaultHashBuilder, HashMap};

use crate::model::{Exchange, Pace, Timestamp};

use super::siblings::Route;

/// Counts by client and route. Past the bound the one that began first is counted from anew, so
/// a count is never too high.
#[derive(Debug, Default)]
pub(super) struct Paces {
    /// Looked up only, never walked through.
    counts: HashMap<PaceKey, Count>,
    /// In the order in which they were first seen.
    order: VecDeque<PaceKey>,
    hasher: DefaultHashBuilder,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    since: Timestamp,
    passed: u32,
    refused: u32,
}

/// A client and a route, as a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct PaceKey(u64);

/// Clients and routes counted at once: some 200 KiB.
const COUNTS: usize = 4_096;
/// How far back a client's other requests count.
const WITHIN: Duration = Duration::from_secs(10);

impl Paces {
    /// Counts an exchange in; gives what the same client had asked for before.
    pub(super) fn count(&mut self, exchange: &Exchange, route: Route, at: Timestamp) -> Pace {
        let head = exchange.request.as_ref().map(|r| &r.message.head);
        let asker = Asker::new(
            head.and_then(|h| h.value("x-forwarded-for")),
            exchange.client.addr.ip(),
        );
        let status = exchange.response.as_ref().map(|r| r.status);
        self.count_of(self.key(asker, route), status, at)
    }

    /// What a client's requests for a route are counted by.
    pub(super) fn key(&self, asker: Asker<'_>, route: Route) -> PaceKey {
        PaceKey(self.hasher.hash_one((asker, route)))
    }

    /// Counts an exchange in of which only this is known.
    pub(super) fn count_of(&mut self, key: PaceKey, status: Option<u16>, at: Timestamp) -> Pace {
        if let Entry::Vacant(vacant) = self.counts.entry(key) {
            vacant.insert(Count {
                since: at,
                ..Count::default()
            });
            self.order.push_back(key);
            if self.order.len() > COUNTS
                && let Some(first) = self.order.pop_front()
            {
                self.counts.remove(&first);
            }
        }
        let Some(count) = self.counts.get_mut(&key) else {
            return Pace::default();
        };
        if at.since(count.since) > WITHIN || at < count.since {
            *count = Count {
                since: at,
                ..Count::default()
            };
        }
        let before = Pace {
            passed: count.passed,
            refused: count.refused,
            within: WITHIN,
        };
        match status {
            Some(200..=399) => count.passed = count.passed.saturating_add(1),
            Some(401 | 403 | 429) => count.refused = count.refused.saturating_add(1),
            _ => {}
        }
        before
    }
}

/// Who the client says it is: the first forwarded address, else the peer of the socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker<'a> {
    forwarded: Option<&'a [u8]>,
    peer: IpAddr,
}

impl Hash for Asker<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.forwarded.hash(state);
        // As one number, which is several times quicker than byte by byte.
        match self.peer {
            IpAddr::V4(ip) => state.write_u64(u64::from(ip.to_bits())),
            IpAddr::V6(ip) => state.write_u128(ip.to_bits()),
        }
    }
}

impl<'a> Asker<'a> {
    /// From the value of `X-Forwarded-For`, and the peer of the socket.
    pub(super) fn new(forwarded_for: Option<&'a [u8]>, peer: IpAddr) -> Self {
        let first = forwarded_for.and_then(|v| v.split(|b| *b == b',').next());
        Self {
            forwarded: first.map(<[u8]>::trim_ascii),
            peer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::siblings::Siblings;
    use super::*;
    use crate::testing;

    #[test]
    fn what_came_before_within_the_time_counts() {
        let (mut paces, siblings) = (Paces::default(), Siblings::new(8, Vec::new()));
        let refused = testing::refused_post();
        let mut passed = refused.clone();
        passed.response.as_mut().unwrap().status = 200;
        let mut count = |exchange: &Exchange, second| {
            let at = testing::START.plus(Duration::from_secs(second));
            let pace = paces.count(exchange, siblings.route(exchange).unwrap(), at);
            (pace.passed, pace.refused)
        };
        assert_eq!(count(&passed, 0), (0, 0));
        assert_eq!(count(&passed, 1), (1, 0));
        assert_eq!(count(&refused, 2), (2, 0));
        assert_eq!(count(&refused, 3), (2, 1));
        let mut other = refused.clone();
        other.client.addr.set_ip("10.9.9.9".parse().unwrap());
        assert_eq!(count(&other, 4), (0, 0));
        assert_eq!(count(&refused, 60), (0, 0));
    }
}
