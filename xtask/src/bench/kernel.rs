//! `bench kernel`: the kernel's time for each packet and each request, by its own account.
//!
//! Counting a run takes longer than a small program: so an empty program runs beside, and what it
//! takes is taken off. Requests are held, so that most of the traffic is let go.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::json;
use tracer_tests::{EmptyPrograms, RunTime, RunTimes};

use super::live::stand::{CONNECTIONS, OTHER_PORT, PORT, Stand, path};
use super::live::watcher::{self, Running};
use super::report::{Bar, Bound, Report, Table};
use super::{Bench, Part};
use crate::exec;

/// How long each kind of traffic is measured, in seconds.
const SECONDS: u64 = 3;

/// The programs that see packets.
const PACKETS: [&str; 2] = ["cgroup_ingress", "cgroup_egress"];

pub(super) fn run(bench: &Bench) -> Result<Report> {
    ensure!(exec::is_root(), "tracing needs root");
    let stand = Stand::start()?;
    let measure = |port, path, connections| account(bench, &stand, port, path, connections);
    let other = measure(OTHER_PORT, path::NONE, CONNECTIONS)?;
    let body = measure(PORT, path::LARGE, 1)?;
    let passed = measure(PORT, path::NONE, CONNECTIONS)?;
    let refused = measure(PORT, path::ALL, CONNECTIONS)?;
    let row = |what: &str, account: &Account| {
        vec![
            what.to_owned(),
            format!("{:.0}", account.floor()),
            format!("{:.0}", account.packet()),
            format!(
                "{:.1}",
                account.packets.runs as f64 / account.requests as f64
            ),
            format!("{:.0}", account.request()),
            format!(
                "{:.0}",
                account.processes.nanos as f64 / account.requests as f64
            ),
        ]
    };
    Ok(Report {
        part: Part::Kernel,
        tables: vec![Table {
            title: "Nanoseconds in the kernel, net of the empty program".to_owned(),
            columns: &[
                "traffic",
                "empty program, a packet",
                "a packet",
                "packets a request",
                "a request and its answer",
                "probes of processes, a request, gross",
            ],
            rows: vec![
                row("another port", &other),
                row("a traced port, large answers: hardly a start line", &body),
                row("requests answered 200", &passed),
                row("requests refused", &refused),
            ],
            notes: vec![
                "Packets are those that nginx receives and sends. With large answers, one packet in \
                 hundreds has a start line."
                    .to_owned(),
            ],
        }],
        bars: vec![
            Bar {
                what: "kernel: ns for a packet of another port",
                bound: Bound::AtMost(15.0),
                measured: Some(other.packet()),
            },
            Bar {
                what: "kernel: ns for a packet without start line",
                bound: Bound::AtMost(60.0),
                measured: Some(body.packet()),
            },
            Bar {
                what: "kernel: ns for a request let go, with its answer",
                bound: Bound::AtMost(400.0),
                measured: Some(passed.request()),
            },
        ],
        data: json!({ "other": other, "body": body, "passed": passed, "refused": refused }),
    })
}

/// What ran for some traffic.
#[derive(Debug, Serialize)]
struct Account {
    requests: u64,
    #[serde(serialize_with = "serialized")]
    packets: RunTime,
    /// The other programs of the tool.
    #[serde(serialize_with = "serialized")]
    processes: RunTime,
    #[serde(serialize_with = "serialized")]
    empty: RunTime,
}

fn serialized<S: serde::Serializer>(time: &RunTime, to: S) -> Result<S::Ok, S::Error> {
    json!({ "runs": time.runs, "nanos": time.nanos }).serialize(to)
}

impl Account {
    /// Nanoseconds of the empty program for a packet.
    fn floor(&self) -> f64 {
        self.empty.nanos as f64 / self.empty.runs as f64
    }

    /// Nanoseconds for a packet, net.
    fn packet(&self) -> f64 {
        self.packets.nanos as f64 / self.packets.runs as f64 - self.floor()
    }

    /// Nanoseconds for all packets of a request and its answer, net.
    fn request(&self) -> f64 {
        self.packet() * self.packets.runs as f64 / self.requests as f64
    }
}

fn account(
    bench: &Bench,
    stand: &Stand,
    port: u16,
    path: &str,
    connections: u32,
) -> Result<Account> {
    let empty = EmptyPrograms::attach(stand.traced())?;
    let tracer = Running::start(stand, bench, watcher::HOLD)?;
    let mut counter = stand.counter()?;
    let mut load = stand.load(port, path, connections, SECONDS + 1)?;
    // The connections are opened first.
    std::thread::sleep(Duration::from_millis(500));
    let counting = RunTimes::count()?;
    let programs = |packets: bool| -> Result<RunTime> {
        let held = RunTime::of_process(tracer.pid()).context("the tool's programs")?;
        let wanted = held
            .into_iter()
            .filter(|(name, _)| PACKETS.contains(&name.as_str()) == packets);
        Ok(wanted.fold(RunTime::default(), |sum, (_, time)| sum + time))
    };
    let start = (
        counter.requests()?,
        programs(true)?,
        programs(false)?,
        empty.run_time()?,
    );
    std::thread::sleep(Duration::from_secs(SECONDS));
    let end = (
        counter.requests()?,
        programs(true)?,
        programs(false)?,
        empty.run_time()?,
    );
    drop(counting);
    watcher::wait(&mut load, SECONDS)?;
    tracer.stop()?;
    let account = Account {
        requests: (end.0 - start.0).saturating_sub(1),
        packets: end.1 - start.1,
        processes: end.2 - start.2,
        empty: end.3 - start.3,
    };
    ensure!(
        account.requests > 0 && account.packets.runs > 0 && account.empty.runs > 0,
        "nothing was measured at {path}: {account:?}"
    );
    exec::say(&format!(
        "bench: {path} on port {port}: {} requests, {:.0} ns a packet",
        account.requests,
        account.packet()
    ))?;
    Ok(account)
}
