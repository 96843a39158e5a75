//! What is said on one connection.

use std::net::SocketAddr;
use std::time::Duration;

use tracer403::http::{Http, Part, Protocol};
use tracer403::limits::Limits;
use tracer403::model::{ConnId, Direction, Exchange, GapKind, MessageEnd, Timestamp};
use tracer403::pair::Pairing;
use tracer403::reassembly::{Chunk, Connection, EndKind, Piece};

/// Bytes that parser and pairing may hold under the limits below: most of it is room for a segment.
const MEMORY: usize = 256 << 10;
/// Bytes of the largest segment.
const SEGMENT: usize = 65_535;

/// Fields that tell where a message ends are kept even past the bound of a head: so many bytes,
/// line ends among them, and so many fields.
const FRAMING: usize = 1024 + 4;
const FRAMING_FIELDS: usize = 8;

/// A transcript as in `tracer/tests/transcripts`, so that those are inputs too. What cannot be a
/// mark is content; bytes before the first mark come from the client.
pub fn h1(data: &[u8]) {
    let events = events(data);
    let whole = Run::new(&events, SEGMENT);
    for len in [1, 7] {
        assert_eq!(Run::new(&events, len), whole, "in pieces of {len}");
    }
}

enum Event {
    Data(Direction, Vec<u8>),
    Gap(Direction, u64, GapKind),
    End(Direction, EndKind),
}

fn events(transcript: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut speaks = Direction::ClientToServer;
    for line in transcript.split(|b| *b == b'\n') {
        let (mark, rest) = line.split_at(line.len().min(3));
        let dir = match mark {
            [b'>', ..] => Direction::ClientToServer,
            _ => Direction::ServerToClient,
        };
        match mark {
            b"###" | b"===" => {}
            b">>>" | b"<<<" => speaks = dir,
            b">->" | b"<-<" => {
                let text = String::from_utf8_lossy(rest);
                let mut words = text.split_whitespace();
                let len: u64 = words.next().and_then(|w| w.parse().ok()).unwrap_or(1);
                let kind = match words.next() {
                    None => GapKind::Lost,
                    Some(_) => GapKind::Skipped,
                };
                events.push(Event::Gap(dir, len.max(1), kind));
            }
            b">>|" | b"<<|" => events.push(Event::End(
                dir,
                match rest.trim_ascii() {
                    b"fin" => EndKind::Fin,
                    b"reset" => EndKind::Reset,
                    b"evicted" => EndKind::Evicted,
                    _ => EndKind::Idle,
                },
            )),
            _ => {
                // A section is one event, unless a gap or an end came in between.
                if !matches!(events.last(), Some(Event::Data(last, _)) if *last == speaks) {
                    events.push(Event::Data(speaks, Vec::new()));
                }
                if let Some(Event::Data(_, content)) = events.last_mut() {
                    unescape(line, content);
                }
            }
        }
    }
    events
}

/// Adds a line of content and its line end.
fn unescape(line: &[u8], out: &mut Vec<u8>) {
    let mut rest = line;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some((escape, after)) = rest.split_first() else {
            return;
        };
        rest = after;
        match escape {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'x' => {
                let (digits, after) = rest.split_at(rest.len().min(2));
                let digits = std::str::from_utf8(digits).unwrap_or_default();
                out.push(u8::from_str_radix(digits, 16).unwrap_or(b'x'));
                rest = after;
            }
            b'{' => {
                let end = rest.iter().position(|b| *b == b'}').unwrap_or(rest.len());
                let (inner, after) = rest.split_at(end);
                let star = inner.iter().position(|b| *b == b'*').unwrap_or(0);
                let (count, text) = inner.split_at(star);
                let count = std::str::from_utf8(count).unwrap_or_default();
                let count = count.parse().unwrap_or(1_usize).min(2_000);
                out.extend(text.get(1..).unwrap_or_default().repeat(count));
                rest = after.get(1..).unwrap_or_default();
            }
            other => out.push(*other),
        }
    }
    out.extend(b"\r\n");
}

/// What came out.
#[derive(Debug, PartialEq)]
struct Run {
    exchanges: Vec<Exchange>,
    switched: Option<Protocol>,
}

impl Run {
    /// Every piece of a section has the same time, however it is cut; a section later is a
    /// nanosecond later, and nothing is waited for longer than three of them.
    fn new(events: &[Event], len: usize) -> Self {
        let limits = Limits {
            head: 1_000,
            look: 200,
            fields: 20,
            body_kept: 100,
            pipeline: 6,
            interim: 2,
            settle: Duration::from_nanos(3),
            ..Limits::default()
        };
        let mut line = Line::new(limits);
        for event in events {
            line.now += 1;
            match event {
                Event::Data(dir, data) => {
                    for piece in data.chunks(len) {
                        line.push(*dir, Piece::Data(piece));
                    }
                }
                Event::Gap(dir, len, kind) => line.push(
                    *dir,
                    Piece::Gap {
                        len: *len,
                        kind: *kind,
                    },
                ),
                Event::End(dir, kind) => line.push(*dir, Piece::End(*kind)),
            }
        }
        line.close()
    }
}

