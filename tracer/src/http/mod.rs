//! Chunks become parts of messages.

use crate::limits::Limits;
use crate::model::{
    Anomaly, Direction, Framing, GapKind, Head, MessageEnd, Request, Response, Timestamp,
};
use crate::reassembly::Chunk;

/// A part of a message, in order within its direction: `Request` or `Response`, any number of
/// `Body` and `BodyGap`, then `Trailers` where there are any, then `End`.
#[derive(Debug, PartialEq)]
pub enum Part<'a> {
    /// The head of a request is complete. Its body is empty but for the framing.
    Request(Box<Request>),
    /// The head of a response is complete, final or interim (1xx). Interim ones have no body and
    /// no `End`.
    Response(Box<Response>),
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
    ProxyClient(std::net::SocketAddr),
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
#[derive(Debug, Default)]
pub struct Http {}

impl Http {
    /// Takes in a chunk and hands the parts it completes to `sink`.
    pub fn push(
        &mut self,
        _chunk: &Chunk<'_>,
        _limits: &Limits,
        _sink: &mut dyn FnMut(Timestamp, Direction, Part<'_>),
    ) {
        let _ = Framing::None;
    }

    /// Bytes it holds.
    pub fn memory(&self) -> usize {
        0
    }
}
