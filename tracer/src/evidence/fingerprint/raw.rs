//! Messages written down as text become an exchange: examples of the table, and files that a user
//! wants to try the table on.

use crate::model::{
    Body, ConnId, Endpoint, Exchange, FieldSpan, Framing, Head, Message, MessageEnd, Request,
    Response,
};

/// What separates the request from the response: a line of its own.
const SEPARATOR: &[u8] = b"---";

/// The exchange that a text holds: a request, a response, or both with a line `---` between them.
/// Lines of heads may end in LF alone. The body is what follows the empty line, as it stands, cut
/// to `Content-Length` where it is longer. `None` where it is neither.
pub fn exchange(text: &[u8]) -> Option<Exchange> {
    let (request, response) = if text.starts_with(b"HTTP/") {
        (None, Some(text))
    } else {
        match separated(text) {
            Some((request, response)) => (Some(request), Some(response)),
            None => (Some(text), None),
        }
    };
    Some(Exchange {
        conn: ConnId(0),
        index: 0,
        client: nobody(),
        server: nobody(),
        request: match request {
            Some(text) => Some(Box::new(read_request(text)?)),
            None => None,
        },
        interim: Vec::new(),
        response: match response {
            Some(text) => Some(Box::new(read_response(text)?)),
            None => None,
        },
        anomalies: Vec::new(),
        proxy_client: None,
        client_addresses: Vec::new(),
    })
}

/// The parts before and after the first separator that a response follows.
fn separated(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    for line in text.split_inclusive(|b| *b == b'\n') {
        let end = at + line.len();
        let rest = text.get(end..)?;
        if line.trim_ascii_end() == SEPARATOR && rest.starts_with(b"HTTP/") {
            return Some((text.get(..at)?, rest));
        }
        at = end;
    }
    None
}

fn read_request(text: &[u8]) -> Option<Request> {
    let (message, line) = read_message(text)?;
    let (method, rest) = cut(&line, b' ')?;
    let (target, version) = cut(rest, b' ')?;
    version.strip_prefix(b"HTTP/1.")?;
    let target_at = method.len() + 1;
    Some(Request {
        method: span(0, method.len()),
        target: span(target_at, target_at + target.len()),
        minor_version: Some(1),
        message,
    })
}

fn read_response(text: &[u8]) -> Option<Response> {
    let (message, line) = read_message(text)?;
    let (version, rest) = cut(&line, b' ')?;
    let (status, reason) = cut(rest, b' ').unwrap_or((rest, &[]));
    let reason_at = line.len() - reason.len();
    Some(Response {
        status: std::str::from_utf8(status).ok()?.parse().ok()?,
        reason: span(reason_at, line.len()),
        minor_version: u8::from(!version.ends_with(b".0")),
        message,
    })
}

/// A message and its start line.
fn read_message(text: &[u8]) -> Option<(Message, Vec<u8>)> {
    let mut raw = Vec::new();
    let mut fields = Vec::new();
    let mut start_line = None;
    let mut rest = text;
    loop {
        let (line, after) = cut(rest, b'\n').unwrap_or((rest, &[]));
        rest = after;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let at = raw.len();
        raw.extend_from_slice(line);
        raw.extend_from_slice(b"\r\n");
        if line.is_empty() {
            break;
        }
        if start_line.is_none() {
            start_line = Some(line.to_vec());
        } else {
            let (name, value) = cut(line, b':')?;
            let end = at + line.trim_ascii_end().len();
            fields.push(FieldSpan {
                name: span(at, at + name.len()),
                value: span(end - value.trim_ascii().len(), end),
            });
        }
    }
    let head = Head { raw, fields };
    let length = head.value("content-length").map(<[u8]>::to_vec);
    let length = length.and_then(|v| std::str::from_utf8(&v).ok()?.parse().ok());
    let body = rest.get(..length.unwrap_or(rest.len())).unwrap_or(rest);
    let message = Message {
        head,
        end: MessageEnd::Complete,
        body: Body {
            framing: Framing::Length(body.len() as u64),
            kept: body.to_vec(),
            seen: body.len() as u64,
            ..Body::default()
        },
        ..Message::default()
    };
    Some((message, start_line?))
}

fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memchr(at, text)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

fn span(start: usize, end: usize) -> (u32, u32) {
    let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
    (number(start), number(end))
}

fn nobody() -> Endpoint {
    Endpoint {
        addr: (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        translated: None,
        cookie: 0,
        owner: None,
    }
}
