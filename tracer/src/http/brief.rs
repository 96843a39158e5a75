//! Messages that lie whole in one chunk, read just far enough to tell whether anybody wants more.
//!
//! Most exchanges of a capture are neither reported nor kept. Of those, this says where they end
//! and what route they took, in one walk over the lines of each head. Whatever is out of the
//! ordinary is `None`: the parser proper reads it, and names what is odd.

use wide::u8x16;

use super::start;
use crate::bytes::places;
use crate::limits::Limits;
use crate::model::Framing;

/// A request that lies whole in one chunk, and whose answer has a body where its fields say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BriefRequest<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The path and query.
    pub target: &'a [u8],
    /// The first `Host` field.
    pub host: Option<&'a [u8]>,
    /// The first `X-Forwarded-For` field.
    pub forwarded_for: Option<&'a [u8]>,
    /// The lines of its fields.
    fields: &'a [u8],
}

impl<'a> BriefRequest<'a> {
    /// The value of the first field of this name, which is in lower case.
    pub fn value<const LEN: usize>(&self, name: &[u8; LEN]) -> Option<&'a [u8]> {
        let ends = memchr::memchr_iter(b'\n', self.fields);
        let mut at = 0;
        let mut lines =
            ends.filter_map(|end| self.fields.get(std::mem::replace(&mut at, end + 1)..end));
        lines.find_map(|line| value(line, name).flatten())
    }
}

/// A final response that lies whole in one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BriefResponse {
    /// The status: 200 or more.
    pub status: u16,
    /// Whether it has a body at all.
    pub(super) has_body: bool,
}

/// Reads a chunk that is a request and nothing else.
pub fn request<'a>(bytes: &'a [u8], limits: &Limits) -> Option<BriefRequest<'a>> {
    // `PR` may be the PROXY protocol, or HTTP/2.
    if !bytes.first().is_some_and(u8::is_ascii_uppercase) || bytes.starts_with(b"PR") {
        return None;
    }
    let fields = Fields::read(bytes, limits)?;
    let line = bytes.get(..fields.start_line)?;
    let space = memchr::memchr(b' ', line)?;
    let (method, rest) = line.split_at_checked(space)?;
    let (target, version) = rest
        .get(1..)?
        .split_at_checked(rest.len().checked_sub(10)?)?;
    let is_plain = matches!(version, b" HTTP/1.1" | b" HTTP/1.0")
        && target.first() == Some(&b'/')
        && memchr::memchr2(b' ', b'\t', target).is_none()
        && start::is_known_method(method);
    // The answers to the first two have no body like others; a preflight may stand for the request
    // that it asks for.
    let is_special = matches!(method, b"HEAD" | b"CONNECT" | b"OPTIONS");
    let body = bytes.len() - fields.len;
    let is_whole = match fields.framing {
        Framing::None => body == 0,
        Framing::Length(length) => body as u64 == length,
        Framing::Chunked | Framing::UntilClose => false,
    };
    (is_plain && !is_special && is_whole && !fields.expects).then_some(BriefRequest {
        method,
        target,
        host: fields.host,
        forwarded_for: fields.forwarded_for,
        fields: bytes.get(fields.start_line + 2..fields.len)?,
    })
}

/// Reads a chunk that is a final response and nothing else, where the request was a
/// [`BriefRequest`].
pub fn response(bytes: &[u8], limits: &Limits) -> Option<BriefResponse> {
    let status = status(bytes)?;
    let fields = Fields::read(bytes, limits)?;
    let body = bytes.get(fields.len..)?;
    let has_body = !matches!(status, 204 | 304);
    let is_whole = match fields.framing {
        _ if !has_body => body.is_empty(),
        Framing::None | Framing::UntilClose => false,
        Framing::Length(length) => body.len() as u64 == length,
        Framing::Chunked => is_whole_chunked(body),
    };
    is_whole.then_some(BriefResponse { status, has_body })
}

/// The status of a final response.
fn status(bytes: &[u8]) -> Option<u16> {
    let [
        b'H',
        b'T',
        b'T',
        b'P',
        b'/',
        b'1',
        b'.',
        b'0' | b'1',
        b' ',
        digits @ ..,
        end,
    ] = bytes.first_chunk::<13>()?
    else {
        return None;
    };
    let is_plain = digits.iter().all(u8::is_ascii_digit) && matches!(end, b' ' | b'\r');
    let status = digits
        .iter()
        .fold(0, |n, digit| n * 10 + u16::from(digit.wrapping_sub(b'0')));
    (is_plain && status >= 200).then_some(status)
}

