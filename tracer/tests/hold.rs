//! The hold of the kernel side, as compiled for the host: random conversations go through it, and
//! what it ships through the pipeline; the cases must be those of the whole traffic.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test and its helpers"
)]

use std::cell::{Cell, RefCell};
use std::time::Duration;

use proptest::prelude::*;
use tracer_common::hold::{Fate, HELD_MAX, ROOM, Segment, Settled, Slot, World};
use tracer_common::{PacketRecord, SETTLED_BOTH};
use tracer403::model::{self, Timestamp};
use tracer403::pipeline::{Options, Pipeline};
use tracer403::source::{Frame, Record, Vantage};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_refusal_is_lost_and_none_made_up(talk in talk(), lets_go in lets_go()) {
        let packets = talk.packets();
        let all = cases(packets.iter().map(|p| p.shipped(u32::MAX, Settled::UNKNOWN)));
        let (shipped, let_go) = hold(&packets, lets_go);
        let held = cases(shipped.into_iter());
        prop_assert_eq!(&held, &all, "let go: {}", let_go);
    }
}

/// Each direction has its own CPU: while an answer is taken in, the next packet of the request may be
/// taken in too, between any two steps.
#[test]
fn what_comes_meanwhile_does_not_overtake_the_request() {
    let talk = Talk {
        exchanges: vec![Exchange {
            status: 403,
            body: 20_000,
            is_early: true,
            ..Exchange::plain()
        }],
        ..Talk::plain()
    };
    let mut packets = talk.packets();
    let at = packets.iter().position(|p| p.is_from_server && !p.is_syn);
    let [answer, next] = [0, 1].map(|n| at.unwrap() + n);
    assert!(!packets[next].is_from_server);
    let meanwhile = packets.remove(next);
    let mut steps = 0;
    loop {
        let (shipped, _, left) =
            hold_with(&packets, LetsGo::All, Some((answer, steps, &meanwhile)));
        let said = cases(shipped.into_iter());
        assert_eq!(said.len(), 1, "at step {steps}");
        assert_eq!(said[0].0.as_deref(), Some(&b"/r0"[..]), "at step {steps}");
        if left > 0 {
            break;
        }
        steps += 1;
    }
    assert!(steps > 5, "{steps} steps");
}

#[test]
fn a_head_is_followed_as_long_as_it_is_held() {
    for padding in [0, 400, 1_000, 2_000, 3_000, 3_900] {
        let talk = Talk {
            exchanges: vec![Exchange {
                padding,
                body: 0,
                ..Exchange::plain()
            }],
            ..Talk::plain()
        };
        let (_, let_go) = hold(&talk.packets(), LetsGo::All);
        assert_eq!(let_go, 1, "padding of {padding} bytes");
    }
}

#[test]
fn a_head_of_short_lines_is_followed_as_far_as_its_search_goes() {
    let mut talk = Talk {
        exchanges: vec![Exchange::plain()],
        ..Talk::plain()
    };
    for (lines, is_followed) in [(100, true), (2_000, false)] {
        talk.exchanges[0].more = "a:\n".repeat(lines);
        let (shipped, let_go) = hold(&talk.packets(), LetsGo::All);
        assert_eq!(let_go, u64::from(is_followed), "{lines} lines");
        assert!(!shipped.is_empty());
    }
}

#[test]
fn a_route_is_a_method_and_a_path() {
    let route = |method, target: &str| {
        let talk = Talk {
            exchanges: vec![Exchange {
                method,
                target: target.to_owned(),
                ..Exchange::plain()
            }],
            ..Talk::plain()
        };
        let packets = talk.packets();
        let mut slot = Box::new(Slot::new());
        let request = packets.iter().find(|p| p.segment.len > 0).unwrap();
        let out = Out::new(LetsGo::All);
        take(&raw mut *slot, request, None, &out);
        slot.route()
    };
    let order = route("POST", "/order");
    assert_eq!(order, route("POST", "/order?id=1"));
    assert_eq!(order, route("POST", "/order?id=222222222222222222222222"));
    assert_ne!(order, route("PUT", "/order"));
    assert_ne!(order, route("POST", "/orders"));
    assert_ne!(route("GET", "/12345678/a"), route("GET", "/12345678/b"));
}

