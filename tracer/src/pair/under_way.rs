//! One exchange, while parts of it come in.

use super::{Anomaly, Direction, Exchange, GapKind, MessageEnd, Request, Response, Timestamp};
use crate::model::{Body, Framing, Head, Message};

/// An exchange that was not handed out yet.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// Its place on the connection.
    pub(super) number: u64,
    pub(super) exchange: Exchange,
    /// When to wait no longer.
    pub(super) deadline: Option<Timestamp>,
    pub(super) response_over: bool,
    request_over: bool,
    /// The request was parsed after its response, so that the order of the parts says nothing
    /// about which came first.
    late: bool,
}

impl UnderWay {
    pub(super) fn new(number: u64, exchange: Exchange) -> Self {
        Self {
            number,
            exchange,
            deadline: None,
            response_over: false,
            request_over: false,
            late: false,
        }
    }

    pub(super) fn set_request(&mut self, request: Box<Request>) {
        self.late = self.exchange.response.is_some();
        self.exchange.request = Some(request);
    }

    pub(super) fn set_response(&mut self, response: Box<Response>) {
        let started_at = response.message.started_at;
        self.exchange.response = Some(response);
        let Some(request) = &self.exchange.request else {
            return;
        };
        if !self.request_over || request.message.ended_at > Some(started_at) {
            self.odd([Anomaly::EarlyResponse]);
        }
    }

    /// Takes in content; returns how many bytes of memory more it holds for that.
    pub(super) fn body(&mut self, dir: Direction, data: &[u8], limit: usize) -> usize {
        let Some(message) = self.message(dir) else {
            return 0;
        };
        let body = &mut message.body;
        body.seen = body.seen.saturating_add(data.len() as u64);
        // What follows a hole is no part of the beginning.
        if body.lost > 0 || body.skipped > 0 {
            return 0;
        }
        let room = limit.saturating_sub(body.kept.len()).min(data.len());
        let held = body.kept.capacity();
        let len = body.kept.len().saturating_add(room);
        if len > held {
            let room = room_for(body, len).min(limit).max(len);
            body.kept.reserve_exact(room - body.kept.len());
        }
        body.kept
            .extend_from_slice(data.get(..room).unwrap_or_default());
        body.kept.capacity().saturating_sub(held)
    }

    pub(super) fn body_gap(&mut self, dir: Direction, len: u64, kind: GapKind) {
        if let Some(message) = self.message(dir) {
            let count = match kind {
                GapKind::Lost => &mut message.body.lost,
                GapKind::Skipped => &mut message.body.skipped,
            };
            *count = count.saturating_add(len);
        }
    }

    pub(super) fn trailers(&mut self, dir: Direction, trailers: Head) {
        if let Some(message) = self.message(dir) {
            message.trailers = trailers;
        }
    }

    pub(super) fn end(&mut self, dir: Direction, end: MessageEnd, at: Timestamp) {
        if let Some(message) = self.message(dir) {
            message.end = end;
            message.ended_at = Some(at);
        }
        match dir {
            Direction::ServerToClient => self.response_over = true,
            Direction::ClientToServer => {
                self.request_over = true;
                self.correct_order(at, end);
            }
        }
    }

    /// Adds to the anomalies what is not among them.
    pub(super) fn odd(&mut self, anomalies: impl IntoIterator<Item = Anomaly>) {
        let known = &mut self.exchange.anomalies;
        for anomaly in anomalies {
            if !known.contains(&anomaly) {
                known.push(anomaly);
            }
        }
    }

    /// Nothing of it is to come.
    pub(super) fn is_over(&self) -> bool {
        self.request_over && self.response_over
    }

    /// The response is over, the request is not.
    pub(super) fn is_answered_early(&self) -> bool {
        self.response_over && self.exchange.request.is_some() && !self.request_over
    }

    /// Bytes of heads and bodies in it.
    pub(super) fn size(&self) -> usize {
        let size = |m: &Message| m.head.raw.len() + m.trailers.raw.len() + m.body.kept.capacity();
        let request = self.exchange.request.as_ref();
        let responses = self
            .exchange
            .interim
            .iter()
            .chain(self.exchange.response.as_deref());
        request.map_or(0, |r| size(&r.message)) + responses.map(|r| size(&r.message)).sum::<usize>()
    }

    /// A hole in the capture can hold back the end of a request until after its response was
    /// parsed: the time stamps know better than the order of the parts.
    fn correct_order(&mut self, request_end: Timestamp, end: MessageEnd) {
        let Some(response) = &self.exchange.response else {
            return;
        };
        let started_at = response.message.started_at;
        if request_end < started_at && end == MessageEnd::Complete {
            self.exchange
                .anomalies
                .retain(|a| *a != Anomaly::EarlyResponse);
        } else if self.late && request_end > started_at {
            self.odd([Anomaly::EarlyResponse]);
        }
    }

    fn message(&mut self, dir: Direction) -> Option<&mut Message> {
        match dir {
            Direction::ClientToServer => self.exchange.request.as_mut().map(|r| &mut r.message),
            Direction::ServerToClient => self.exchange.response.as_mut().map(|r| &mut r.message),
        }
    }
}

/// How many bytes of a body there should be room for, where `len` are to be kept: for what is
/// announced, but for no more than a few times what came.
fn room_for(body: &Body, len: usize) -> usize {
    match body.framing {
        Framing::Length(length) => usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(len.saturating_mul(4)),
        _ if body.kept.is_empty() => len,
        _ => len.saturating_mul(2),
    }
}
