//! What the conditions are held against.

use super::condition::Names;
use crate::limits;
use crate::model::{Exchange, Head, Message, MessageEnd, Part, Request, Response, Side, Span};

/// What is known of an exchange.
pub(super) struct Facts<'a> {
    pub(super) request: Option<&'a Request>,
    pub(super) response: Option<&'a Response>,
    /// The status of the answer, as text.
    pub(super) status: String,
    /// The name of the process that answered.
    pub(super) process: Option<&'a str>,
    /// The beginning of the content of the answer.
    pub(super) body: &'a [u8],
    /// Whether `body` is all of it.
    pub(super) body_is_whole: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn of(exchange: &'a Exchange) -> Self {
        let response = exchange.response.as_deref();
        let (body, body_is_whole) = response.map_or((&[][..], false), |r| body(&r.message));
        let owner = exchange.server.owner.as_ref();
        Self {
            request: exchange.request.as_deref(),
            response,
            status: response.map(|r| r.status.to_string()).unwrap_or_default(),
            process: owner.map(|owner| &*owner.comm),
            body,
            body_is_whole,
        }
    }
}

/// The beginning of the content, and whether it is all of it.
fn body(message: &Message) -> (&[u8], bool) {
    let (bytes, whole) = match &message.body.decoded {
        Some(decoded) => (decoded.bytes.as_slice(), decoded.complete),
        None => {
            let coded = message.head.values("content-encoding");
            if coded
                .into_iter()
                .any(|c| !c.eq_ignore_ascii_case(b"identity"))
            {
                return (&[], false);
            }
            let kept = message.body.kept.as_slice();
            (kept, kept.len() as u64 == message.body.wire_len())
        }
    };
    let whole = whole && message.end == MessageEnd::Complete;
    match bytes.get(..limits::FINGERPRINT_BODY) {
        Some(start) => (start, whole && start.len() == bytes.len()),
        None => (bytes, whole),
    }
}

/// The values of the fields with these names, and their places.
pub(super) fn fields<'a>(
    head: &'a Head,
    names: &Names,
    message: Side,
) -> impl Iterator<Item = (&'a [u8], Option<Span>)> {
    head.named(|field| names.contain(field))
        .map(move |(index, value)| {
            let part = Part::Field(index);
            (value, Some(Span { message, part }))
        })
}

/// The names of the cookies that are set, and the places of their fields.
pub(super) fn cookies(head: &Head) -> impl Iterator<Item = (&[u8], Option<Span>)> {
    head.named(|field| field.eq_ignore_ascii_case(b"set-cookie"))
        .map(|(index, value)| {
            let name = value.split(|b| *b == b'=').next().unwrap_or_default();
            let span = Span {
                message: Side::Response,
                part: Part::Field(index),
            };
            (name.trim_ascii(), Some(span))
        })
}
