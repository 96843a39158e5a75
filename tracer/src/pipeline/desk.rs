//! What happens on a connection: its chunks through HTTP and pairing, and what comes out of that.

use std::net::{IpAddr, SocketAddr};

use crate::http::{Http, Part, Protocol};
use crate::model::{ConnId, Direction, Exchange, Health, Timestamp, Unread};
use crate::pair::Pairing;
use crate::reassembly::{Chunk, Connection, Event, Flow, Piece};

use super::Options;
use super::told::Opaque;

/// What is kept of a connection after reassembly.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    http: Http,
    pairing: Pairing,
    last: LastSelected,
    /// Its addresses were noted.
    is_noted: bool,
    /// A message was read from it.
    speaks_http: bool,
    /// Bytes on it were noted as unreadable.
    is_opaque: bool,
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
    /// Addresses of the ends of new connections: who asks, and who serves.
    pub(super) opened: Vec<(IpAddr, IpAddr)>,
    /// Exchanges that are over.
    pub(super) over: Vec<Over>,
    /// Bytes that a client sent on connections that cannot be read.
    pub(super) opaque: Vec<Opaque>,
    /// The clients' ends of connections that can be read after all.
    pub(super) readable: Vec<(SocketAddr, u64)>,
    /// A message of the exchange with this number was followed by another one at this time.
    pub(super) followed: Vec<(u64, Direction, Timestamp)>,
    /// Connections that are over.
    pub(super) closed: Vec<ConnId>,
    /// How many exchanges were ever selected: the number of the next one.
    selected_count: u64,
}

/// An exchange that is over.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) exchange: Exchange,
    /// Whether the filter lets it pass, as far as the wire tells.
    pub(super) is_selected: bool,
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
            is_noted,
            speaks_http,
            is_opaque,
        } = conversation;
        if !std::mem::replace(is_noted, true) {
            let (client, server) = (connection.client.ip(), connection.server.ip());
            self.opened.push((client, server));
        }
        let limits = &options.limits;
        match event {
            Event::Chunk(chunk) => {
                http.push(&chunk, limits, &mut |at, direction, part| {
                    count(health, &part);
                    *speaks_http |= matches!(part, Part::Request(_) | Part::Response(_));
                    self.note_successor(last, at, &part);
                    pairing.push(connection, at, direction, part, limits, &mut |exchange| {
                        self.exchange(options, health, exchange, last);
                    });
                });
                let switched = http.switched();
                if switched.is_some() || !*speaks_http {
                    *is_opaque = true;
                    self.note_opaque(connection, switched, &chunk);
                } else if std::mem::take(is_opaque) {
                    // The first half of a head had looked like nothing.
                    self.readable
                        .push((connection.client, connection.client_cookie));
                }
            }
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

    /// A client that talks on a connection which cannot be read may be a proxy that passes a
    /// request on.
    fn note_opaque(
        &mut self,
        connection: &Connection,
        switched: Option<Protocol>,
        chunk: &Chunk<'_>,
    ) {
        let why = match switched {
            Some(Protocol::Tls) => Unread::Tls,
            Some(Protocol::Http2) => Unread::Http2,
            Some(Protocol::Unknown) | None => Unread::Unrecognised,
            Some(Protocol::Upgraded | Protocol::Tunnel) => return,
        };
        if chunk.dir == Direction::ClientToServer && matches!(chunk.piece, Piece::Data(_)) {
            self.opaque.push(Opaque {
                at: chunk.at,
                until: chunk.at,
                client: (connection.client, connection.client_cookie),
                server: connection.server,
                why,
            });
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
        let is_selected = options.selection.matches_wire(&exchange);
        if is_selected {
            let number = Some(self.selected_count);
            *last = LastSelected {
                request: number,
                response: number,
            };
            self.selected_count += 1;
        }
        self.over.push(Over {
            exchange,
            is_selected,
        });
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
