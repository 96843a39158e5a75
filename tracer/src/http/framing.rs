//! How long a message is, by its head (RFC 9112 section 6.3).

use super::Protocol;
use super::outstanding::Kind;
use crate::model::{Anomaly, Framing, Head, Request, Response};

/// What the header fields say about the rest of the message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    length: Option<u64>,
    has_length: bool,
    coding: Coding,
    hosts: usize,
    /// `Expect: 100-continue`.
    pub(super) expects_continue: bool,
    /// What the `Upgrade` field names.
    pub(super) upgrade: Option<Protocol>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    /// No `Transfer-Encoding`, or `identity` alone.
    #[default]
    None,
    /// The last one is `chunked`.
    Chunked,
    /// Another one.
    Other,
}

/// Whether a field has a say in how long a message is.
pub(super) fn is_framing_field(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
}

/// Reads the facts off a head; names what is odd about them in `odd`.
pub(super) fn facts(head: &Head, odd: &mut Vec<Anomaly>) -> Facts {
    let mut facts = Facts::default();
    for field in head.fields() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name.as_bytes());
        // The length of a name tells nearly all others apart.
        match field.name.len() {
            4 if is("host") => facts.hosts += 1,
            6 if is("expect") => {
                facts.expects_continue |= field.value.eq_ignore_ascii_case(b"100-continue");
            }
            7 if is("upgrade") => facts.upgrade = Some(upgrade(field.value)),
            14 if is("content-length") => facts.add_length(field.value, odd),
            17 if is("transfer-encoding") => facts.add_coding(field.value, odd),
            _ => {}
        }
    }
    if facts.coding == Coding::Other {
        say(odd, Anomaly::OddTransferCoding);
    }
    if facts.has_length && facts.coding != Coding::None {
        odd.push(Anomaly::BothLengths);
    }
    facts
}

/// How the end of a request is known.
pub(super) fn request(request: &Request, facts: &Facts, odd: &mut Vec<Anomaly>) -> Framing {
    if request.minor_version == Some(1) && facts.hosts != 1 {
        odd.push(Anomaly::HostCount);
    }
    match (facts.coding, facts.length) {
        (Coding::Chunked, _) => Framing::Chunked,
        (_, Some(length)) => Framing::Length(length),
        (_, None) => Framing::None,
    }
}

/// How the end of a response is known.
pub(super) fn response(response: &Response, facts: &Facts, asked: Kind) -> Framing {
    if asked == Kind::Head
        || has_no_content(response.status)
        || (asked == Kind::Connect && is_success(response.status))
    {
        return Framing::None;
    }
    match (facts.coding, facts.length) {
        (Coding::Chunked, _) => Framing::Chunked,
        (Coding::Other, _) | (Coding::None, None) => Framing::UntilClose,
        (Coding::None, Some(length)) => Framing::Length(length),
    }
}

/// Whether responses of this status have no body, whatever their fields say.
fn has_no_content(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}

pub(super) fn is_success(status: u16) -> bool {
    (200..=299).contains(&status)
}

fn upgrade(value: &[u8]) -> Protocol {
    let mut names = value.split(|b| *b == b',').map(<[u8]>::trim_ascii);
    if names.any(|name| name.eq_ignore_ascii_case(b"h2c")) {
        Protocol::Http2
    } else {
        Protocol::Upgraded
    }
}

impl Facts {
    fn add_length(&mut self, value: &[u8], odd: &mut Vec<Anomaly>) {
        for text in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
            self.has_length = true;
            let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
            let number = std::str::from_utf8(text)
                .ok()
                .filter(|_| digits)
                .and_then(|text| text.parse().ok());
            match (self.length, number) {
                (_, None) => say(odd, Anomaly::InvalidLength),
                (None, length) => self.length = length,
                (Some(first), Some(other)) if first != other => {
                    say(odd, Anomaly::ConflictingLengths);
                }
                (Some(_), Some(_)) => {}
            }
        }
    }

    fn add_coding(&mut self, value: &[u8], odd: &mut Vec<Anomaly>) {
        for text in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
            let name = text.split(|b| *b == b';').next().unwrap_or_default();
            let last = if name.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                Coding::Chunked
            } else if text.is_empty() || text.eq_ignore_ascii_case(b"identity") {
                Coding::None
            } else {
                Coding::Other
            };
            // Anything after `chunked`, a parameter of it, and `identity` are all against the rule.
            let plain = last != Coding::Chunked || text.len() == b"chunked".len();
            if self.coding == Coding::Chunked || !plain || last == Coding::None {
                say(odd, Anomaly::OddTransferCoding);
            }
            if last != Coding::None {
                self.coding = last;
            }
        }
    }
}

fn say(odd: &mut Vec<Anomaly>, anomaly: Anomaly) {
    if !odd.contains(&anomaly) {
        odd.push(anomaly);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head;
    use crate::limits::Limits;

    #[test]
    fn requests() {
        use Anomaly::*;
        use Framing::{Chunked, Length};
        let cases: &[(&str, Framing, &[Anomaly])] = &[
            ("", Framing::None, &[]),
            ("Content-Length: 5\r\n", Length(5), &[]),
            (
                "Content-Length: 5, 5\r\nContent-Length: 5\r\n",
                Length(5),
                &[],
            ),
            (
                "Content-Length: 5\r\nContent-Length: 6\r\n",
                Length(5),
                &[ConflictingLengths],
            ),
            ("Content-Length: +5\r\n", Framing::None, &[InvalidLength]),
            (
                "Content-Length: 99999999999999999999\r\n",
                Framing::None,
                &[InvalidLength],
            ),
            ("Transfer-Encoding: gzip, Chunked\r\n", Chunked, &[]),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                Chunked,
                &[BothLengths],
            ),
            (
                "Transfer-Encoding: xchunked\r\n",
                Framing::None,
                &[OddTransferCoding],
            ),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                Chunked,
                &[OddTransferCoding],
            ),
            (
                "Transfer-Encoding: chunked, gzip\r\n",
                Framing::None,
                &[OddTransferCoding],
            ),
        ];
        for (fields, framing, expected) in cases {
            let raw = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            let mut odd = Vec::new();
            let parsed = head::request(raw.as_bytes(), &Limits::default(), &mut odd);
            let facts = facts(&parsed.message.head, &mut odd);
            assert_eq!(request(&parsed, &facts, &mut odd), *framing, "{fields}");
            assert_eq!(odd, *expected, "{fields}");
        }
    }

    #[test]
    fn responses() {
        use Framing::{Length, UntilClose};
        let cases = [
            (200, "", Kind::Other, UntilClose),
            (200, "Content-Length: 5\r\n", Kind::Other, Length(5)),
            (200, "Content-Length: 5\r\n", Kind::Head, Framing::None),
            (200, "Transfer-Encoding: gzip\r\n", Kind::Other, UntilClose),
            (204, "Content-Length: 5\r\n", Kind::Other, Framing::None),
            (
                304,
                "Transfer-Encoding: chunked\r\n",
                Kind::Other,
                Framing::None,
            ),
            (200, "", Kind::Connect, Framing::None),
            (403, "Content-Length: 5\r\n", Kind::Connect, Length(5)),
        ];
        for (status, fields, asked, framing) in cases {
            let raw = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
            let mut odd = Vec::new();
            let parsed = head::response(raw.as_bytes(), &Limits::default(), &mut odd);
            let facts = facts(&parsed.message.head, &mut odd);
            assert_eq!(response(&parsed, &facts, asked), framing, "{raw}");
        }
    }
}
