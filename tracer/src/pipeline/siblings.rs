//! A bounded sample of exchanges that were not refused, by route: what a refused one is compared
//! with.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashMap};
use wide::u8x16;

use crate::bytes::places;
use crate::model::{Exchange, Field, Owner, Packet, Timestamp};

/// The sample.
#[derive(Debug)]
pub(super) struct Siblings {
    /// By route; looked up only, never walked through.
    routes: HashMap<Route, Kept>,
    /// Routes in the order in which they were first seen: past the bound the oldest goes.
    order: VecDeque<Route>,
    hasher: DefaultHashBuilder,
    /// Methods of requests that may be reported: no others are compared with any. All where there are
    /// none.
    methods: Vec<String>,
    limit: usize,
}

/// Server, method and path without what names a single thing, as a hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Route(u64);

#[derive(Debug, Default)]
struct Kept {
    /// The latest last.
    passed: Vec<Sample>,
}

impl Kept {
    /// Whether there are enough, and the latest is from just now.
    fn rests(&self, at: Timestamp) -> bool {
        let is_new = |s: &Sample| at.since(s.at) < REST && at >= s.at;
        self.passed.len() == EACH && self.passed.last().is_some_and(is_new)
    }
}

/// An exchange that passed, and its packets where an output wants them.
#[derive(Debug)]
pub(super) struct Sample {
    /// Shared by the cases that it is a sibling of.
    exchange: Arc<Exchange>,
    packets: Vec<Packet>,
    at: Timestamp,
    /// Whether its owners were looked up, late enough for the answer to be final.
    is_named: bool,
}

impl Sample {
    fn name(&mut self, ([client, server], is_final): ([Option<Owner>; 2], bool)) {
        self.is_named = is_final;
        let known = &self.exchange;
        if (&known.client.owner, &known.server.owner) != (&client, &server) {
            // What earlier cases were given stays as it was.
            let exchange = Arc::make_mut(&mut self.exchange);
            exchange.client.owner = client;
            exchange.server.owner = server;
        }
    }
}

/// Exchanges kept of a route.
const EACH: usize = 2;
/// A route that has some gets another one only after this time: a busy route costs no more than a
/// quiet one.
const REST: Duration = Duration::from_millis(200);

impl Siblings {
    /// An empty sample of at most so many routes, of requests with these methods; with any where there
    /// are none.
    pub(super) fn new(limit: usize, methods: Vec<String>) -> Self {
        Self {
            methods,
            routes: HashMap::new(),
            order: VecDeque::new(),
            hasher: DefaultHashBuilder::default(),
            limit: limit.max(1),
        }
    }

    /// The route of an exchange; `None` without a request.
    pub(super) fn route(&self, exchange: &Exchange) -> Option<Route> {
        let request = exchange.request.as_deref()?;
        Some(self.route_of(
            exchange.server.addr.port(),
            request.method(),
            request.host().unwrap_or_default(),
            request.path_and_query(),
        ))
    }

    /// The route to a server's port of a request with this host and target.
    pub(super) fn route_of(&self, port: u16, method: &[u8], host: &[u8], target: &[u8]) -> Route {
        Route(self.hasher.hash_one((port, method, host, Path(target))))
    }

    /// Whether a refused request with this method may ask for its like.
    pub(super) fn compares(&self, method: &[u8]) -> bool {
        let is_it = |name: &String| name.as_bytes() == method;
        self.methods.is_empty() || self.methods.iter().any(is_it)
    }

    /// Whether an exchange with this status, over at `at`, would be taken.
    pub(super) fn wants(&self, route: Route, status: u16, at: Timestamp) -> bool {
        (200..400).contains(&status) && self.routes.get(&route).is_none_or(|kept| !kept.rests(at))
    }

    /// Whether an exchange of this route, over at `at`, would be taken.
    pub(super) fn wants_of(&self, exchange: &Exchange, route: Route, at: Timestamp) -> bool {
        let request = exchange.request.as_deref();
        let status = exchange.response.as_ref().map_or(0, |r| r.status);
        request.is_some_and(|r| self.compares(r.method())) && self.wants(route, status, at)
    }

