//! What happens on a connection: its chunks through HTTP and pairing, and what comes out of that.

use crate::http::{Http, Part, Protocol};
use crate::model::{ConnId, Direction, Exchange, Health, Timestamp};
use crate::pair::Pairing;
use crate::reassembly::{Connection, Event, Flow};

use super::Options;

/// What is kept of a connection after reassembly.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    http: Http,
    pairing: Pairing,
    last: LastSelected,
}

/// The number of the connection's last selected exchange, until the next message of the same
/// direction shows from when on what is learned of its sender is not about this exchange.
#[derive(Debug, Default)]
struct LastSelected {
    request: Option<u64>,
    response: Option<u64>,
}

impl Flow for Conversation {
    fn memory(&self) -> usize {
        self.http.memory() + self.pairing.memory()
    }

    fn wakes_at(&self) -> Option<Timestamp> {
        self.pairing.deadline()
    }
}

/// Where the callbacks of the stages put their results, for the pipeline to move on.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Exchanges that the filter lets pass, as far as the wire tells.
    pub(super) selected: Vec<Exchange>,
    /// A message of the exchange with this number was followed by another one at this time.
    pub(super) followed: Vec<(u64, Direction, Timestamp)>,
    /// Connections that are over.
    pub(super) closed: Vec<ConnId>,
    /// How many exchanges were ever selected: the number of the next one.
    selected_count: u64,
}

impl Desk {
    /// Works on one event of one connection.
    pub(super) fn event(
        &mut self,
        options: &Options,
        health: &mut Health,
        connection: &Connection,
        conversation: &mut Conversation,
        event: Event<'_>,
    ) {
        let Conversation {
            http,
            pairing,
            last,
        } = conversation;
        let limits = &options.limits;
        match event {
            Event::Chunk(chunk) => http.push(&chunk, limits, &mut |at, direction, part| {
                count(health, &part);
                self.note_successor(last, at, &part);
                pairing.push(connection, at, direction, part, limits, &mut |exchange| {
                    self.exchange(options, health, exchange, last);
                });
            }),
            Event::Woken { at } => pairing.expire(connection, at, limits, &mut |exchange| {
                self.exchange(options, health, exchange, last);
            }),
            Event::Closed { at } => {
                pairing.close(connection, at, limits, &mut |exchange| {
                    self.exchange(options, health, exchange, last);
                });
                self.closed.push(connection.id);
            }
        }
    }

    fn note_successor(&mut self, last: &mut LastSelected, at: Timestamp, part: &Part<'_>) {
        let (number, direction) = match part {
            Part::Request(_) => (last.request.take(), Direction::ClientToServer),
            Part::Response(_) => (last.response.take(), Direction::ServerToClient),
            _ => return,
        };
        self.followed
            .extend(number.map(|number| (number, direction, at)));
    }

    fn exchange(
        &mut self,
        options: &Options,
        health: &mut Health,
        exchange: Exchange,
        last: &mut LastSelected,
    ) {
        health.exchanges += 1;
        if options.selection.matches_wire(&exchange) {
            let number = Some(self.selected_count);
            *last = LastSelected {
                request: number,
                response: number,
            };
            self.selected_count += 1;
            self.selected.push(exchange);
        }
    }
}

fn count(health: &mut Health, part: &Part<'_>) {
    match part {
        Part::Request(_) => health.requests += 1,
        Part::Response(response) if !response.message.is_interim() => health.responses += 1,
        Part::Switched(Protocol::Http2) => health.http2 += 1,
        Part::Switched(Protocol::Tls) => health.tls += 1,
        Part::Switched(Protocol::Upgraded | Protocol::Tunnel) => health.tunnels += 1,
        Part::Switched(Protocol::Unknown) => health.not_http += 1,
        _ => {}
    }
}
