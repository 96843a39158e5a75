//! Requests and responses.

use super::{GapKind, Timestamp};

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

    /// The fields whose name is as wanted: their places and values, in order.
    pub fn named(&self, is_wanted: impl Fn(&[u8]) -> bool) -> impl Iterator<Item = (usize, &[u8])> {
        let fields = self.fields.iter().enumerate();
        fields
            .filter(move |(_, f)| is_wanted(self.slice(f.name)))
            .map(|(index, f)| (index, self.slice(f.value)))
    }

    /// The values of every field called `name` (in any letter case), in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.named(|field| field.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
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

    /// The method that a CORS preflight asks for; `None` for any other request (Fetch Standard,
    /// section "CORS-preflight fetch").
    pub fn preflight_method(&self) -> Option<&[u8]> {
        let head = &self.message.head;
        if self.method() != b"OPTIONS" || head.value("origin").is_none() {
            return None;
        }
        head.value("access-control-request-method")
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
    if target.first() == Some(&b'/') {
        return None;
    }
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
