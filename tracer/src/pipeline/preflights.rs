//! The preflights (CORS) of the last seconds: how each was answered, and whether the request came
//! that it asked for.
//!
//! The two have URL, origin and sender in common (Fetch Standard, section "CORS-preflight fetch").

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::IpAddr;

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::http::brief::BriefRequest;
use crate::limits::{PREFLIGHT_WAIT, PREFLIGHTS};
use crate::model::{Exchange, Preflight, Request, Response, Timestamp};

use super::paces::Asker;

/// Preflights, refused or not. Past the bound the oldest is forgotten.
#[derive(Debug, Default)]
pub(super) struct Preflights {
    /// Looked up only, never walked through. Those of one key are in the order in which they came.
    asked: HashMap<Key, VecDeque<Asked>>,
    /// In the order in which they came.
    order: VecDeque<Key>,
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Asked {
    at: Timestamp,
    /// When the answer began, and whether it was leave.
    answer: Option<(Timestamp, bool)>,
    /// When the first request came that it asks for.
    followed_at: Option<Timestamp>,
}

/// What a preflight and its request have in common.
struct Asking<'a> {
    method: &'a [u8],
    target: &'a [u8],
    host: Option<&'a [u8]>,
    asker: Asker<'a>,
    origin: &'a [u8],
    user_agent: Option<&'a [u8]>,
}

/// What a preflight and its request have in common, as a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key(u64);

impl Preflights {
    /// Takes in a request from this peer.
    pub(super) fn request(&mut self, request: &Request, peer: IpAddr) {
        let at = request.message.started_at;
        if let Some(method) = request.preflight_method() {
            if let Some(key) = self.key_of(request, method, peer) {
                self.add(key, at);
            }
        } else if !self.order.is_empty()
            && let Some(key) = self.key_of(request, request.method(), peer)
        {
            self.follow(key, at);
        }
    }

    /// Takes in a request from this peer that need not be read any further.
    pub(super) fn brief(&mut self, request: &BriefRequest<'_>, peer: IpAddr, at: Timestamp) {
        if self.order.is_empty() {
            return;
        }
        let Some(origin) = request.value(b"origin") else {
            return;
        };
        let key = self.key(Asking {
            method: request.method,
            target: request.target,
            host: request.host,
            asker: Asker::new(request.forwarded_for, peer),
            origin,
            user_agent: request.value(b"user-agent"),
        });
        self.follow(key, at);
    }

    /// Takes in how a preflight was answered.
    pub(super) fn over(&mut self, exchange: &Exchange) {
        let Some(key) = self.key_of_preflight(exchange) else {
            return;
        };
        let answer = answer(exchange);
        let at = exchange.started_at();
        let all = self.asked.get_mut(&key).into_iter().flatten();
        for asked in all.filter(|asked| asked.at == at) {
            asked.answer = answer;
        }
    }

    /// When the first request came that this preflight asks for; an error where the preflight is
    /// forgotten.
    pub(super) fn followed_at(&self, exchange: &Exchange) -> Result<Option<Timestamp>, Forgotten> {
        let key = self.key_of_preflight(exchange).ok_or(Forgotten)?;
        let mut all = self.asked.get(&key).into_iter().flatten();
        let at = exchange.started_at();
        let asked = all.find(|asked| asked.at == at).ok_or(Forgotten)?;
        Ok(asked.followed_at)
    }

    /// How the preflight of a request was answered, just before it came.
    pub(super) fn before(&self, exchange: &Exchange) -> Preflight {
        let request = exchange.request.as_deref();
        let peer = exchange.client.addr.ip();
        let key = request.and_then(|r| self.key_of(r, r.method(), peer));
        let all = key.and_then(|key| self.asked.get(&key));
        let at = exchange.started_at();
        let is_just_before =
            |answered: &Timestamp| *answered <= at && at.since(*answered) <= PREFLIGHT_WAIT;
        let mut answers = all.into_iter().flatten().rev().filter_map(|a| a.answer);
        match answers.find(|(answered, _)| is_just_before(answered)) {
            Some((_, true)) => Preflight::Allowed,
            Some((_, false)) => Preflight::Refused,
            None => Preflight::NotSeen,
        }
    }

