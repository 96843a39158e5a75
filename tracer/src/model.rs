//! The nouns of the tool, data only: what the stages hand to each other and what the outputs print.
//!
//! Everything to the left of [`Exchange`] turns bytes into exchanges; everything to the right of it
//! only reads them. Nothing here does I/O, keeps a clock or depends on another module.

mod chain;
mod endpoint;
mod health;
mod message;
mod preflight;
mod told;
mod verdict;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub use chain::{Asked, Chain, Hop, Link, LinkRule, SideCall, Talk, Unread, UnreadPeer};
pub use endpoint::{Container, Endpoint, Owner, OwnerQuality};
pub use health::{Health, HeldCounts, LossPlace, MissingProbe};
pub use message::{
    Body, Decoded, Field, FieldSpan, Framing, Head, Message, MessageEnd, Request, Response,
};
pub use preflight::Preflight;
pub use told::{Around, Told};
pub use verdict::{
    CauseId, Confidence, Evidence, Finding, Handling, Issuer, Kind, Part, Product, Proves, Side,
    Span, Strength, Verdict,
};

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z.
///
/// It comes from the capture (the packet's own time stamp), never from a clock of the tool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero where `earlier` is later (captures do step back).
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This time and `by` less, or the epoch.
    pub fn minus(self, by: Duration) -> Self {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }

    /// This time and `by` more, or the largest time there is.
    pub fn plus(self, by: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// One TCP connection in one capture. Never reused, even when its four-tuple is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Which way bytes went. The client is the end that opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the end that opened the connection: requests.
    ClientToServer,
    /// From the end that accepted it: responses.
    ServerToClient,
}

impl Direction {
    /// The other way.
    pub const fn reverse(self) -> Self {
        match self {
            Self::ClientToServer => Self::ServerToClient,
            Self::ServerToClient => Self::ClientToServer,
        }
    }
}

/// Why bytes of a stream are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GapKind {
    /// Nobody meant to leave them out: dropped by the kernel, the ring buffer or the capture file.
    Lost,
    /// Left out on purpose, such as what lies beyond the snap length.
    Skipped,
}

/// Where an address of the client was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientSource {
    /// The peer of the server's socket.
    SocketPeer,
    /// The client's own address, where it is translated on the way to the server.
    BeforeTranslation,
    /// The PROXY protocol header (version 1 or 2) at the start of the connection.
    ProxyProtocol,
    /// `X-Forwarded-For`, from left to right.
    XForwardedFor,
    /// `X-Real-IP`.
    XRealIp,
    /// `Forwarded: for=` (RFC 7239), from left to right.
    Forwarded,
    /// `CF-Connecting-IP`.
    CfConnectingIp,
    /// `True-Client-IP`.
    TrueClientIp,
}

/// One row of the table of client addresses: who said it, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// Where it was read.
    pub source: ClientSource,
    /// As written (a forwarded chain may hold names, ports and nonsense).
    pub text: String,
    /// The address in it, where there is one.
    pub addr: Option<IpAddr>,
}

/// Odd traffic, named. Not an error: the tool goes on and says what it saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anomaly {
    /// A retransmission or overlap carried other bytes than the first copy.
    ConflictingOverlap,
    /// The capture starts in the middle of the connection.
    StartsInMiddle,
    /// Bytes before the start line belonged to no message that was seen.
    JunkBeforeStart,
    /// Bytes are missing from the connection.
    Gap,
    /// A line ended in LF alone.
    BareLf,
    /// A header field went over several lines (obsolete folding, RFC 9112 section 5.2).
    ObsoleteFolding,
    /// White space between a field's name and the colon.
    SpaceBeforeColon,
    /// A header line without a colon, or with bytes that no name may have.
    MalformedField,
    /// The head was longer than `limits.head` and was cut.
    OverlongHead,
    /// Both `Content-Length` and `Transfer-Encoding` (RFC 9112 section 6.1: smuggling).
    BothLengths,
    /// Several `Content-Length` values that differ.
    ConflictingLengths,
    /// A `Content-Length` that is no number.
    InvalidLength,
    /// A transfer coding that is not plain `chunked` as the last one.
    OddTransferCoding,
    /// A chunk size that is no hexadecimal number.
    InvalidChunk,
    /// A request line without a version (HTTP/0.9).
    NoVersion,
    /// A version that is not HTTP/1.x.
    OddVersion,
    /// A method that no registry lists.
    OddMethod,
    /// More or fewer than one `Host` field in an HTTP/1.1 request.
    HostCount,
    /// The response has no request in the capture.
    RequestMissing,
    /// The final response came before the request's body was complete.
    EarlyResponse,
    /// A response came that no request had asked for.
    UnsolicitedResponse,
    /// A body follows where the status or the method allows none.
    UnexpectedBody,
    /// The PROXY protocol header could not be read.
    MalformedProxyHeader,
    /// The content coding could not be undone.
    UndecodableBody,
}