/// Whether a body is a whole number of chunks with the last one, and nothing else.
fn is_whole_chunked(mut body: &[u8]) -> bool {
    loop {
        let digits = body.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let size = body
            .get(..digits.min(8))
            .and_then(|size| std::str::from_utf8(size).ok())
            .and_then(|size| usize::from_str_radix(size, 16).ok());
        let (Some(size), Some(rest)) = (size, body.get(digits..)) else {
            return false;
        };
        let chunk = rest.strip_prefix(b"\r\n").and_then(|r| r.get(size..));
        match chunk.and_then(|rest| rest.strip_prefix(b"\r\n")) {
            _ if digits > 8 => return false,
            Some(rest) if size == 0 => return rest.is_empty(),
            Some(rest) => body = rest,
            None => return false,
        }
    }
}

/// What the lines of a head say.
#[derive(Debug)]
struct Fields<'a> {
    /// Length of the first line, without its end.
    start_line: usize,
    /// Length of the head.
    len: usize,
    framing: Framing,
    expects: bool,
    host: Option<&'a [u8]>,
    forwarded_for: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    /// Reads the head at the start of `bytes`; `None` where it does not end in them, or is odd.
    fn read(bytes: &'a [u8], limits: &Limits) -> Option<Self> {
        let line_feed = u8x16::new([b'\n'; 16]);
        let mut ends = places(bytes, |byte, _| byte.cmp_eq(line_feed));
        let end = ends.next()?;
        let start_line = bytes.get(..end)?.strip_suffix(b"\r")?.len();
        let mut fields = Self {
            start_line,
            len: 0,
            framing: Framing::None,
            expects: false,
            host: None,
            forwarded_for: None,
        };
        let mut at = end + 1;
        let mut count = 0;
        for end in ends {
            count += 1;
            let line = bytes.get(at..end)?;
            at = end + 1;
            let &[first, .., b'\r'] = line else {
                fields.len = at;
                let is_usual = at <= limits.head && count <= limits.fields;
                return (line == b"\r" && is_usual).then_some(fields);
            };
            // Folded: it goes on with the line before.
            if first <= b' ' {
                return None;
            }
            // By the first letter, most lines are nothing that matters here.
            if matches!(first | 0x20, b'c' | b'e' | b'h' | b't' | b'x') {
                fields.field(first, line)?;
            }
        }
        None
    }

    /// Takes in a line by its first letter.
    fn field(&mut self, first: u8, line: &'a [u8]) -> Option<()> {
        match first | 0x20 {
            b'c' => {
                if let Some(value) = value(line, b"content-length")? {
                    self.length(value)?;
                }
            }
            b't' => {
                if let Some(value) = value(line, b"transfer-encoding")? {
                    self.chunked(value)?;
                }
            }
            b'e' => self.expects |= value(line, b"expect")?.is_some(),
            b'h' => {
                let value = value(line, b"host")?;
                self.host = self.host.or(value);
            }
            _ => {
                let value = value(line, b"x-forwarded-for")?;
                self.forwarded_for = self.forwarded_for.or(value);
            }
        }
        Some(())
    }

    fn length(&mut self, value: &[u8]) -> Option<()> {
        let is_plain = (1..=18).contains(&value.len()) && self.framing == Framing::None;
        let mut digits = value.iter().map(|byte| byte.wrapping_sub(b'0'));
        let length = digits.try_fold(0_u64, |n, digit| {
            (digit <= 9).then(|| n.wrapping_mul(10).wrapping_add(u64::from(digit)))
        })?;
        is_plain.then(|| self.framing = Framing::Length(length))
    }

    fn chunked(&mut self, value: &[u8]) -> Option<()> {
        let is_plain = value.eq_ignore_ascii_case(b"chunked") && self.framing == Framing::None;
        is_plain.then(|| self.framing = Framing::Chunked)
    }
}