    fn add(&mut self, key: Key, at: Timestamp) {
        let asked = Asked {
            at,
            answer: None,
            followed_at: None,
        };
        self.asked.entry(key).or_default().push_back(asked);
        self.order.push_back(key);
        if self.order.len() > PREFLIGHTS
            && let Some(oldest) = self.order.pop_front()
            && let Some(all) = self.asked.get_mut(&oldest)
        {
            all.pop_front();
            if all.is_empty() {
                self.asked.remove(&oldest);
            }
        }
    }

    fn follow(&mut self, key: Key, at: Timestamp) {
        let all = self.asked.get_mut(&key).into_iter().flatten().rev();
        // What follows one follows those before it.
        for asked in all.take_while(|asked| asked.followed_at.is_none()) {
            asked.followed_at = (asked.at <= at).then_some(at);
        }
    }

    fn key_of_preflight(&self, exchange: &Exchange) -> Option<Key> {
        let request = exchange.request.as_deref()?;
        let method = request.preflight_method()?;
        self.key_of(request, method, exchange.client.addr.ip())
    }

    /// `None` where there is no `Origin`: it has to do with no preflight.
    fn key_of(&self, request: &Request, method: &[u8], peer: IpAddr) -> Option<Key> {
        let head = &request.message.head;
        let origin = head.value("origin")?;
        Some(self.key(Asking {
            method,
            target: request.target(),
            host: head.value("host"),
            asker: Asker::new(head.value("x-forwarded-for"), peer),
            origin,
            user_agent: head.value("user-agent"),
        }))
    }

    fn key(&self, request: Asking<'_>) -> Key {
        let url = (request.host, request.target);
        let sender = (request.asker, request.user_agent, request.origin);
        Key(self.hasher.hash_one((request.method, url, sender)))
    }
}

/// The preflight is not remembered any longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forgotten;

/// Whether this is a preflight after whose answer a browser does not send the request.
pub(super) fn is_refused(exchange: &Exchange) -> bool {
    let request = exchange.request.as_deref();
    let is_preflight = request.is_some_and(|r| r.preflight_method().is_some());
    is_preflight && answer(exchange).is_some_and(|(_, is_leave)| !is_leave)
}

