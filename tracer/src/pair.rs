//! Messages become exchanges.
//!
//! Which response answers which request is the parser's knowledge (see
//! [`Placed`]); here the parts are put together, and every exchange is handed out once:
//! when both of its messages are over, or when the rest of it is not worth waiting for.

mod under_way;

use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;

use crate::http::{Part, Placed};
use crate::limits::Limits;
use crate::model::{
    Anomaly, Direction, Endpoint, Exchange, GapKind, MessageEnd, Request, Response, Timestamp,
};
use crate::reassembly::Connection;

use under_way::UnderWay;

/// How many exchanges are looked at for one that can go.
const OLDEST: usize = 16;

/// The exchanges under way on one connection.
#[derive(Debug, Default)]
pub struct Pairing {
    /// In the order of their places.
    under_way: VecDeque<UnderWay>,
    /// The exchange whose request is being sent.
    requesting: Option<u64>,
    /// The exchange whose final response is being sent.
    responding: Option<u64>,
    /// What was odd before the next request, and before the next response.
    pending: (Vec<Anomaly>, Vec<Anomaly>),
    proxy_client: Option<SocketAddr>,
    /// Bytes from the client may be missing: a response may have had a request.
    requests_missing: bool,
    /// Bytes from the server may be missing: a request may have had a response.
    responses_missing: bool,
    /// The first of the deadlines.
    deadline: Option<Timestamp>,
    memory: usize,
}

impl Pairing {
    /// Takes in a part and hands every exchange that is over to `sink`.
    pub fn push(
        &mut self,
        conn: &Connection,
        at: Timestamp,
        dir: Direction,
        part: Part<'_>,
        limits: &Limits,
        sink: &mut dyn FnMut(Exchange),
    ) {
        self.expire(conn, at, limits, sink);
        match part {
            Part::Request(request) => self.request(conn, request, limits, sink),
            Part::Response(response) => self.response(conn, response, limits, sink),
            Part::Body(data) => {
                let kept = self
                    .current(dir)
                    .map_or(0, |e| e.body(dir, data, limits.body_kept));
                self.memory += kept;
            }
            Part::BodyGap { len, kind } => {
                if let Some(exchange) = self.current(dir) {
                    exchange.body_gap(dir, len, kind);
                }
            }
            Part::Trailers(trailers) => {
                let size = trailers.raw.len();
                if let Some(exchange) = self.current(dir) {
                    exchange.trailers(dir, trailers);
                    self.memory += size;
                }
            }
            Part::End(end) => self.end(conn, at, dir, end, limits, sink),
            Part::Odd(anomaly) => self.odd(dir, anomaly),
            Part::ProxyClient(client) => self.proxy_client = Some(client),
            Part::Switched(_) => self.close(conn, at, limits, sink),
        }
    }

    /// The connection is over: hands out what was still under way.
    pub fn close(
        &mut self,
        conn: &Connection,
        _at: Timestamp,
        _limits: &Limits,
        sink: &mut dyn FnMut(Exchange),
    ) {
        while let Some(exchange) = self.under_way.pop_front() {
            self.hand_out(conn, exchange, sink);
        }
        self.requesting = None;
        self.responding = None;
        self.deadline = None;
        self.memory = 0;
    }

    /// Hands out the exchanges that have waited long enough, see [`Limits::settle`].
    pub fn expire(
        &mut self,
        conn: &Connection,
        now: Timestamp,
        _limits: &Limits,
        sink: &mut dyn FnMut(Exchange),
    ) {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        let due = |e: &UnderWay| e.deadline.is_some_and(|deadline| deadline <= now);
        while let Some(at) = self.under_way.iter().position(due) {
            self.take_out(conn, at, sink);
        }
        self.deadline = self.under_way.iter().filter_map(|e| e.deadline).min();
    }