    /// Adds an exchange that [is wanted](Self::wants), with its packets where an output wants them.
    pub(super) fn add(
        &mut self,
        exchange: Exchange,
        route: Route,
        at: Timestamp,
        packets: Vec<Packet>,
    ) {
        let sample = Sample {
            exchange: Arc::new(exchange),
            packets,
            at,
            is_named: false,
        };
        if let Some(kept) = self.routes.get_mut(&route) {
            if kept.passed.len() == EACH {
                kept.passed.remove(0);
            }
            kept.passed.push(sample);
            return;
        }
        if self.order.len() == self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.routes.remove(&oldest);
        }
        self.order.push_back(route);
        let passed = vec![sample];
        self.routes.insert(route, Kept { passed });
    }

    /// Exchanges of this one's route that passed, the most alike first. `name` knows the owners of
    /// one's ends, and whether that is final.
    pub(super) fn of(
        &mut self,
        route: Option<Route>,
        exchange: &Exchange,
        mut name: impl FnMut(&Exchange) -> ([Option<Owner>; 2], bool),
    ) -> Vec<Arc<Exchange>> {
        let kept = route.and_then(|r| self.routes.get_mut(&r));
        let found = kept.into_iter().flat_map(|k| &mut k.passed).map(|sample| {
            if !sample.is_named {
                let ends = name(&sample.exchange);
                sample.name(ends);
            }
            Arc::clone(&sample.exchange)
        });
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|passed| differences(exchange, passed));
        found
    }
}

impl Siblings {
    /// The packets of those exchanges, once: in a file they stand once for all its cases.
    pub(super) fn take_packets(&mut self, route: Option<Route>) -> Vec<Packet> {
        let kept = route.and_then(|r| self.routes.get_mut(&r));
        let samples = kept.into_iter().flat_map(|k| &mut k.passed);
        samples
            .flat_map(|s| std::mem::take(&mut s.packets))
            .collect()
    }
}

/// How many header fields of the two requests differ, and whether the bodies do.
fn differences(a: &Exchange, b: &Exchange) -> usize {
    let (Some(a), Some(b)) = (&a.request, &b.request) else {
        return usize::MAX;
    };
    let [x, y] = [a, b].map(|request| request.message.head.fields().collect::<Vec<_>>());
    let is_same = |f: &Field<'_>, g: &Field<'_>| {
        f.value == g.value && (f.name == g.name || f.name.eq_ignore_ascii_case(g.name))
    };
    let lacks = |fields: &[Field<'_>], f| !fields.iter().any(|g| is_same(f, g));
    let lacking = (0..x.len().max(y.len())).map(|at| match (x.get(at), y.get(at)) {
        // The same client sends its fields in the same order: what is alike stands side by side.
        (Some(f), Some(g)) if is_same(f, g) => 0,
        (f, g) => [(f, &y), (g, &x)]
            .into_iter()
            .filter(|(field, others)| field.is_some_and(|field| lacks(others, field)))
            .count(),
    });
    lacking.sum::<usize>() + usize::from(a.message.body.kept != b.message.body.kept)
}

/// The path of a target without its query, in which numbers and ids are all the same.
struct Path<'a>(&'a [u8]);

impl std::hash::Hash for Path<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let target = self.0;
        let [slash, query, fragment] = [b'/', b'?', b'#'].map(|byte| u8x16::new([byte; 16]));
        let ends = places(target, |byte, _| {
            byte.cmp_eq(slash) | byte.cmp_eq(query) | byte.cmp_eq(fragment)
        });
        let mut at = 0;
        // What lies between ids is written at once, which is quicker.
        let mut from = 0;
        for end in ends.chain(std::iter::once(target.len())) {
            if is_id(target.get(at..end).unwrap_or_default()) {
                state.write(target.get(from..at).unwrap_or_default());
                state.write_u8(b'*');
                from = end;
            }
            if target.get(end) != Some(&b'/') {
                state.write(target.get(from..end).unwrap_or_default());
                break;
            }
            at = end + 1;
        }
    }
}

