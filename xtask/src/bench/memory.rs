//! `bench memory`: what connections and packets take.

mod open;

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::capture::{Capture, Load};
use super::measure::{self, Program, Run};
use super::report::{Bar, Bound, Report, Table};
use super::{Arguments, Bench, Part};
use crate::exec;
use open::Open;

/// Connections of the captures.
const CONNECTIONS: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Exchanges of the captures whose number of connections is always the same.
const EXCHANGES: [u64; 3] = [10_000, 100_000, 1_000_000];

pub(super) fn run(arguments: &Arguments, bench: &Bench) -> Result<Report> {
    let mut connections = Vec::new();
    for count in CONNECTIONS {
        let load = Load::half_closed(count);
        connections.push((count, peak(arguments, bench, "connections", load)?));
    }
    let mut packets = Vec::new();
    for count in EXCHANGES {
        let load = Load::kept_alive(count);
        packets.push((count, peak(arguments, bench, "posts", load)?));
    }
    // Tracing needs root; reading does not.
    let open = exec::is_root().then(|| Open::measure(bench)).transpose()?;
    let base = connections.first().map_or(0, |(_, run)| run.peak_kib);
    let bytes = |run: &Run| run.peak_kib * 1024;
    let rows = |runs: &[(u64, Run)]| {
        runs.iter()
            .map(|(count, run)| {
                let more = (run.peak_kib.saturating_sub(base) * 1024) as f64;
                vec![
                    count.to_string(),
                    format!("{:.1}", bytes(run) as f64 / 1e6),
                    format!("{:.0}", more / *count as f64),
                    format!("{:.2}", run.seconds),
                ]
            })
            .collect()
    };
    Ok(Report {
        part: Part::Memory,
        tables: vec![
            Table {
                title: "Connections of one exchange each, half of them never closed".to_owned(),
                columns: &[
                    "connections",
                    "peak RSS MB",
                    "bytes for each more",
                    "time s",
                ],
                rows: rows(&connections),
                notes: vec![
                    "With the default bounds: of the connections that are open, \
                     `--limit-connections` (200,000) are kept, and the summary counts the others. \
                     Half of those that are never closed wait for an answer."
                        .to_owned(),
                ],
            },
            Table {
                title: "Exchanges on 64 connections".to_owned(),
                columns: &["exchanges", "peak RSS MB", "bytes for each more", "time s"],
                rows: rows(&packets),
                notes: Vec::new(),
            },
            Table {
                title: "Traced, with connections that are open at the same time".to_owned(),
                columns: &["connections", "userspace MB", "maps in the kernel MB"],
                rows: open
                    .iter()
                    .map(|open| {
                        vec![
                            open.connections.to_string(),
                            format!("{:.1}", open.resident as f64 / 1e6),
                            format!("{:.1}", open.maps as f64 / 1e6),
                        ]
                    })
                    .collect(),
                notes: vec![
                    "In userspace without the ring buffer, which is one of the maps and mapped \
                     twice."
                        .to_owned(),
                ],
            },
        ],
        bars: vec![
            Bar {
                what: "memory, 1,000,000 connections, half never closed: MB",
                bound: Bound::AtMost(600.0),
                measured: connections.last().map(|(_, run)| bytes(run) as f64 / 1e6),
            },
            Bar {
                what: "memory, 100,000 connections open, traced: MB in userspace",
                bound: Bound::AtMost(200.0),
                measured: open.as_ref().map(|open| open.resident as f64 / 1e6),
            },
        ],
        data: json!({ "connections": connections, "exchanges": packets, "open": open }),
    })
}

fn peak(arguments: &Arguments, bench: &Bench, name: &str, load: Load) -> Result<Run> {
    let capture = Capture::generated(&bench.directory, name, load)?;
    let mut program = Program::new("tracer403", &bench.tracer, &["read", "--json"]);
    let limit = Duration::from_secs(arguments.limit);
    let run = measure::run(program.command.arg(&capture.path), limit, &bench.directory)?;
    exec::say(&format!("bench: {}: {run}", capture.path.display()))?;
    Ok(run)
}
