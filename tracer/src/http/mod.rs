//! Chunks become parts of messages: HTTP/1 as it is on the wire, not as it should be.
//!
//! Nothing waits for a body, and nothing is refused: what is odd is named ([`Part::Odd`]) and the
//! parser goes on. A gap inside a body of known length is stepped over. Any other gap ends the
//! message under way; the next one begins where a start line is recognised.

pub mod body;
pub mod brief;
mod chunked;
mod collect;
mod framing;
mod h1;
mod head;
mod outstanding;
mod proxy_protocol;
mod start;

use std::net::SocketAddr;
use std::ops::Deref;

use crate::limits::Limits;
use crate::model::{Anomaly, Direction, GapKind, Head, MessageEnd, Request, Response, Timestamp};
use crate::reassembly::{Chunk, EndKind, Piece};

use brief::BriefResponse;
use h1::{Context, Shared, Side};

/// A part of a message, in order within its direction: `Request` or `Response`, any number of
/// `Body` and `BodyGap`, then `Trailers` where there are any, then `End`.
#[derive(Debug, PartialEq)]
pub enum Part<'a> {
    /// The head of a request is complete. Its body is empty but for the framing.
    Request(Placed<Request>),
    /// The head of a response is complete, final or interim (1xx but 101). Interim ones have no
    /// body and no `End`.
    Response(Placed<Response>),
    /// Bytes of content, chunked coding removed.
    Body(&'a [u8]),
    /// Bytes of content that are missing.
    BodyGap {
        /// How many.
        len: u64,
        /// Why.
        kind: GapKind,
    },
    /// Fields after a chunked body.
    Trailers(Head),
    /// The message is over, as far as will ever be known.
    End(MessageEnd),
    /// Something odd about the message under way in this direction, or about the next one.
    Odd(Anomaly),
    /// The connection stops being HTTP/1 here, for good.
    Switched(Protocol),
    /// The PROXY protocol named the client.
    ProxyClient(SocketAddr),
}

/// A message and the exchange that it belongs to.
///
/// The framing of a response depends on the request that it answers (RFC 9112 section 6.3), so it
/// is the parser that knows which one that is.
#[derive(Debug, PartialEq)]
pub struct Placed<T> {
    /// Place of the exchange on its connection, from 0. A message whose counterpart is not known
    /// has a place of its own.
    pub exchange: u64,
    /// The message.
    pub message: Box<T>,
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.message
    }
}

/// What a connection speaks instead of HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2, by its preface or `Upgrade: h2c`.
    Http2,
    /// TLS.
    Tls,
    /// Another protocol after `Upgrade` (status 101), WebSocket for one.
    Upgraded,
    /// A tunnel after CONNECT.
    Tunnel,
    /// Nothing that is recognised.
    Unknown,
}

/// The HTTP parser of one connection, both directions.
#[derive(Debug)]
pub struct Http {
    client: Side,
    server: Side,
    shared: Shared,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            client: Side::new(Direction::ClientToServer),
            server: Side::new(Direction::ServerToClient),
            shared: Shared::default(),
        }
    }
}

impl Http {
    /// Takes in a chunk and hands the parts it completes to `sink`.
    ///
    /// The time of a part is that of the chunk that completed it; an `End` that only the end of
    /// the connection brought has the time of the last byte before it.
    pub fn push(
        &mut self,
        chunk: &Chunk<'_>,
        limits: &Limits,
        sink: &mut dyn FnMut(Timestamp, Direction, Part<'_>),
    ) {
        if self.shared.switched.is_some() {
            return;
        }
        let side = match chunk.dir {
            Direction::ClientToServer => &mut self.client,
            Direction::ServerToClient => &mut self.server,
        };
        let mut context = Context {
            at: chunk.at,
            dir: chunk.dir,
            limits,
            shared: &mut self.shared,
            sink,
        };
        match chunk.piece {
            Piece::Data(data) => side.data(data, &mut context),
            Piece::Gap { len, kind } => side.gap(len, kind, &mut context),
            Piece::LeftOut { len } => side.left_out(len, &mut context),
            Piece::LastWaits => self.shared.last_waits(),
            Piece::End(kind) => side.end(message_end(kind), &mut context),
        }
        if self.shared.switched.is_some() {
            self.client.release();
            self.server.release();
        }
    }

    /// Whether both directions are between two messages, and every request has its answer.
    pub fn is_idle(&self) -> bool {
        self.shared.is_idle() && self.client.is_between() && self.server.is_between()
    }

    /// Notes an exchange that was passed over unread while [`idle`](Self::is_idle): the request
    /// came at `asked_at`, its response at `answered_at`.
    pub fn pass_over(
        &mut self,
        asked_at: Timestamp,
        answered_at: Timestamp,
        response: &BriefResponse,
    ) {
        let exchange = self.shared.pass_over();
        self.client.pass_over(exchange, asked_at, true);
        self.server
            .pass_over(exchange, answered_at, response.has_body);
    }

    /// What the connection speaks instead of HTTP/1, where it does.
    pub fn switched(&self) -> Option<Protocol> {
        self.shared.switched
    }

    /// Bytes it holds.
    pub fn memory(&self) -> usize {
        self.client.memory() + self.server.memory() + self.shared.memory()
    }
}

/// How a message ends that its framing has not ended.
fn message_end(kind: EndKind) -> MessageEnd {
    match kind {
        EndKind::Fin => MessageEnd::Closed,
        EndKind::Reset => MessageEnd::Reset,
        EndKind::Idle | EndKind::Evicted => MessageEnd::Abandoned,
    }
}
