//! What happens on a connection: its chunks through HTTP and pairing, and what comes out of that.

use std::net::SocketAddr;
use std::time::Duration;

use crate::http::{Http, Part, Protocol, brief};
use crate::model::{ConnId, Direction, Exchange, Health, Timestamp, Unread};
use crate::pair::Pairing;
use crate::reassembly::{Chunk, Connection, Event, Flow, Piece};

use super::Options;
use super::held::{Held, Spare};
use super::past::Past;
use super::recent::Linkable;
use super::told::Opaque;

/// What is kept of a connection after reassembly.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Its addresses were noted.
    is_noted: bool,
    /// What is said on it, while there is anything to know: of the connections that are open at the
    /// same time nearly all may be silent, or all that they carry be let go in the kernel.
    conversation: Option<Box<Conversation>>,
}

/// What is said on a connection.
#[derive(Debug, Default)]
struct Conversation {
    http: Http,
    pairing: Pairing,
    held: Option<Held>,
    linkable: Linkable,
    last: LastSelected,
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

impl Conversation {
    /// Whether the next message begins a new exchange and has no say in the one before.
    fn is_idle(&self) -> bool {
        self.http.is_idle() && self.pairing.is_idle() && self.last.is_none() && !self.is_opaque
    }

    /// Bytes that it holds beside itself.
    fn memory(&self) -> usize {
        let held = self.held.as_ref().map_or(0, Held::memory);
        self.http.memory() + self.pairing.memory() + held
    }
}

impl LastSelected {
    fn is_none(&self) -> bool {
        self.request.is_none() && self.response.is_none()
    }
}

/// What an event is worked on with.
pub(super) struct Around<'a> {
    pub(super) options: &'a Options,
    pub(super) health: &'a mut Health,
    pub(super) past: &'a mut Past,
}

impl Flow for Line {
    fn memory(&self) -> usize {
        self.conversation.as_ref().map_or(0, |c| c.memory())
    }

    fn wakes_at(&self) -> Option<Timestamp> {
        self.conversation.as_ref()?.pairing.deadline()
    }
}

/// Where the callbacks of the stages put their results, for the pipeline to move on.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Exchanges that are over.
    pub(super) over: Vec<Over>,
    /// Bytes that a client sent on connections that cannot be read.
    pub(super) opaque: Vec<Opaque>,
    /// The clients' ends of connections that can be read after all.
    pub(super) readable: Vec<(SocketAddr, u64)>,
    /// A message of the exchange with this number was followed by another one at this time.
    pub(super) followed: Vec<(u64, Direction, Timestamp)>,
    /// Connections that turned out to be another one, with the number of that.
    pub(super) joined: Vec<(ConnId, ConnId)>,
    /// Connections that are over.
    pub(super) closed: Vec<ConnId>,
    /// How many exchanges were ever selected: the number of the next one.
    selected_count: u64,
    spare: Spare,
    /// Nothing is held, and so nothing is passed over: tests compare what comes of it.
    pub(super) reads_all: bool,
}

/// An exchange that is over.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) exchange: Exchange,
    /// Whether the filter lets it pass, as far as the wire tells.
    pub(super) is_selected: bool,
}

/// What was left out so that nobody else tells of it came no longer than this before.
const LEFT_OUT_WITHIN: Duration = Duration::from_millis(10);

impl Desk {
    /// Whether nothing lies there, as after nearly every packet.
    pub(super) fn is_clear(&self) -> bool {
        // All named, so that what is new is not forgotten.
        let Self {
            over,
            opaque,
            readable,
            followed,
            joined,
            closed,
            selected_count: _,
            spare: _,
            reads_all: _,
        } = self;
        over.is_empty()
            && opaque.is_empty()
            && readable.is_empty()
            && followed.is_empty()
            && joined.is_empty()
            && closed.is_empty()
    }

