//! The nouns of the tool, data only: what the stages hand to each other and what the outputs print.
//!
//! Everything to the left of [`Exchange`] turns bytes into exchanges; everything to the right of it
//! only reads them. Nothing here does I/O, keeps a clock or depends on another module.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

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

/// A head of a message: its bytes as they crossed the wire, and where the parts lie in them.
///
/// Order, letter case and duplicates of the header fields are those of the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The start line and the header section, up to and including the empty line.
    pub raw: Vec<u8>,
    /// Spans of the header fields in `raw`.
    pub fields: Vec<FieldSpan>,
}

/// Where one header field lies in [`Head::raw`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSpan {
    /// First byte of the name.
    pub name: (u32, u32),
    /// First byte and end of the value, without the white space around it.
    pub value: (u32, u32),
}

/// One header field: the name as written and the value without the white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, in the letter case of the wire.
    pub name: &'a [u8],
    /// The value; may hold any byte but CR and LF (folded lines keep theirs).
    pub value: &'a [u8],
}

impl Head {
    /// The bytes of a span; empty where it does not lie in `raw`.
    pub fn slice(&self, span: (u32, u32)) -> &[u8] {
        self.raw
            .get(span.0 as usize..span.1 as usize)
            .unwrap_or_default()
    }

    /// The header fields in the order of the wire.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter().map(|f| Field {
            name: self.slice(f.name),
            value: self.slice(f.value),
        })
    }

    /// The values of every field called `name` (in any letter case), in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields()
            .filter(move |f| f.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|f| f.value)
    }

    /// The first value of the field called `name` (in any letter case).
    pub fn value<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.values(name).next()
    }
}

/// How the end of a body is known (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// `Content-Length`, in bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Everything until the connection closes (responses only).
    UntilClose,
}

/// A message body: a bounded beginning of it, and the account of the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// How its end is known.
    pub framing: Framing,
    /// Its first bytes, chunked coding removed, content coding not; at most `limits.body_kept`.
    pub kept: Vec<u8>,
    /// Bytes of content seen (chunked coding removed), kept or not.
    pub seen: u64,
    /// Bytes of content that are missing from the capture.
    pub lost: u64,
    /// Bytes of content that the capture left out on purpose.
    pub skipped: u64,
    /// The beginning of the content with its content coding removed; `None` where there is no
    /// coding, or none that is known.
    pub decoded: Option<Decoded>,
}

impl Body {
    /// Bytes of content that went over the wire as far as the capture can tell.
    pub fn wire_len(&self) -> u64 {
        self.seen
            .saturating_add(self.lost)
            .saturating_add(self.skipped)
    }
}

/// Content with its coding (gzip, deflate, br, zstd) removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The codings that were removed, as the header named them.
    pub coding: String,
    /// The first bytes of the content, at most `limits.body_decoded`.
    pub bytes: Vec<u8>,
    /// Bytes of content that came out, kept or not; a lower bound unless `complete`.
    pub len: u64,
    /// Whether the whole content was decoded, without a fault and within the bound.
    pub complete: bool,
}

/// How a message came to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageEnd {
    /// It has not ended: the capture stopped, or the answer was reported before.
    #[default]
    Open,
    /// Its framing said so, and nothing of it is missing.
    Complete,
    /// The connection was closed (FIN) before its framing said so.
    Closed,
    /// The connection was reset before its framing said so.
    Reset,
    /// A gap hid the rest: bytes were lost, or left out on purpose.
    Gap(GapKind),
    /// The tool gave up on it: a bound was reached, or the connection went silent.
    Abandoned,
}

/// What requests and responses have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Start line and header section.
    pub head: Head,
    /// When its first byte was seen.
    pub started_at: Timestamp,
    /// When the last byte of its head was seen.
    pub head_at: Timestamp,
    /// When its last byte was seen; `None` while it has not ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub end: MessageEnd,
    /// Its content.
    pub body: Body,
    /// Fields after a chunked body (RFC 9112 section 7.1.2).
    pub trailers: Head,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Span of the method in the head.
    pub method: (u32, u32),
    /// Span of the target in the head, as written.
    pub target: (u32, u32),
    /// HTTP/1 minor version; `None` for a request line without version (HTTP/0.9).
    pub minor_version: Option<u8>,
    /// Everything else.
    pub message: Message,
}

impl Request {
    /// The method, as written.
    pub fn method(&self) -> &[u8] {
        self.message.head.slice(self.method)
    }

    /// The target, as written: a path and query, an absolute URL, `host:port`, or `*`.
    pub fn target(&self) -> &[u8] {
        self.message.head.slice(self.target)
    }

    /// The host that the request names: of an absolute target, else the first `Host` field.
    pub fn host(&self) -> Option<&[u8]> {
        absolute_target(self.target())
            .map(|(host, _)| host)
            .or_else(|| self.message.head.value("host"))
    }

    /// The path and query of the target.
    pub fn path_and_query(&self) -> &[u8] {
        absolute_target(self.target()).map_or(self.target(), |(_, rest)| rest)
    }
}

