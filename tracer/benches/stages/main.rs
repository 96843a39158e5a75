//! The stages one by one: `cargo bench -p tracer403` measures their time, and
//! `cargo xtask bench --check` counts their instructions.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "a benchmark that cannot run must stop"
)]

mod capture;
mod workloads;

use std::env;

use divan::Bencher;

use capture::Capture;

fn main() {
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("--once"), Some(name)) => workloads::once(&name),
        _ => divan::main(),
    }
}

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let capture = Capture::new();
    bencher.bench_local(|| workloads::measured_decode(&capture));
}

#[divan::bench]
fn reassembly(bencher: Bencher<'_, '_>) {
    let capture = Capture::new();
    let segments = capture.segments();
    bencher.bench_local(|| workloads::measured_reassembly(&segments));
}

#[divan::bench]
fn h1(bencher: Bencher<'_, '_>) {
    let capture = Capture::new();
    let chunks = capture.chunks();
    bencher.bench_local(|| workloads::measured_h1(&chunks));
}

#[divan::bench]
fn pair(bencher: Bencher<'_, '_>) {
    let capture = Capture::new();
    let parts = || capture.parts();
    bencher
        .with_inputs(parts)
        .bench_local_values(workloads::measured_pair);
}

#[divan::bench]
fn pipeline(bencher: Bencher<'_, '_>) {
    let capture = Capture::new();
    bencher.bench_local(|| workloads::measured_pipeline(&capture));
}