/// A connection with its parser.
struct Line {
    limits: Limits,
    conn: Connection,
    http: Http,
    pairing: Pairing,
    exchanges: Vec<Exchange>,
    /// What each direction may say next.
    order: [Order; 2],
    offsets: [u64; 2],
    ended: [bool; 2],
    now: u64,
}

impl Line {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            conn: Connection {
                id: ConnId(1),
                client: SocketAddr::from(([192, 0, 2, 1], 50_000)),
                server: SocketAddr::from(([198, 51, 100, 1], 80)),
                client_cookie: 0,
                server_cookie: 0,
                started_in_middle: false,
                conflict: false,
                sights: None,
            },
            http: Http::default(),
            pairing: Pairing::default(),
            exchanges: Vec::new(),
            order: [Order::Between; 2],
            offsets: [0; 2],
            ended: [false; 2],
            now: 0,
        }
    }

    /// Hands on a piece, as reassembly would: nothing comes after the end of a direction.
    fn push(&mut self, dir: Direction, piece: Piece<'_>) {
        let side = dir as usize;
        if self.ended[side] {
            return;
        }
        let offset = self.offsets[side];
        match piece {
            Piece::Data(data) => self.offsets[side] = offset.saturating_add(data.len() as u64),
            Piece::Gap { len, .. } | Piece::LeftOut { len } => {
                self.offsets[side] = offset.saturating_add(len)
            }
            Piece::LastWaits => {}
            Piece::End(_) => self.ended[side] = true,
        }
        let chunk = Chunk {
            at: Timestamp::from_nanos(self.now),
            dir,
            offset,
            piece,
        };
        let Self {
            limits,
            conn,
            http,
            pairing,
            exchanges,
            order,
            ..
        } = self;
        http.push(&chunk, limits, &mut |at, dir, part| {
            assert!(at <= chunk.at);
            order[dir as usize].part(dir, &part);
            pairing.push(conn, at, dir, part, limits, &mut |e| exchanges.push(e));
        });
        let memory = http.memory() + pairing.memory();
        assert!(memory <= MEMORY, "{memory} bytes");
    }

    fn close(mut self) -> Run {
        for dir in [Direction::ClientToServer, Direction::ServerToClient] {
            self.push(dir, Piece::End(EndKind::Idle));
        }
        let at = Timestamp::from_nanos(self.now);
        let exchanges = &mut self.exchanges;
        self.pairing
            .close(&self.conn, at, &self.limits, &mut |e| exchanges.push(e));
        let limits = &self.limits;
        for exchange in exchanges {
            assert!(
                exchange.request.is_some()
                    || exchange.response.is_some()
                    || !exchange.interim.is_empty()
            );
            assert!(exchange.interim.len() <= limits.interim);
            let request = exchange.request.iter().map(|r| &r.message);
            let response = exchange.response.iter().map(|r| &r.message);
            for message in request.chain(response) {
                assert!(message.head.raw.len() <= limits.head + FRAMING);
                assert!(message.head.fields.len() <= limits.fields + FRAMING_FIELDS);
                assert!(message.body.kept.len() <= limits.body_kept);
                assert!(message.body.kept.len() as u64 <= message.body.seen);
                assert!(message.started_at <= message.head_at);
                assert!(message.ended_at.is_none_or(|end| message.head_at <= end));
            }
        }
        Run {
            exchanges: self.exchanges,
            switched: self.http.switched(),
        }
    }
}

/// Where a direction stands by the order that [`Part`] promises.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    Between,
    Message,
    Trailers,
}

impl Order {
    fn part(&mut self, dir: Direction, part: &Part<'_>) {
        let before = *self;
        *self = match (before, part) {
            (Self::Between, Part::Request(_)) => {
                assert_eq!(dir, Direction::ClientToServer);
                Self::Message
            }
            (Self::Between, Part::Response(response)) => {
                assert_eq!(dir, Direction::ServerToClient);
                match response.is_interim() {
                    true => Self::Between,
                    false => Self::Message,
                }
            }
            (Self::Message, Part::Body(data)) => {
                assert!(!data.is_empty());
                Self::Message
            }
            (Self::Message, Part::BodyGap { len, .. }) => {
                assert!(*len > 0);
                Self::Message
            }
            (Self::Message, Part::Trailers(_)) => Self::Trailers,
            (Self::Message | Self::Trailers, Part::End(end)) => {
                assert_ne!(*end, MessageEnd::Open);
                Self::Between
            }
            (same, Part::Odd(_) | Part::Switched(_) | Part::ProxyClient(_)) => same,
            (_, part) => panic!("{part:?} while {before:?}"),
        };
    }
}
