//! What the stages work on: connections that are kept open, with POSTs of which one in sixteen is
//! refused; and the same as each stage gets it.

use std::net::SocketAddr;

use etherparse::PacketBuilder;
use tracer403::decode::{Decoded, Decoder, Segment};
use tracer403::http::{Http, Part, Placed};
use tracer403::limits::Limits;
use tracer403::model::{ConnId, Direction, MessageEnd, Request, Response, Timestamp};
use tracer403::reassembly::{Chunk, Connection, Piece};
use tracer403::source::{Frame, Vantage};

/// Connections, and exchanges on each.
const CONNECTIONS: usize = 16;
const EXCHANGES: usize = 64;
const REFUSED: usize = 16;
/// LINKTYPE_ETHERNET of the pcap registry.
const ETHERNET: u16 = 1;
/// Between two packets, in nanoseconds.
const STEP: u64 = 10_000;

/// The packets.
pub(crate) struct Capture {
    packets: Vec<Packet>,
    /// Request and answer of each exchange of one connection.
    messages: Vec<[Vec<u8>; 2]>,
}

struct Packet {
    at: Timestamp,
    bytes: Vec<u8>,
}

/// A part of a message that owns what it holds.
pub(crate) enum Owned {
    Request(Placed<Request>),
    Response(Placed<Response>),
    Body(Vec<u8>),
    End(MessageEnd),
}

/// What pairing is given.
pub(crate) type Parts = Vec<(Timestamp, Direction, Owned)>;

impl Capture {
    pub(crate) fn new() -> Self {
        let messages: Vec<_> = (0..EXCHANGES).map(exchange).collect();
        let mut packets = Vec::new();
        for connection in 0..CONNECTIONS {
            let mut next = [1u32 << 24, 1 << 30];
            for pair in &messages {
                for (side, message) in pair.iter().enumerate() {
                    let at = Timestamp::from_nanos(STEP * (packets.len() as u64 + 1));
                    let bytes = packet(connection, side, next, message);
                    if let Some(next) = next.get_mut(side) {
                        *next += message.len() as u32;
                    }
                    packets.push(Packet { at, bytes });
                }
            }
        }
        Self { packets, messages }
    }

    pub(crate) fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        self.packets.iter().map(|packet| Frame {
            at: packet.at,
            link_type: ETHERNET,
            wire_len: packet.bytes.len() as u32,
            data: &packet.bytes,
            vantage: Vantage::default(),
        })
    }

    pub(crate) fn segments(&self) -> Vec<Segment<'_>> {
        let segment = |frame| match Decoder::new().decode(&frame) {
            // Borrowed from the frame: there are no fragments.
            Decoded::Tcp(segment) => Some(Segment {
                payload: frame.data.get(HEADERS..)?,
                ..segment_of(&segment)
            }),
            _ => None,
        };
        self.frames().filter_map(segment).collect()
    }

    pub(crate) fn chunks(&self) -> Vec<Chunk<'_>> {
        let mut offsets = [0u64; 2];
        let mut chunks = Vec::new();
        for pair in &self.messages {
            let sides = [Direction::ClientToServer, Direction::ServerToClient];
            for ((dir, message), offset) in sides.into_iter().zip(pair).zip(&mut offsets) {
                chunks.push(Chunk {
                    at: Timestamp::from_nanos(STEP * (chunks.len() as u64 + 1)),
                    dir,
                    offset: *offset,
                    piece: Piece::Data(message),
                });
                *offset += message.len() as u64;
            }
        }
        chunks
    }

    pub(crate) fn parts(&self) -> Parts {
        let mut parts = Vec::new();
        let mut http = Http::default();
        for chunk in self.chunks() {
            http.push(&chunk, &Limits::default(), &mut |at, dir, part| {
                let owned = match part {
                    Part::Request(request) => Owned::Request(request),
                    Part::Response(response) => Owned::Response(response),
                    Part::Body(data) => Owned::Body(data.to_vec()),
                    Part::End(end) => Owned::End(end),
                    _ => return,
                };
                parts.push((at, dir, owned));
            });
        }
        parts
    }
}

impl Owned {
    /// The part.
    pub(crate) fn part(self, body: &mut Vec<u8>) -> Part<'_> {
        match self {
            Self::Request(request) => Part::Request(request),
            Self::Response(response) => Part::Response(response),
            Self::Body(data) => {
                *body = data;
                Part::Body(body)
            }
            Self::End(end) => Part::End(end),
        }
    }
}

/// Bytes of headers: Ethernet, IPv4, TCP.
const HEADERS: usize = 14 + 20 + 20;

fn segment_of<'a>(segment: &Segment<'_>) -> Segment<'a> {
    Segment {
        at: segment.at,
        src: segment.src,
        dst: segment.dst,
        seq: segment.seq,
        ack: segment.ack,
        flags: segment.flags,
        payload: &[],
        cut: segment.cut,
        vantage: segment.vantage,
    }
}

pub(crate) fn connection() -> Connection {
    Connection {
        id: ConnId(1),
        client: SocketAddr::from(([10, 0, 0, 7], 40_000)),
        server: SocketAddr::from(([10, 0, 0, 1], 80)),
        client_cookie: 0,
        server_cookie: 0,
        started_in_middle: false,
        conflict: false,
        sights: None,
    }
}

fn exchange(number: usize) -> [Vec<u8>; 2] {
    let body = format!("{{\"order\":{number},\"items\":[1,2,3],\"note\":\"as always\"}}");
    let request = format!(
        "POST /api/orders/{} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl/8.5.0\r\n\
         Accept: */*\r\nX-Request-Id: bench-{number}\r\nAuthorization: Bearer abcdef{number}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        number % 8,
        body.len()
    );
    let (status, page) = match number % REFUSED {
        0 => (
            "403 Forbidden",
            "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 \
             Forbidden</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n",
        ),
        _ => ("200 OK", "{\"accepted\":true}"),
    };
    let response = format!(
        "HTTP/1.1 {status}\r\nServer: nginx/1.22.1\r\nDate: Sat, 28 Nov 2026 00:00:00 GMT\r\n\
         Content-Type: text/html\r\nContent-Length: {}\r\nConnection: keep-alive\r\n\r\n{page}",
        page.len()
    );
    [request.into_bytes(), response.into_bytes()]
}

fn packet(connection: usize, side: usize, next: [u32; 2], payload: &[u8]) -> Vec<u8> {
    let (client, server) = ([10, 0, 0, 7], [10, 0, 0, 1]);
    let port = 40_000 + connection as u16;
    let ([from, to], [from_port, to_port], [seq, ack]) = match side {
        0 => ([client, server], [port, 80], next),
        _ => ([server, client], [80, port], [next[1], next[0]]),
    };
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(from, to, 64)
        .tcp(from_port, to_port, seq, 65_000)
        .ack(ack)
        .psh();
    let mut bytes = Vec::with_capacity(builder.size(payload.len()));
    builder
        .write(&mut bytes, payload)
        .expect("a packet that is small enough");
    bytes
}
