//! A small language for segments, and one for what is handed out.
//!
//! A segment is `>` (from 192.0.2.1 port 40000) or `<` (from 192.0.2.2 port 80), the offset of its
//! first byte, then any of `S`, `F`, `R` (flags), `@N` (acknowledges N bytes), `~N` (N bytes cut)
//! and `:TEXT` (payload, last). Between them: `+N` lets N milliseconds pass, `-N` turns time back,
//! `!N` takes other initial sequence numbers, `:N` another peer, `:lo` loopback addresses, `as=N`
//! other addresses of the same connection (`as=0`: the first ones again), `netns=N` a namespace, `egress=N` and `ingress=N` a hook and its cookie, `$` the end of the
//! capture. `_` in a payload is a space.
//!
//! A trace has `>0:abc` for data, `>0?3` for a lost gap, `>0~3` for a skipped one, `>3.fin` for an
//! end, `closed`, `#2` where another connection than before is spoken of, and `~` before it where
//! its client is not the `>` end.

use std::net::SocketAddr;

use super::super::*;
use crate::decode::Flags;
use crate::model::GapKind;
use crate::source::{Hook, Vantage};

/// What came of a script.
pub(super) struct Outcome {
    pub(super) trace: String,
    pub(super) stats: Stats,
    pub(super) conflict: bool,
}

pub(super) fn run(text: &str) -> Outcome {
    run_with(Limits::default(), text)
}

pub(super) fn run_with(limits: Limits, text: &str) -> Outcome {
    let mut script = Script::new(limits);
    script.feed(text);
    Outcome {
        trace: script.trace(),
        stats: script.reassembler.stats(),
        conflict: script.conflict,
    }
}

#[derive(Debug, Default)]
pub(super) struct Probe {
    memory: usize,
    wakes_at: Option<Timestamp>,
}

impl Flow for Probe {
    fn memory(&self) -> usize {
        self.memory
    }

    fn wakes_at(&self) -> Option<Timestamp> {
        self.wakes_at
    }
}

pub(super) struct Script {
    pub(super) reassembler: Reassembler<Probe>,
    pub(super) flow_memory: usize,
    /// How long after each chunk, in milliseconds, the flow wants to be woken.
    pub(super) wakes_after_ms: Option<u64>,
    pub(super) conflict: bool,
    pub(super) cookies: (u64, u64),
    /// Client and server, each as itself and as the other one sees it.
    pub(super) names: [String; 4],
    trace: Vec<String>,
    spoken_of: u64,
    at_ms: u64,
    isn: u32,
    ends: [SocketAddr; 2],
    vantage: Vantage,
}

