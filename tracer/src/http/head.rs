//! Heads: where one ends, and what is in it.
//!
//! `httparse` reads what is as it should be; what it refuses is read again by a parser that
//! refuses nothing and names what is odd.

use std::mem::MaybeUninit;

use memchr::memchr;

use super::start;
use crate::limits::Limits;
use crate::model::{Anomaly, FieldSpan, Head, Request, Response};

/// Fields that `httparse` is given room for; the tolerant parser takes heads with more.
const FAST_FIELDS: usize = 64;

/// Finds the empty line that ends a head, across any number of pieces, looking at each byte once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EndOfHead {
    /// Bytes of the line under way.
    line: usize,
    /// The last byte was CR.
    cr: bool,
    /// A line ended in LF alone.
    pub(super) bare_lf: bool,
}

impl EndOfHead {
    /// Takes in the next piece; where the head ends in it, returns how much of it belongs to the
    /// head.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Option<usize> {
        let mut rest = piece;
        while let Some((part, after)) = memchr(b'\n', rest).and_then(|lf| rest.split_at_checked(lf))
        {
            let cr = part.last().map_or(self.cr, |&b| b == b'\r');
            let len = self.line + part.len();
            self.bare_lf |= !cr;
            (self.line, self.cr) = (0, false);
            rest = after.get(1..).unwrap_or_default();
            if len == usize::from(cr) {
                return Some(piece.len() - rest.len());
            }
        }
        self.line = self.line.saturating_add(rest.len());
        self.cr = rest.last().map_or(self.cr, |&b| b == b'\r');
        None
    }
}

/// Reads the head of a request; names what is odd about it in `odd`.
pub(super) fn request(raw: &[u8], limits: &Limits, odd: &mut Vec<Anomaly>) -> Request {
    let mut request = fast_request(raw, limits).unwrap_or_else(|| {
        let mut head = tolerant(raw, limits, odd);
        let (method, target, minor_version) = request_line(raw, odd);
        head.raw = raw.to_vec();
        let mut request = Request {
            method,
            target,
            minor_version,
            ..Request::default()
        };
        request.message.head = head;
        request
    });
    if !start::is_known_method(request.method()) {
        odd.push(Anomaly::OddMethod);
    }
    request.message.head.fields.shrink_to_fit();
    request
}

/// Reads the head of a response; names what is odd about it in `odd`.
pub(super) fn response(raw: &[u8], limits: &Limits, odd: &mut Vec<Anomaly>) -> Response {
    fast_response(raw, limits).unwrap_or_else(|| {
        let mut head = tolerant(raw, limits, odd);
        let (minor_version, status, reason) = status_line(raw, odd);
        head.raw = raw.to_vec();
        let mut response = Response {
            status,
            reason,
            minor_version,
            ..Response::default()
        };
        response.message.head = head;
        response
    })
}

/// Reads a trailer section.
pub(super) fn trailers(raw: &[u8], limits: &Limits, odd: &mut Vec<Anomaly>) -> Head {
    let mut fields = Fields::new(raw, limits, odd);
    fields.lines(0);
    Head {
        fields: fields.spans,
        raw: raw.to_vec(),
    }
}

