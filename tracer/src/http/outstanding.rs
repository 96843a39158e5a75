//! Which request a response answers.
//!
//! First in, first out (RFC 9112 sections 9.2 and 9.3.2), as long as every byte is there: no message
//! says what it belongs to. Behind bytes that may hide messages nobody can count any more, and what
//! is left is that a client which does not pipeline sends a request only when it has the answer to
//! the one before. Both directions come in causal order, so that shows.
//!
//! - A request that was there before anything was lost keeps its turn.
//! - Where the client waits, a response answers the last request before it, unless a request may
//!   be hidden between the two and answers as well. A request is no one's where hidden ones may be
//!   before it, and nothing from the server is between.
//! - Where the client was ever seen to pipeline, or what is hidden shows that it does, nobody can
//!   tell how many answers or requests are hidden, and from there on nothing is paired.
//!
//! Nothing shows a request that was pipelined in the lost rest of another one of unknown length, or
//! before the first that was seen; nor a client that pipelines for the first time where a request and
//! an answer are lost.
//!
//! A hole in the requests can hold a request back until after its answer was parsed: where nothing
//! is hidden, time stamps tell.

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

/// How sure it is that a message is hidden in bytes that are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hides {
    #[default]
    Nothing,
    /// They may be the rest of the message under way, and no more.
    Perhaps,
    Surely,
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
    /// Responses may be missing, and before the exchange of this place.
    responses_lost: bool,
    responses_lost_before: u64,
    /// Requests may be missing, and before the exchange of this place.
    requests_lost: bool,
    requests_lost_before: u64,
    /// Whether requests are missing since the last request or response.
    hidden: Hides,
    /// The client was seen to send a request before it had the answer to the one before.
    pipelines: bool,
    /// The place of the next exchange.
    next: u64,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    exchange: u64,
    kind: Kind,
    turn: Turn,
    at: Timestamp,
}