impl Script {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            reassembler: Reassembler::new(limits),
            flow_memory: 0,
            wakes_after_ms: None,
            conflict: false,
            cookies: (0, 0),
            names: Default::default(),
            trace: Vec::new(),
            spoken_of: 1,
            at_ms: 1_000_000,
            isn: u32::MAX - 2,
            ends: ends(1),
            vantage: Vantage::default(),
        }
    }

    pub(super) fn trace(&self) -> String {
        self.trace.join(" ")
    }

    pub(super) fn take_trace(&mut self) -> String {
        std::mem::take(&mut self.trace).join(" ")
    }

    pub(super) fn feed(&mut self, text: &str) {
        for token in text.split_whitespace() {
            self.step(token);
        }
    }

    fn step(&mut self, token: &str) {
        if let Some((name, value)) = token.split_once('=') {
            let value = value.parse().unwrap();
            match name {
                "as" => self.ends = translated(value as u8),
                "netns" => self.vantage.netns = value,
                "egress" => (self.vantage.hook, self.vantage.cookie) = (Hook::Egress, value),
                "ingress" => (self.vantage.hook, self.vantage.cookie) = (Hook::Ingress, value),
                _ => panic!("{token}"),
            }
            return;
        }
        let rest = &token[1..];
        match &token[..1] {
            "+" => {
                self.at_ms += rest.parse::<u64>().unwrap();
                self.call(|reassembler, at, sink| reassembler.tick(at, sink));
            }
            "-" => self.at_ms -= rest.parse::<u64>().unwrap(),
            "!" => self.isn = rest.parse::<u32>().unwrap().wrapping_mul(0x3000_0000),
            ":" if rest == "lo" => {
                self.ends = self.ends.map(|end| ([127, 0, 0, 1], end.port()).into());
            }
            ":" => {
                let peer = rest.parse().unwrap();
                self.ends = ends(peer);
                self.isn = u32::MAX - 2 - (u32::from(peer) - 1) * 0x0100_0000;
            }
            "$" => self.call(|reassembler, _, sink| reassembler.finish(sink)),
            ">" => self.segment(self.ends, rest),
            "<" => self.segment([self.ends[1], self.ends[0]], rest),
            _ => panic!("{token}"),
        }
    }

    fn segment(&mut self, [src, dst]: [SocketAddr; 2], text: &str) {
        let (rest, payload) = text.split_once(':').unwrap_or((text, ""));
        let payload = payload.replace('_', " ");
        let number = |mark: char| {
            let (_, number) = rest.split_once(mark)?;
            let end = number.find(['@', '~']).unwrap_or(number.len());
            Some(number[..end].parse::<u64>().unwrap())
        };
        let has = |flag| rest.contains(flag);
        let end = rest.find(['S', 'F', 'R', '@', '~']).unwrap_or(rest.len());
        let offset = rest[..end].parse::<i64>().unwrap_or(0) - i64::from(has('S'));
        // Offset 0 is the first byte after the SYN.
        let base = self.isn.wrapping_add(1);
        let (ack, vantage) = (number('@'), self.vantage);
        self.call(|reassembler, at, sink| {
            let segment = Segment {
                at,
                src,
                dst,
                seq: base.wrapping_add(offset as u32),
                ack: base.wrapping_add(ack.unwrap_or(0) as u32),
                flags: Flags {
                    syn: has('S'),
                    ack: ack.is_some(),
                    fin: has('F'),
                    rst: has('R'),
                },
                payload: payload.as_bytes(),
                cut: number('~').unwrap_or(0) as u32,
                vantage,
            };
            reassembler.push(&segment, sink);
        });
    }

    fn call(
        &mut self,
        work: impl FnOnce(
            &mut Reassembler<Probe>,
            Timestamp,
            &mut dyn FnMut(&Connection, &mut Probe, Event<'_>),
        ),
    ) {
        let at = Timestamp::from_nanos(self.at_ms * 1_000_000);
        work(&mut self.reassembler, at, &mut |info, flow, event| {
            flow.memory = self.flow_memory;
            flow.wakes_at = match (event, self.wakes_after_ms) {
                (Event::Chunk(chunk), Some(after)) => flow
                    .wakes_at
                    .or(Some(chunk.at.plus(Duration::from_millis(after)))),
                _ => None,
            };
            self.conflict |= info.conflict;
            self.cookies = (info.client_cookie, info.server_cookie);
            let seen_as = |name: Option<SocketAddr>| name.map_or("-".to_owned(), |n| n.to_string());
            self.names = [
                info.client.to_string(),
                seen_as(info.client_seen_as()),
                info.server.to_string(),
                seen_as(info.server_seen_as()),
            ];
            if info.id.0 != self.spoken_of {
                self.spoken_of = info.id.0;
                self.trace.push(format!("#{}", info.id.0));
            }
            if info.client.port() == 80 && self.trace.last().is_none_or(|last| last != "~") {
                self.trace.push("~".to_owned());
            }
            self.trace.push(show(&event));
        });
    }
}

fn ends(peer: u8) -> [SocketAddr; 2] {
    [
        SocketAddr::from(([192, 0, 2, peer], 40_000)),
        SocketAddr::from(([192, 0, 2, 200], 80)),
    ]
}

/// Behind an address translation, of the server's address or (from 10 on) of both.
fn translated(place: u8) -> [SocketAddr; 2] {
    let [client, server] = ends(1);
    let behind = SocketAddr::from(([198, 51, 100, place], 8_080));
    match place {
        0 => [client, server],
        1..10 => [client, behind],
        _ => [SocketAddr::from(([203, 0, 113, place], 1_024)), behind],
    }
}

fn show(event: &Event<'_>) -> String {
    let chunk = match event {
        Event::Chunk(chunk) => chunk,
        Event::Woken { .. } => return "woken".to_owned(),
        Event::Joined { other } => return format!("={}", other.0),
        Event::Closed { .. } => return "closed".to_owned(),
    };
    let arrow = match chunk.dir {
        Direction::ClientToServer => '>',
        Direction::ServerToClient => '<',
    };
    let piece = match chunk.piece {
        Piece::Data(bytes) => format!(":{}", String::from_utf8_lossy(bytes).replace(' ', "_")),
        Piece::Gap { len, kind } => match kind {
            GapKind::Lost => format!("?{len}"),
            GapKind::Skipped => format!("~{len}"),
        },
        Piece::LeftOut { len } => format!("-{len}"),
        Piece::LastWaits => "-0".to_owned(),
        Piece::End(EndKind::Fin) => ".fin".to_owned(),
        Piece::End(EndKind::Reset) => ".rst".to_owned(),
        Piece::End(EndKind::Idle) => ".idle".to_owned(),
        Piece::End(EndKind::Evicted) => ".evicted".to_owned(),
    };
    format!("{arrow}{}{piece}", chunk.offset)
}
