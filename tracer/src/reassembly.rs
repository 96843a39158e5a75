//! Segments become [`Chunk`]s in order, or a gap; the connection table.

use std::net::SocketAddr;

use crate::decode::Segment;
use crate::limits::Limits;
use crate::model::{ConnId, Direction, GapKind, Timestamp};

/// A piece of one direction of a connection, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// When it was captured: the time of the segment that brought it.
    pub at: Timestamp,
    /// Which way it went.
    pub dir: Direction,
    /// Bytes of this direction before it (0 is the first byte after the SYN, or the first byte
    /// seen where the SYN was not).
    pub offset: u64,
    /// What it is.
    pub piece: Piece<'a>,
}

/// What a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes.
    Data(&'a [u8]),
    /// Bytes that are missing.
    Gap {
        /// How many.
        len: u64,
        /// Why.
        kind: GapKind,
    },
    /// There will be no more in this direction.
    End(EndKind),
}

/// How a direction came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndKind {
    /// FIN.
    Fin,
    /// RST, from either end.
    Reset,
    /// Silent for `limits.idle`, replaced by a new connection with the same addresses, or the
    /// capture is over.
    Idle,
    /// Dropped over a bound.
    Evicted,
}

/// What is known of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its number.
    pub id: ConnId,
    /// The end that opened it, as far as can be told.
    pub client: SocketAddr,
    /// The other end.
    pub server: SocketAddr,
    /// Cookie of the client's socket; 0 where not known.
    pub client_cookie: u64,
    /// Cookie of the server's socket; 0 where not known.
    pub server_cookie: u64,
    /// Whether its first packets are missing.
    pub started_in_middle: bool,
    /// Whether two copies of the same bytes differed.
    pub conflict: bool,
}

/// What the stages after this one keep per connection, stored in the connection table so that a
/// packet costs one look-up.
pub trait Flow: Default {
    /// Bytes that it holds now, for `limits.memory`.
    fn memory(&self) -> usize;
}

/// What is told about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Bytes in order, a gap, or the end of a direction.
    Chunk(Chunk<'a>),
    /// Both directions have ended (each with its `End` chunk before this): the last event of a
    /// connection.
    Closed {
        /// When.
        at: Timestamp,
    },
}

/// The connection table.
#[derive(Debug)]
pub struct Reassembler<F> {
    _limits: Limits,
    _flows: Vec<F>,
}

impl<F: Flow> Reassembler<F> {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            _limits: limits,
            _flows: Vec::new(),
        }
    }

    /// Takes in a segment and hands what became ready to `sink`: of this connection, and of those
    /// that had to go for it. Returns the connection it belongs to and the way it went; `None`
    /// where it belongs to none (a RST or bare ACK out of the blue).
    pub fn push(
        &mut self,
        _segment: &Segment<'_>,
        _sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>),
    ) -> Option<(ConnId, Direction)> {
        None
    }

    /// Lets time pass without packets: holes that were open too long become gaps, silent
    /// connections end.
    pub fn tick(&mut self, _now: Timestamp, _sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>)) {
    }

    /// The capture is over: hands out what waits behind holes and ends every connection.
    pub fn finish(&mut self, _sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>)) {}
}
