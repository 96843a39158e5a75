//! Calls the stages in order: records in, cases out. No I/O, no clock.

mod desk;
mod losses;
mod settling;

use std::collections::VecDeque;

use crate::client;
use crate::decode::{Decoded, Decoder, Segment};
use crate::http::body;
use crate::limits::Limits;
use crate::model::{Case, Exchange, Health, Timestamp};
use crate::ports::Ports;
use crate::process::{Owners, SentBetween, SocketEnd};
use crate::reassembly::Reassembler;
use crate::select::Selection;
use crate::source::{Frame, Record};
use crate::trail::Trails;

use desk::{Conversation, Desk};
use losses::Losses;
use settling::{Settled, Settling};

/// What a session is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The bounds.
    pub limits: Limits,
    /// The ports that are looked at; `None` for all.
    pub ports: Option<Ports>,
    /// Which exchanges are reported.
    pub selection: Selection,
    /// Whether an output wants the packets of the reported connections.
    pub keep_packets: bool,
}

/// From records to cases. Feed it with [`push`](Self::push), take cases with
/// [`next_case`](Self::next_case), and call [`finish`](Self::finish) when the source is done.
///
/// The same records give the same cases, whether they come from the kernel or from a file: the
/// only time it knows is that of the records.
#[derive(Debug)]
pub struct Pipeline {
    options: Options,
    decoder: Decoder,
    connections: Reassembler<Conversation>,
    desk: Desk,
    trails: Option<Trails>,
    settling: Settling,
    owners: Owners,
    losses: Losses,
    health: Health,
    cases: VecDeque<Case>,
    now: Timestamp,
}

impl Pipeline {
    /// A pipeline that has seen nothing.
    pub fn new(options: Options) -> Self {
        Self {
            decoder: Decoder::new(),
            connections: Reassembler::new(options.limits.clone()),
            desk: Desk::default(),
            trails: options.keep_packets.then(|| Trails::new(&options.limits)),
            settling: Settling::new(options.limits.settle),
            owners: Owners::new(options.limits.owners),
            losses: Losses::default(),
            health: Health::default(),
            cases: VecDeque::new(),
            now: Timestamp::default(),
            options,
        }
    }

    /// Takes in one record.
    pub fn push(&mut self, record: Record<'_>) {
        match record {
            Record::Packet(frame) => self.packet(&frame),
            Record::Owner(owner) => self.owners.learn(owner),
            Record::Watching { .. } | Record::Talk(_) => {}
            Record::Lost { count, place } => {
                self.health.add_lost(place, count);
                self.losses.add(self.now, count);
            }
            Record::Missing(probe) => self.health.missing.push(probe),
            Record::Tick { at } => self.tick(at),
        }
    }

    /// The source is done: everything that is still under way is over.
    pub fn finish(&mut self) {
        let Self {
            connections,
            options,
            desk,
            health,
            ..
        } = self;
        connections.finish(&mut |connection, conversation, event| {
            desk.event(options, health, connection, conversation, event);
        });
        self.clear_desk();
        while let Some(settled) = self.settling.pop() {
            self.case(settled);
        }
    }

    /// The next case, in the order in which they were settled.
    pub fn next_case(&mut self) -> Option<Case> {
        self.cases.pop_front()
    }

    /// How well the session could see so far.
    pub fn health(&self) -> Health {
        let stats = self.connections.stats();
        Health {
            connections: stats.connections,
            started_in_middle: stats.started_in_middle,
            duplicates: stats.duplicates,
            gaps: stats.gaps,
            gap_bytes: stats.gap_bytes,
            evicted_connections: stats.evicted_connections,
            evicted_memory: stats.evicted_memory,
            evicted_bytes: stats.evicted_bytes,
            evicted_packets: self.trails.as_ref().map_or(0, Trails::evicted),
            ..self.health.clone()
        }
    }

