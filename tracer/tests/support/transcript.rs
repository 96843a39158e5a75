//! Reads transcripts and runs them through the parser and the pairing.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    reason = "a test may panic, and not every test uses all of this"
)]

use std::fmt::Write;
use std::net::SocketAddr;

use tracer403::http::{Http, Part};
use tracer403::limits::Limits;
use tracer403::model::{
    ConnId, Direction, Exchange, GapKind, Head, Message, MessageEnd, Timestamp,
};
use tracer403::pair::Pairing;
use tracer403::reassembly::{Chunk, Connection, EndKind, Piece};

/// One thing that happens on the connection.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Data(Direction, Vec<u8>),
    Gap(Direction, u64, GapKind),
    End(Direction, EndKind),
}

#[derive(Debug)]
pub(crate) struct Transcript {
    pub(crate) limits: Limits,
    pub(crate) middle: bool,
    pub(crate) events: Vec<Event>,
}

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) switched: Option<String>,
    /// The most that parser and pairing held, in bytes.
    pub(crate) memory: usize,
}

/// Runs a transcript, its bytes cut into pieces by `next_len`.
pub(crate) fn run_transcript(
    transcript: &Transcript,
    mut next_len: impl FnMut() -> usize,
) -> Outcome {
    let mut run = Run::new(transcript);
    for event in &transcript.events {
        // One time for all pieces of a section, however it is cut, and fast enough for nothing to
        // settle meanwhile.
        run.now += 1;
        match event {
            Event::Data(dir, data) => {
                let mut rest = &data[..];
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(next_len().clamp(1, rest.len()));
                    run.push(*dir, Piece::Data(piece));
                    rest = after;
                }
            }
            Event::Gap(dir, len, kind) => run.push(
                *dir,
                Piece::Gap {
                    len: *len,
                    kind: *kind,
                },
            ),
            Event::End(dir, kind) => run.push(*dir, Piece::End(*kind)),
        }
    }
    run.finish()
}

pub(crate) fn parse(text: &str) -> Transcript {
    let mut transcript = Transcript {
        limits: Limits::default(),
        middle: false,
        events: Vec::new(),
    };
    for line in text.lines() {
        let (mark, rest) = line.split_at_checked(3).unwrap_or((line, ""));
        let dir = match mark {
            m if m.starts_with('>') => Direction::ClientToServer,
            _ => Direction::ServerToClient,
        };
        let words: Vec<_> = rest.split_whitespace().collect();
        match mark {
            "###" => {}
            "===" => words.iter().for_each(|word| transcript.set(word)),
            ">>>" | "<<<" => transcript.events.push(Event::Data(dir, Vec::new())),
            ">->" | "<-<" => {
                let len = words[0].parse().expect("a length");
                let kind = match words.get(1) {
                    None => GapKind::Lost,
                    Some(&"skipped") => GapKind::Skipped,
                    Some(word) => panic!("{word}?"),
                };
                transcript.events.push(Event::Gap(dir, len, kind));
            }
            ">>|" | "<<|" => transcript.events.push(Event::End(dir, end_kind(words[0]))),
            _ => match transcript.events.last_mut() {
                Some(Event::Data(_, data)) => unescape(line, data),
                _ => panic!("bytes outside of a section: {line}"),
            },
        }
    }
    transcript
}

impl Transcript {
    fn set(&mut self, word: &str) {
        if word == "middle" {
            self.middle = true;
            return;
        }
        let (key, value) = word.split_once('=').expect("key=value");
        let value = value.parse().expect("a number");
        let limits = &mut self.limits;
        *match key {
            "head" => &mut limits.head,
            "fields" => &mut limits.fields,
            "look" => &mut limits.look,
            "pipeline" => &mut limits.pipeline,
            "interim" => &mut limits.interim,
            "body_kept" => &mut limits.body_kept,
            _ => panic!("{key}?"),
        } = value;
    }
}

fn end_kind(word: &str) -> EndKind {
    match word {
        "fin" => EndKind::Fin,
        "reset" => EndKind::Reset,
        "idle" => EndKind::Idle,
        "evicted" => EndKind::Evicted,
        _ => panic!("{word}?"),
    }
}

fn unescape(line: &str, out: &mut Vec<u8>) {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        if after.is_empty() {
            return;
        }
        let (escape, after) = after.split_at(1);
        rest = after;
        match escape {
            "r" => out.push(b'\r'),
            "n" => out.push(b'\n'),
            "0" => out.push(0),
            "t" => out.push(b'\t'),
            "\\" => out.push(b'\\'),
            "x" => {
                let (digits, after) = rest.split_at(2);
                out.push(u8::from_str_radix(digits, 16).expect("two digits"));
                rest = after;
            }
            "{" => {
                let (inner, after) = rest.split_once('}').expect("a closing brace");
                let (count, text) = inner.split_once('*').expect("N*x");
                out.extend_from_slice(text.repeat(count.parse().expect("a number")).as_bytes());
                rest = after;
            }
            _ => panic!("\\{escape}?"),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    out.extend_from_slice(b"\r\n");
}

struct Run<'t> {
    limits: &'t Limits,
    conn: Connection,
    http: Http,
    pairing: Pairing,
    outcome: Outcome,
    now: u64,
    offsets: [u64; 2],
    ended: [bool; 2],
}

