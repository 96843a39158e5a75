//! Dates of the wire, in seconds since 1970.

use crate::model::{Message, Timestamp};

/// `2026-05-04T01:12:09Z`, or the number where no calendar reaches that far.
pub(super) fn utc(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| format!("second {seconds}"), |time| time.to_string())
}

/// A time of the capture.
pub(super) fn seconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanos() / 1_000_000_000).unwrap_or(i64::MAX)
}

/// `20260504T011209Z`, as request signatures write it.
pub(super) fn compact(text: &[u8]) -> Option<i64> {
    civil("%Y%m%dT%H%M%SZ", text)
}

/// `2026-05-04T01:12:09Z`, also without the seconds.
pub(super) fn iso(text: &[u8]) -> Option<i64> {
    civil("%Y-%m-%dT%H:%M:%SZ", text).or_else(|| civil("%Y-%m-%dT%H:%MZ", text))
}

/// `Mon, 04 May 2026 01:12:09 GMT` (RFC 9110 section 5.6.7).
pub(super) fn http_date(text: &[u8]) -> Option<i64> {
    civil("%a, %d %b %Y %H:%M:%S GMT", text)
}

/// What the one who answered took for the time: the `Date` of the answer, else the capture's time
/// of it.
pub(super) fn answer_time(answer: &Message) -> i64 {
    answer
        .head
        .value("date")
        .and_then(http_date)
        .unwrap_or_else(|| seconds(answer.started_at))
}

/// A span of time in a coarse unit: `42 s`, `7 min`, `3 h`, `12 d`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A date in UTC, as this format has it.
fn civil(format: &str, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text.get(..64).unwrap_or(text)).ok()?;
    let broken_down = jiff::fmt::strtime::parse(format, text.trim()).ok()?;
    let civil = broken_down.to_datetime().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        let expected = Some(1_777_857_129);
        assert_eq!(compact(b"20260504T011209Z"), expected);
        assert_eq!(iso(b"2026-05-04T01:12:09Z"), expected);
        assert_eq!(iso(b"2026-05-04T01:12Z"), Some(1_777_857_120));
        assert_eq!(http_date(b"Mon, 04 May 2026 01:12:09 GMT"), expected);
        assert_eq!(utc(1_777_857_129), "2026-05-04T01:12:09Z");
    }

    #[test]
    fn nonsense_is_no_date() {
        for text in ["", "20261304T011209Z", "now", "99999999999999999999"] {
            assert_eq!(compact(text.as_bytes()), None, "{text}");
            assert_eq!(http_date(text.as_bytes()), None, "{text}");
        }
        assert_eq!(utc(i64::MAX), "second 9223372036854775807");
    }

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(span(42), "42 s");
        assert_eq!(span(600), "10 min");
        assert_eq!(span(3 * 86_400), "3 d");
    }
}