#[test]
fn what_passes_is_let_go() {
    let exchange = |status| Exchange {
        status,
        ..Exchange::plain()
    };
    let talk = Talk {
        exchanges: vec![exchange(200), exchange(403), exchange(200), exchange(404)],
        ..Talk::plain()
    };
    let packets = talk.packets();
    let (shipped, let_go) = hold(&packets, LetsGo::All);
    assert_eq!(let_go, 3);
    // The handshake, the end, and one request with its answer.
    assert_eq!(shipped.len(), 2 + 2 + 2);
    assert_eq!(cases(shipped.into_iter()).len(), 1);
}

// ---------------------------------------------------------------------------------------------

/// One connection.
#[derive(Clone, Debug)]
struct Talk {
    exchanges: Vec<Exchange>,
    /// Where streams are cut into segments.
    segment: usize,
    /// Packets that are seen twice, and packets that change places with the next of their
    /// direction, by their number.
    twice: Vec<usize>,
    swapped: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Exchange {
    method: &'static str,
    status: u16,
    padding: usize,
    body: usize,
    is_chunked: bool,
    interim: bool,
    answer: usize,
    answer_is_chunked: bool,
    /// The answer comes before the body is complete.
    is_early: bool,
    /// The next request is sent before this answer comes.
    is_pipelined: bool,
    /// Its target; empty for one with its number.
    target: String,
    /// More lines of its head.
    more: String,
}

impl Exchange {
    fn plain() -> Self {
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

    fn request(&self, number: usize) -> (Vec<u8>, Vec<u8>) {
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

    fn answer(&self) -> Vec<u8> {
        let body = vec![b'a'; self.answer];
        let (field, body) = framed(&body, self.answer_is_chunked);
        let head = format!("HTTP/1.1 {} Some Reason\r\n{field}\r\n", self.status);
        [head.into_bytes(), body].concat()
    }
}

fn framed(body: &[u8], is_chunked: bool) -> (String, Vec<u8>) {
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

fn exchange() -> impl Strategy<Value = Exchange> {
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

fn talk() -> impl Strategy<Value = Talk> {
    (
        proptest::collection::vec(exchange(), 1..7),
        prop_oneof![Just(1_400usize), Just(9_000), 20..600usize],
        proptest::collection::vec(0..200usize, 0..3),
        proptest::collection::vec(0..200usize, 0..2),
    )
        .prop_map(|(exchanges, segment, twice, swapped)| Talk {
            exchanges,
            segment,
            twice,
            swapped,
        })
}

fn lets_go() -> impl Strategy<Value = LetsGo> {
    prop_oneof![Just(LetsGo::All), Just(LetsGo::SomeRoutes)]
}

const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 1;
const HEADERS: usize = 40;
const FIRST: [u32; 2] = [u32::MAX - 3_000, 77_000];

#[derive(Clone, Debug)]
struct Packet {
    bytes: Vec<u8>,
    at: u64,
    is_from_server: bool,
    segment: Segment,
    is_syn: bool,
}

/// A packet on its way to the pipeline.
#[derive(Clone, Debug)]
struct Shipped {
    bytes: Vec<u8>,
    wire_len: u32,
    at: u64,
    settled: Settled,
}

impl Talk {
    fn plain() -> Self {
        Self {
            exchanges: Vec::new(),
            segment: 1_400,
            twice: Vec::new(),
            swapped: Vec::new(),
        }
    }

    /// The packets, in the order in which they are seen.
    fn packets(&self) -> Vec<Packet> {
        let mut wire = Wire {
            packets: Vec::new(),
            sent: FIRST,
            segment: self.segment,
        };
        wire.put(false, SYN, b"");
        wire.put(true, SYN, b"");
        let mut waiting = Vec::new();
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
            waiting.push(exchange.answer());
            if !exchange.is_pipelined || !late.is_empty() {
                for answer in waiting.drain(..) {
                    wire.send(true, &answer);
                }
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

struct Wire {
    packets: Vec<Packet>,
    sent: [u32; 2],
    segment: usize,
}

impl Wire {
    fn send(&mut self, is_from_server: bool, bytes: &[u8]) {
        for segment in bytes.chunks(self.segment) {
            self.put(is_from_server, ACK, segment);
        }
    }

    fn put(&mut self, is_from_server: bool, flags: u8, payload: &[u8]) {
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
    fn shipped(&self, longest: u32, settled: Settled) -> Shipped {
        Shipped {
            bytes: self.bytes[..self.bytes.len().min(longest as usize)].to_vec(),
            wire_len: self.bytes.len() as u32,
            at: self.at,
            settled,
        }
    }
}

/// What the hold ships of these packets, and how many requests it lets go.
fn hold(packets: &[Packet], lets_go: LetsGo) -> (Vec<Shipped>, u64) {
    let (shipped, let_go, _) = hold_with(packets, lets_go, None);
    (shipped, let_go)
}

/// The same, where at a step of the packet with a number another packet comes meanwhile; and whether
/// there were too few steps for that.
fn hold_with(
    packets: &[Packet],
    lets_go: LetsGo,
    meanwhile: Option<(usize, u32, &Packet)>,
) -> (Vec<Shipped>, u64, u32) {
    let mut slot = Box::new(Slot::new());
    let out = Out::new(lets_go);
    let mut left = 0;
    for (at, packet) in packets.iter().enumerate() {
        let meanwhile = meanwhile.filter(|(answer, ..)| *answer == at);
        let meanwhile = meanwhile.map(|(_, step, packet)| Meanwhile {
            steps: Cell::new(step + 1),
            packet,
            slot: &raw mut *slot,
        });
        left += take(&raw mut *slot, packet, meanwhile, &out);
    }
    (out.shipped.into_inner(), out.let_go.get(), left)
}

/// Takes in a packet. How many steps were left until something came meanwhile.
fn take(slot: *mut Slot, packet: &Packet, meanwhile: Option<Meanwhile<'_>>, out: &Out) -> u32 {
    // SAFETY: as in the kernel: two may work on it at once, each on its half.
    let slot = unsafe { &mut *slot };
    let mut hands = Hands {
        packet,
        shipped: None,
        meanwhile,
        out,
    };
    if packet.is_syn {
        if !packet.is_from_server {
            slot.reset();
        }
        hands.shipped = Some((u32::MAX, Settled::UNKNOWN));
    } else if packet.segment.len == 0 {
        slot.close(packet.is_from_server, &mut hands);
    } else if packet.is_from_server {
        slot.from_server(&packet.segment, &mut hands);
    } else {
        slot.from_client(&packet.segment, &mut hands);
    }
    hands.step();
    let shipped = hands
        .shipped
        .map(|(longest, settled)| packet.shipped(longest, settled));
    out.shipped.borrow_mut().extend(shipped);
    hands.step();
    slot.is_out(packet.is_from_server);
    hands.step();
    hands.meanwhile.map_or(0, |meanwhile| meanwhile.steps.get())
}

/// Which exchanges that are not wanted are let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LetsGo {
    All,
    /// The others are shipped as samples.
    SomeRoutes,
}

/// What came out.
struct Out {
    lets_go: LetsGo,
    shipped: RefCell<Vec<Shipped>>,
    let_go: Cell<u64>,
}

impl Out {
    fn new(lets_go: LetsGo) -> Self {
        Self {
            lets_go,
            shipped: RefCell::default(),
            let_go: Cell::default(),
        }
    }
}

struct Meanwhile<'a> {
    steps: Cell<u32>,
    packet: &'a Packet,
    slot: *mut Slot,
}

struct Hands<'a> {
    packet: &'a Packet,
    shipped: Option<(u32, Settled)>,
    meanwhile: Option<Meanwhile<'a>>,
    out: &'a Out,
}

impl Hands<'_> {
    fn step(&self) {
        let Some(meanwhile) = &self.meanwhile else {
            return;
        };
        if meanwhile.steps.get() > 0 {
            meanwhile.steps.update(|steps| steps - 1);
            if meanwhile.steps.get() == 0 {
                take(meanwhile.slot, meanwhile.packet, None, self.out);
            }
        }
    }
}

impl World for Hands<'_> {
    fn start(&self, at: u32) -> [u8; 16] {
        self.step();
        let start = self.packet.bytes[at as usize..].first_chunk();
        start.copied().unwrap_or_default()
    }

    fn hold_first(&self, room: &mut [u8; ROOM], len: u32) -> bool {
        assert!((1..=HELD_MAX).contains(&len));
        room[..len as usize].copy_from_slice(&self.packet.bytes[..len as usize]);
        true
    }

    fn hold_more(&self, from: u32, room: &mut [u8; ROOM], to: u32, len: u32) -> bool {
        assert!(to < HELD_MAX && (1..=tracer_common::hold::PIECE_MAX).contains(&len));
        let (from, to, len) = (from as usize, to as usize, len as usize);
        room[to..to + len].copy_from_slice(&self.packet.bytes[from..from + len]);
        true
    }

    fn record(&self) -> PacketRecord {
        PacketRecord {
            at_ns: self.packet.at,
            ..PacketRecord::new()
        }
    }

    fn wants(&self, status: u32) -> bool {
        self.step();
        status == 403
    }

    fn fate(&mut self, slot: &Slot) -> Fate {
        self.step();
        match (self.out.lets_go, slot.route() % 4) {
            (LetsGo::SomeRoutes, 0) => Fate::Sample,
            (LetsGo::SomeRoutes, 1) => Fate::Part,
            _ => Fate::LetGo,
        }
    }

    fn ship_held(&mut self, slot: &Slot) {
        self.step();
        let record = slot.record();
        self.out.shipped.borrow_mut().push(Shipped {
            bytes: slot.room()[..record.captured_len as usize].to_vec(),
            wire_len: record.wire_len,
            at: record.at_ns,
            settled: Settled {
                own: record.settled_own,
                peer: record.settled_peer,
                says: record.settled,
            },
        });
        self.step();
    }

    fn ship(&mut self, longest: u32, settled: Settled) {
        self.step();
        self.shipped = Some((longest, settled));
    }

    fn count(&mut self, counter: u32) {
        self.step();
        let is_let_go = counter == tracer_common::counter::LET_GO;
        self.out.let_go.update(|count| count + u64::from(is_let_go));
    }
}

/// What a case says: request line, status, and the answer's body.
type Said = (Option<Vec<u8>>, Option<u16>, Option<Vec<u8>>);

fn cases(packets: impl Iterator<Item = Shipped>) -> Vec<Said> {
    let mut pipeline = Pipeline::new(Options::default());
    let mut last = Timestamp::default();
    for packet in packets {
        last = Timestamp::from_nanos(packet.at);
        pipeline.push(Record::Packet(Frame {
            at: last,
            link_type: 101,
            wire_len: packet.wire_len,
            data: &packet.bytes,
            vantage: Vantage {
                settled: (packet.settled.says == SETTLED_BOTH).then_some(model::Settled {
                    own: packet.settled.own,
                    peer: packet.settled.peer,
                }),
                ..Vantage::default()
            },
        }));
    }
    pipeline.push(Record::Tick {
        at: last.plus(Duration::from_secs(60)),
    });
    pipeline.finish();
    let mut said = Vec::new();
    while let Some(case) = pipeline.next_case() {
        let exchange = case.exchange();
        let request = exchange.request.as_ref().map(|r| r.target().to_vec());
        let answer = exchange.response.as_ref();
        said.push((
            request,
            answer.map(|r| r.status),
            answer.map(|r| r.message.body.kept.clone()),
        ));
    }
    said
}