/// A number, a UUID or another long hexadecimal id.
fn is_id(segment: &[u8]) -> bool {
    let is_number = !segment.is_empty() && segment.iter().all(u8::is_ascii_digit);
    let is_hex = |b: &u8| b.is_ascii_hexdigit() || *b == b'-';
    is_number || (segment.len() >= 16 && segment.iter().all(is_hex))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OwnerQuality;
    use crate::testing;

    #[test]
    fn what_no_reported_request_is_like_is_not_wanted() {
        let wanted = |methods: &[&str]| {
            let methods = methods.iter().map(|&name| name.to_owned()).collect();
            let siblings = Siblings::new(8, methods);
            let exchange = passed("/orders/1", "");
            let route = siblings.route(&exchange).unwrap();
            siblings.wants_of(&exchange, route, testing::START)
        };
        assert!(wanted(&["PUT", "POST"]) && wanted(&[]));
        assert!(!wanted(&["PUT"]));
    }

    #[test]
    fn the_most_alike_of_the_same_route_comes_first() {
        let mut siblings = Siblings::new(8, Vec::new());
        let mut offer = |target: &str, extra: &str, seconds| {
            let exchange = passed(target, extra);
            let at = testing::START.plus(Duration::from_secs(seconds));
            let route = siblings.route(&exchange).unwrap();
            siblings.add(exchange, route, at, Vec::new());
        };
        offer("/orders/1", "Cookie: a\r\nX-Two: b\r\n", 0);
        offer("/orders/2", "Cookie: a\r\n", 1);
        offer("/other", "", 2);
        let like = passed("/orders/33", "");
        let route = siblings.route(&like);
        let found = siblings.of(route, &like, |_| ([None, None], true));
        let cookies =
            |passed: &Arc<Exchange>| passed.request.as_ref().unwrap().message.head.fields.len();
        assert_eq!(found.iter().map(cookies).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_refusal_is_no_sibling_and_routes_are_bounded() {
        let mut siblings = Siblings::new(1, Vec::new());
        let offer = |siblings: &mut Siblings, exchange: Exchange| {
            let route = siblings.route(&exchange).unwrap();
            let status = exchange.response.as_ref().unwrap().status;
            if siblings.wants(route, status, testing::START) {
                siblings.add(exchange, route, testing::START, Vec::new());
            }
        };
        offer(&mut siblings, testing::refused_post());
        let of = |siblings: &mut Siblings, exchange: Exchange| {
            let route = siblings.route(&exchange);
            siblings
                .of(route, &exchange, |_| ([None, None], true))
                .len()
        };
        assert_eq!(of(&mut siblings, testing::refused_post()), 0);
        offer(&mut siblings, passed("/a", ""));
        offer(&mut siblings, passed("/b", ""));
        assert_eq!(of(&mut siblings, passed("/a", "")), 0);
        assert_eq!(of(&mut siblings, passed("/b", "")), 1);
    }

    #[test]
    fn owners_are_named_until_that_is_final() {
        let mut siblings = Siblings::new(1, Vec::new());
        let exchange = passed("/a", "");
        let route = siblings.route(&exchange);
        siblings.add(exchange.clone(), route.unwrap(), testing::START, Vec::new());
        let mut ask = |pid: u32, is_final: bool| {
            let owner = testing::owner("nginx", pid, OwnerQuality::Exact);
            let name = |_: &Exchange| ([None, Some(owner.clone())], is_final);
            let found = siblings.of(route, &exchange, name);
            Arc::clone(&found[0])
        };
        let given = [
            ask(1, false),
            ask(1, false),
            ask(2, false),
            ask(2, true),
            ask(3, true),
        ];
        let pid = |passed: &Arc<Exchange>| passed.server.owner.as_ref().unwrap().pid;
        assert_eq!(given.each_ref().map(pid), [1, 1, 2, 2, 2]);
        // Cases share it for as long as nothing new is known.
        assert!(Arc::ptr_eq(&given[0], &given[1]) && Arc::ptr_eq(&given[2], &given[4]));
    }

    fn passed(target: &str, extra: &str) -> Exchange {
        let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\n{extra}\r\n");
        testing::exchange(
            testing::request(&head, b""),
            testing::response("HTTP/1.1 200 OK\r\n\r\n", b""),
        )
    }
}