    /// Works on one event of one connection.
    pub(super) fn event(
        &mut self,
        around: &mut Around<'_>,
        connection: &Connection,
        line: &mut Line,
        event: Event<'_>,
    ) {
        let is_joined = matches!(event, Event::Joined { .. });
        if !std::mem::replace(&mut line.is_noted, true) || is_joined {
            let (client, server) = (connection.client.ip(), connection.server.ip());
            around.past.recent.connection(client, server);
        }
        if let Some(conversation) = &mut line.conversation
            && let Some(held) = conversation.held.take()
        {
            if let Event::Chunk(chunk) = &event
                && self.pass_over(around, connection, conversation, &held, chunk)
            {
                return held.let_go(&mut self.spare);
            }
            self.chunk(around, connection, conversation, &held.chunk());
            held.let_go(&mut self.spare);
        }
        let limits = &around.options.limits;
        match event {
            Event::Chunk(chunk) => {
                let conversation = line.conversation.get_or_insert_default();
                self.note_left_out(connection, &chunk);
                if !self.reads_all && conversation.is_idle() {
                    let past = &mut *around.past;
                    conversation.held =
                        Held::new(connection, &chunk, limits, past, &mut self.spare);
                }
                if conversation.held.is_none() {
                    self.chunk(around, connection, conversation, &chunk);
                }
            }
            Event::Woken { at } => {
                let Some(conversation) = &mut line.conversation else {
                    return;
                };
                let Conversation { pairing, last, .. } = &mut **conversation;
                pairing.expire(connection, at, limits, &mut |exchange| {
                    self.exchange(around.options, around.health, exchange, last);
                });
            }
            Event::Joined { other } => self.joined.push((other, connection.id)),
            Event::Closed { at } => {
                if let Some(mut conversation) = line.conversation.take() {
                    let Conversation { pairing, last, .. } = &mut *conversation;
                    pairing.close(connection, at, limits, &mut |exchange| {
                        self.exchange(around.options, around.health, exchange, last);
                    });
                }
                self.closed.push(connection.id);
            }
        }
    }

    /// Lets an exchange go by unread of which nobody wants to know more than that it was there.
    fn pass_over(
        &self,
        around: &mut Around<'_>,
        connection: &Connection,
        conversation: &mut Conversation,
        held: &Held,
        answer: &Chunk<'_>,
    ) -> bool {
        let (Piece::Data(data), Direction::ServerToClient) = (answer.piece, answer.dir) else {
            return false;
        };
        let Some(response) = brief::response(data, &around.options.limits) else {
            return false;
        };
        let (status, at) = (response.status, answer.at);
        let (past, linkable) = (&mut around.past, &mut conversation.linkable);
        if !around.options.selection.rules_out(status)
            || !past.is_content(connection, linkable, held.marks, status, at)
        {
            return false;
        }
        around.past.pass_over(held.marks, status, at);
        conversation.http.pass_over(held.at(), at, &response);
        conversation.speaks_http = true;
        around.health.requests += 1;
        around.health.responses += 1;
        around.health.exchanges += 1;
        true
    }

    /// Reads a chunk.
    fn chunk(
        &mut self,
        around: &mut Around<'_>,
        connection: &Connection,
        conversation: &mut Conversation,
        chunk: &Chunk<'_>,
    ) {
        let Around {
            options,
            health,
            past,
        } = around;
        let limits = &options.limits;
        let Conversation {
            http,
            pairing,
            last,
            speaks_http,
            is_opaque,
            ..
        } = conversation;
        http.push(chunk, limits, &mut |at, direction, part| {
            count(health, &part);
            *speaks_http |= matches!(part, Part::Request(_) | Part::Response(_));
            if let Part::Request(request) = &part {
                let peer = connection.client.ip();
                past.preflights.request(&request.message, peer);
            }
            self.note_successor(last, at, &part);
            pairing.push(connection, at, direction, part, limits, &mut |exchange| {
                self.exchange(options, health, exchange, last);
            });
        });
        let switched = http.switched();
        if switched.is_some() || !*speaks_http {
            *is_opaque = true;
            self.note_opaque(connection, switched, chunk);
        } else if std::mem::take(is_opaque) {
            // The first half of a head had looked like nothing.
            self.readable
                .push((connection.client, connection.client_cookie));
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

    /// Where both sockets of a connection are seen under addresses of their own, the kernel side
    /// holds its requests at each. What the server's lets go may be shipped from the client's a
    /// moment later, when it counts as left out here, and then nobody else tells of it.
    fn note_left_out(&mut self, connection: &Connection, chunk: &Chunk<'_>) {
        let Connection {
            sights,
            client_cookie,
            server_cookie,
            ..
        } = connection;
        let is_held_twice = sights.is_some() && *client_cookie != 0 && *server_cookie != 0;
        let is_request = chunk.dir == Direction::ClientToServer;
        if is_held_twice && is_request && matches!(chunk.piece, Piece::LeftOut { .. }) {
            self.opaque.push(Opaque {
                at: chunk.at.minus(LEFT_OUT_WITHIN),
                until: chunk.at,
                client: (connection.client, *client_cookie),
                server: connection.server,
                why: Unread::LeftOut,
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
