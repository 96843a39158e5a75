//! Signed requests: whether the time that was signed still held.

use super::super::note::{Notes, asked};
use super::super::parts::{Pair, Parts};
use super::super::time::{answer_time, compact, http_date, iso, seconds, span, utc};
use crate::model::{CauseId, Part, Span, Strength};

/// How far the clocks may be apart, in seconds: AWS lets most services accept 5 minutes, S3 15.
const SKEW_MAX: u64 = 300;

/// Looks at the times of a signature in `Authorization` and in the query.
pub(super) fn gather(parts: &Parts<'_>, notes: &mut Notes<'_>) {
    let now = || {
        parts.exchange.response.as_deref().map_or_else(
            || seconds(parts.request.message.started_at),
            |answer| answer_time(&answer.message),
        )
    };
    signed_header(parts, now, notes);
    signed_query(parts, now, notes);
}

/// `Authorization: AWS4-HMAC-SHA256 …` with the time in `X-Amz-Date` or `Date`.
fn signed_header(parts: &Parts<'_>, now: impl Fn() -> i64, notes: &mut Notes<'_>) {
    let signed = parts
        .field("authorization")
        .is_some_and(|(_, value)| value.starts_with(b"AWS4-") || value.starts_with(b"GOOG4-"));
    if !signed {
        return;
    }
    let date = ["x-amz-date", "x-goog-date", "date"]
        .into_iter()
        .find_map(|name| {
            let (index, value) = parts.field(name)?;
            Some((index, compact(value).or_else(|| http_date(value))?))
        });
    let now = now();
    if let Some((index, date)) = date.filter(|(_, date)| date.abs_diff(now) > SKEW_MAX) {
        let way = if date < now { "before" } else { "after" };
        skewed(date, now, way, asked(Part::Field(index)), notes);
    }
}

/// A presigned URL. It is meant to be used later than it was signed, so only its end counts, and a
/// beginning that is still to come.
fn signed_query(parts: &Parts<'_>, now: impl Fn() -> i64, notes: &mut Notes<'_>) {
    let at = asked(Part::StartLine);
    let of = |name| value(&parts.query, name);
    for (date, expires) in [
        ("x-amz-date", "x-amz-expires"),
        ("x-goog-date", "x-goog-expires"),
    ] {
        let Some(date) = of(date).and_then(|pair| compact(&pair.value)) else {
            continue;
        };
        let now = now();
        if date > now && date.abs_diff(now) > SKEW_MAX {
            skewed(date, now, "after", at, notes);
        }
        let lifetime = of(expires).and_then(|pair| number(&pair.value));
        if let Some(end) = lifetime.map(|lifetime| date.saturating_add(lifetime)) {
            expired(end, now, at, notes);
        }
    }
    if of("sig").is_some() {
        // A shared access signature of Azure storage.
        let end = of("se").and_then(|pair| iso(&pair.value));
        expired(end.unwrap_or(i64::MAX), now(), at, notes);
    }
    let signed = ["signature", "md5", "hash", "hmac"]
        .into_iter()
        .any(|name| of(name).is_some());
    if signed {
        // CloudFront, S3 before its version 4, Laravel, nginx's secure_link.
        let end = of("expires").and_then(|pair| number(&pair.value));
        expired(end.unwrap_or(i64::MAX), now(), at, notes);
    }
}

fn skewed(date: i64, now: i64, way: &str, at: Span, notes: &mut Notes<'_>) {
    notes.add(
        "request.signature_skew",
        Strength::Strong,
        CauseId::ApiKeyInvalid,
        at,
        format!(
            "The request was signed for {}, {} {way} the answer's time.",
            utc(date),
            span(date.abs_diff(now))
        ),
    );
}

fn expired(end: i64, now: i64, at: Span, notes: &mut Notes<'_>) {
    if end < now {
        notes.add(
            "request.signature_expired",
            Strength::Strong,
            CauseId::ApiKeyInvalid,
            at,
            format!(
                "The signed URL had expired {} before the answer, at {}.",
                span(end.abs_diff(now)),
                utc(end)
            ),
        );
    }
}

/// The first parameter of this name, in any letter case.
fn value<'p, 'a>(query: &'p [Pair<'a>], name: &str) -> Option<&'p Pair<'a>> {
    query
        .iter()
        .find(|pair| pair.name.eq_ignore_ascii_case(name.as_bytes()))
}

fn number(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number >= 0).then_some(number)
}
