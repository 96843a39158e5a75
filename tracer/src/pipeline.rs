//! Calls the stages in order: records in, cases out. No I/O, no clock.

mod desk;
mod groups;
mod held;
mod judge;
mod link;
mod losses;
mod paces;
mod past;
mod preflights;
mod recent;
mod settling;
mod siblings;
mod told;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::client;
use crate::decode::{Decoded, Decoder, Segment};
use crate::evidence::fingerprint::Fingerprints;
use crate::limits::{Limits, PREFLIGHT_WAIT};
use crate::model::{Case, Exchange, Group, Health, Owner, Pace, Preflight, Timestamp, Verdict};
use crate::ports::Ports;
use crate::process::{Owners, SentBetween, SocketEnd};
use crate::reassembly::Reassembler;
use crate::select::Selection;
use crate::source::{Frame, Record};
use crate::trail::Trails;

use desk::{Around, Desk, Line, Over};
pub use groups::{Groups, Shape};
pub use judge::{Judge, Judged, Unjudged};
use losses::Losses;
use past::Past;
use settling::{Settled, Settling};
use siblings::Siblings;
use told::Told;
use waiting::{Wait, Waiting};

/// What a session is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The bounds.
    pub limits: Limits,
    /// The ports that are looked at; `None` for all.
    pub ports: Option<Ports>,
    /// Which exchanges are reported.
    pub selection: Selection,
    /// The marks by which products are told apart.
    pub fingerprints: Arc<Fingerprints>,
    /// Whether nobody wants evidence and verdicts.
    pub no_verdict: bool,
    /// Whether an output wants the packets of the reported connections.
    pub keep_packets: bool,
}

/// A sample of the requests that passed in a session.
#[derive(Debug)]
pub struct Baseline(Siblings);