    /// Whether no exchange is under way, and nothing odd waits for the next one.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.pending.0.is_empty() && self.pending.1.is_empty()
    }

    /// When [`expire`](Self::expire) has something to do.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Bytes it holds.
    pub fn memory(&self) -> usize {
        self.memory + self.under_way.capacity() * size_of::<UnderWay>()
    }

    fn request(
        &mut self,
        conn: &Connection,
        Placed { exchange, message }: Placed<Request>,
        limits: &Limits,
        sink: &mut dyn FnMut(Exchange),
    ) {
        self.memory += message.message.head.raw.len();
        self.requesting = Some(exchange);
        let odd = mem::take(&mut self.pending.0);
        let entry = self.entry(conn, exchange);
        entry.set_request(message);
        entry.odd(odd);
        self.bound(conn, limits, sink);
    }

    fn response(
        &mut self,
        conn: &Connection,
        Placed { exchange, message }: Placed<Response>,
        limits: &Limits,
        sink: &mut dyn FnMut(Exchange),
    ) {
        // A next response shows that the server is done with the exchanges before.
        let answered = |e: &UnderWay| e.number < exchange && e.is_answered_early();
        while let Some(at) = self.under_way.iter().take(1).position(answered) {
            self.take_out(conn, at, sink);
        }
        let odd = mem::take(&mut self.pending.1);
        let size = message.message.head.raw.len();
        let interim = message.is_interim();
        let entry = self.entry(conn, exchange);
        entry.odd(odd);
        if !interim {
            entry.set_response(message);
            self.memory += size;
        } else if entry.exchange.interim.len() < limits.interim {
            entry.exchange.interim.push(*message);
            self.memory += size;
        }
        // Interim ones are over at once; what is odd about them is odd about their exchange.
        self.responding = Some(exchange);
    }

    fn end(
        &mut self,
        conn: &Connection,
        at: Timestamp,
        dir: Direction,
        end: MessageEnd,
        limits: &Limits,
        sink: &mut dyn FnMut(Exchange),
    ) {
        let current = match dir {
            Direction::ClientToServer => self.requesting.take(),
            Direction::ServerToClient => self.responding.take(),
        };
        let Some(index) = current.and_then(|number| self.find(number).ok()) else {
            return;
        };
        let Some(exchange) = self.under_way.get_mut(index) else {
            return;
        };
        exchange.end(dir, end, at);
        if exchange.is_over() {
            self.take_out(conn, index, sink);
        } else if exchange.response_over {
            let deadline = at.plus(limits.settle);
            exchange.deadline = Some(deadline);
            self.deadline = Some(self.deadline.map_or(deadline, |d| d.min(deadline)));
            self.bound(conn, limits, sink);
        }
    }

    fn odd(&mut self, dir: Direction, anomaly: Anomaly) {
        if anomaly == Anomaly::Gap {
            match dir {
                Direction::ClientToServer => self.requests_missing = true,
                Direction::ServerToClient => self.responses_missing = true,
            }
        }
        if let Some(exchange) = self.current(dir) {
            return exchange.odd([anomaly]);
        }
        let pending = match dir {
            Direction::ClientToServer => &mut self.pending.0,
            Direction::ServerToClient => &mut self.pending.1,
        };
        if !pending.contains(&anomaly) {
            pending.push(anomaly);
        }
    }

    /// More than `limits.pipeline` exchanges and the one that is being answered: the oldest goes
    /// that has its answer, or else the oldest.
    fn bound(&mut self, conn: &Connection, limits: &Limits, sink: &mut dyn FnMut(Exchange)) {
        if self.under_way.len() > limits.pipeline.saturating_add(1) {
            let mut oldest = self.under_way.iter().take(OLDEST);
            let answered = oldest.position(|e| e.response_over);
            self.take_out(conn, answered.unwrap_or(0), sink);
        }
    }

    fn current(&mut self, dir: Direction) -> Option<&mut UnderWay> {
        let number = match dir {
            Direction::ClientToServer => self.requesting,
            Direction::ServerToClient => self.responding,
        }?;
        let index = self.find(number).ok()?;
        self.under_way.get_mut(index)
    }

    fn find(&self, number: u64) -> Result<usize, usize> {
        self.under_way.binary_search_by_key(&number, |e| e.number)
    }

    /// The exchange of this number, a new one where there is none.
    fn entry(&mut self, conn: &Connection, number: u64) -> &mut UnderWay {
        let index = self.find(number).unwrap_or_else(|index| {
            if self.under_way.capacity() == 0 {
                // Most connections never have two at a time, and most wait between two.
                self.under_way.reserve_exact(1);
            }
            let exchange = empty(conn, number, self.proxy_client);
            self.under_way
                .insert(index, UnderWay::new(number, exchange));
            index
        });
        #[expect(clippy::indexing_slicing, reason = "found or inserted just now")]
        &mut self.under_way[index]
    }

    fn take_out(&mut self, conn: &Connection, index: usize, sink: &mut dyn FnMut(Exchange)) {
        if let Some(exchange) = self.under_way.remove(index) {
            self.memory = self.memory.saturating_sub(exchange.size());
            self.hand_out(conn, exchange, sink);
        }
        if self.under_way.is_empty() {
            self.deadline = None;
        }
    }

    fn hand_out(&mut self, conn: &Connection, under_way: UnderWay, sink: &mut dyn FnMut(Exchange)) {
        let mut exchange = under_way.exchange;
        // More can be known of an end than at its first bytes.
        (exchange.client, exchange.server) = ends(conn);
        let odd = &mut exchange.anomalies;
        // Bytes that are missing in one direction can be why nobody knows what those of the other
        // belong to.
        let is_missing = self.requests_missing || self.responses_missing;
        if exchange.request.is_none() {
            odd.push(match is_missing || conn.started_in_middle {
                true => Anomaly::RequestMissing,
                false => Anomaly::UnsolicitedResponse,
            });
        }
        if exchange.response.is_none() && is_missing && !odd.contains(&Anomaly::Gap) {
            odd.push(Anomaly::Gap);
        }
        if conn.started_in_middle && exchange.index == 0 {
            odd.push(Anomaly::StartsInMiddle);
        }
        if conn.conflict {
            odd.push(Anomaly::ConflictingOverlap);
        }
        sink(exchange);
    }
}

/// The ends of a connection, as far as they are known.
fn ends(conn: &Connection) -> (Endpoint, Endpoint) {
    let client = Endpoint {
        addr: conn.client,
        translated: conn.client_seen_as(),
        cookie: conn.client_cookie,
        owner: None,
    };
    let server = Endpoint {
        addr: conn.server,
        translated: conn.server_seen_as(),
        cookie: conn.server_cookie,
        owner: None,
    };
    (client, server)
}

fn empty(conn: &Connection, index: u64, proxy_client: Option<SocketAddr>) -> Exchange {
    let (client, server) = ends(conn);
    Exchange {
        conn: conn.id,
        index,
        client,
        server,
        request: None,
        interim: Vec::new(),
        response: None,
        anomalies: Vec::new(),
        proxy_client,
        client_addresses: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
