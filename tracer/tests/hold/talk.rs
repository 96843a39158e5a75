//! Random conversations, as packets.

use std::collections::VecDeque;

use proptest::prelude::*;
use tracer_common::hold::{Segment, Settled};

use super::host::LetsGo;

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) exchanges: Vec<Exchange>,
    /// Where streams are cut into segments.
    pub(crate) segment: usize,
    /// Packets that are seen twice, and packets that change places with the next of their
    /// direction, by their number.
    pub(crate) twice: Vec<usize>,
    pub(crate) swapped: Vec<usize>,
    /// Once a request was sent before the answer to the one before, the client stays that far ahead.
    pub(crate) stays_ahead: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) method: &'static str,
    pub(crate) status: u16,
    pub(crate) padding: usize,
    pub(crate) body: usize,
    pub(crate) is_chunked: bool,
    pub(crate) interim: bool,
    pub(crate) answer: usize,
    pub(crate) answer_is_chunked: bool,
    /// The answer comes before the body is complete.
    pub(crate) is_early: bool,
    /// The next request is sent before this answer comes.
    pub(crate) is_pipelined: bool,
    /// Its target; empty for one with its number.
    pub(crate) target: String,
    /// More lines of its head.
    pub(crate) more: String,
}

impl Exchange {
    pub(crate) fn plain() -> Self {
        Self {
            method: "POST",
            status: 200,
            padding: 0,
            body: 10,
            is_chunked: false,
            interim: false,
            answer: 20,
            answer_is_chunked: false,
            is_early: false,
            is_pipelined: false,
            target: String::new(),
            more: String::new(),
        }
    }

    pub(crate) fn request(&self, number: usize) -> (Vec<u8>, Vec<u8>) {
        let target = match self.target.as_str() {
            "" => format!("/r{number}"),
            target => target.to_owned(),
        };
        let head = format!(
            "{} {target} HTTP/1.1\r\nHost: a\r\nX-Padding: {}\r\n{}",
            self.method,
            "p".repeat(self.padding),
            self.more
        );
        let body = vec![b'b'; self.body];
        let (field, body) = framed(&body, self.is_chunked);
        ((head + &field + "\r\n").into_bytes(), body)
    }

    pub(crate) fn answer(&self, number: usize) -> Vec<u8> {
        let body = vec![b'a'; self.answer];
        let (field, body) = framed(&body, self.answer_is_chunked);
        let head = format!(
            "HTTP/1.1 {} Some Reason\r\nX-Number: {number}\r\n{field}\r\n",
            self.status
        );
        [head.into_bytes(), body].concat()
    }
}

pub(crate) fn framed(body: &[u8], is_chunked: bool) -> (String, Vec<u8>) {
    if !is_chunked {
        return (
            format!("content-LENGTH:  {}\r\n", body.len()),
            body.to_vec(),
        );
    }
    let mut chunks = Vec::new();
    for chunk in body.chunks(700) {
        chunks.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        chunks.extend(chunk);
        chunks.extend(b"\r\n");
    }
    chunks.extend(b"0\r\n\r\n");
    ("Transfer-Encoding: chunked\r\n".to_owned(), chunks)
}

pub(crate) fn exchange() -> impl Strategy<Value = Exchange> {
    let shape = (
        prop_oneof![Just("POST"), Just("POST"), Just("GET"), Just("PUT")],
        prop_oneof![Just(200u16), Just(403), Just(404), Just(403)],
        prop_oneof![0..300usize, 3_000..6_000usize],
        prop_oneof![0..50usize, 0..9_000usize],
    );
    let flags = (
        proptest::bool::weighted(0.1),
        proptest::bool::weighted(0.2),
        0..3_000usize,
        any::<bool>(),
        proptest::bool::weighted(0.3),
        proptest::bool::weighted(0.1),
    );
    (shape, flags).prop_map(|((method, status, padding, body), flags)| Exchange {
        method,
        status,
        padding,
        body,
        is_chunked: flags.0,
        interim: flags.1,
        answer: flags.2,
        answer_is_chunked: flags.3,
        is_early: flags.4,
        is_pipelined: flags.5,
        target: String::new(),
        more: String::new(),
    })
}

pub(crate) fn talk() -> impl Strategy<Value = Talk> {
    (
        proptest::collection::vec(exchange(), 1..7),
        prop_oneof![Just(1_400usize), Just(9_000), 20..600usize],
        proptest::collection::vec(0..200usize, 0..3),
        proptest::collection::vec(0..200usize, 0..2),
        any::<bool>(),
    )
        .prop_map(|(exchanges, segment, twice, swapped, stays_ahead)| Talk {
            exchanges,
            segment,
            twice,
            swapped,
            stays_ahead,
        })
}

pub(crate) fn lets_go() -> impl Strategy<Value = LetsGo> {
    prop_oneof![Just(LetsGo::All), Just(LetsGo::SomeRoutes)]
}

const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 1;
pub(crate) const HEADERS: usize = 40;
const FIRST: [u32; 2] = [u32::MAX - 3_000, 77_000];

