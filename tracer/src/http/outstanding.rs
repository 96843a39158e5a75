//! Which request a response answers.
//!
//! First in, first out (RFC 9112 section 9.3.2), as long as every byte is there. Two accidents of
//! captures break that, and both are told by time stamps: a gap in the responses can hide answers,
//! and a hole in the requests can hold a request back until after its answer was parsed.

use std::collections::VecDeque;

use crate::limits::Limits;
use crate::model::Timestamp;

/// What of a request matters for the framing of its response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// The response has no body.
    Head,
    /// A 2xx response opens a tunnel.
    Connect,
    /// Any other.
    #[default]
    Other,
    /// The request is not there.
    Unknown,
}

/// Requests that wait for a response, and responses that may yet find their request.
#[derive(Debug, Default)]
pub(super) struct Outstanding {
    asked: VecDeque<Asked>,
    orphans: VecDeque<Orphan>,
    /// Requests dropped from the front of `asked`; their answers come first.
    forgotten: u64,
    /// A gap may have hidden responses since the last one.
    uncertain: bool,
    /// Requests may be missing before the exchange of this place.
    requests_lost_before: Option<u64>,
    /// The place of the next exchange.
    next: u64,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    exchange: u64,
    kind: Kind,
    at: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Orphan {
    exchange: u64,
    at: Timestamp,
}

impl Outstanding {
    /// Takes in a request whose first byte came at `at`; returns its exchange.
    pub(super) fn ask(&mut self, kind: Kind, at: Timestamp, limits: &Limits) -> u64 {
        if let Some(exchange) = self.answered_before(at) {
            if let Some(asked) = self.asked.iter_mut().find(|a| a.exchange == exchange) {
                asked.kind = kind;
            }
            return exchange;
        }
        let exchange = self.new_exchange();
        self.asked.push_back(Asked { exchange, kind, at });
        if self.asked.len() > limits.pipeline {
            self.asked.pop_front();
            self.forgotten = self.forgotten.saturating_add(1);
        }
        exchange
    }

    /// Takes in a response whose first byte came at `at`; returns its exchange and what is known
    /// of the request. An interim response leaves the request waiting.
    pub(super) fn answer(&mut self, interim: bool, at: Timestamp, limits: &Limits) -> (u64, Kind) {
        if std::mem::take(&mut self.uncertain) {
            self.drop_hidden(at);
        }
        if self.forgotten > 0 {
            self.forgotten -= u64::from(!interim);
            return (self.orphan(at, limits), Kind::Unknown);
        }
        let front = if interim {
            self.asked.front().copied()
        } else {
            self.asked.pop_front()
        };
        if let Some(asked) = front {
            return (asked.exchange, asked.kind);
        }
        let exchange = self.orphan(at, limits);
        if interim {
            let kind = Kind::Unknown;
            self.asked.push_back(Asked { exchange, kind, at });
        }
        (exchange, Kind::Unknown)
    }

    /// Whether every request has its answer, as far as can be told.
    pub(super) fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.orphans.is_empty() && self.forgotten == 0 && !self.uncertain
    }

    /// A request and its answer at once; returns their exchange.
    pub(super) fn pass_over(&mut self) -> u64 {
        self.new_exchange()
    }

    /// Responses may be missing from here on.
    pub(super) fn lose_responses(&mut self) {
        self.uncertain = true;
    }

    /// Requests may be missing from here on.
    pub(super) fn lose_requests(&mut self) {
        self.requests_lost_before = Some(self.next);
    }

    /// The first bytes of the next response are lost: whatever is recognised next, it is not the
    /// answer to the oldest request.
    pub(super) fn lose_answer(&mut self) {
        if self.forgotten > 0 {
            self.forgotten -= 1;
        } else {
            self.asked.pop_front();
        }
    }

    /// Bytes it holds.
    pub(super) fn memory(&self) -> usize {
        self.asked.capacity() * size_of::<Asked>() + self.orphans.capacity() * size_of::<Orphan>()
    }

    /// The response without request that began after `at`: a hole held the request back, or the
    /// answer came before its head was complete.
    fn answered_before(&mut self, at: Timestamp) -> Option<u64> {
        while let Some(orphan) = self.orphans.pop_front() {
            if orphan.at > at {
                return Some(orphan.exchange);
            }
        }
        None
    }

