//! Builders of exchanges and cases for unit tests.

pub(crate) mod cases;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    Anomaly, Body, Case, ClientAddress, ClientSource, ConnId, Container, Decoded, Endpoint,
    Exchange, FieldSpan, Framing, Head, Message, MessageEnd, Owner, OwnerQuality, Request,
    Response, Timestamp,
};

/// 2026-05-04T01:12:09.123456789Z.
pub(crate) const START: Timestamp = Timestamp::from_nanos(1_777_857_129_123_456_789);

/// An exchange as it comes off a quiet network: nothing odd, nothing missing.
pub(crate) fn exchange(request: Request, response: Response) -> Exchange {
    let peer: SocketAddr = "10.0.0.7:51234".parse().unwrap();
    Exchange {
        conn: ConnId(7),
        index: 0,
        client: endpoint("10.0.0.7:51234"),
        server: endpoint("10.0.0.2:8080"),
        request: Some(Box::new(request)),
        interim: Vec::new(),
        response: Some(Box::new(response)),
        anomalies: Vec::new(),
        proxy_client: None,
        client_addresses: vec![ClientAddress {
            source: ClientSource::SocketPeer,
            text: peer.to_string(),
            addr: Some(peer.ip()),
        }],
    }
}

/// `POST /orders` answered 403 with a few words.
pub(crate) fn refused_post() -> Exchange {
    exchange(
        request(
            "POST /orders HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\n\
             Content-Length: 10\r\n\r\n",
            b"{\"item\":1}",
        ),
        response(
            "HTTP/1.1 403 Forbidden\r\nServer: nginx\r\nContent-Type: text/plain\r\n\
             Content-Length: 10\r\n\r\n",
            b"forbidden\n",
        ),
    )
}

/// The first case of a session.
pub(crate) fn case(exchange: Exchange) -> Case {
    Case::of(1, exchange)
}

/// A request whose whole body was seen.
pub(crate) fn request(head: &str, body: &[u8]) -> Request {
    request_bytes(head.as_bytes(), body)
}

/// As [`request`], with any bytes in the head.
pub(crate) fn request_bytes(head: &[u8], body: &[u8]) -> Request {
    let line = head.split(|b| *b == b'\r').next().unwrap();
    let first = line.iter().position(|b| *b == b' ').unwrap();
    let last = line.iter().rposition(|b| *b == b' ').unwrap();
    Request {
        method: (0, first as u32),
        target: (first as u32 + 1, last as u32),
        minor_version: Some(1),
        message: message(head, body, Duration::ZERO),
    }
}

/// A response whose whole body was seen, 1.5 ms after the request.
pub(crate) fn response(head: &str, body: &[u8]) -> Response {
    response_bytes(head.as_bytes(), body)
}

/// As [`response`], with any bytes in the head.
pub(crate) fn response_bytes(head: &[u8], body: &[u8]) -> Response {
    let line = head.split(|b| *b == b'\r').next().unwrap();
    let status = std::str::from_utf8(&line[9..12]).unwrap().parse().unwrap();
    Response {
        status,
        reason: (13.min(line.len()) as u32, line.len() as u32),
        minor_version: 1,
        message: message(head, body, Duration::from_micros(1500)),
    }
}

fn message(raw: &[u8], body: &[u8], after: Duration) -> Message {
    let started_at = START.plus(after);
    Message {
        head: head(raw),
        started_at,
        head_at: started_at.plus(Duration::from_micros(20)),
        ended_at: Some(started_at.plus(Duration::from_micros(250))),
        end: MessageEnd::Complete,
        body: Body {
            framing: if body.is_empty() {
                Framing::None
            } else {
                Framing::Length(body.len() as u64)
            },
            kept: body.to_vec(),
            seen: body.len() as u64,
            ..Body::default()
        },
        trailers: Head::default(),
    }
}

/// A head of well-formed lines.
pub(crate) fn head(raw: &[u8]) -> Head {
    let mut fields = Vec::new();
    let mut at = 0;
    for (i, line) in raw.split_inclusive(|b| *b == b'\n').enumerate() {
        let text = line.trim_ascii_end();
        if let Some(colon) = text.iter().position(|b| *b == b':').filter(|_| i > 0) {
            let skipped = text[colon + 1..]
                .iter()
                .take_while(|b| b.is_ascii_whitespace())
                .count();
            fields.push(FieldSpan {
                name: (at as u32, (at + colon) as u32),
                value: ((at + colon + 1 + skipped) as u32, (at + text.len()) as u32),
            });
        }
        at += line.len();
    }
    Head {
        raw: raw.to_vec(),
        fields,
    }
}

/// The trailers of a chunked body, one `Name: value` line each.
pub(crate) fn trailers(lines: &str) -> Head {
    let start = 2;
    let mut head = head(format!("\r\n{lines}").as_bytes());
    head.raw.drain(..start);
    for field in &mut head.fields {
        for at in [
            &mut field.name.0,
            &mut field.name.1,
            &mut field.value.0,
            &mut field.value.1,
        ] {
            *at -= start as u32;
        }
    }
    head
}

/// A body that was compressed on the wire.
pub(crate) fn decoded(coding: &str, coded_len: u64, plain: &[u8]) -> Body {
    Body {
        framing: Framing::Length(coded_len),
        kept: vec![0x1f; coded_len as usize],
        seen: coded_len,
        decoded: Some(Decoded {
            coding: coding.to_owned(),
            bytes: plain.to_vec(),
            len: plain.len() as u64,
            complete: true,
        }),
        ..Body::default()
    }
}

/// An end whose process is not known.
pub(crate) fn endpoint(addr: &str) -> Endpoint {
    Endpoint {
        addr: addr.parse().unwrap(),
        translated: None,
        cookie: 0,
        owner: None,
    }
}

/// A process that the kernel named.
pub(crate) fn owner(comm: &str, pid: u32, quality: OwnerQuality) -> Owner {
    Owner {
        pid,
        tid: pid,
        uid: 33,
        started_at: None,
        comm: comm.into(),
        exe: Some(format!("/usr/sbin/{comm}").into()),
        cgroup: Some("/system.slice/web.service".into()),
        container: None,
        quality,
    }
}

/// A docker container whose id starts with `4b0c5f…`.
pub(crate) fn container() -> Arc<Container> {
    Arc::new(Container {
        runtime: "docker",
        id: "4b0c5fd2b0a1".to_owned() + &"0".repeat(52),
    })
}

/// The same exchange with this anomaly.
pub(crate) fn with_anomaly(mut exchange: Exchange, anomaly: Anomaly) -> Exchange {
    exchange.anomalies.push(anomaly);
    exchange
}
