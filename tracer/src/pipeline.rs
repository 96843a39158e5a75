//! Calls the stages in order: records in, cases out. No I/O, no clock.

use std::collections::VecDeque;

use crate::client;
use crate::decode::{Decoded, Decoder, Segment};
use crate::http::{Http, Part, Protocol, body};
use crate::limits::Limits;
use crate::model::{Case, ConnId, Exchange, Health, Packet, Timestamp};
use crate::pair::Pairing;
use crate::ports::Ports;
use crate::process::{Owners, SentBetween, SocketEnd};
use crate::reassembly::{Connection, Event, Flow, Reassembler};
use crate::select::Selection;
use crate::source::{Frame, Record};
use crate::trail::Trails;

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
    owners: Owners,
    trails: Option<Trails>,
    desk: Desk,
    settling: VecDeque<Settling>,
    /// Number of the first entry of `settling`.
    settled: u64,
    cases: VecDeque<Case>,
    losses: Losses,
    health: Health,
    now: Timestamp,
}

/// What is kept of a connection after reassembly.
#[derive(Debug, Default)]
struct Conversation {
    http: Http,
    pairing: Pairing,
    /// Number of the last exchange that waits in `settling` for its successor's first byte.
    last_selected: Option<u64>,
}

impl Flow for Conversation {
    fn memory(&self) -> usize {
        self.http.memory() + self.pairing.memory()
    }

    fn wakes_at(&self) -> Option<Timestamp> {
        self.pairing.deadline()
    }
}

/// Where the callbacks of the stages put their results.
#[derive(Debug, Default)]
struct Desk {
    selected: Vec<Exchange>,
    /// How many exchanges were ever selected.
    selected_count: u64,
    /// The exchange with this number was followed by another one at this time.
    followed: Vec<(u64, Timestamp)>,
    closed: Vec<ConnId>,
}

/// An exchange that waits until what the host has to say of it is there.
#[derive(Debug)]
struct Settling {
    due: Timestamp,
    exchange: Exchange,
    packets: Vec<Packet>,
    /// When the next exchange on its connection began: what is learned of the socket after that
    /// is not about this exchange.
    followed_at: Option<Timestamp>,
}

impl Pipeline {
    /// A pipeline that has seen nothing.
    pub fn new(options: Options) -> Self {
        Self {
            decoder: Decoder::new(),
            connections: Reassembler::new(options.limits.clone()),
            owners: Owners::new(options.limits.owners),
            trails: options.keep_packets.then(|| Trails::new(&options.limits)),
            desk: Desk::default(),
            settling: VecDeque::new(),
            settled: 0,
            cases: VecDeque::new(),
            losses: Losses::default(),
            health: Health::default(),
            now: Timestamp::default(),
            options,
        }
    }

    /// Takes in one record.
    pub fn push(&mut self, record: Record<'_>) {
        match record {
            Record::Packet(frame) => self.packet(&frame),
            Record::Owner(owner) => self.owners.learn(owner),
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
        let now = self.now;
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
        self.settle(None);
        self.now = now;
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
        health.first_at = health
            .first_at
            .map_or(Some(frame.at), |at| Some(at.min(frame.at)));
        health.last_at = health.last_at.max(Some(frame.at));
        health.packets += 1;
        health.bytes += frame.data.len() as u64;
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
        if segment.cut > 0 {
            health.cut += 1;
        }
        self.now = self.now.max(frame.at);
        let place = connections.push(&segment, &mut |connection, conversation, event| {
            desk.event(options, health, connection, conversation, event);
        });
        if let (Some(trails), Some((conn, direction))) = (trails, place) {
            trails.keep(conn, direction, frame);
        }
        self.after_input();
    }

    fn tick(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        self.after_input();
    }

    /// What follows from the input that was taken in, and from the time that has passed with it.
    fn after_input(&mut self) {
        let Self {
            connections,
            options,
            desk,
            health,
            now,
            ..
        } = self;
        connections.tick(*now, &mut |connection, conversation, event| {
            desk.event(options, health, connection, conversation, event);
        });
        self.clear_desk();
        self.settle(Some(self.now));
    }

    fn clear_desk(&mut self) {
        let Self {
            desk,
            settling,
            settled,
            trails,
            options,
            now,
            ..
        } = self;
        for exchange in desk.selected.drain(..) {
            let packets = trails
                .as_mut()
                .map(|t| t.take(exchange.conn))
                .unwrap_or_default();
            let due = now.plus(options.limits.settle);
            settling.push_back(Settling {
                due,
                exchange,
                packets,
                followed_at: None,
            });
        }
        for (number, at) in desk.followed.drain(..) {
            let index = number
                .checked_sub(*settled)
                .and_then(|i| usize::try_from(i).ok());
            if let Some(entry) = index.and_then(|i| settling.get_mut(i)) {
                entry.followed_at = Some(at);
            }
        }
        for conn in desk.closed.drain(..) {
            if let Some(trails) = trails {
                trails.forget(conn);
            }
        }
    }

    /// Releases what has waited long enough by `now`; everything where there is no more time.
    fn settle(&mut self, now: Option<Timestamp>) {
        let is_due = |entry: &mut Settling| now.is_none_or(|now| entry.due <= now);
        while let Some(entry) = self.settling.pop_front_if(is_due) {
            self.settled += 1;
            self.case(entry);
        }
    }

    fn case(&mut self, entry: Settling) {
        let Settling {
            due,
            mut exchange,
            packets,
            followed_at,
        } = entry;
        let until = followed_at.unwrap_or(due);
        self.name_owners(&mut exchange, until);
        exchange.client_addresses = client::addresses(&exchange, exchange.proxy_client);
        if !self.options.selection.matches(&exchange) {
            return;
        }
        decode_bodies(&mut exchange, &self.options.limits);
        self.health.cases += 1;
        self.cases.push_back(Case {
            number: self.health.cases,
            lost_meanwhile: self.losses.since(exchange.started_at()),
            exchange,
            packets,
        });
    }

    fn name_owners(&mut self, exchange: &mut Exchange, until: Timestamp) {
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
            from: asked.or(answered).unwrap_or(until),
            until: answered.filter(|_| asked.is_some()).unwrap_or(until),
        };
        let response = SentBetween {
            from: answered.unwrap_or(until),
            until,
        };
        exchange.client.owner = self.owners.sender(client_end, request);
        exchange.server.owner = self.owners.sender(server_end, response);
    }
}