#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) at: u64,
    pub(crate) is_from_server: bool,
    pub(crate) segment: Segment,
    pub(crate) is_syn: bool,
}

/// A packet on its way to the pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Shipped {
    pub(crate) bytes: Vec<u8>,
    pub(crate) wire_len: u32,
    pub(crate) at: u64,
    pub(crate) settled: Settled,
}

impl Shipped {
    pub(crate) fn is_syn(&self) -> bool {
        self.bytes[33] & SYN != 0
    }
}

impl Talk {
    pub(crate) fn plain() -> Self {
        Self {
            exchanges: Vec::new(),
            segment: 1_400,
            twice: Vec::new(),
            swapped: Vec::new(),
            stays_ahead: false,
        }
    }

    /// The packets, in the order in which they are seen.
    pub(crate) fn packets(&self) -> Vec<Packet> {
        let mut wire = Wire {
            packets: Vec::new(),
            sent: FIRST,
            segment: self.segment,
        };
        wire.put(false, SYN, b"");
        wire.put(true, SYN, b"");
        let mut waiting = VecDeque::new();
        let mut ahead = 0;
        for (number, exchange) in self.exchanges.iter().enumerate() {
            let (head, body) = exchange.request(number);
            let (early, late) = match exchange.is_early && waiting.is_empty() {
                true => body.split_at(body.len() / 2),
                false => (&body[..], &b""[..]),
            };
            wire.send(false, &[&head, early].concat());
            if exchange.interim && waiting.is_empty() {
                wire.send(true, b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            waiting.push_back(exchange.answer(number));
            ahead = match exchange.is_pipelined {
                true => waiting.len(),
                false if self.stays_ahead => ahead,
                false => 0,
            };
            let ahead = if late.is_empty() { ahead } else { 0 };
            while waiting.len() > ahead {
                let answer = waiting.pop_front().unwrap();
                wire.send(true, &answer);
            }
            wire.send(false, late);
        }
        for answer in waiting {
            wire.send(true, &answer);
        }
        wire.put(false, FIN | ACK, b"");
        wire.put(true, FIN | ACK, b"");
        let mut packets = wire.packets;
        for at in &self.swapped {
            let at = at % packets.len();
            if let Some(next) = packets.get(at + 1)
                && next.is_from_server == packets[at].is_from_server
                && !packets[at].is_syn
            {
                packets.swap(at, at + 1);
            }
        }
        for at in &self.twice {
            let at = at % packets.len();
            let copy = packets[at].clone();
            packets.insert(at + 1, copy);
        }
        for (at, packet) in packets.iter_mut().enumerate() {
            packet.at = 1_000_000_000 + at as u64 * 1_000_000;
        }
        packets
    }
}

pub(crate) struct Wire {
    pub(crate) packets: Vec<Packet>,
    pub(crate) sent: [u32; 2],
    pub(crate) segment: usize,
}

impl Wire {
    pub(crate) fn send(&mut self, is_from_server: bool, bytes: &[u8]) {
        for segment in bytes.chunks(self.segment) {
            self.put(is_from_server, ACK, segment);
        }
    }

    pub(crate) fn put(&mut self, is_from_server: bool, flags: u8, payload: &[u8]) {
        let way = usize::from(is_from_server);
        let (seq, ack) = (self.sent[way], self.sent[1 - way]);
        let flags = if is_from_server { flags | ACK } else { flags };
        let counts = u32::from(flags & (SYN | FIN) != 0) + payload.len() as u32;
        self.sent[way] = seq.wrapping_add(counts);
        let (ips, ports) = match is_from_server {
            true => ([[10, 0, 0, 2], [10, 0, 0, 1]], [80u16, 5000]),
            false => ([[10, 0, 0, 1], [10, 0, 0, 2]], [5000u16, 80]),
        };
        let total = (HEADERS + payload.len()) as u16;
        let mut bytes = vec![0x45, 0];
        bytes.extend(total.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 64, 6, 0, 0]);
        bytes.extend(ips.concat());
        bytes.extend(ports.map(u16::to_be_bytes).concat());
        bytes.extend(seq.to_be_bytes());
        bytes.extend(ack.to_be_bytes());
        bytes.extend([0x50, flags, 1, 0, 0, 0, 0, 0]);
        bytes.extend(payload);
        self.packets.push(Packet {
            bytes,
            at: 0,
            is_from_server,
            segment: Segment {
                seq,
                ack,
                payload_at: HEADERS as u32,
                len: payload.len() as u32,
                length_at: 2,
                closes: flags & FIN != 0,
            },
            is_syn: flags & SYN != 0,
        });
    }
}

impl Packet {
    pub(crate) fn shipped(&self, longest: u32, settled: Settled) -> Shipped {
        Shipped {
            bytes: self.bytes[..self.bytes.len().min(longest as usize)].to_vec(),
            wire_len: self.bytes.len() as u32,
            at: self.at,
            settled,
        }
    }
}
