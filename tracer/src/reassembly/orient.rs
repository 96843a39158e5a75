//! Which end of a connection is the client.
//!
//! The ladder, surest first:
//!
//! 1. the handshake: the client sends the SYN and receives the SYN-ACK;
//! 2. the first bytes: a status line comes from the server; a request line, a PROXY protocol
//!    header, a TLS ClientHello or an HTTP/2 preface from the client;
//! 3. the ports: the well-known one is the server's;
//! 4. whoever is seen to speak first is the client.

use std::net::SocketAddr;

use crate::decode::Segment;

/// The part that the sender of a segment plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

/// How a role is known; a later one is surer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Certainty {
    FirstSpeaker,
    Ports,
    Content,
    Handshake,
}

/// The part that the sender of this segment plays, as far as the segment itself tells.
pub(super) fn sender(segment: &Segment<'_>) -> (Role, Certainty) {
    if segment.flags.syn {
        let role = match segment.flags.ack {
            true => Role::Server,
            false => Role::Client,
        };
        return (role, Certainty::Handshake);
    }
    if let Some(role) = by_content(segment.payload) {
        return (role, Certainty::Content);
    }
    match by_ports(segment.src, segment.dst) {
        Some(role) => (role, Certainty::Ports),
        None => (Role::Client, Certainty::FirstSpeaker),
    }
}

/// Signature of the PROXY protocol, version 2.
const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest method that is looked for; the longest registered one has 17 letters
/// (UPDATEREDIRECTREF).
const METHOD_MAX: usize = 24;

fn by_content(payload: &[u8]) -> Option<Role> {
    if payload.starts_with(b"HTTP/1.") {
        return Some(Role::Server);
    }
    if payload.starts_with(PROXY_V2) || payload.starts_with(b"PROXY ") || is_request(payload) {
        return Some(Role::Client);
    }
    // A TLS record of type handshake; the type of the message follows its 5-byte header.
    match payload {
        [22, 3, 0..=4, _, _, 1, ..] => Some(Role::Client),
        [22, 3, 0..=4, _, _, 2, ..] => Some(Role::Server),
        _ => None,
    }
}

/// A method and the beginning of a target. `PRI *` of the HTTP/2 preface is one too.
fn is_request(payload: &[u8]) -> bool {
    let Some(space) = payload.iter().take(METHOD_MAX).position(|b| *b == b' ') else {
        return false;
    };
    let (method, rest) = payload.split_at(space);
    let target = rest.get(1..).unwrap_or_default();
    let is_method = |b: &u8| b.is_ascii_uppercase() || *b == b'-' || *b == b'_';
    !method.is_empty()
        && method.iter().all(is_method)
        && match target.first() {
            Some(b'/' | b'*') => true,
            Some(_) if method == b"CONNECT" => true,
            _ => target
                .get(..4)
                .is_some_and(|t| t.eq_ignore_ascii_case(b"http")),
        }
}

/// Ports above the well-known ones on which servers usually listen.
const SERVER_PORTS: [u16; 14] = [
    3000, 4000, 5000, 8000, 8008, 8080, 8081, 8088, 8443, 8888, 9000, 9090, 9443, 10000,
];

fn by_ports(sender: SocketAddr, receiver: SocketAddr) -> Option<Role> {
    let (mine, other) = (sender.port(), receiver.port());
    let lower = mine.min(other);
    let is_known = |port| port < 1024 || SERVER_PORTS.contains(&port);
    let server = match (is_known(mine), is_known(other)) {
        _ if mine == other => return None,
        (true, false) => mine,
        (false, true) => other,
        (true, true) => lower,
        (false, false) => return None,
    };
    Some(if server == mine {
        Role::Server
    } else {
        Role::Client
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell() {
        for (bytes, role) in [
            (&b"HTTP/1.1 403 Forbidden\r\n"[..], Some(Role::Server)),
            (b"HTTP/1.0 2", Some(Role::Server)),
            (b"POST /login HTTP/1.1\r\n", Some(Role::Client)),
            (b"GET http://example.org/ HTTP/1.1\r\n", Some(Role::Client)),
            (b"CONNECT example.org:443 HTTP/1.1\r\n", Some(Role::Client)),
            (b"OPTIONS * HTTP/1.1\r\n", Some(Role::Client)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Role::Client)),
            (
                b"PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\n",
                Some(Role::Client),
            ),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", Some(Role::Client)),
            (b"\x16\x03\x01\x02\x00\x01\x00", Some(Role::Client)),
            (b"\x16\x03\x03\x00\x7a\x02\x00", Some(Role::Server)),
            (b"THE END of a body", None),
            (b"post /lower HTTP/1.1", None),
            (b" /", None),
            (b"", None),
        ] {
            assert_eq!(by_content(bytes), role, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn well_known_ports_tell() {
        let role = |sender, receiver| {
            by_ports(
                SocketAddr::from(([192, 0, 2, 1], sender)),
                SocketAddr::from(([192, 0, 2, 2], receiver)),
            )
        };
        assert_eq!(role(80, 40000), Some(Role::Server));
        assert_eq!(role(40000, 443), Some(Role::Client));
        assert_eq!(role(8080, 2000), Some(Role::Server));
        assert_eq!(role(8080, 80), Some(Role::Client));
        assert_eq!(role(50000, 40000), None);
        assert_eq!(role(80, 80), None);
    }
}
