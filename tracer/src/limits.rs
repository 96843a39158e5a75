//! Every bound and timeout: its unit, its default, and the accident or attack that it bounds.

use std::time::Duration;

/// The bounds of one session. Past each of them the oldest goes, and is counted in
/// [`Health`](crate::model::Health).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections followed at once. Bounds a SYN flood or a port scan; a busy proxy has tens of
    /// thousands.
    pub connections: usize,
    /// Bytes that arrived ahead of a hole, per direction of a connection. Bounds a sender who
    /// leaves a hole for ever; the largest receive window in use is a few MiB.
    pub out_of_order: usize,
    /// How long a hole may stay open, in capture time, once the receiver has acknowledged bytes
    /// behind it: then it is the capture that missed them, and no retransmission will come.
    pub acked_hole: Duration,
    /// How long a hole may stay open, in capture time, where the receiver has not acknowledged
    /// bytes behind it. Retransmissions come within seconds.
    pub open_hole: Duration,
    /// A connection that is silent for this long, in capture time, is forgotten. Longer than the
    /// keep-alive of the usual servers and proxies (nginx 75 s, HAProxy tunnels 1 h are cut).
    pub idle: Duration,
    /// Bytes of a message's head. Servers refuse more than 8 to 64 KiB; bounds an endless header.
    pub head: usize,
    /// Bytes in which a start line is looked for: the longest line that is searched after a gap,
    /// and what a connection may carry in both directions together, none of it HTTP, before it is
    /// given up as something else. Bounds the search in binary protocols.
    pub look: usize,
    /// Header fields of a message. Servers refuse more than about 100.
    pub fields: usize,
    /// Bytes kept of each message's body.
    pub body_kept: usize,
    /// Bytes kept of each body after its content coding was removed, and at most decoded of it
    /// (a bound on decompression bombs: output stops here).
    pub body_decoded: usize,
    /// Requests of one connection that wait for an answer. Bounds pipelining without end.
    pub pipeline: usize,
    /// Interim answers (1xx) kept of one exchange.
    pub interim: usize,
    /// How long a case waits, in capture time, after its last byte: for the owner of its sockets,
    /// which the kernel can report after the packets, and for the rest of an early-answered
    /// request.
    pub settle: Duration,
    /// Sockets whose owner is remembered.
    pub owners: usize,
    /// Bytes of packets kept per connection for `-w`, since its start or its last reported
    /// exchange. Bounds long keep-alive connections.
    pub packets_per_connection: usize,
    /// Bytes of packets kept for `-w` of all connections.
    pub packets: usize,
    /// Bytes of exchanges kept for `recent_age`, so that a reported one can be linked with those
    /// that were under way at the same time. Where more would be needed, the verdict says so.
    pub recent: usize,
    /// How long an exchange is kept after its end, in capture time, to be linked with others.
    pub recent_age: Duration,
    /// Hops of a chain in each direction from the reported one. Bounds a proxy that asks itself.
    pub hops: usize,
    /// Routes of which exchanges that passed are kept, to compare refused ones with.
    pub routes: usize,
    /// Bytes that all connections together may hold: buffers, heads and bodies.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 200_000,
            out_of_order: 4 << 20,
            acked_hole: Duration::from_millis(250),
            open_hole: Duration::from_secs(10),
            idle: Duration::from_secs(300),
            head: 256 << 10,
            look: 16 << 10,
            fields: 512,
            body_kept: 16 << 10,
            body_decoded: 64 << 10,
            pipeline: 1_000,
            interim: 8,
            settle: Duration::from_millis(300),
            owners: 262_144,
            packets_per_connection: 4 << 20,
            packets: 256 << 20,
            recent: 64 << 20,
            recent_age: Duration::from_secs(10),
            hops: 8,
            routes: 1_024,
            memory: 512 << 20,
        }
    }
}

/// How long a refused preflight waits for the request that it asked for, in capture time. Its sender
/// has the answer after half a round trip, and its request is here after another half; the slowest
/// networks in use take a second.
pub const PREFLIGHT_WAIT: Duration = Duration::from_secs(2);
/// Preflights that are remembered, refused or not. Past it the oldest is forgotten, and a case that
/// waits for its request says that this cannot be told.
pub const PREFLIGHTS: usize = 4_096;
/// Cases that wait at once: refused preflights, and those behind them. Past it the oldest is told at
/// once, and says the same.
pub const PREFLIGHTS_WAITING: usize = 1_024;
/// Bytes of packets for `-w` with the cases that wait; as above.
pub const PREFLIGHTS_WAITING_BYTES: usize = 64 << 20;

/// Bytes of a body that fingerprints are looked for in. Error pages are a few KiB; bounds the work
/// on a large body.
pub const FINGERPRINT_BODY: usize = 64 << 10;
/// Bytes of a table of fingerprints. The own one has 200 KiB; bounds what a user's file costs.
pub const FINGERPRINT_TABLE: usize = 4 << 20;
/// Rows of a table of fingerprints.
pub const FINGERPRINT_ROWS: usize = 4_096;
/// Conditions of one fingerprint.
pub const FINGERPRINT_CONDITIONS: usize = 16;
/// Bytes of one pattern of a fingerprint, as written.
pub const FINGERPRINT_PATTERN: usize = 2_048;
/// Bytes of one pattern of a fingerprint, compiled. Bounds nested repetitions.
pub const FINGERPRINT_COMPILED: usize = 256 << 10;
/// Bytes of all patterns for bodies, or for one header field, together: compiled, and of the
/// automaton made from them.
pub const FINGERPRINT_SET: usize = 64 << 20;
