//! What the outputs say in the same words.

use std::borrow::Cow;

use crate::diagnose;
use crate::model::{Anomaly, CauseId, Exchange, Field, Message, Part, Request, Side, Span};

/// The URL of a request: `http://`, its host and its target; the target alone where that makes no
/// URL (no host, `CONNECT`, `OPTIONS *`).
pub(super) fn url(request: &Request) -> Cow<'_, [u8]> {
    let target = request.target();
    match request.host() {
        Some(host) if target.starts_with(b"/") => [b"http://", host, target].concat().into(),
        _ => target.into(),
    }
}

/// The message that a span lies in.
pub(super) fn span_message(exchange: &Exchange, span: Span) -> Option<&Message> {
    match span.message {
        Side::Request => exchange.request.as_ref().map(|r| &r.message),
        Side::Response => exchange.response.as_ref().map(|r| &r.message),
    }
}

/// The header field that a span is; `None` where it is something else.
pub(super) fn span_field(exchange: &Exchange, span: Span) -> Option<Field<'_>> {
    let Part::Field(index) = span.part else {
        return None;
    };
    span_message(exchange, span)?.head.fields().nth(index)
}

/// Whether the answer refuses something: a client or server error (RFC 9110 section 15).
pub(super) fn is_refused(exchange: &Exchange) -> bool {
    exchange.response.as_ref().is_some_and(|r| r.status >= 400)
}

/// A cause, in words that complete "It was refused because …".
pub(super) fn because(id: CauseId) -> Option<&'static str> {
    let cause = diagnose::CAUSES.iter().find(|cause| cause.id == id)?;
    Some(cause.because)
}

/// Every anomaly, for the schema.
pub(super) const ANOMALIES: &[Anomaly] = &[
    Anomaly::ConflictingOverlap,
    Anomaly::StartsInMiddle,
    Anomaly::JunkBeforeStart,
    Anomaly::Gap,
    Anomaly::BareLf,
    Anomaly::ObsoleteFolding,
    Anomaly::SpaceBeforeColon,
    Anomaly::MalformedField,
    Anomaly::OverlongHead,
    Anomaly::BothLengths,
    Anomaly::ConflictingLengths,
    Anomaly::InvalidLength,
    Anomaly::OddTransferCoding,
    Anomaly::InvalidChunk,
    Anomaly::NoVersion,
    Anomaly::OddVersion,
    Anomaly::OddMethod,
    Anomaly::HostCount,
    Anomaly::RequestMissing,
    Anomaly::EarlyResponse,
    Anomaly::UnsolicitedResponse,
    Anomaly::UnexpectedBody,
    Anomaly::MalformedProxyHeader,
    Anomaly::UndecodableBody,
];

/// The name of an anomaly for programs, and a sentence for people.
pub(super) fn anomaly(anomaly: Anomaly) -> (&'static str, &'static str) {
    match anomaly {
        Anomaly::ConflictingOverlap => (
            "conflicting_overlap",
            "A retransmission carried other bytes than the first copy, which is the one shown.",
        ),
        Anomaly::StartsInMiddle => (
            "starts_in_middle",
            "The capture starts in the middle of the connection.",
        ),
        Anomaly::JunkBeforeStart => (
            "junk_before_start",
            "Bytes before the start line belong to no message that was seen.",
        ),
        Anomaly::Gap => ("gap", "Bytes are missing from the connection."),
        Anomaly::BareLf => ("bare_lf", "A line ends in LF alone."),
        Anomaly::ObsoleteFolding => (
            "obsolete_folding",
            "A header field goes over several lines (obsolete folding).",
        ),
        Anomaly::SpaceBeforeColon => (
            "space_before_colon",
            "There is white space between the name of a header field and its colon.",
        ),
        Anomaly::MalformedField => (
            "malformed_field",
            "A header line has no colon, or a name that no field may have.",
        ),
        Anomaly::OverlongHead => ("overlong_head", "The head is too long and was cut."),
        Anomaly::BothLengths => (
            "both_lengths",
            "Both Content-Length and Transfer-Encoding are there: a sign of request smuggling.",
        ),
        Anomaly::ConflictingLengths => (
            "conflicting_lengths",
            "There are several Content-Length values that differ: a sign of request smuggling.",
        ),
        Anomaly::InvalidLength => ("invalid_length", "Content-Length is no number."),
        Anomaly::OddTransferCoding => (
            "odd_transfer_coding",
            "The last transfer coding is not plain `chunked`.",
        ),
        Anomaly::InvalidChunk => (
            "invalid_chunk",
            "The size of a chunk is no hexadecimal number.",
        ),
        Anomaly::NoVersion => ("no_version", "The request line has no version (HTTP/0.9)."),
        Anomaly::OddVersion => ("odd_version", "The version is not HTTP/1.x."),
        Anomaly::OddMethod => ("odd_method", "The method is in no registry."),
        Anomaly::HostCount => (
            "host_count",
            "An HTTP/1.1 request must have one Host field; this has none or several.",
        ),
        Anomaly::RequestMissing => (
            "request_missing",
            "The request was not seen: its method and target are not known.",
        ),
        Anomaly::EarlyResponse => (
            "early_response",
            "The answer came before the request's body was complete.",
        ),
        Anomaly::UnsolicitedResponse => (
            "unsolicited_response",
            "No request had asked for this response.",
        ),
        Anomaly::UnexpectedBody => (
            "unexpected_body",
            "A body follows where the status or the method allows none.",
        ),
        Anomaly::MalformedProxyHeader => (
            "malformed_proxy_header",
            "The PROXY protocol header at the start of the connection cannot be read.",
        ),
        Anomaly::UndecodableBody => (
            "undecodable_body",
            "The content coding of a body could not be undone.",
        ),
    }
}
