//! What depends on time; the rest is in `tests/transcripts`.

use super::*;
use crate::http::Http;
use crate::model::ConnId;
use crate::reassembly::{Chunk, EndKind, Piece};

const CLIENT: Direction = Direction::ClientToServer;
const SERVER: Direction = Direction::ServerToClient;
const UPLOAD: &[u8] = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello";
const REFUSAL: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";

#[test]
fn an_early_answer_waits_for_the_rest_of_its_request_and_not_longer() {
    let mut run = Run::default();
    run.data(1, CLIENT, UPLOAD);
    run.data(2, SERVER, REFUSAL);
    assert_eq!(run.out, []);
    let deadline = time(2).plus(run.limits.settle);
    assert_eq!(run.pairing.deadline(), Some(deadline));
    run.expire(time(3));
    assert_eq!(run.out, []);
    run.expire(deadline);
    let request = run.out[0].request.as_ref().expect("a request");
    assert_eq!(
        (request.message.end, request.message.body.seen),
        (MessageEnd::Open, 5)
    );
    assert_eq!(request.message.ended_at, None);
    assert_eq!(run.out[0].anomalies, [Anomaly::EarlyResponse]);
    assert_eq!(run.pairing.deadline(), None);
    assert_eq!(run.pairing.memory, 0);
    // What comes later belongs to nothing, and the next exchange is not disturbed.
    run.data(4, CLIENT, b"world");
    run.data(5, CLIENT, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    run.data(6, SERVER, REFUSAL);
    assert_eq!(run.out.len(), 2);
    assert!(run.out[1].is_complete());
}

#[test]
fn an_early_answer_is_handed_out_with_the_end_of_its_request() {
    let mut run = Run::default();
    run.data(1, CLIENT, UPLOAD);
    run.data(2, SERVER, REFUSAL);
    run.data(3, CLIENT, b"world");
    assert_eq!(run.out.len(), 1);
    let request = run.out[0].request.as_ref().expect("a request");
    assert_eq!(request.message.end, MessageEnd::Complete);
    assert_eq!(request.message.ended_at, Some(time(3)));
    assert_eq!(run.out[0].answered_early(), Some(true));
    assert_eq!(run.pairing.deadline(), None);
}

#[test]
fn a_request_behind_a_hole_of_the_capture_is_not_answered_early() {
    let mut run = Run::default();
    run.data(1, CLIENT, UPLOAD);
    run.data(3, SERVER, REFUSAL);
    // Sent before the answer, seen after it.
    run.data(2, CLIENT, b"world");
    assert_eq!(run.out[0].anomalies, []);
    assert!(run.out[0].is_complete());
}

#[test]
fn a_whole_request_behind_a_hole_finds_its_answer() {
    let mut run = Run::default();
    run.data(2, SERVER, REFUSAL);
    run.data(1, CLIENT, &[UPLOAD, b"world"].concat());
    assert_eq!(run.out.len(), 1);
    assert_eq!(run.out[0].anomalies, []);
    assert!(run.out[0].is_complete());
}

#[test]
fn times_are_those_of_the_chunks() {
    let mut run = Run::default();
    for (at, byte) in (1..).zip([UPLOAD, b"world"].concat()) {
        run.data(at, CLIENT, &[byte]);
    }
    run.data(100, SERVER, b"HTTP/1.1 403 Forbidden\r\n");
    run.data(101, SERVER, b"Connection: close\r\n\r\n");
    run.data(102, SERVER, b"denied");
    run.push(200, SERVER, Piece::End(EndKind::Fin));
    let exchange = &run.out[0];
    let request = &exchange.request.as_ref().expect("a request").message;
    let response = &exchange.response.as_ref().expect("a response").message;
    let times = |m: &crate::model::Message| (m.started_at, m.head_at, m.ended_at);
    let head = UPLOAD.len() as u64 - 5;
    assert_eq!(times(request), (time(1), time(head), Some(time(head + 10))));
    // The last byte, not the FIN.
    assert_eq!(times(response), (time(100), time(101), Some(time(102))));
}

struct Run {
    limits: Limits,
    conn: Connection,
    http: Http,
    pairing: Pairing,
    out: Vec<Exchange>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            conn: Connection {
                id: ConnId(1),
                client: ([192, 0, 2, 1], 5000).into(),
                server: ([192, 0, 2, 2], 80).into(),
                client_cookie: 0,
                server_cookie: 0,
                started_in_middle: false,
                conflict: false,
                sights: None,
            },
            http: Http::default(),
            pairing: Pairing::default(),
            out: Vec::new(),
        }
    }
}

impl Run {
    fn data(&mut self, at: u64, dir: Direction, data: &[u8]) {
        self.push(at, dir, Piece::Data(data));
    }

    fn push(&mut self, at: u64, dir: Direction, piece: Piece<'_>) {
        let Self {
            limits,
            conn,
            http,
            pairing,
            out,
        } = self;
        let chunk = Chunk {
            at: time(at),
            dir,
            offset: 0,
            piece,
        };
        http.push(&chunk, limits, &mut |at, dir, part| {
            pairing.push(conn, at, dir, part, limits, &mut |e| out.push(e));
        });
    }

    fn expire(&mut self, now: Timestamp) {
        let out = &mut self.out;
        self.pairing
            .expire(&self.conn, now, &self.limits, &mut |e| out.push(e));
    }
}

fn time(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}
