//! How often each client asked for each route within the last seconds.

use std::hash::BuildHasher;
use std::time::Duration;

use crate::model::{Exchange, Pace, Timestamp};

use super::siblings::Route;

/// A fixed table: two clients whose keys meet at one place push each other out, and then both
/// count from anew. So a count is never too high.
#[derive(Debug)]
pub(super) struct Paces {
    slots: Vec<Slot>,
    hasher: hashbrown::DefaultHashBuilder,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: u64,
    since: Timestamp,
    passed: u32,
    refused: u32,
}

/// Clients and routes counted at once: 128 KiB.
const SLOTS: usize = 4_096;
/// How far back a client's other requests count.
const WITHIN: Duration = Duration::from_secs(10);

impl Paces {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![Slot::default(); SLOTS],
            hasher: hashbrown::DefaultHashBuilder::default(),
        }
    }

    /// Counts an exchange in; gives what the same client had asked for before.
    pub(super) fn count(&mut self, exchange: &Exchange, route: Route, at: Timestamp) -> Pace {
        let key = self.hasher.hash_one((claimed_client(exchange), route));
        let place = usize::try_from(key % SLOTS as u64).unwrap_or(0);
        let Some(slot) = self.slots.get_mut(place) else {
            return Pace::default();
        };
        if slot.key != key || at.since(slot.since) > WITHIN || at < slot.since {
            *slot = Slot {
                key,
                since: at,
                ..Slot::default()
            };
        }
        let before = Pace {
            passed: slot.passed,
            refused: slot.refused,
            within: WITHIN,
        };
        match exchange.response.as_ref().map(|r| r.status) {
            Some(200..=399) => slot.passed = slot.passed.saturating_add(1),
            Some(401 | 403 | 429) => slot.refused = slot.refused.saturating_add(1),
            _ => {}
        }
        before
    }
}

/// Who the client says it is: the first forwarded address, else the peer of the socket.
fn claimed_client(exchange: &Exchange) -> (Option<&[u8]>, std::net::IpAddr) {
    let head = exchange.request.as_ref().map(|r| &r.message.head);
    let forwarded = head
        .and_then(|h| h.value("x-forwarded-for"))
        .and_then(|v| v.split(|b| *b == b',').next());
    (forwarded.map(<[u8]>::trim_ascii), exchange.client.addr.ip())
}

#[cfg(test)]
mod tests {
    use super::super::siblings::Siblings;
    use super::*;
    use crate::testing;

    #[test]
    fn what_came_before_within_the_time_counts() {
        let (mut paces, siblings) = (Paces::new(), Siblings::new(8));
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