/// Splits `http://host/rest` into host and `/rest`.
fn absolute_target(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = target.windows(3).take(16).position(|w| w == b"://")?;
    let rest = target.get(at + 3..)?;
    let end = rest
        .iter()
        .position(|b| matches!(b, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    Some((rest.get(..end)?, rest.get(end..)?))
}

/// A response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Span of the reason phrase in the head; empty where there is none.
    pub reason: (u32, u32),
    /// HTTP/1 minor version.
    pub minor_version: u8,
    /// Everything else.
    pub message: Message,
}

impl Response {
    /// Whether a final answer is still to come: 1xx but 101, after which there is no more HTTP/1
    /// (RFC 9110 section 15.2).
    pub fn is_interim(&self) -> bool {
        matches!(self.status, 100..=199) && self.status != 101
    }

    /// The reason phrase, as written.
    pub fn reason(&self) -> &[u8] {
        self.message.head.slice(self.reason)
    }
}

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address, as the socket sees it.
    pub addr: SocketAddr,
    /// Its socket cookie, where a probe on this host saw it; 0 otherwise.
    pub cookie: u64,
    /// The process behind it, where it is on this host.
    pub owner: Option<Owner>,
}

/// How the owner of a socket is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerQuality {
    /// Several processes hold the socket, or only the listening socket is known.
    Guess,
    /// Read from the kernel's socket table and /proc some time before or after.
    Relaxed,
    /// The kernel named it while the process was sending or receiving on that very socket.
    Exact,
}

/// A process that uses one end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Process id (the thread group's), in the host's pid namespace.
    pub pid: u32,
    /// Thread id, in the host's pid namespace; equals `pid` where the thread is not known.
    pub tid: u32,
    /// User id, in the host's user namespace.
    pub uid: u32,
    /// When the process started; `None` where not known.
    pub started_at: Option<Timestamp>,
    /// The name of the process (at most 15 bytes; not the thread's, where both are known).
    pub comm: Arc<str>,
    /// The executable, where the process was there to be asked.
    pub exe: Option<Arc<str>>,
    /// Its cgroup, below the mount.
    pub cgroup: Option<Arc<str>>,
    /// Its container.
    pub container: Option<Arc<Container>>,
    /// How this is known.
    pub quality: OwnerQuality,
}

/// A container, as its cgroup names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// What runs it: `docker`, `containerd`, `cri-o` or `podman`; `kubernetes` where its cgroup is
    /// known to be a pod's but does not name the runtime.
    pub runtime: &'static str,
    /// Its id, in full.
    pub id: String,
}

/// Where an address of the client was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientSource {
    /// The peer of the socket.
    SocketPeer,
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
        let response = self.response.as_ref().map(|r| r.message.started_at);
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

/// An exchange that is reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its number in this session, from 1.
    pub number: u64,
    /// The exchange.
    pub exchange: Exchange,
    /// The packets that carried it, where an output asked for them.
    pub packets: Vec<Packet>,
    /// Records that were lost anywhere while the exchange was under way: where this is not 0,
    /// "was not seen" does not mean "was not there".
    pub lost_meanwhile: u64,
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
}

/// A place where something can be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LossPlace {
    /// The ring buffer was full: a packet.
    RingPacket,
    /// The ring buffer was full: the owner of a socket.
    RingOwner,
    /// The ring buffer was full: the start of a program.
    RingExec,
    /// The kernel side could not read a packet's bytes.
    PacketUnreadable,
    /// The capture file says that its writer dropped packets.
    CaptureFile,
}

/// What a probe that is missing costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingProbe {
    /// Its name, as in the table of probes.
    pub probe: &'static str,
    /// Why it is not there.
    pub why: String,
    /// What the user loses by it, in the user's terms.
    pub costs: &'static str,
}

/// How well the session could see: every count starts at 0 and only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// When the first packet was captured; `None` while there was none.
    pub first_at: Option<Timestamp>,
    /// When the latest packet was captured.
    pub last_at: Option<Timestamp>,
    /// Packets that reached the tool.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Packets that are not TCP over IP.
    pub not_tcp: u64,
    /// Packets that could not be decoded.
    pub malformed: u64,
    /// Packets of which only the beginning was captured.
    pub cut: u64,
    /// TCP connections.
    pub connections: u64,
    /// Connections whose first packets are missing.
    pub started_in_middle: u64,
    /// Segments that were seen before: retransmissions, or the same packet at two places.
    pub duplicates: u64,
    /// Gaps in connections, and the bytes in them.
    pub gaps: u64,
    /// Bytes in those gaps.
    pub gap_bytes: u64,
    /// Requests.
    pub requests: u64,
    /// Final responses.
    pub responses: u64,
    /// Exchanges, complete or not.
    pub exchanges: u64,
    /// Exchanges that matched the filter.
    pub cases: u64,
    /// Connections that carry something else: HTTP/2.
    pub http2: u64,
    /// TLS.
    pub tls: u64,
    /// Connections that became tunnels: WebSocket or another upgrade, CONNECT.
    pub tunnels: u64,
    /// Connections on which no HTTP was recognised.
    pub not_http: u64,
    /// Connections dropped because there were more than `limits.connections`.
    pub evicted_connections: u64,
    /// Connections dropped because memory was over `limits.memory`.
    pub evicted_memory: u64,
    /// Out-of-order bytes dropped over their bound.
    pub evicted_bytes: u64,
    /// Packets not kept for `-w` over their bound.
    pub evicted_packets: u64,
    /// Records lost before they reached the tool, by place.
    pub lost: Vec<(LossPlace, u64)>,
    /// Probes that are not there.
    pub missing: Vec<MissingProbe>,
}

impl Health {
    /// Adds to a place's count of lost records.
    pub fn add_lost(&mut self, place: LossPlace, count: u64) {
        match self.lost.iter_mut().find(|(p, _)| *p == place) {
            Some((_, n)) => *n = n.saturating_add(count),
            None => self.lost.push((place, count)),
        }
    }

    /// Records lost in all.
    pub fn lost_total(&self) -> u64 {
        self.lost
            .iter()
            .fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }
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

/// A range of a stream, in bytes from its start.
pub type Span = Range<u64>;
