//! Requests and responses.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Serialize;

use super::JsonOptions;
use super::time::Time;
use crate::model::{self, Body, Framing, GapKind, Head, Message, MessageEnd, Request, Response};
use crate::output::words;

/// A request.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RequestMessage<'a> {
    /// The method, as written.
    pub method: WireText<'a>,
    /// The target, as written.
    pub target: WireText<'a>,
    /// `http://`, the host that the request names and the target; the
    /// target alone where that makes no URL (no host, `CONNECT`, `OPTIONS *`).
    pub url: WireText<'a>,
    /// `1.1` or `1.0`; `null` for a request line without a version (HTTP/0.9).
    pub http_version: Option<Cow<'static, str>>,
    /// Everything else.
    #[serde(flatten)]
    pub message: Part<'a>,
}

/// A response.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ResponseMessage<'a> {
    /// The status code.
    pub status: u16,
    /// The reason phrase, as written; empty where there is none.
    pub reason: WireText<'a>,
    /// `1.1` or `1.0`.
    pub http_version: Cow<'static, str>,
    /// Everything else.
    #[serde(flatten)]
    pub message: Part<'a>,
}

/// What requests and responses have in common.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Part<'a> {
    /// When the first byte was seen.
    pub started_at: Time,
    /// When the last byte of the head was seen.
    pub head_at: Time,
    /// When the last byte was seen; `null` where it has not ended.
    pub ended_at: Option<Time>,
    /// How it ended.
    pub end: Ending,
    /// The header fields, in the order, the letter case and with the repetitions of the wire.
    pub headers: Vec<Field<'a>>,
    /// The content.
    pub body: Content<'a>,
    /// Fields after a chunked body.
    pub trailers: Vec<Field<'a>>,
}

/// A header field.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Field<'a> {
    /// Its name, as written.
    pub name: WireText<'a>,
    /// Its value, without the white space around it.
    pub value: WireText<'a>,
}

/// How a message ended.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It has not ended.
    Open,
    /// As its framing said, and nothing of it is missing.
    Complete,
    /// The connection was closed before.
    Closed,
    /// The connection was reset before.
    Reset,
    /// The capture lost the rest.
    Lost,
    /// The capture left out the rest on purpose.
    Skipped,
    /// The tool gave up on it: a bound was reached, or the connection went silent.
    Abandoned,
}

/// The content of a message. The counts are of content as it crossed the wire, chunked coding
/// removed, content coding not.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Content<'a> {
    /// How its end is known.
    pub framing: Delimited,
    /// `Content-Length`.
    pub announced_bytes: Option<u64>,
    /// Bytes that were seen.
    pub seen_bytes: u64,
    /// Bytes that are missing from the capture.
    pub lost_bytes: u64,
    /// Bytes that the capture left out on purpose.
    pub skipped_bytes: u64,
    /// The beginning of it; `null` where it is under `decoded`, where it has a content coding that
    /// could not be removed (nobody knows which secrets it holds), and where there is none.
    pub content: Option<WireText<'a>>,
    /// Whether more was seen than `content` or `decoded` holds.
    pub truncated: bool,
    /// The beginning of it with its content coding removed; `null` where it has none that is known.
    pub decoded: Option<DecodedContent<'a>>,
}

/// How the end of a body is known (RFC 9112 section 6).
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delimited {
    /// There is no body.
    None,
    /// `Content-Length`.
    Length,
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Everything until the connection closes.
    UntilClose,
}

/// Content with its coding removed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct DecodedContent<'a> {
    /// The codings that were removed, as the header named them.
    pub coding: &'a str,
    /// The beginning of the content.
    pub content: WireText<'a>,
    /// Bytes of content that came out; a lower bound unless `complete`.
    pub decoded_bytes: u64,
    /// Whether all of it was decoded, without a fault and within the bound.
    pub complete: bool,
}

/// Bytes from the wire.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WireText<'a> {
    /// They are UTF-8.
    Text(Cow<'a, str>),
    /// They are not: base64 (RFC 4648 section 4).
    Base64(String),
}

