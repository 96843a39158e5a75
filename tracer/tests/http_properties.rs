//! What holds for every conversation: valid ones are paired exactly, and nothing that is on the
//! wire makes the parser panic, hang or grow.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[path = "support/transcript.rs"]
mod transcript;

use proptest::prelude::*;

use tracer403::limits::Limits;
use tracer403::model::{Anomaly, Direction, Exchange, GapKind, MessageEnd};
use tracer403::reassembly::EndKind;
use transcript::{Event, Outcome, Transcript, run_transcript, show};

const CLIENT: Direction = Direction::ClientToServer;
const SERVER: Direction = Direction::ServerToClient;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn valid_conversations_are_paired_exactly(
        batches in prop::collection::vec(prop::collection::vec(plan(), 1..5), 1..6),
        lens in prop::collection::vec(1_usize..200, 1..20),
    ) {
        let outcome = run(conversation(&batches), &lens);
        let plans: Vec<_> = batches.iter().flat_map(|batch| {
            let last = batch.len() - 1;
            batch.iter().enumerate().map(move |(i, plan)| (plan, plan.is_early(i == last)))
        }).collect();
        prop_assert_eq!(outcome.exchanges.len(), plans.len());
        for (number, (exchange, (plan, early))) in outcome.exchanges.iter().zip(plans).enumerate() {
            prop_assert!(exchange.is_complete(), "{}", show(&outcome));
            check(exchange, number, plan, early)?;
        }
    }

    #[test]
    fn lost_segments_never_make_a_wrong_pair(
        plans in prop::collection::vec(plan(), 1..10),
        lost in prop::collection::vec((0_usize..1000, any::<bool>()), 0..4),
    ) {
        // One request at a time: the usual client. Each section is a segment, some are missing.
        let batches: Vec<_> = plans.iter().map(|plan| vec![plan.clone()]).collect();
        let mut events = conversation(&batches);
        let count = events.len();
        for (at, _) in &lost {
            let event = &mut events[at % count];
            if let Event::Data(dir, data) = event {
                *event = Event::Gap(*dir, data.len() as u64, GapKind::Lost);
            }
        }
        let outcome = run(events, &[usize::MAX]);
        for exchange in &outcome.exchanges {
            if let (Some(request), Some(response)) = (&exchange.request, &exchange.response) {
                let head = &response.message.head;
                let answered = head.value("x-answers").unwrap_or_default();
                prop_assert_eq!(&request.target()[1..], answered, "{}", show(&outcome));
            }
        }
    }

    #[test]
    fn hostile_bytes_in_any_chunking_give_the_same_and_stay_bounded(
        events in prop::collection::vec(hostile(), 0..30),
        lens in prop::collection::vec(1_usize..50, 1..10),
    ) {
        let whole = run(events.clone(), &[usize::MAX]);
        let cut = run(events.clone(), &lens);
        let bytes = run(events, &[1]);
        for outcome in [&whole, &cut, &bytes] {
            prop_assert!(outcome.memory < 1 << 20, "{} bytes", outcome.memory);
        }
        prop_assert_eq!(show(&whole), show(&bytes));
        prop_assert_eq!(show(&whole), show(&cut));
    }
}

