//! The work of each stage, and what is counted of it: the functions that are called `measured_…`.

use std::hint::black_box;

use tracer403::decode::{Decoder, Segment};
use tracer403::http::Http;
use tracer403::limits::Limits;
use tracer403::model::Timestamp;
use tracer403::pair::Pairing;
use tracer403::pipeline::{Options, Pipeline};
use tracer403::reassembly::{Chunk, Flow, Reassembler};
use tracer403::source::Record;

use crate::capture::{Capture, Parts, connection};

/// Does the work of one stage once, on what was made ready before.
pub(crate) fn once(name: &str) {
    let capture = Capture::new();
    match name {
        "decode" => measured_decode(&capture),
        "reassembly" => measured_reassembly(&capture.segments()),
        "h1" => measured_h1(&capture.chunks()),
        "pair" => measured_pair(capture.parts()),
        "pipeline" => {
            // Patterns are compiled where they are first needed, once.
            run(&capture);
            measured_pipeline(&capture);
        }
        other => panic!("no stage is called {other}"),
    }
}

#[inline(never)]
pub(crate) fn measured_decode(capture: &Capture) {
    let mut decoder = Decoder::new();
    for frame in capture.frames() {
        black_box(decoder.decode(&frame));
    }
}

#[inline(never)]
pub(crate) fn measured_reassembly(segments: &[Segment<'_>]) {
    reassemble(segments);
}

#[inline(never)]
pub(crate) fn measured_h1(chunks: &[Chunk<'_>]) {
    parse(chunks);
}

#[inline(never)]
pub(crate) fn measured_pair(parts: Parts) {
    pair(parts);
}

#[inline(never)]
pub(crate) fn measured_pipeline(capture: &Capture) {
    run(capture);
}

/// Keeps nothing.
#[derive(Default)]
struct Nothing;

impl Flow for Nothing {
    fn memory(&self) -> usize {
        0
    }

    fn wakes_at(&self) -> Option<Timestamp> {
        None
    }
}

fn reassemble(segments: &[Segment<'_>]) {
    let mut connections = Reassembler::<Nothing>::new(Limits::default());
    for segment in segments {
        connections.push(segment, &mut |_, _, event| {
            black_box(event);
        });
    }
}

fn parse(chunks: &[Chunk<'_>]) {
    let (mut http, limits) = (Http::default(), Limits::default());
    for chunk in chunks {
        http.push(chunk, &limits, &mut |_, _, part| {
            black_box(part);
        });
    }
}

fn pair(parts: Parts) {
    let (mut pairing, limits) = (Pairing::default(), Limits::default());
    let connection = connection();
    let mut body = Vec::new();
    for (at, dir, owned) in parts {
        let part = owned.part(&mut body);
        pairing.push(&connection, at, dir, part, &limits, &mut |exchange| {
            black_box(exchange);
        });
    }
}

fn run(capture: &Capture) {
    let mut pipeline = Pipeline::new(Options::default());
    for frame in capture.frames() {
        pipeline.push(Record::Packet(frame));
    }
    pipeline.finish();
    while let Some(case) = pipeline.next_case() {
        black_box(case);
    }
}