impl<'a> RequestMessage<'a> {
    pub(super) fn new(request: &'a Request, options: &JsonOptions) -> Self {
        Self {
            method: WireText::from(request.method()),
            target: WireText::from(request.target()),
            url: WireText::from(words::url(request)),
            http_version: request.minor_version.map(version),
            message: Part::new(&request.message, options),
        }
    }
}

impl<'a> ResponseMessage<'a> {
    pub(super) fn new(response: &'a Response, options: &JsonOptions) -> Self {
        Self {
            status: response.status,
            reason: WireText::from(response.reason()),
            http_version: version(response.minor_version),
            message: Part::new(&response.message, options),
        }
    }
}

impl<'a> Part<'a> {
    fn new(message: &'a Message, options: &JsonOptions) -> Self {
        Self {
            started_at: Time(message.started_at),
            head_at: Time(message.head_at),
            ended_at: message.ended_at.map(Time),
            end: match message.end {
                MessageEnd::Open => Ending::Open,
                MessageEnd::Complete => Ending::Complete,
                MessageEnd::Closed => Ending::Closed,
                MessageEnd::Reset => Ending::Reset,
                MessageEnd::Gap(GapKind::Lost) => Ending::Lost,
                MessageEnd::Gap(GapKind::Skipped) => Ending::Skipped,
                MessageEnd::Abandoned => Ending::Abandoned,
            },
            headers: fields(&message.head),
            body: Content::new(&message.body, options),
            trailers: fields(&message.trailers),
        }
    }
}

impl<'a> Content<'a> {
    fn new(body: &'a Body, options: &JsonOptions) -> Self {
        let (framing, announced_bytes) = match body.framing {
            Framing::None => (Delimited::None, None),
            Framing::Length(len) => (Delimited::Length, Some(len)),
            Framing::Chunked => (Delimited::Chunked, None),
            Framing::UntilClose => (Delimited::UntilClose, None),
        };
        let shown = body.decoded.as_ref().map_or(&body.kept, |d| &d.bytes);
        let kept_all = match &body.decoded {
            Some(decoded) => decoded.complete,
            None => body.seen <= options.body_kept as u64,
        };
        let truncated = !kept_all || shown.len() > options.body_bytes;
        let begin = |bytes: &'a [u8]| WireText::begin(bytes, options.body_bytes, truncated);
        let decoded = body.decoded.as_ref().map(|decoded| DecodedContent {
            coding: &decoded.coding,
            content: begin(&decoded.bytes),
            decoded_bytes: decoded.len,
            complete: decoded.complete,
        });
        let there = decoded.is_none() && !body.kept.is_empty();
        Self {
            framing,
            announced_bytes,
            seen_bytes: body.seen,
            lost_bytes: body.lost,
            skipped_bytes: body.skipped,
            content: there.then(|| begin(&body.kept)),
            truncated,
            decoded,
        }
    }
}

impl<'a> WireText<'a> {
    /// At most `max` bytes; where the end is not the end of the text, it may lie in the middle of a
    /// character, which makes no difference to whether it is UTF-8.
    fn begin(bytes: &'a [u8], max: usize, truncated: bool) -> Self {
        let bytes = bytes.get(..max).unwrap_or(bytes);
        match std::str::from_utf8(bytes) {
            Err(e) if truncated && e.error_len().is_none() => {
                Self::from(bytes.get(..e.valid_up_to()).unwrap_or_default())
            }
            _ => Self::from(bytes),
        }
    }
}

impl<'a> From<model::Field<'a>> for Field<'a> {
    fn from(field: model::Field<'a>) -> Self {
        Self {
            name: WireText::from(field.name),
            value: WireText::from(field.value),
        }
    }
}

impl<'a> From<&'a [u8]> for WireText<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.into()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        }
    }
}

impl<'a> From<Cow<'a, [u8]>> for WireText<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        match bytes {
            Cow::Borrowed(bytes) => Self::from(bytes),
            Cow::Owned(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Self::Text(text.into()),
                Err(e) => Self::Base64(STANDARD.encode(e.as_bytes())),
            },
        }
    }
}

fn fields(head: &Head) -> Vec<Field<'_>> {
    head.fields().map(Field::from).collect()
}

fn version(minor: u8) -> Cow<'static, str> {
    match minor {
        0 => "1.0".into(),
        1 => "1.1".into(),
        minor => format!("1.{minor}").into(),
    }
}