    /// After a gap: of the requests sent before this response, all but the last had their answer
    /// in the gap, for a client sends the next request when it has the answer. Where it did not
    /// wait (two requests at one time), or where the request can be in a gap of its own, nobody
    /// can tell, and none is paired.
    fn drop_hidden(&mut self, at: Timestamp) {
        self.forgotten = 0;
        let sent = self.asked.iter().take_while(|a| a.at <= at).count();
        let nth_last = |n| self.asked.get(sent.checked_sub(n)?);
        let Some(last) = nth_last(1) else {
            return;
        };
        let pipelined = nth_last(2).is_some_and(|before| before.at == last.at);
        let hidden = self
            .requests_lost_before
            .is_some_and(|next| last.exchange < next);
        let answered = if pipelined || hidden { sent } else { sent - 1 };
        self.asked.drain(..answered);
    }

    fn orphan(&mut self, at: Timestamp, limits: &Limits) -> u64 {
        let exchange = self.new_exchange();
        self.orphans.push_back(Orphan { exchange, at });
        if self.orphans.len() > limits.pipeline {
            self.orphans.pop_front();
        }
        exchange
    }

    fn new_exchange(&mut self) -> u64 {
        let exchange = self.next;
        self.next = self.next.saturating_add(1);
        exchange
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out() {
        let mut queue = Outstanding::default();
        assert_eq!(ask(&mut queue, Kind::Head, 1), 0);
        assert_eq!(ask(&mut queue, Kind::Other, 1), 1);
        assert_eq!(answer(&mut queue, 2), (0, Kind::Head));
        assert_eq!(answer(&mut queue, 2), (1, Kind::Other));
        assert_eq!(answer(&mut queue, 2), (2, Kind::Unknown));
    }

    #[test]
    fn an_interim_response_leaves_its_request_waiting() {
        let mut queue = Outstanding::default();
        ask(&mut queue, Kind::Connect, 1);
        let interim = queue.answer(true, time(2), &Limits::default());
        assert_eq!(interim, (0, Kind::Connect));
        assert_eq!(answer(&mut queue, 2), (0, Kind::Connect));
    }

    #[test]
    fn a_request_behind_a_hole_finds_the_answer_that_came_first() {
        let mut queue = Outstanding::default();
        // The request of the first answer is lost; the second was held back.
        assert_eq!(answer(&mut queue, 2), (0, Kind::Unknown));
        assert_eq!(answer(&mut queue, 6), (1, Kind::Unknown));
        assert_eq!(ask(&mut queue, Kind::Other, 5), 1);
        assert_eq!(ask(&mut queue, Kind::Other, 7), 2);
        assert_eq!(answer(&mut queue, 8), (2, Kind::Other));
    }

    #[test]
    fn a_gap_in_the_responses_answers_the_request_sent_last() {
        let mut queue = Outstanding::default();
        for at in [1, 3, 5] {
            ask(&mut queue, Kind::Other, at);
        }
        queue.lose_responses();
        assert_eq!(answer(&mut queue, 4), (1, Kind::Other));
        assert_eq!(answer(&mut queue, 6), (2, Kind::Other));
    }

    #[test]
    fn a_gap_in_pipelined_responses_pairs_nothing_by_guess() {
        let mut queue = Outstanding::default();
        ask(&mut queue, Kind::Other, 1);
        ask(&mut queue, Kind::Other, 1);
        queue.lose_responses();
        assert_eq!(answer(&mut queue, 4), (2, Kind::Unknown));
    }

    #[test]
    fn a_request_in_a_gap_may_be_the_one_that_is_answered() {
        let mut queue = Outstanding::default();
        ask(&mut queue, Kind::Other, 1);
        queue.lose_requests();
        queue.lose_responses();
        assert_eq!(answer(&mut queue, 4), (1, Kind::Unknown));
        ask(&mut queue, Kind::Other, 5);
        queue.lose_responses();
        assert_eq!(answer(&mut queue, 6), (2, Kind::Other));
    }

    #[test]
    fn an_answer_that_is_lost_is_nobody_elses() {
        let mut queue = Outstanding::default();
        ask(&mut queue, Kind::Other, 1);
        queue.lose_answer();
        assert_eq!(answer(&mut queue, 4), (1, Kind::Unknown));
    }

    #[test]
    fn forgotten_requests_keep_their_turn() {
        let limits = Limits {
            pipeline: 2,
            ..Limits::default()
        };
        let mut queue = Outstanding::default();
        for _ in 0..3 {
            queue.ask(Kind::Other, time(1), &limits);
        }
        assert_eq!(queue.answer(false, time(2), &limits).0, 3);
        assert_eq!(queue.answer(false, time(2), &limits).0, 1);
        assert_eq!(queue.answer(false, time(2), &limits).0, 2);
    }

    fn ask(queue: &mut Outstanding, kind: Kind, at: u64) -> u64 {
        queue.ask(kind, time(at), &Limits::default())
    }

    fn answer(queue: &mut Outstanding, at: u64) -> (u64, Kind) {
        queue.answer(false, time(at), &Limits::default())
    }

    fn time(nanos: u64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }
}