/// The value of a line whose field has this name; `None` within where it has another one, and
/// `None` where white space stands before the colon.
#[expect(clippy::option_option, reason = "another name is no oddity")]
fn value<'a, const LEN: usize>(line: &'a [u8], name: &[u8; LEN]) -> Option<Option<&'a [u8]>> {
    match line.split_first_chunk() {
        // What stands behind the name first: it alone tells nearly all others.
        Some((written, [behind @ (b':' | b' ' | b'\t'), value @ ..])) if is(written, name) => {
            (*behind == b':').then(|| Some(value.trim_ascii()))
        }
        _ => Some(None),
    }
}

/// Whether a name is this one, which is in lower case; in a few steps, as its length is known.
fn is<const LEN: usize>(written: &[u8; LEN], name: &[u8; LEN]) -> bool {
    let differ = |(written, name): (&u8, &u8)| {
        let case = u8::from(name.is_ascii_lowercase()) << 5;
        (written ^ name) & !case
    };
    let pairs = written.iter().zip(name);
    pairs.map(differ).fold(0, |all, bits| all | bits) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_request_tells_its_route() {
        let bytes = b"POST /a?b HTTP/1.1\r\nHost:  shop \r\nX-Forwarded-For: 1.2.3.4\r\n\
            Upgrade: x\r\nuser-agent: a b\r\nOrigin: http://o\r\ncontent-length: 2\r\nExpectations: none\r\n\r\nhi";
        let read = read_request(bytes).unwrap();
        assert_eq!((read.method, read.target), (&b"POST"[..], &b"/a?b"[..]));
        assert_eq!(read.host, Some(&b"shop"[..]));
        assert_eq!(read.forwarded_for, Some(&b"1.2.3.4"[..]));
        assert_eq!(read.value(b"origin"), Some(&b"http://o"[..]));
        assert_eq!(read.value(b"user-agent"), Some(&b"a b"[..]));
        assert_eq!(read.value(b"cookie"), None);
        assert_eq!(read_request(&bytes[..bytes.len() - 1]), None);
        assert_eq!(read_request(&[bytes, &b"G"[..]].concat()), None);
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_left_to_the_parser() {
        for head in [
            "HEAD / HTTP/1.1\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\n\r\n",
            "OPTIONS / HTTP/1.1\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\n",
            "BREW / HTTP/1.1\r\n\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n\r\n",
            "GET / HTTP/1.1\n\n",
            "GET /\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n Content-Length: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length : 0\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: +0\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n",
        ] {
            assert_eq!(read_request(head.as_bytes()), None, "{head}");
        }
    }

    #[test]
    fn only_letters_have_a_case() {
        for (written, is_it) in [
            (b"content-length", true),
            (b"Content-LENGTH", true),
            (b"content\rlength", false),
            (b"content-lengt(", false),
        ] {
            assert_eq!(is(written, b"content-length"), is_it, "{written:?}");
        }
    }

    #[test]
    fn a_whole_response_tells_its_status() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", Some(200)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", None),
            ("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Some(200)),
            ("HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n", Some(304)),
            ("HTTP/1.1 204 N\r\n\r\nx", None),
            ("HTTP/1.1 200 OK\r\n\r\n", None),
            ("HTTP/1.1 100 C\r\n\r\n", None),
            ("HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n", None),
        ];
        for (bytes, expected) in cases {
            let found = response(bytes.as_bytes(), &Limits::default());
            assert_eq!(found.map(|r| r.status), expected, "{bytes}");
        }
    }

    #[test]
    fn chunks_are_counted_to_the_last() {
        for (body, is_whole) in [
            ("2\r\nab\r\n0\r\n\r\n", true),
            ("0\r\n\r\n", true),
            ("2\r\nab\r\n0\r\n\r\nx", false),
            ("2\r\nab\r\n0\r\nA: b\r\n\r\n", false),
            ("2;a=b\r\nab\r\n0\r\n\r\n", false),
            ("2\r\nab\r\n", false),
            ("2\r\nabc\r\n0\r\n\r\n", false),
            ("fffffffffffffffff\r\n", false),
            ("\r\n\r\n", false),
            ("", false),
        ] {
            assert_eq!(is_whole_chunked(body.as_bytes()), is_whole, "{body:?}");
        }
    }

    fn read_request(bytes: &[u8]) -> Option<BriefRequest<'_>> {
        request(bytes, &Limits::default())
    }
}