impl Desk {
    fn event(
        &mut self,
        options: &Options,
        health: &mut Health,
        connection: &Connection,
        conversation: &mut Conversation,
        event: Event<'_>,
    ) {
        match event {
            Event::Chunk(chunk) => {
                let Conversation {
                    http,
                    pairing,
                    last_selected,
                    ..
                } = conversation;
                http.push(&chunk, &options.limits, &mut |at, direction, part| {
                    count(health, &part);
                    if matches!(part, Part::Request(_) | Part::Response(_))
                        && let Some(number) = last_selected.take()
                    {
                        self.followed.push((number, at));
                    }
                    pairing.push(
                        connection,
                        at,
                        direction,
                        part,
                        &options.limits,
                        &mut |exchange| {
                            self.exchange(options, health, exchange, last_selected);
                        },
                    );
                });
            }
            Event::Woken { at } => {
                let Conversation {
                    pairing,
                    last_selected,
                    ..
                } = conversation;
                pairing.expire(connection, at, &options.limits, &mut |exchange| {
                    self.exchange(options, health, exchange, last_selected);
                });
            }
            Event::Closed { at } => {
                let Conversation {
                    pairing,
                    last_selected,
                    ..
                } = conversation;
                pairing.close(connection, at, &options.limits, &mut |exchange| {
                    self.exchange(options, health, exchange, last_selected);
                });
                self.closed.push(connection.id);
            }
        }
    }

    fn exchange(
        &mut self,
        options: &Options,
        health: &mut Health,
        exchange: Exchange,
        last_selected: &mut Option<u64>,
    ) {
        health.exchanges += 1;
        if options.selection.matches_wire(&exchange) {
            *last_selected = Some(self.selected_count);
            self.selected_count += 1;
            self.selected.push(exchange);
        }
    }
}

fn is_traced(ports: Option<&Ports>, segment: &Segment<'_>) -> bool {
    ports.is_none_or(|ports| {
        ports.contains(segment.src.port()) || ports.contains(segment.dst.port())
    })
}

fn count(health: &mut Health, part: &Part<'_>) {
    match part {
        Part::Request(_) => health.requests += 1,
        Part::Response(response) if response.status >= 200 || response.status == 101 => {
            health.responses += 1;
        }
        Part::Switched(Protocol::Http2) => health.http2 += 1,
        Part::Switched(Protocol::Tls) => health.tls += 1,
        Part::Switched(Protocol::Upgraded | Protocol::Tunnel) => health.tunnels += 1,
        Part::Switched(Protocol::Unknown) => health.not_http += 1,
        _ => {}
    }
}

fn decode_bodies(exchange: &mut Exchange, limits: &Limits) {
    let Exchange {
        request,
        response,
        anomalies,
        ..
    } = exchange;
    let messages = request
        .iter_mut()
        .map(|r| &mut r.message)
        .chain(response.iter_mut().map(|r| &mut r.message));
    for message in messages {
        if let Some(anomaly) = body::decode_message(message, limits.body_decoded)
            && !anomalies.contains(&anomaly)
        {
            anomalies.push(anomaly);
        }
    }
}

/// When records were lost, so that a case can say whether any were while it was under way.
#[derive(Debug, Default)]
struct Losses {
    /// Time and count of each report, oldest first.
    reports: VecDeque<(Timestamp, u64)>,
}

impl Losses {
    /// Reports kept; a case is never older than the idle limit, and reports come ten times a
    /// second at most.
    const KEPT: usize = 4096;

    fn add(&mut self, at: Timestamp, count: u64) {
        if self.reports.len() == Self::KEPT {
            // Merged, not forgotten: the oldest report then stands for all before it.
            if let (Some(oldest), Some(next)) = (self.reports.pop_front(), self.reports.front_mut())
            {
                next.1 = next.1.saturating_add(oldest.1);
            }
        }
        self.reports.push_back((at, count));
    }

    /// Records lost since `from`, as far as they were reported.
    fn since(&self, from: Timestamp) -> u64 {
        self.reports
            .iter()
            .rev()
            .take_while(|(at, _)| *at >= from)
            .map(|(_, count)| count)
            .sum()
    }
}
