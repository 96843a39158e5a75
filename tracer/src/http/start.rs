//! What the first bytes of a message, or of a connection, look like.

use std::sync::LazyLock;

use memchr::{memchr, memmem};

use crate::model::Direction;

/// What a line is that stands where a message should begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartLine {
    /// The first line of a head.
    Head,
    /// A whole request of HTTP/0.9.
    Simple,
    /// The first line of the HTTP/2 connection preface (RFC 9113 section 3.4).
    Http2,
}

/// Made once, as bytes that are no message are searched line by line.
static VERSION: LazyLock<memmem::Finder<'static>> =
    LazyLock::new(|| memmem::Finder::new(b"HTTP/1."));

/// Longest method that is taken for one; the longest registered one has 17 bytes.
const METHOD_MAX: usize = 64;

/// The methods of the IANA registry.
const METHODS: &[&str] = &[
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Whether a registry lists this method.
pub(super) fn is_known_method(method: &[u8]) -> bool {
    // Two methods are nearly all of the traffic.
    method == b"GET"
        || method == b"POST"
        || METHODS
            .binary_search_by(|m| m.as_bytes().cmp(method))
            .is_ok()
}

/// Whether a line can go on to become a start line; `prefix` is what is there of it.
pub(super) fn may_become(dir: Direction, prefix: &[u8]) -> bool {
    match dir {
        Direction::ClientToServer => {
            let method = prefix
                .iter()
                .take(METHOD_MAX + 1)
                .take_while(|&&b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
            let mut len = 0;
            method.inspect(|_| len += 1).all(|&b| is_token(b)) && (1..=METHOD_MAX).contains(&len)
        }
        Direction::ServerToClient => {
            let len = prefix.len().min(5);
            prefix.get(..len) == b"HTTP/".get(..len)
        }
    }
}

/// What a whole line is, where nothing is missing before it.
pub(super) fn classify(dir: Direction, line: &[u8]) -> Option<StartLine> {
    if !may_become(dir, line) {
        return None;
    }
    match dir {
        Direction::ClientToServer => classify_request_line(line.trim_ascii_end()),
        Direction::ServerToClient => is_status_line(line).then_some(StartLine::Head),
    }
}

/// Where in a line a start line begins, where bytes may be missing before it: what is left of a
/// body can stand in the same line. Stricter than [`classify`]: the method must be a registered
/// one, the version HTTP/1.
pub(super) fn find(dir: Direction, line: &[u8]) -> Option<usize> {
    match dir {
        Direction::ClientToServer => {
            let line = line.strip_suffix(b"\n")?;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let (before, version) = line.split_at_checked(line.len().checked_sub(9)?)?;
            if !matches!(version, [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit())
            {
                return None;
            }
            let space = memchr::memrchr(b' ', before)?;
            if space + 1 == before.len() {
                return None;
            }
            let word = before.get(..space)?;
            METHODS
                .iter()
                .filter(|m| word.ends_with(m.as_bytes()))
                .map(|m| space - m.len())
                .min()
        }
        Direction::ServerToClient => VERSION
            .find_iter(line)
            .filter(|&at| line.get(at..).is_some_and(is_status_line))
            .last(),
    }
}

/// Bytes of the whole lines before the first in which [`find`] may find anything.
pub(super) fn lines_before(bytes: &[u8]) -> usize {
    let version = VERSION.find(bytes).unwrap_or(bytes.len());
    let before = bytes.get(..version).unwrap_or_default();
    memchr::memrchr(b'\n', before).map_or(0, |lf| lf + 1)
}

/// Whether a line can follow a start line: a header field, or the empty line.
pub(super) fn may_follow(line: &[u8]) -> bool {
    if matches!(line, b"\r\n" | b"\n") {
        return true;
    }
    let name = memchr(b':', line).and_then(|colon| line.get(..colon));
    name.is_some_and(|name| !name.is_empty() && name.iter().all(|&b| is_token(b)))
}

/// Whether a byte may stand in a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a direction begins with a TLS record; `None` where more bytes are needed.
pub(super) fn is_tls(prefix: &[u8]) -> Option<bool> {
    // Content type, version 3.0 to 3.4, length (RFC 8446 section 5.1).
    let fits = |at: usize, good: fn(u8) -> bool| prefix.get(at).is_none_or(|&b| good(b));
    if !(fits(0, |b| (0x14..=0x17).contains(&b))
        && fits(1, |b| b == 3)
        && fits(2, |b| b <= 4)
        && fits(3, |b| b <= 0x48))
    {
        return Some(false);
    }
    (prefix.len() >= 5).then_some(true)
}

fn classify_request_line(line: &[u8]) -> Option<StartLine> {
    if line == b"PRI * HTTP/2.0" {
        return Some(StartLine::Http2);
    }
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let method = line.get(..line.iter().position(blank)?)?;
    let last = line.get(line.iter().rposition(blank)? + 1..)?;
    if is_version(last) {
        return Some(StartLine::Head);
    }
    let target = line.get(method.len()..)?.trim_ascii_start();
    let whole = !target.iter().any(blank);
    let plausible = target.starts_with(b"/") || memmem::find(target, b"://").is_some();
    (is_known_method(method) && whole && plausible).then_some(StartLine::Simple)
}

/// Whether a word is a version, of whatever number.
fn is_version(word: &[u8]) -> bool {
    let Some((name, number)) = word.split_at_checked(5) else {
        return false;
    };
    name.eq_ignore_ascii_case(b"HTTP/")
        && number.iter().all(|b| b.is_ascii_digit() || *b == b'.')
        && number.first().is_some_and(u8::is_ascii_digit)
}

/// Whether a line begins with a version and a status code.
fn is_status_line(line: &[u8]) -> bool {
    let Some(blank) = memchr(b' ', line) else {
        return false;
    };
    let (version, rest) = line.split_at(blank);
    let rest = rest.trim_ascii_start();
    let (Some(status), after) = (rest.get(..3), rest.get(3)) else {
        return false;
    };
    is_version(version)
        && status.iter().all(u8::is_ascii_digit)
        && status.first() != Some(&b'0')
        && after.is_none_or(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: Direction = Direction::ClientToServer;
    const RESPONSE: Direction = Direction::ServerToClient;

    proptest! {
        #[test]
        fn no_line_that_is_stepped_over_begins_a_message(
            lines in prop::collection::vec(
                prop::sample::select(vec![
                    "junk\n", "\r\n", "GET / HTTP/1.1\r\n", "xPOST /a HTTP/1.0\n", "HTTP/1.1\n",
                    "HTTP/1.1 200 OK\r\n", "junk HTTP/1.1 403 No\r\n", "HTTP/1.", "GET /", "HTTP/2\n",
                ]),
                0..12,
            ),
        ) {
            let bytes = lines.concat();
            let (before, rest) = bytes.split_at(lines_before(bytes.as_bytes()));
            prop_assert!(before.is_empty() || before.ends_with('\n'));
            for line in before.split_inclusive('\n') {
                prop_assert_eq!(find(REQUEST, line.as_bytes()), None);
                prop_assert_eq!(find(RESPONSE, line.as_bytes()), None);
            }
            // The next one is that which may begin one, or has no end.
            let next = rest.split_inclusive('\n').next().unwrap_or_default();
            prop_assert!(next.contains("HTTP/1.") || !next.ends_with('\n'));
        }
    }

    #[test]
    fn methods_are_sorted_for_the_search() {
        assert!(METHODS.is_sorted());
        assert!(METHODS.iter().all(|m| is_known_method(m.as_bytes())));
        assert!(!is_known_method(b"get"));
    }

    #[test]
    fn request_lines() {
        let head = Some(StartLine::Head);
        assert_eq!(classify(REQUEST, b"GET / HTTP/1.1\r\n"), head);
        assert_eq!(classify(REQUEST, b"M-SEARCH * HTTP/1.1\n"), head);
        assert_eq!(classify(REQUEST, b"GET /a b c HTTP/1.1 \r\n"), head);
        assert_eq!(classify(REQUEST, b"GET / HTTP/2.0\r\n"), head);
        assert_eq!(classify(REQUEST, b"GET /\r\n"), Some(StartLine::Simple));
        assert_eq!(
            classify(REQUEST, b"PRI * HTTP/2.0\r\n"),
            Some(StartLine::Http2)
        );
        for junk in [
            &b"{\"a\": 1}\r\n"[..],
            b"hello there\r\n",
            b"\x00\x01 / HTTP/1.1\r\n",
        ] {
            assert_eq!(classify(REQUEST, junk), None, "{junk:?}");
        }
    }

    #[test]
    fn status_lines() {
        let head = Some(StartLine::Head);
        assert_eq!(classify(RESPONSE, b"HTTP/1.1 403 Forbidden\r\n"), head);
        assert_eq!(classify(RESPONSE, b"HTTP/1.1 403\n"), head);
        assert_eq!(classify(RESPONSE, b"HTTP/1.0  200 OK\r\n"), head);
        for junk in [
            &b"HTTP/1.1 abc\r\n"[..],
            b"HTTP/1.1 2000 OK\r\n",
            b"HTTPS/1.1 200 OK\r\n",
        ] {
            assert_eq!(classify(RESPONSE, junk), None, "{junk:?}");
        }
    }

    #[test]
    fn a_start_line_is_found_behind_the_rest_of_a_body() {
        assert_eq!(find(REQUEST, b"{\"a\": 1}POST /x HTTP/1.1\r\n"), Some(8));
        assert_eq!(find(REQUEST, b"GET / HTTP/1.1\n"), Some(0));
        assert_eq!(find(REQUEST, b"x / HTTP/1.1\n"), None);
        assert_eq!(find(REQUEST, b"UNLOCK / HTTP/1.1\n"), Some(0));
        assert_eq!(find(RESPONSE, b"</html>HTTP/1.1 200 OK\r\n"), Some(7));
        assert_eq!(find(RESPONSE, b"see HTTP/1.1 for more\r\n"), None);
    }

    #[test]
    fn tls_records() {
        assert_eq!(is_tls(b"\x16\x03\x01\x02\x00\x01"), Some(true));
        assert_eq!(is_tls(b"\x16\x03"), None);
        assert_eq!(is_tls(b"GET /"), Some(false));
    }
}