/// From records to cases. Feed it with [`push`](Self::push), take cases with
/// [`next_case`](Self::next_case), and call [`finish`](Self::finish) when the source is done.
///
/// The same records give the same cases, whether they come from the kernel or from a file: the
/// only time it knows is that of the records.
#[derive(Debug)]
pub struct Pipeline {
    options: Options,
    decoder: Decoder,
    connections: Reassembler<Line>,
    desk: Desk,
    trails: Option<Trails>,
    settling: Settling,
    waiting: Waiting,
    owners: Owners,
    losses: Losses,
    past: Past,
    told: Told,
    /// When an exchange was last known to be left out in the kernel, by a report that comes well
    /// within `limits.settle`.
    left_out_until: Option<Timestamp>,
    health: Health,
    judge: Judge,
    groups: Groups,
    cases: VecDeque<Unjudged>,
    now: Timestamp,
    /// When the source before this one was done.
    source_ended_at: Option<Timestamp>,
    /// Whether the source leaves out exchanges that nobody asked for.
    is_selective: bool,
    /// The source tells the time: it is no file.
    is_live: bool,
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
            waiting: Waiting::default(),
            owners: Owners::new(options.limits.owners),
            losses: Losses::default(),
            past: Past::new(&options),
            told: Told::default(),
            left_out_until: None,
            judge: Judge::new(&options),
            groups: Groups::default(),
            health: Health::default(),
            cases: VecDeque::new(),
            now: Timestamp::default(),
            source_ended_at: None,
            is_selective: false,
            is_live: false,
            options,
        }
    }

    /// A pipeline that compares refused requests also with those that passed in another session, of the
    /// methods that were selected there.
    pub fn with_baseline(options: Options, baseline: Baseline) -> Self {
        let mut pipeline = Self::new(options);
        pipeline.past.siblings = baseline.0;
        pipeline
    }

    /// The requests that passed in this session.
    pub fn into_baseline(self) -> Baseline {
        Baseline(self.past.siblings)
    }

    /// Takes in one record.
    pub fn push(&mut self, record: Record<'_>) {
        match record {
            Record::Packet(frame) => self.packet(&frame),
            Record::Owner(owner) => self.owners.learn(owner),
            Record::Watching { at } => {
                self.told.watching_since.get_or_insert(at);
            }
            Record::Talk(talk) => self.told.talk(talk),
            Record::Around(around) => self.told.around(around),
            Record::Lost { count, place } => {
                self.health.add_lost(place, count);
                self.losses.add(self.now, count, place);
            }
            Record::Held { at, counts } => {
                let before = self.health.held.map_or(0, |held| held.let_go);
                if counts.let_go > before {
                    self.left_out_until = Some(at);
                }
                self.health.held = Some(counts);
            }
            Record::Missing(probe) => self.health.missing.push(probe),
            Record::Tick { at } => self.tick(at),
        }
    }

    /// Another source follows: what the one before told of this host holds no longer.
    pub fn next_source(&mut self) {
        self.told.watching_since = None;
        self.source_ended_at = Some(self.now);
        self.is_live = false;
    }

    /// The source leaves out exchanges that nobody asked for: one that is not seen may have been
    /// there.
    pub fn source_leaves_out(&mut self) {
        self.is_selective = true;
    }

    /// The source is done: everything that is still under way is over.
    pub fn finish(&mut self) {
        let Self {
            connections,
            options,
            desk,
            health,
            past,
            ..
        } = self;
        let mut around = Around {
            options,
            health,
            past,
        };
        connections.finish(&mut |connection, line, event| {
            desk.event(&mut around, connection, line, event);
        });
        self.clear_desk(self.now);
        self.hand_on_all();
    }

    /// The next case, in the order in which they were settled.
    pub fn next_case(&mut self) -> Option<Case> {
        let unjudged = self.next_unjudged()?;
        let Judged { mut case, shape } = self.judge.judge(unjudged);
        let at = case.exchange().started_at();
        case.group = self.groups.count(shape, case.number, at);
        Some(case)
    }

    /// The next case, to be judged by another [`Judge`] than the pipeline's own.
    pub fn next_unjudged(&mut self) -> Option<Unjudged> {
        self.cases.pop_front()
    }

    /// Whether cases come with their packets.
    pub const fn keeps_packets(&self) -> bool {
        self.options.keep_packets
    }

    /// How well the session could see so far.
    pub fn health(&self) -> Health {
        let stats = self.connections.stats();
        Health {
            connections: stats.connections - stats.joined,
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
            past,
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
        let decoded = decoder.decode(frame);
        let segment = match &decoded {
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
        if !is_traced(options.ports.as_ref(), segment) {
            return;
        }
        health.cut += u64::from(segment.cut > 0);
        let mut around = Around {
            options,
            health,
            past,
        };
        let place = connections.push(segment, &mut |connection, line, event| {
            desk.event(&mut around, connection, line, event);
        });
        if let (Some(trails), Some((conn, direction))) = (trails, place) {
            trails.keep(conn, direction, frame);
        }
        self.clear_desk(frame.at);
        self.pass_time(frame.at);
    }

    fn tick(&mut self, at: Timestamp) {
        self.is_live = true;
        let Self {
            connections,
            options,
            desk,
            health,
            past,
            ..
        } = self;
        let mut around = Around {
            options,
            health,
            past,
        };
        connections.tick(at, &mut |connection, line, event| {
            desk.event(&mut around, connection, line, event);
        });
        self.clear_desk(at);
        self.pass_time(at);
    }

    /// Moves on what the callbacks of the stages left on the desk.
    fn clear_desk(&mut self, at: Timestamp) {
        if self.desk.is_clear() {
            return;
        }
        let Self {
            desk,
            settling,
            trails,
            past,
            told,
            now,
            ..
        } = self;
        let Past {
            recent,
            siblings,
            paces,
            preflights,
        } = past;
        // First: the packets go with the exchanges.
        for (conn, into) in desk.joined.drain(..) {
            if let Some(trails) = trails {
                trails.join(conn, into);
            }
        }
        for over in desk.over.drain(..) {
            let Over {
                exchange,
                is_selected,
            } = over;
            let conn = exchange.conn;
            preflights.over(&exchange);
            let route = siblings.route(&exchange);
            let pace = route.map(|route| paces.count(&exchange, route, at));
            let sampled = route.filter(|route| siblings.wants_of(&exchange, *route, at));
            if !is_selected && sampled.is_none() {
                recent.add(exchange, at);
                continue;
            }
            recent.add_copy(&exchange, at);
            if is_selected {
                let packets = trails.as_mut().map(|t| t.take(conn)).unwrap_or_default();
                settling.add(exchange, pace.unwrap_or_default(), packets, *now);
            } else if let Some(route) = sampled {
                // With the handshake, where it is the first.
                let since = match exchange.index {
                    0 => Timestamp::default(),
                    _ => exchange.started_at(),
                };
                let packets = trails.as_ref().map(|t| t.copy(conn, since));
                siblings.add(exchange, route, at, packets.unwrap_or_default());
            }
        }
        for (number, message, at) in desk.followed.drain(..) {
            settling.followed(number, message, at);
        }
        for opaque in desk.opaque.drain(..) {
            told.opaque(opaque);
        }
        for client in desk.readable.drain(..) {
            told.readable(client);
        }
        for conn in desk.closed.drain(..) {
            if let Some(trails) = trails {
                trails.close(conn, at);
            }
        }
    }

    fn pass_time(&mut self, at: Timestamp) {
        // Files put one behind the other can step back by hours; a deadline of the later file
        // would keep the cases of the earlier one waiting. A live source does not step back; it hands
        // out a request that was held with the time at which it was sent.
        let stepped_back = !self.is_live && self.now.since(at) > self.options.limits.settle;
        if stepped_back {
            self.hand_on_all();
            self.now = at;
        } else {
            self.now = self.now.max(at);
            self.note_holes();
            while let Some(settled) = self.settling.pop_due(self.now) {
                self.tell_waiting(settled.due);
                self.case(settled);
            }
            self.tell_waiting(self.now);
        }
    }

    /// Hands on all that waits, however long it has waited.
    fn hand_on_all(&mut self) {
        while let Some(settled) = self.settling.pop() {
            self.tell_waiting(settled.due);
            self.case(settled);
        }
        while let Some(wait) = self.waiting.pop() {
            self.tell(wait);
        }
    }

    /// Tells the cases that have waited until `due`.
    fn tell_waiting(&mut self, due: Timestamp) {
        while let Some(wait) = self.waiting.pop_due(due) {
            self.tell(wait);
        }
    }

    /// Notes whether bytes are missing from what arrived.
    fn note_holes(&mut self) {
        let stats = self.connections.stats();
        let holes = stats.gaps
            + stats.implausible
            + stats.evicted_connections
            + stats.evicted_memory
            + self.health.cut
            + self.health.malformed;
        self.losses.holes(self.now, holes);
    }

    fn case(&mut self, settled: Settled) {
        let conn = settled.exchange.conn;
        let Settled {
            due,
            mut exchange,
            pace,
            packets,
            request_until,
            response_until,
        } = settled;
        name_owners(
            &mut self.owners,
            &mut exchange,
            request_until,
            response_until,
        );
        exchange.client_addresses = client::addresses(&exchange, exchange.proxy_client);
        if !self.options.selection.matches(&exchange) {
            return;
        }
        let Some(linked) = self.link(&exchange) else {
            // Its previous hop will be reported, and this one with it.
            if let Some(trails) = &mut self.trails {
                trails.give_back(conn, packets);
            }
            return;
        };
        let link::Linked {
            chain,
            lost_meanwhile,
            forgotten,
            mut told,
        } = linked;
        let route = self.past.siblings.route(&chain.reported.exchange);
        let (owners, settle, now) = (&mut self.owners, self.options.limits.settle, self.now);
        let name = |sibling: &Exchange| {
            let until = link::span(sibling).1.plus(settle);
            let ends = owners_of(owners, sibling, until, until);
            (ends, until <= now)
        };
        let reported = &chain.reported.exchange;
        let siblings = match self.options.no_verdict {
            true => Vec::new(),
            false => self.past.siblings.of(route, reported, name),
        };
        let mut packets = packets;
        if let Some(trails) = &mut self.trails {
            let conns = chain.exchanges().map(|e| e.conn).filter(|c| *c != conn);
            for conn in conns {
                packets.append(&mut trails.take(conn));
                packets.append(&mut self.settling.take_packets(conn));
            }
            packets.extend(self.past.siblings.take_packets(route));
            packets.sort_by_key(|p| p.at);
            packets.dedup();
            let siblings = siblings.iter().map(Arc::as_ref);
            let exchanges = chain.exchanges().chain(siblings);
            told.extend(link::talks(&self.told, exchanges, &packets));
        }
        // A file does not hold every request of this client: what was counted stands in it.
        let pace = match self.told.around_of(&chain.reported.exchange) {
            Some(around) => Pace {
                passed: pace.passed.max(around.passed),
                refused: pace.refused.max(around.refused),
                ..pace
            },
            None => pace,
        };
        let case = Case {
            number: 0,
            chain,
            siblings,
            pace,
            preflight: Preflight::NotSeen,
            packets,
            told,
            lost_meanwhile,
            evidence: Vec::new(),
            verdict: Verdict::default(),
            group: Group::default(),
        };
        let until = due.plus(PREFLIGHT_WAIT);
        let is_known = self.preflight(case.exchange(), until).is_some();
        let is_next = is_known && !self.waiting.shares(&case.chain);
        let wait = Wait {
            due: if is_known { due } else { until },
            until,
            unjudged: Unjudged { case, route },
            forgotten,
        };
        if is_next {
            self.tell(wait);
        } else {
            self.waiting.add(wait);
        }
    }

    fn tell(&mut self, wait: Wait) {
        let Wait {
            until,
            mut unjudged,
            forgotten,
            ..
        } = wait;
        let case = &mut unjudged.case;
        self.health.cases += 1;
        case.number = self.health.cases;
        let preflight = self.preflight(case.exchange(), until);
        case.preflight = preflight.unwrap_or(Preflight::Ended);
        let (pace, preflight) = (case.pace, case.preflight);
        let around = link::around(&case.chain, pace, preflight, forgotten);
        case.told.extend(around);
        self.cases.push_back(unjudged);
    }
}

fn name_owners(
    owners: &mut Owners,
    exchange: &mut Exchange,
    request_until: Timestamp,
    response_until: Timestamp,
) {
    let [client, server] = owners_of(owners, exchange, request_until, response_until);
    exchange.client.owner = client;
    exchange.server.owner = server;
}

/// The owners of the client's and the server's end.
fn owners_of(
    owners: &mut Owners,
    exchange: &Exchange,
    request_until: Timestamp,
    response_until: Timestamp,
) -> [Option<Owner>; 2] {
    let (client, server) = (&exchange.client, &exchange.server);
    let asked = exchange.request.as_ref().map(|r| r.message.started_at);
    let answered = exchange.response.as_ref().map(|r| r.message.started_at);
    let client_end = SocketEnd {
        cookie: client.cookie,
        local: client.addr,
        remote: server.seen_as(),
    };
    let server_end = SocketEnd {
        cookie: server.cookie,
        local: server.addr,
        remote: client.seen_as(),
    };
    let request = SentBetween {
        from: asked.or(answered).unwrap_or(request_until),
        until: request_until,
    };
    let response = SentBetween {
        from: answered.unwrap_or(response_until),
        until: response_until,
    };
    [
        owners.sender(client_end, request),
        owners.sender(server_end, response),
    ]
}

fn is_traced(ports: Option<&Ports>, segment: &Segment<'_>) -> bool {
    ports.is_none_or(|ports| {
        ports.contains(segment.src.port()) || ports.contains(segment.dst.port())
    })
}

#[cfg(test)]
mod tests;