#[test]
fn an_endless_head_line_or_pipeline_stays_bounded() {
    let endless: [(Direction, &[u8], &str); 8] = [
        (CLIENT, b"", "PROXY UNKNOWN\r\n"),
        (CLIENT, b"", "PROXY TCP4 x\r\n"),
        (CLIENT, b"GET / HTTP/1.1\r\n", "A: b\r\n"),
        (CLIENT, b"GET /", "aaaaaaaa"),
        (CLIENT, b"", "GET / HTTP/1.1\r\n\r\n"),
        (SERVER, b"", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (CLIENT, b"\x01\n", "GET / HTTP/1.1\n"),
        (
            CLIENT,
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1\r\na\r\n",
        ),
    ];
    for (dir, start, more) in endless {
        let mut bytes = start.to_vec();
        bytes.extend_from_slice(more.repeat(200_000).as_bytes());
        for len in [1400, usize::MAX] {
            let outcome = run(vec![Event::Data(dir, bytes.clone())], &[len]);
            assert!(outcome.memory < 4 << 20, "{more}: {} bytes", outcome.memory);
        }
    }
}

#[derive(Clone, Debug)]
struct Plan {
    method: &'static str,
    request_body: Option<(bool, Vec<u8>)>,
    interim: bool,
    status: u16,
    response_chunked: bool,
    response_body: Vec<u8>,
    early: bool,
}

impl Plan {
    /// Only the last request of a batch can be answered before it is complete.
    fn is_early(&self, last: bool) -> bool {
        last && self.early
            && self
                .request_body
                .as_ref()
                .is_some_and(|(chunked, b)| *chunked || !b.is_empty())
    }

    fn request(&self, number: usize) -> (Vec<u8>, Vec<u8>) {
        let head = format!("{} /{number} HTTP/1.1\r\nHost: a\r\n", self.method);
        match &self.request_body {
            None => (format!("{head}\r\n").into_bytes(), Vec::new()),
            Some((chunked, body)) => framed(head, *chunked, body),
        }
    }

    fn response(&self, number: usize) -> Vec<u8> {
        let mut wire = Vec::new();
        if self.interim {
            wire.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let head = format!("HTTP/1.1 {} X\r\nX-Answers: {number}\r\n", self.status);
        let (head, body) = framed(head, self.response_chunked, &self.response_body);
        wire.extend(head);
        if self.has_response_body() {
            wire.extend(body);
        }
        wire
    }

    fn has_response_body(&self) -> bool {
        self.method != "HEAD" && !matches!(self.status, 204 | 304)
    }
}

fn framed(head: String, chunked: bool, body: &[u8]) -> (Vec<u8>, Vec<u8>) {
    if !chunked {
        let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
        return (head.into_bytes(), body.to_vec());
    }
    let mut wire = Vec::new();
    for chunk in body.chunks(7) {
        wire.extend(format!("{:x};e\r\n", chunk.len()).into_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\nX-Trailer: t\r\n\r\n");
    (
        format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes(),
        wire,
    )
}

/// Each batch of requests is sent before the first of them is answered.
fn conversation(batches: &[Vec<Plan>]) -> Vec<Event> {
    let mut events = Vec::new();
    let mut number = 0;
    for batch in batches {
        let first = number;
        let mut rest = Vec::new();
        for (i, plan) in batch.iter().enumerate() {
            let (head, mut body) = plan.request(number);
            events.push(Event::Data(CLIENT, head));
            if plan.is_early(i + 1 == batch.len()) {
                rest = body.split_off(body.len() / 2);
            }
            events.push(Event::Data(CLIENT, body));
            number += 1;
        }
        for (plan, number) in batch.iter().zip(first..) {
            events.push(Event::Data(SERVER, plan.response(number)));
        }
        events.push(Event::Data(CLIENT, rest));
    }
    events.push(Event::End(CLIENT, EndKind::Fin));
    events.push(Event::End(SERVER, EndKind::Fin));
    events
}

fn check(
    exchange: &Exchange,
    number: usize,
    plan: &Plan,
    early: bool,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(exchange.index, number as u64);
    let request = exchange.request.as_ref().expect("a request");
    let response = exchange.response.as_ref().expect("a response");
    let text = number.to_string();
    prop_assert_eq!(&request.target()[1..], text.as_bytes());
    prop_assert_eq!(
        response.message.head.value("x-answers"),
        Some(text.as_bytes())
    );
    prop_assert_eq!(response.status, plan.status);
    let sent = plan.request_body.as_ref().map_or(&[][..], |(_, body)| body);
    prop_assert_eq!(&request.message.body.kept[..], sent);
    prop_assert_eq!(request.message.body.seen, sent.len() as u64);
    let answered: &[u8] = if plan.has_response_body() {
        &plan.response_body
    } else {
        &[]
    };
    prop_assert_eq!(&response.message.body.kept[..], answered);
    prop_assert_eq!(exchange.interim.len(), usize::from(plan.interim));
    prop_assert_eq!(request.message.end, MessageEnd::Complete);
    let expected: &[Anomaly] = if early {
        &[Anomaly::EarlyResponse]
    } else {
        &[]
    };
    prop_assert_eq!(&exchange.anomalies[..], expected);
    Ok(())
}

fn run(events: Vec<Event>, lens: &[usize]) -> Outcome {
    let transcript = Transcript {
        limits: Limits {
            look: 256,
            head: 1 << 14,
            pipeline: 50,
            ..Limits::default()
        },
        middle: false,
        events,
    };
    let mut lens = lens.iter().cycle();
    run_transcript(&transcript, || lens.next().copied().unwrap_or(1))
}

fn plan() -> impl Strategy<Value = Plan> {
    let method = prop::sample::select(vec!["POST", "GET", "HEAD", "PUT", "DELETE"]);
    let status = prop::sample::select(vec![403, 200, 204, 304, 500]);
    let body = || prop::collection::vec(any::<u8>(), 0..60);
    (
        method,
        prop::option::of((any::<bool>(), body())),
        any::<bool>(),
        status,
        any::<bool>(),
        body(),
        any::<bool>(),
    )
        .prop_map(
            |(method, request_body, interim, status, response_chunked, response_body, early)| {
                Plan {
                    method,
                    request_body,
                    interim,
                    status,
                    response_chunked,
                    response_body,
                    early,
                }
            },
        )
}

/// Shreds of HTTP and noise.
fn hostile() -> impl Strategy<Value = Event> {
    let shreds: Vec<&[u8]> = vec![
        b"GET / HTTP/1.1\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\n",
        b"HTTP/1.1 403 Forbidden\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"Content-Length: 10\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"HEAD / HTTP/1.1\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
        b"GET /\r\n",
        b" folded\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0cabcdefghijkl",
        b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"ffffffffffffffff\r\n",
        b"X: y\r\n",
        b"x",
        b" ",
        b"HTTP/1.",
        b"HTTP/1.1 204 No\r\n\r\n",
        b"\x16\x03\x01",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ];
    let dir = prop::sample::select(vec![CLIENT, SERVER]);
    let data = prop_oneof![
        4 => prop::collection::vec(prop::sample::select(shreds), 1..6).prop_map(|s| s.concat()),
        1 => prop::collection::vec(any::<u8>(), 0..100),
    ];
    let kind = prop::sample::select(vec![GapKind::Lost, GapKind::Skipped]);
    prop_oneof![
        12 => (dir.clone(), data).prop_map(|(dir, data)| Event::Data(dir, data)),
        1 => (dir, 1_u64..40, kind).prop_map(|(dir, len, kind)| Event::Gap(dir, len, kind)),
    ]
}