    fn packet(&mut self, frame: &Frame<'_>) {
        let Self {
            decoder,
            connections,
            options,
            desk,
            health,
            trails,
            ..
        } = self;
        health.packets += 1;
        health.bytes += frame.data.len() as u64;
        health.first_at = Some(
            health
                .first_at
                .map_or(frame.at, |first| first.min(frame.at)),
        );
        health.last_at = health.last_at.max(Some(frame.at));
        let segment = match decoder.decode(frame) {
            Decoded::Tcp(segment) => segment,
            Decoded::Fragment => return,
            Decoded::NotTcp => {
                health.not_tcp += 1;
                return;
            }
            Decoded::Malformed => {
                health.malformed += 1;
                return;
            }
        };
        if !is_traced(options.ports.as_ref(), &segment) {
            return;
        }
        health.cut += u64::from(segment.cut > 0);
        let place = connections.push(&segment, &mut |connection, conversation, event| {
            desk.event(options, health, connection, conversation, event);
        });
        if let (Some(trails), Some((conn, direction))) = (trails, place) {
            trails.keep(conn, direction, frame);
        }
        self.clear_desk();
        self.pass_time(frame.at);
    }

    fn tick(&mut self, at: Timestamp) {
        let Self {
            connections,
            options,
            desk,
            health,
            ..
        } = self;
        connections.tick(at, &mut |connection, conversation, event| {
            desk.event(options, health, connection, conversation, event);
        });
        self.clear_desk();
        self.pass_time(at);
    }

    /// Moves on what the callbacks of the stages left on the desk.
    fn clear_desk(&mut self) {
        let Self {
            desk,
            settling,
            trails,
            now,
            ..
        } = self;
        for exchange in desk.selected.drain(..) {
            let packets = trails
                .as_mut()
                .map(|t| t.take(exchange.conn))
                .unwrap_or_default();
            settling.add(exchange, packets, *now);
        }
        for (number, message, at) in desk.followed.drain(..) {
            settling.followed(number, message, at);
        }
        for conn in desk.closed.drain(..) {
            if let Some(trails) = trails {
                trails.forget(conn);
            }
        }
    }

    fn pass_time(&mut self, at: Timestamp) {
        // Files put one behind the other can step back by hours; a deadline of the later file
        // would keep the cases of the earlier one waiting.
        let stepped_back = self.now.since(at) > self.options.limits.settle;
        self.now = if stepped_back { at } else { self.now.max(at) };
        while let Some(settled) = match stepped_back {
            true => self.settling.pop(),
            false => self.settling.pop_due(self.now),
        } {
            self.case(settled);
        }
    }

    fn case(&mut self, settled: Settled) {
        let Settled {
            mut exchange,
            packets,
            request_until,
            response_until,
        } = settled;
        self.name_owners(&mut exchange, request_until, response_until);
        exchange.client_addresses = client::addresses(&exchange, exchange.proxy_client);
        if !self.options.selection.matches(&exchange) {
            return;
        }
        decode_bodies(&mut exchange, &self.options.limits);
        self.health.cases += 1;
        self.cases.push_back(Case {
            lost_meanwhile: self.losses.since(exchange.started_at()),
            packets,
            ..Case::of(self.health.cases, exchange)
        });
    }

    fn name_owners(
        &mut self,
        exchange: &mut Exchange,
        request_until: Timestamp,
        response_until: Timestamp,
    ) {
        let (client, server) = (&exchange.client, &exchange.server);
        let asked = exchange.request.as_ref().map(|r| r.message.started_at);
        let answered = exchange.response.as_ref().map(|r| r.message.started_at);
        let client_end = SocketEnd {
            cookie: client.cookie,
            local: client.addr,
            remote: server.addr,
        };
        let server_end = SocketEnd {
            cookie: server.cookie,
            local: server.addr,
            remote: client.addr,
        };
        let request = SentBetween {
            from: asked.or(answered).unwrap_or(request_until),
            until: request_until,
        };
        let response = SentBetween {
            from: answered.unwrap_or(response_until),
            until: response_until,
        };
        exchange.client.owner = self.owners.sender(client_end, request);
        exchange.server.owner = self.owners.sender(server_end, response);
    }
}

fn is_traced(ports: Option<&Ports>, segment: &Segment<'_>) -> bool {
    ports.is_none_or(|ports| {
        ports.contains(segment.src.port()) || ports.contains(segment.dst.port())
    })
}

fn decode_bodies(exchange: &mut Exchange, limits: &Limits) {
    let Exchange {
        request,
        response,
        anomalies,
        ..
    } = exchange;
    let request = request.iter_mut().map(|r| &mut r.message);
    let response = response.iter_mut().map(|r| &mut r.message);
    for message in request.chain(response) {
        if let Some(anomaly) = body::decode_message(message, limits.body_decoded)
            && !anomalies.contains(&anomaly)
        {
            anomalies.push(anomaly);
        }
    }
}

#[cfg(test)]
mod tests;