/// One request and its response, as far as the capture shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The connection it went over.
    pub conn: ConnId,
    /// Its place on that connection, from 0.
    pub index: u64,
    /// The end that asked.
    pub client: Endpoint,
    /// The end that answered.
    pub server: Endpoint,
    /// The request; `None` where the capture missed it.
    pub request: Option<Box<Request>>,
    /// Answers before the final one (1xx).
    pub interim: Vec<Response>,
    /// The final answer; `None` where none was seen.
    pub response: Option<Box<Response>>,
    /// What was odd about it.
    pub anomalies: Vec<Anomaly>,
    /// The client as the PROXY protocol named it at the start of the connection.
    pub proxy_client: Option<SocketAddr>,
    /// Every address that somebody gave for the client, socket peer first.
    pub client_addresses: Vec<ClientAddress>,
}

impl Exchange {
    /// When its first byte was seen.
    pub fn started_at(&self) -> Timestamp {
        let request = self.request.as_ref().map(|r| r.message.started_at);
        let mut responses = self.interim.iter().chain(self.response.as_deref());
        let response = responses.next().map(|r| r.message.started_at);
        request.or(response).unwrap_or_default()
    }

    /// From the first byte of the request to the first byte of the final answer.
    pub fn time_to_first_byte(&self) -> Option<Duration> {
        let request = self.request.as_ref()?;
        Some(
            self.response
                .as_ref()?
                .message
                .started_at
                .since(request.message.started_at),
        )
    }

    /// Whether the final answer began before the last byte of the request; `None` where the
    /// capture cannot tell.
    pub fn answered_early(&self) -> Option<bool> {
        self.request.as_ref()?;
        self.response.as_ref()?;
        Some(self.anomalies.contains(&Anomaly::EarlyResponse))
    }

    /// Whether both messages are there from the first byte to the last.
    pub fn is_complete(&self) -> bool {
        let whole = |m: &Message| m.end == MessageEnd::Complete;
        self.request
            .as_ref()
            .is_some_and(|r| whole(&r.message) || self.answered_early() == Some(true))
            && self.response.as_ref().is_some_and(|r| whole(&r.message))
            && !self.anomalies.contains(&Anomaly::Gap)
    }
}

/// A request that is reported: its way through the hops of this host, and the conclusion.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its number in this session, from 1.
    pub number: u64,
    /// The hops that the request took.
    pub chain: Chain,
    /// Exchanges of the same method and route that were not refused, the most alike first.
    pub siblings: Vec<Arc<Exchange>>,
    /// What the same client asked for just before.
    pub pace: Pace,
    /// What is known of its preflight, or of what followed it where it is one.
    pub preflight: Preflight,
    /// Facts that speak for or against a cause.
    pub evidence: Vec<Evidence>,
    /// Who refused it, and why.
    pub verdict: Verdict,
    /// The cases of the same shape so far.
    pub group: Group,
    /// The packets that carried it, where an output asked for them.
    pub packets: Vec<Packet>,
    /// What the host told meanwhile: since when it watches, every word of a process that serves one
    /// of its hops to a peer that is not traced, and every loss, from the first of `packets` to the
    /// last. In order of time.
    pub told: Vec<Told>,
    /// Records that were lost anywhere while the exchange was under way: where this is not 0,
    /// "was not seen" does not mean "was not there".
    pub lost_meanwhile: u64,
}

impl Case {
    /// A case of which nothing is known but its exchange.
    pub fn of(number: u64, exchange: Exchange) -> Self {
        Self {
            number,
            chain: Chain::of(exchange),
            siblings: Vec::new(),
            pace: Pace::default(),
            preflight: Preflight::default(),
            evidence: Vec::new(),
            verdict: Verdict::default(),
            group: Group::default(),
            packets: Vec::new(),
            told: Vec::new(),
            lost_meanwhile: 0,
        }
    }

    /// The exchange that the filter let pass.
    pub const fn exchange(&self) -> &Exchange {
        &self.chain.reported.exchange
    }
}

/// How fast a client asked for the same route, counted up to the reported exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Its requests for the route that were not refused, within the last seconds.
    pub passed: u32,
    /// Those that were refused, within the same time.
    pub refused: u32,
    /// The time in which they came.
    pub within: Duration,
}

/// Cases of the same shape: the same method, route, status, issuer and cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Number of the first case.
    pub first_case: u64,
    /// How many there were, with this one.
    pub count: u64,
    /// When the first began.
    pub first_at: Timestamp,
    /// When this one began.
    pub last_at: Timestamp,
}

/// A packet kept for an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it was captured.
    pub at: Timestamp,
    /// Its link layer, as a LINKTYPE_ number of the pcap registry.
    pub link_type: u16,
    /// Its length on the wire, in bytes.
    pub wire_len: u32,
    /// The bytes that were captured.
    pub data: Vec<u8>,
    /// Which way it went.
    pub direction: Direction,
    /// The connection it is of.
    pub conn: ConnId,
    /// Up to where its connection was settled; `None` where that was not said.
    pub settled: Option<Settled>,
    /// How many records, of any connection, had been lost before, where packets are left out.
    pub lost: u32,
}

/// Sequence numbers before which nothing more of a connection will come: what is missing there was
/// left out on purpose, in whole messages, unless records were lost since the packet before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// In the direction of the packet that says so.
    pub own: u32,
    /// In the other direction.
    pub peer: u32,
}

impl fmt::Display for Timestamp {
    /// RFC 3339 is the outputs' business; this is seconds since the epoch, for messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:09}",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000
        )
    }
}