/// When the answer to a preflight began, and whether it is leave; `None` where a browser may take
/// it either way.
fn answer(exchange: &Exchange) -> Option<(Timestamp, bool)> {
    let response: &Response = exchange.response.as_deref()?;
    let origin = exchange.request.as_deref()?.message.head.value("origin");
    let allowed = response.message.head.value("access-control-allow-origin");
    let is_leave = match (response.status, allowed) {
        (200..=299, Some(allowed)) => allowed == b"*" || Some(allowed) == origin,
        (200..=299, None) => return None,
        _ => false,
    };
    Some((response.message.started_at, is_leave))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{self, START};

    const PREFLIGHT: &str = "OPTIONS /a?b HTTP/1.1\r\nHost: x\r\nOrigin: http://o\r\n\
                             User-Agent: u\r\nAccess-Control-Request-Method: POST\r\n\r\n";
    const POST: &str = "POST /a?b HTTP/1.1\r\nHost: x\r\nOrigin: http://o\r\nUser-Agent: u\r\n\r\n";
    const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\n\r\n";

    #[test]
    fn the_request_has_url_origin_and_sender_of_its_preflight() {
        let preflight = exchange(PREFLIGHT, FORBIDDEN, 0);
        let follows = |preflights: &Preflights| preflights.followed_at(&preflight).unwrap();
        let mut preflights = Preflights::default();
        take(&mut preflights, &preflight);
        for (from, to) in [
            ("POST", "PUT"),
            ("/a?b", "/a"),
            ("Host: x", "Host: y"),
            ("http://o", "https://o"),
            ("Agent: u", "Agent: v"),
            ("Origin: http://o", "X-Forwarded-For: 192.0.2.9"),
        ] {
            take(
                &mut preflights,
                &exchange(&POST.replace(from, to), FORBIDDEN, 1),
            );
            assert_eq!(follows(&preflights), None, "{to}");
        }
        let mut other = exchange(POST, FORBIDDEN, 1);
        other.client.addr.set_ip("10.0.0.99".parse().unwrap());
        take(&mut preflights, &other);
        assert_eq!(follows(&preflights), None);
        take(&mut preflights, &exchange(POST, FORBIDDEN, 2));
        take(&mut preflights, &exchange(POST, FORBIDDEN, 3));
        assert_eq!(follows(&preflights), Some(at(2)));
    }

    #[test]
    fn a_request_follows_every_preflight_before_it_and_none_after() {
        let mut preflights = Preflights::default();
        let asked = [0, 1, 3].map(|ms| exchange(PREFLIGHT, FORBIDDEN, ms));
        for preflight in &asked {
            take(&mut preflights, preflight);
        }
        take(&mut preflights, &exchange(POST, FORBIDDEN, 2));
        let followed = asked.map(|p| preflights.followed_at(&p).unwrap());
        assert_eq!(followed, [Some(at(2)), Some(at(2)), None]);
    }

    #[test]
    fn a_request_knows_how_its_preflight_was_answered() {
        for (answer, expected) in [
            (
                "HTTP/1.1 204 N\r\nAccess-Control-Allow-Origin: *\r\n\r\n",
                Preflight::Allowed,
            ),
            (
                "HTTP/1.1 200 O\r\nAccess-Control-Allow-Origin: http://o\r\n\r\n",
                Preflight::Allowed,
            ),
            (
                "HTTP/1.1 200 O\r\nAccess-Control-Allow-Origin: http://p\r\n\r\n",
                Preflight::Refused,
            ),
            ("HTTP/1.1 204 N\r\n\r\n", Preflight::NotSeen),
            (FORBIDDEN, Preflight::Refused),
        ] {
            let mut preflights = Preflights::default();
            take(&mut preflights, &exchange(PREFLIGHT, answer, 10));
            let before = |ms| preflights.before(&exchange(POST, FORBIDDEN, ms));
            assert_eq!(before(20), expected, "{answer}");
            // The answer comes 1.5 ms after the question, and is not for ever.
            assert_eq!(
                [5, 11, 9_000].map(before),
                [Preflight::NotSeen; 3],
                "{answer}"
            );
        }
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut preflights = Preflights::default();
        let first = exchange(PREFLIGHT, FORBIDDEN, 0);
        take(&mut preflights, &first);
        for i in 0..PREFLIGHTS {
            assert!(preflights.followed_at(&first).is_ok());
            let head = PREFLIGHT.replace("/a?b", &format!("/{}", i % 100));
            take(&mut preflights, &exchange(&head, FORBIDDEN, 1));
        }
        assert!(preflights.followed_at(&first).is_err());
        let kept = preflights.asked.len();
        assert_eq!((preflights.order.len(), kept), (PREFLIGHTS, 100));
    }

    fn take(preflights: &mut Preflights, exchange: &Exchange) {
        let request = exchange.request.as_deref().unwrap();
        preflights.request(request, exchange.client.addr.ip());
        preflights.over(exchange);
    }

    fn exchange(request: &str, response: &str, ms: u64) -> Exchange {
        let mut request = testing::request(request, b"");
        request.message.started_at = at(ms);
        let mut response = testing::response(response, b"");
        response.message.started_at = at(ms).plus(Duration::from_micros(1_500));
        testing::exchange(request, response)
    }

    fn at(ms: u64) -> Timestamp {
        START.plus(Duration::from_millis(ms))
    }
}