fn fast_request(raw: &[u8], limits: &Limits) -> Option<Request> {
    let mut room = [const { MaybeUninit::uninit() }; FAST_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed.parse_with_uninit_headers(raw, &mut room).ok()?;
    if status != httparse::Status::Complete(raw.len()) || parsed.headers.len() > limits.fields {
        return None;
    }
    let mut request = Request {
        method: span(raw, parsed.method?.as_bytes()),
        target: span(raw, parsed.path?.as_bytes()),
        minor_version: parsed.version,
        ..Request::default()
    };
    request.message.head = fast_head(raw, parsed.headers);
    Some(request)
}

fn fast_response(raw: &[u8], limits: &Limits) -> Option<Response> {
    let mut room = [const { MaybeUninit::uninit() }; FAST_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, raw, &mut room)
        .ok()?;
    if status != httparse::Status::Complete(raw.len()) || parsed.headers.len() > limits.fields {
        return None;
    }
    let mut response = Response {
        status: parsed.code?,
        // httparse says "" for a reason that it does not like.
        reason: span(raw, parsed.reason.filter(|r| !r.is_empty())?.as_bytes()),
        minor_version: parsed.version?,
        ..Response::default()
    };
    response.message.head = fast_head(raw, parsed.headers);
    Some(response)
}

fn fast_head(raw: &[u8], headers: &[httparse::Header<'_>]) -> Head {
    let fields = headers.iter().map(|h| FieldSpan {
        name: span(raw, h.name.as_bytes()),
        value: span(raw, h.value.trim_ascii()),
    });
    Head {
        fields: fields.collect(),
        raw: raw.to_vec(),
    }
}

/// Where `part`, which was cut out of `raw`, lies in it.
fn span(raw: &[u8], part: &[u8]) -> (u32, u32) {
    let start = part.as_ptr().addr().wrapping_sub(raw.as_ptr().addr());
    match start.checked_add(part.len()) {
        Some(end) if end <= raw.len() => span_of(start, end),
        _ => (0, 0),
    }
}

/// Heads are shorter than 4 GiB, see `limits.head`.
fn span_of(start: usize, end: usize) -> (u32, u32) {
    let clamp = |n| u32::try_from(n).unwrap_or(u32::MAX);
    (clamp(start), clamp(end))
}

/// The fields after the start line.
fn tolerant(raw: &[u8], limits: &Limits, odd: &mut Vec<Anomaly>) -> Head {
    let first = memchr(b'\n', raw).map_or(raw.len(), |lf| lf + 1);
    let mut fields = Fields::new(raw, limits, odd);
    fields.lines(first);
    Head {
        raw: Vec::new(),
        fields: fields.spans,
    }
}

type RequestLine = ((u32, u32), (u32, u32), Option<u8>);

fn request_line(raw: &[u8], odd: &mut Vec<Anomaly>) -> RequestLine {
    let line = first_line(raw).trim_ascii_end();
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let method_end = line.iter().position(blank).unwrap_or(line.len());
    let (method, rest) = line.split_at(method_end);
    let rest = rest.trim_ascii_start();
    let last = rest.iter().rposition(blank).map_or(0, |at| at + 1);
    let (before, word) = rest.split_at(last);
    let (target, minor) = match version(word) {
        Some(minor) => {
            if !is_http1(word) {
                odd.push(Anomaly::OddVersion);
            }
            (before.trim_ascii_end(), Some(minor))
        }
        None => {
            // Where the bound cut the line, the version lies behind it.
            if !odd.contains(&Anomaly::OverlongHead) {
                odd.push(Anomaly::NoVersion);
            }
            (rest, None)
        }
    };
    if target.iter().any(blank) || line.contains(&0) {
        odd.push(Anomaly::MalformedField);
    }
    (span(raw, method), span(raw, target), minor)
}

fn status_line(raw: &[u8], odd: &mut Vec<Anomaly>) -> (u8, u16, (u32, u32)) {
    let line = first_line(raw).trim_ascii_end();
    let blank = memchr(b' ', line).unwrap_or(line.len());
    let (word, rest) = line.split_at(blank);
    if !is_http1(word) {
        odd.push(Anomaly::OddVersion);
    }
    let rest = rest.trim_ascii_start();
    let (status, reason) = rest.split_at(rest.len().min(3));
    let status = std::str::from_utf8(status)
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(0);
    let reason = span(raw, reason.trim_ascii());
    (version(word).unwrap_or(0), status, reason)
}

fn first_line(raw: &[u8]) -> &[u8] {
    let end = memchr(b'\n', raw).unwrap_or(raw.len());
    raw.get(..end).unwrap_or_default()
}

/// The minor number of a version; `None` where the word is none.
fn version(word: &[u8]) -> Option<u8> {
    let (name, number) = word.split_at_checked(5)?;
    if !name.eq_ignore_ascii_case(b"HTTP/") {
        return None;
    }
    let minor = number.iter().rev().find(|b| b.is_ascii_digit())?;
    Some(minor - b'0')
}

fn is_http1(word: &[u8]) -> bool {
    matches!(word, b"HTTP/1.0" | b"HTTP/1.1")
}

/// The tolerant parser of field lines.
struct Fields<'a> {
    raw: &'a [u8],
    limits: &'a Limits,
    odd: &'a mut Vec<Anomaly>,
    spans: Vec<FieldSpan>,
}

impl<'a> Fields<'a> {
    fn new(raw: &'a [u8], limits: &'a Limits, odd: &'a mut Vec<Anomaly>) -> Self {
        Self {
            raw,
            limits,
            odd,
            spans: Vec::new(),
        }
    }

    /// Reads the lines from `at` to the empty one, or to the end.
    fn lines(&mut self, mut at: usize) {
        while let Some(rest) = self.raw.get(at..).filter(|rest| !rest.is_empty()) {
            let len = memchr(b'\n', rest).map_or(rest.len(), |lf| lf + 1);
            let line = rest.get(..len).unwrap_or_default();
            at += len;
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match line.first() {
                None => break,
                Some(b' ' | b'\t') => self.folded(line),
                Some(_) => self.line(line),
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        let Some((name, value)) = memchr(b':', line).and_then(|at| line.split_at_checked(at))
        else {
            return self.say(Anomaly::MalformedField);
        };
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let written = name.trim_ascii_end();
        if written.len() < name.len() {
            self.say(Anomaly::SpaceBeforeColon);
        }
        let token = !written.is_empty() && written.iter().all(|&b| start::is_token(b));
        if !token || value.iter().any(|b| matches!(b, 0 | b'\r')) {
            self.say(Anomaly::MalformedField);
        }
        // Past the bound only what decides where the message ends.
        if self.spans.len() >= self.limits.fields {
            self.say(Anomaly::OverlongHead);
            let frames = super::framing::is_framing_field(written);
            if !frames || self.spans.len() >= self.limits.fields.saturating_add(8) {
                return;
            }
        }
        self.spans.push(FieldSpan {
            name: span(self.raw, written),
            value: span(self.raw, value),
        });
    }

    /// A line that goes on with the value of the one before it.
    fn folded(&mut self, line: &[u8]) {
        let (raw, text) = (self.raw, line.trim_ascii());
        let Some(last) = self.spans.last_mut() else {
            return self.say(Anomaly::MalformedField);
        };
        if !text.is_empty() {
            let added = span(raw, text);
            let empty = last.value.0 == last.value.1;
            last.value = (if empty { added.0 } else { last.value.0 }, added.1);
        }
        self.say(Anomaly::ObsoleteFolding);
    }

    fn say(&mut self, anomaly: Anomaly) {
        if !self.odd.contains(&anomaly) {
            self.odd.push(anomaly);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_head_ends_at_the_first_empty_line() {
        let head = b"GET / HTTP/1.1\r\nA: b\r\n\r\n";
        for (wire, bare) in [(&head[..], false), (b"GET / HTTP/1.1\nA: b\n\n", true)] {
            let body = [wire, b"body\r\n\r\n"].concat();
            for len in 1..body.len() {
                let mut end = EndOfHead::default();
                let mut before = 0;
                let found = body.chunks(len).find_map(|piece| {
                    let found = end.feed(piece).map(|n| before + n);
                    before += piece.len();
                    found
                });
                assert_eq!((found, end.bare_lf), (Some(wire.len()), bare), "by {len}");
            }
        }
    }

    #[test]
    fn odd_fields_are_kept_and_named() {
        let raw =
            b"GET /a b HTTP/1.1\r\nX : 1\r\nY: 2\r\n  3\r\nnonsense\r\nZ\x01: \0\r\nE:\r\n\r\n";
        let mut odd = Vec::new();
        let request = request(raw, &Limits::default(), &mut odd);
        let fields: Vec<_> = request.message.head.fields().collect();
        let pairs: Vec<_> = fields.iter().map(|f| (f.name, f.value)).collect();
        let expected: [(&[u8], &[u8]); 4] = [
            (b"X", b"1"),
            (b"Y", b"2\r\n  3"),
            (b"Z\x01", b"\0"),
            (b"E", b""),
        ];
        assert_eq!(pairs, expected);
        assert_eq!(request.target(), b"/a b");
        for anomaly in [
            Anomaly::SpaceBeforeColon,
            Anomaly::ObsoleteFolding,
            Anomaly::MalformedField,
        ] {
            assert!(odd.contains(&anomaly), "{odd:?}");
        }
    }

    #[test]
    fn past_the_bound_only_framing_fields_are_kept() {
        let raw = b"POST / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nContent-Length: 4\r\n\r\n";
        let limits = Limits {
            fields: 2,
            ..Limits::default()
        };
        let mut odd = Vec::new();
        let request = request(raw, &limits, &mut odd);
        let names: Vec<_> = request.message.head.fields().map(|f| f.name).collect();
        assert_eq!(names, [&b"A"[..], b"B", b"Content-Length"]);
        assert_eq!(odd, [Anomaly::OverlongHead]);
    }

    proptest! {
        /// What the fast parser accepts, the tolerant one reads the same.
        #[test]
        fn both_parsers_agree(
            target in "/[a-z?=&%]{0,20}",
            fields in proptest::collection::vec(("[A-Za-z-]{1,12}", "[ -9;-~]{0,20}"), 0..6),
        ) {
            let mut raw = format!("POST {target} HTTP/1.1\r\n");
            for (name, value) in &fields {
                raw.push_str(&format!("{name}: {value}\r\n"));
            }
            raw.push_str("\r\n");
            let raw = raw.as_bytes();
            let limits = Limits::default();
            let mut odd = Vec::new();
            let fast = fast_request(raw, &limits).expect("a good head");
            let head = tolerant(raw, &limits, &mut odd);
            let (method, target, version) = request_line(raw, &mut odd);
            prop_assert_eq!((fast.method, fast.target, fast.minor_version), (method, target, version));
            prop_assert_eq!(odd, []);
            let slow = Head { raw: raw.to_vec(), fields: head.fields };
            let slow: Vec<_> = slow.fields().collect();
            prop_assert_eq!(fast.message.head.fields().collect::<Vec<_>>(), slow);
        }
    }
}