impl<'t> Run<'t> {
    fn new(transcript: &'t Transcript) -> Self {
        let addr = |text: &str| text.parse::<SocketAddr>().expect("an address");
        Self {
            limits: &transcript.limits,
            conn: Connection {
                id: ConnId(1),
                client: addr("192.0.2.1:50000"),
                server: addr("198.51.100.1:80"),
                client_cookie: 0,
                server_cookie: 0,
                started_in_middle: transcript.middle,
                conflict: false,
                sights: None,
            },
            http: Http::default(),
            pairing: Pairing::default(),
            outcome: Outcome::default(),
            now: 0,
            offsets: [0; 2],
            ended: [false; 2],
        }
    }

    fn push(&mut self, dir: Direction, piece: Piece<'_>) {
        let side = dir as usize;
        let offset = self.offsets[side];
        match piece {
            Piece::Data(data) => self.offsets[side] += data.len() as u64,
            Piece::Gap { len, .. } | Piece::LeftOut { len } => self.offsets[side] += len,
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
            outcome,
            ..
        } = self;
        http.push(&chunk, limits, &mut |at, dir, part| {
            if let Part::Switched(protocol) = part {
                outcome.switched = Some(format!("{protocol:?}"));
            }
            let exchanges = &mut outcome.exchanges;
            pairing.push(conn, at, dir, part, limits, &mut |e| exchanges.push(e));
        });
        outcome.memory = outcome.memory.max(http.memory() + pairing.memory());
    }

    fn finish(mut self) -> Outcome {
        for dir in [Direction::ClientToServer, Direction::ServerToClient] {
            if !self.ended[dir as usize] {
                self.push(dir, Piece::End(EndKind::Idle));
            }
        }
        let at = Timestamp::from_nanos(self.now);
        let exchanges = &mut self.outcome.exchanges;
        self.pairing
            .close(&self.conn, at, self.limits, &mut |e| exchanges.push(e));
        self.outcome.exchanges.sort_by_key(|e| e.index);
        self.outcome
    }
}

/// Everything but times.
pub(crate) fn show(outcome: &Outcome) -> String {
    let mut out = String::new();
    for exchange in &outcome.exchanges {
        show_exchange(&mut out, exchange).expect("a string takes it");
    }
    if let Some(protocol) = &outcome.switched {
        writeln!(out, "switched to {protocol}").expect("a string takes it");
    }
    out
}

fn show_exchange(out: &mut String, exchange: &Exchange) -> std::fmt::Result {
    write!(out, "exchange {}", exchange.index)?;
    let complete = if exchange.is_complete() {
        ", complete"
    } else {
        ""
    };
    writeln!(out, "{complete}")?;
    if let Some(client) = exchange.proxy_client {
        writeln!(out, "  proxy client {client}")?;
    }
    match &exchange.request {
        None => writeln!(out, "  no request")?,
        Some(request) => {
            let method = request.method().escape_ascii();
            let target = excerpt(request.target());
            let version = request.minor_version.map_or("-".into(), |v| v.to_string());
            writeln!(out, "  request {method} {target} minor {version}")?;
            show_message(out, &request.message)?;
        }
    }
    for interim in &exchange.interim {
        writeln!(out, "  interim {}", interim.status)?;
    }
    match &exchange.response {
        None => writeln!(out, "  no response")?,
        Some(response) => {
            let reason = excerpt(response.reason());
            let (status, minor) = (response.status, response.minor_version);
            writeln!(out, "  response {status} '{reason}' minor {minor}")?;
            show_message(out, &response.message)?;
        }
    }
    let mut anomalies: Vec<_> = exchange.anomalies.clone();
    anomalies.sort_unstable();
    if !anomalies.is_empty() {
        writeln!(out, "  odd: {anomalies:?}")?;
    }
    Ok(())
}

fn show_message(out: &mut String, message: &Message) -> std::fmt::Result {
    show_fields(out, "    ", &message.head)?;
    let body = &message.body;
    write!(out, "    body {:?}, seen {}", body.framing, body.seen)?;
    if body.lost > 0 {
        write!(out, ", lost {}", body.lost)?;
    }
    if body.skipped > 0 {
        write!(out, ", skipped {}", body.skipped)?;
    }
    writeln!(out, ": '{}'", excerpt(&body.kept))?;
    show_fields(out, "    trailer ", &message.trailers)?;
    let end = message.end;
    let ended = if message.ended_at.is_some() || end == MessageEnd::Open {
        ""
    } else {
        " at no time"
    };
    writeln!(out, "    end {end:?}{ended}")
}

fn show_fields(out: &mut String, indent: &str, head: &Head) -> std::fmt::Result {
    for field in head.fields() {
        let (name, value) = (field.name.escape_ascii(), excerpt(field.value));
        writeln!(out, "{indent}{name}: {value}")?;
    }
    Ok(())
}

/// At most 60 bytes, printable.
fn excerpt(bytes: &[u8]) -> String {
    match bytes.get(..60) {
        Some(first) => format!("{}… ({} bytes)", first.escape_ascii(), bytes.len()),
        None => bytes.escape_ascii().to_string(),
    }
}
