//! What is told about connections, what is known of one, and what was counted.

use std::net::SocketAddr;

use crate::model::{ConnId, Direction, GapKind, Timestamp};

use super::sights::Sights;

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
    /// Messages that were left out of the capture, whole, as nobody wanted them.
    LeftOut {
        /// How many bytes.
        len: u64,
    },
    /// After a loss, in the requests: none waits for its answer but the last one, as what leaves
    /// messages out gives up where a client does not wait.
    LastWaits,
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
    /// The end that opened it, as far as can be told, by its own address.
    pub client: SocketAddr,
    /// The other end, by its own address.
    pub server: SocketAddr,
    /// Cookie of the client's socket; 0 where not known.
    pub client_cookie: u64,
    /// Cookie of the server's socket; 0 where not known.
    pub server_cookie: u64,
    /// Whether its first packets are missing.
    pub started_in_middle: bool,
    /// Whether two copies of the same bytes differed.
    pub conflict: bool,
    /// The pairs of addresses under which it is seen, where there are several.
    pub sights: Option<Box<Sights>>,
}

impl Connection {
    /// The address that the server knows the client by, where it is not the client's own.
    pub fn client_seen_as(&self) -> Option<SocketAddr> {
        let names = self.sights.as_ref()?.names()?;
        Some(names.client_seen_as).filter(|addr| *addr != self.client)
    }

    /// The address that the client knows the server by, where it is not the server's own.
    pub fn server_seen_as(&self) -> Option<SocketAddr> {
        let names = self.sights.as_ref()?.names()?;
        Some(names.server_seen_as).filter(|addr| *addr != self.server)
    }

    /// Names both ends by their own addresses, as far as the sights tell.
    pub(super) fn name_ends(&mut self) {
        if let Some(names) = self.sights.as_ref().and_then(|sights| sights.names()) {
            (self.client, self.server) = (names.client, names.server);
        }
    }
}

/// What the stages after this one keep per connection, stored in the connection table so that a
/// packet costs one look-up.
pub trait Flow: Default {
    /// Bytes that it holds now, for `limits.memory`.
    fn memory(&self) -> usize;

    /// When it wants [`Event::Woken`]; `None` where it waits for nothing. Asked after each
    /// segment, and after it was woken.
    fn wakes_at(&self) -> Option<Timestamp>;
}

/// What is told about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Bytes in order, a gap, or the end of a direction.
    Chunk(Chunk<'a>),
    /// The time has passed for which [`Flow::wakes_at`] asked.
    Woken {
        /// When.
        at: Timestamp,
    },
    /// Another connection, of which nothing was handed out, turned out to be this one under other
    /// addresses. There will be nothing of it.
    Joined {
        /// The number that it had.
        other: ConnId,
    },
    /// Both directions have ended (each with its `End` chunk before this): the last event of a
    /// connection.
    Closed {
        /// When.
        at: Timestamp,
    },
}

/// What was counted: every count starts at 0 and only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections.
    pub connections: u64,
    /// Connections whose first packets are missing.
    pub started_in_middle: u64,
    /// Connections that turned out to be an earlier one under other addresses.
    pub joined: u64,
    /// Segments that brought nothing new: retransmissions, the same packet at two places,
    /// keep-alive probes.
    pub duplicates: u64,
    /// Segments of which a copy differs from the bytes of an earlier one.
    pub conflicts: u64,
    /// Segments whose numbers make no sense in their connection.
    pub implausible: u64,
    /// Gaps of kind [`GapKind::Lost`].
    pub gaps: u64,
    /// Bytes in those gaps.
    pub gap_bytes: u64,
    /// Connections dropped because there were more than `limits.connections`.
    pub evicted_connections: u64,
    /// Connections dropped because memory was over `limits.memory`.
    pub evicted_memory: u64,
    /// Bytes of those gaps that were given up early, because `limits.out_of_order` was reached.
    pub evicted_bytes: u64,
}