/// What is known of the place of a request in the order of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Every request before it is known.
    Known,
    /// Where the client waits, every request before it had its answer.
    Waited,
    /// Requests that wait may be hidden before it.
    Unknown,
    /// The response has begun, with an interim one.
    Begun,
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
        let before = self.asked.back().map(|asked| asked.exchange);
        let hidden = std::mem::take(&mut self.hidden);
        self.pipelines |= (hidden == Hides::Surely && !self.uncertain)
            || before.is_some_and(|before| before >= self.responses_lost_before);
        let turn = match (self.requests_lost, hidden) {
            (false, _) => Turn::Known,
            (true, Hides::Nothing) => Turn::Waited,
            (true, _) => Turn::Unknown,
        };
        let exchange = self.new_exchange();
        self.asked.push_back(Asked {
            exchange,
            kind,
            turn,
            at,
        });
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
        } else if self.hidden == Hides::Surely && !self.asked.is_empty() {
            self.pipelines = true;
        }
        if !interim {
            self.hidden = Hides::Nothing;
        }
        if self.forgotten > 0 {
            self.forgotten -= u64::from(!interim);
            return (self.orphan(at, limits), Kind::Unknown);
        }
        while self
            .asked
            .front()
            .is_some_and(|asked| !self.has_turn(asked))
        {
            self.asked.pop_front();
        }
        let front = if interim {
            self.asked.front().copied()
        } else {
            self.asked.pop_front()
        };
        if let Some(asked) = front {
            return (asked.exchange, asked.kind);
        }
        self.hidden = Hides::Nothing;
        let exchange = self.orphan(at, limits);
        if interim {
            self.asked.push_back(Asked {
                exchange,
                kind: Kind::Unknown,
                turn: Turn::Begun,
                at,
            });
        }
        (exchange, Kind::Unknown)
    }

    /// Whether every request has its answer, as far as can be told.
    pub(super) fn is_idle(&self) -> bool {
        let is_sure = !self.uncertain && self.hidden == Hides::Nothing && !self.is_lost();
        self.asked.is_empty() && self.orphans.is_empty() && self.forgotten == 0 && is_sure
    }

    /// A request and its answer at once; returns their exchange.
    pub(super) fn pass_over(&mut self) -> u64 {
        self.new_exchange()
    }

    /// Responses may be missing from here on.
    pub(super) fn lose_responses(&mut self) {
        self.uncertain = true;
        self.responses_lost = true;
        self.responses_lost_before = self.next;
    }

    /// Requests may be missing from here on.
    pub(super) fn lose_requests(&mut self, hides: Hides) {
        self.requests_lost = true;
        self.requests_lost_before = self.next;
        self.hidden = self.hidden.max(hides);
    }

    /// No request waits but the last one, as whoever leaves messages out has seen.
    pub(super) fn settle_requests(&mut self) {
        if let Some(last) = self.asked.back_mut()
            && self.hidden == Hides::Nothing
            && last.turn == Turn::Unknown
        {
            last.turn = Turn::Waited;
        }
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

    /// Answers were left out, before which every request that waits was sent: theirs. Where there was
    /// no room to hold one it was shipped, and its answer was not.
    pub(super) fn leave_out_answers(&mut self) {
        self.asked.clear();
        self.forgotten = 0;
    }

    /// Bytes it holds.
    pub(super) fn memory(&self) -> usize {
        self.asked.capacity() * size_of::<Asked>() + self.orphans.capacity() * size_of::<Orphan>()
    }

    /// The response without request that began after `at`: a hole held the request back, or the
    /// answer came before its head was complete.
    fn answered_before(&mut self, at: Timestamp) -> Option<u64> {
        while let Some(orphan) = self.orphans.pop_front() {
            if orphan.at > at && !self.requests_lost && !self.is_lost() {
                return Some(orphan.exchange);
            }
        }
        None
    }

    /// After a gap: of the requests sent before this response, all but the last had their answer
    /// in the gap, where the client waits. Where it does not, or where the request can be in a gap
    /// of its own, none is paired.
    fn drop_hidden(&mut self, at: Timestamp) {
        self.forgotten = 0;
        if self.pipelines {
            return self.asked.clear();
        }
        let sent = self.asked.iter().take_while(|a| a.at <= at).count();
        let Some(last) = sent.checked_sub(1).and_then(|n| self.asked.get(n)) else {
            return;
        };
        let is_hidden = last.exchange < self.requests_lost_before;
        let answered = if is_hidden { sent } else { sent - 1 };
        self.asked.drain(..answered);
    }

    /// Whether the next response is to this request, where it is the oldest that waits.
    fn has_turn(&self, asked: &Asked) -> bool {
        match asked.turn {
            Turn::Known => !(self.pipelines && self.responses_lost),
            Turn::Waited => !self.pipelines,
            Turn::Unknown => false,
            Turn::Begun => true,
        }
    }

    /// Whether nothing is paired any more.
    fn is_lost(&self) -> bool {
        self.pipelines && (self.requests_lost || self.responses_lost)
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
    fn a_request_whose_answer_was_left_out_does_not_get_the_next_one() {
        let mut queue = Outstanding::default();
        ask(&mut queue, Kind::Other, 1);
        queue.leave_out_answers();
        assert_eq!(ask(&mut queue, Kind::Other, 3), 1);
        assert_eq!(answer(&mut queue, 4), (1, Kind::Other));
        assert!(!queue.pipelines);
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
        ask(&mut queue, Kind::Other, 1);
        queue.lose_responses();
        ask(&mut queue, Kind::Other, 3);
        assert_eq!(answer(&mut queue, 4), (1, Kind::Other));
        ask(&mut queue, Kind::Other, 5);
        assert_eq!(answer(&mut queue, 6), (2, Kind::Other));
    }

    #[test]
    fn a_gap_in_pipelined_responses_pairs_nothing_by_guess() {
        let mut queue = Outstanding::default();
        ask(&mut queue, Kind::Other, 1);
        ask(&mut queue, Kind::Other, 2);
        queue.lose_responses();
        assert_eq!(answer(&mut queue, 4), (2, Kind::Unknown));
        ask(&mut queue, Kind::Other, 5);
        assert_eq!(answer(&mut queue, 6), (4, Kind::Unknown));
        assert!(!queue.is_idle());
    }

    #[test]
    fn a_request_in_a_gap_may_be_the_one_that_is_answered() {
        let mut queue = Outstanding::default();
        ask(&mut queue, Kind::Other, 1);
        queue.lose_requests(Hides::Surely);
        queue.lose_responses();
        assert_eq!(answer(&mut queue, 4), (1, Kind::Unknown));
        ask(&mut queue, Kind::Other, 5);
        queue.lose_responses();
        assert_eq!(answer(&mut queue, 6), (2, Kind::Other));
    }

    #[test]
    fn a_request_that_was_pipelined_in_a_gap_takes_its_turn() {
        let mut queue = Outstanding::default();
        ask(&mut queue, Kind::Other, 1);
        queue.lose_requests(Hides::Surely);
        ask(&mut queue, Kind::Other, 3);
        assert_eq!(answer(&mut queue, 4), (0, Kind::Other));
        assert_eq!(answer(&mut queue, 5), (2, Kind::Unknown));
        assert_eq!(answer(&mut queue, 6), (3, Kind::Unknown));
        ask(&mut queue, Kind::Other, 7);
        assert_eq!(answer(&mut queue, 8), (5, Kind::Unknown));
    }

    #[test]
    fn a_request_right_behind_a_hidden_one_is_nobodys() {
        let mut queue = Outstanding::default();
        ask(&mut queue, Kind::Other, 1);
        assert_eq!(answer(&mut queue, 2), (0, Kind::Other));
        queue.lose_requests(Hides::Perhaps);
        ask(&mut queue, Kind::Other, 3);
        assert_eq!(answer(&mut queue, 4), (2, Kind::Unknown));
        ask(&mut queue, Kind::Other, 5);
        assert_eq!(answer(&mut queue, 6), (3, Kind::Other));
    }

    #[test]
    fn a_hidden_request_that_had_its_answer_hides_no_other() {
        let mut queue = Outstanding::default();
        queue.lose_requests(Hides::Surely);
        let interim = queue.answer(true, time(2), &Limits::default());
        assert_eq!(interim, (0, Kind::Unknown));
        assert_eq!(answer(&mut queue, 3), (0, Kind::Unknown));
        ask(&mut queue, Kind::Other, 4);
        assert_eq!(answer(&mut queue, 5), (1, Kind::Other));
    }

    #[test]
    fn gaps_in_both_directions_hide_who_waits_unless_that_is_settled() {
        for is_settled in [false, true] {
            let mut queue = Outstanding::default();
            queue.lose_responses();
            queue.lose_requests(Hides::Surely);
            ask(&mut queue, Kind::Other, 3);
            if is_settled {
                queue.settle_requests();
            }
            let kind = if is_settled {
                Kind::Other
            } else {
                Kind::Unknown
            };
            assert_eq!(answer(&mut queue, 4).1, kind);
        }
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
