//! `bench live`: what tracing costs a saturated server, and whether every refusal is reported.
//!
//! A rate alone says nothing on a machine that does other things too: rounds of a second follow
//! each other in a ring, and each is compared with its neighbours only.

mod session;
pub(super) mod stand;
pub(super) mod watcher;

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::json;

use super::report::{Bar, Bound, Report, Table};
use super::stats::{Estimate, median};
use super::{Arguments, Bench, Part};
use crate::exec;
use session::Watched;
use stand::{CONNECTIONS, Counter, PORT, Stand, path};
use watcher::{Mode, Reported, Watcher};

/// How long a round is measured.
const ROUND: Duration = Duration::from_secs(1);
/// Between the start of a watcher and its round: the first cases of a session cost more than others,
/// and a round is to stand for any second of a long one.
const WARM_UP: Duration = Duration::from_secs(1);
/// Between a round and the end of its watcher, as nginx dates an answer by when it began to work on it.
const SETTLE: Duration = Duration::from_millis(200);
/// Longest time that a round may take in all, in seconds; bounds the load.
const ROUND_MOST: u64 = 10;
/// What is asked for and over how many connections, from few refusals to as many as nginx makes.
const RATES: [(&str, u32); 5] = [
    (path::SOME, 1),
    (path::SOME, CONNECTIONS),
    (path::ALL, 1),
    (path::ALL, 4),
    (path::ALL, CONNECTIONS),
];
/// How long each of these lasts, in seconds.
const RATE_SECONDS: u64 = 5;
/// Clock ticks a second in /proc/stat, on every Linux that is in use.
const TICKS: f64 = 100.0;

pub(super) fn run(arguments: &Arguments, bench: &Bench) -> Result<Report> {
    ensure!(exec::is_root(), "tracing needs root");
    let stand = Stand::start()?;
    let ring = ring();
    let rounds = go_round(arguments, bench, &stand, &ring)?;
    let seconds = u64::from(arguments.soak);
    let mut rates = Vec::new();
    for (path, connections) in RATES {
        rates.push(Watched::run(
            bench,
            &stand,
            path,
            connections,
            RATE_SECONDS,
        )?);
    }
    let refused = Watched::run(bench, &stand, path::ALL, CONNECTIONS, seconds)?;
    let pairs = pairs(&rounds);
    let mut notes = vec![format!(
        "Rounds of {ROUND:?} beside each other; the interval is one of 95 % confidence."
    )];
    if !ring.contains(&Mode::Tcpdump) {
        notes.push(format!(
            "Not there, so not measured: {}.",
            Mode::Tcpdump.name()
        ));
    }
    Ok(Report {
        part: Part::Live,
        tables: vec![
            Table {
                title: format!(
                    "Request rate of nginx (1 worker, {CONNECTIONS} connections, 1 % refused)"
                ),
                columns: &["watched by", "compared with", "ratio of the rates", "pairs"],
                rows: pairs
                    .iter()
                    .map(|((less, more), ratios)| {
                        let estimate = Estimate::of(ratios);
                        vec![
                            more.name().to_owned(),
                            less.name().to_owned(),
                            estimate.text(),
                            estimate.of.to_string(),
                        ]
                    })
                    .collect(),
                notes,
            },
            totals(&rounds, &ring),
            session::losses(&rates),
            refused.table(seconds),
        ],
        bars: bars(&pairs, &rounds, &refused),
        data: json!({ "rounds": rounds, "rates": rates, "all_refused": refused }),
    })
}

/// Who watches, in turn; after the last comes the first again. So every comparison that is wanted
/// has its rounds beside each other.
fn ring() -> Vec<Mode> {
    let mut ring = vec![
        Mode::Nothing,
        Mode::Empty,
        Mode::Hold,
        Mode::Nothing,
        Mode::All,
        Mode::Tcpdump,
    ];
    ring.retain(|mode| *mode != Mode::Tcpdump || exec::in_path("tcpdump"));
    ring
}

/// What a round showed.
#[derive(Debug, Serialize)]
struct Round {
    mode: Mode,
    seconds: f64,
    requests: u64,
    /// Of all processors, whatever they did.
    busy_seconds: f64,
    /// Of the tool, in userspace and in the kernel for it.
    tool_seconds: Option<f64>,
    /// Refusals within the round, and those of them that were reported.
    refused: u64,
    reported: Option<u64>,
    lost: u64,
}

impl Round {
    fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

fn go_round(
    arguments: &Arguments,
    bench: &Bench,
    stand: &Stand,
    ring: &[Mode],
) -> Result<Vec<Round>> {
    let most = ROUND_MOST * u64::from(arguments.pairs) * ring.len() as u64;
    let _load = stand.load(PORT, path::SOME, CONNECTIONS, most)?;
    let mut counter = stand.counter()?;
    thread::sleep(ROUND);
    let mut rounds = Vec::new();
    for turn in 0..arguments.pairs {
        // Back and forth, so that neither of two neighbours always comes first.
        let mut order = ring.to_vec();
        if turn % 2 == 1
            && let Some((_, others)) = order.split_first_mut()
        {
            others.reverse();
        }
        for mode in order {
            rounds.push(round(mode, bench, stand, &mut counter)?);
        }
        if let Some(last) = rounds.last() {
            exec::say(&format!(
                "bench: turn {} of {}: {:.0} requests/s at its end",
                turn + 1,
                arguments.pairs,
                last.rate()
            ))?;
        }
    }
    Ok(rounds)
}

fn round(mode: Mode, bench: &Bench, stand: &Stand, counter: &mut Counter) -> Result<Round> {
    let (_, log) = stand.refusals_since(0)?;
    let watcher = Watcher::start(mode, stand, bench)?;
    thread::sleep(WARM_UP);
    let before = Sample::take(counter, &watcher)?;
    thread::sleep(ROUND);
    let after = Sample::take(counter, &watcher)?;
    thread::sleep(SETTLE);
    let reported = watcher.stop()?;
    let (refusals, _) = stand.refusals_since(log)?;
    let within: Vec<_> = refusals
        .iter()
        .filter(|refusal| before.since_1970 < refusal.at && refusal.at < after.since_1970)
        .collect();
    let found = |reported: &Reported| {
        let known = within
            .iter()
            .filter(|refusal| reported.ids.contains(&refusal.id));
        known.count() as u64
    };
    Ok(Round {
        mode,
        seconds: (after.at - before.at).as_secs_f64(),
        // Asking is a request, too.
        requests: (after.requests - before.requests).saturating_sub(1),
        busy_seconds: after.busy_seconds - before.busy_seconds,
        tool_seconds: before
            .tool_nanos
            .zip(after.tool_nanos)
            .map(|(before, after)| (after.saturating_sub(before)) as f64 / 1e9),
        refused: within.len() as u64,
        reported: reported.as_ref().map(found),
        lost: reported.map_or(0, |reported| reported.lost),
    })
}

/// Counts at one moment.
struct Sample {
    at: Instant,
    since_1970: f64,
    requests: u64,
    busy_seconds: f64,
    tool_nanos: Option<u64>,
}

impl Sample {
    fn take(counter: &mut Counter, watcher: &Watcher) -> Result<Self> {
        Ok(Self {
            requests: counter.requests()?,
            at: Instant::now(),
            since_1970: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64(),
            busy_seconds: busy_seconds()?,
            tool_nanos: watcher.pid().map(watcher::cpu_nanos).transpose()?,
        })
    }
}

/// What all processors have worked, in processes and for interrupts.
fn busy_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let ticks: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|n| n.parse().ok())
        .collect();
    // Idle, and waiting for disks, is no work.
    let worked = ticks
        .iter()
        .enumerate()
        .filter(|(at, _)| ![3, 4].contains(at));
    Ok(worked.take(6).map(|(_, ticks)| ticks).sum::<f64>() / TICKS)
}

/// The ratios of neighbours, by what was compared.
fn pairs(rounds: &[Round]) -> BTreeMap<(Mode, Mode), Vec<f64>> {
    let mut pairs: BTreeMap<(Mode, Mode), Vec<f64>> = BTreeMap::new();
    for (a, b) in rounds.iter().zip(rounds.iter().skip(1)) {
        let (less, more) = if a.mode < b.mode { (a, b) } else { (b, a) };
        if less.mode != more.mode {
            let ratios = pairs.entry((less.mode, more.mode)).or_default();
            ratios.push(more.rate() / less.rate());
        }
    }
    pairs
}

fn totals(rounds: &[Round], ring: &[Mode]) -> Table {
    let mut modes = ring.to_vec();
    modes.sort_unstable();
    modes.dedup();
    let row = |mode: Mode| {
        let rounds: Vec<&Round> = rounds.iter().filter(|round| round.mode == mode).collect();
        let sum = |of: fn(&Round) -> f64| rounds.iter().map(|round| of(round)).sum::<f64>();
        let rates: Vec<f64> = rounds.iter().map(|round| round.rate()).collect();
        let count = |of: fn(&Round) -> u64| rounds.iter().map(|round| of(round)).sum::<u64>();
        let tool = tool_share(&rounds);
        vec![
            mode.name().to_owned(),
            format!("{:.0}", median(&rates)),
            format!(
                "{:.1}",
                sum(|r| r.busy_seconds) / count(|r| r.requests) as f64 * 1e6
            ),
            tool.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", share * 100.0)),
            tool.map_or_else(
                || "-".to_owned(),
                |_| {
                    let reported = count(|r| r.reported.unwrap_or_default());
                    format!("{reported} of {}", count(|r| r.refused))
                },
            ),
            count(|r| r.lost).to_string(),
        ]
    };
    Table {
        title: "The same rounds".to_owned(),
        columns: &[
            "watched by",
            "requests/s",
            "CPU µs a request",
            "userspace, % of a core",
            "refusals reported",
            "records lost",
        ],
        rows: modes.into_iter().map(row).collect(),
        notes: vec![
            "The CPU time is that of the whole machine, softirq and other work included, divided \
             by the requests. Losses count from the start of the tool to its end, refusals within \
             the round."
                .to_owned(),
        ],
    }
}

/// The tool's share of a core; `None` where it did not run.
fn tool_share(rounds: &[&Round]) -> Option<f64> {
    let tool: Option<f64> = rounds.iter().map(|round| round.tool_seconds).sum();
    let seconds: f64 = rounds.iter().map(|round| round.seconds).sum();
    tool.filter(|_| !rounds.is_empty())
        .map(|tool| tool / seconds)
}

fn bars(pairs: &BTreeMap<(Mode, Mode), Vec<f64>>, rounds: &[Round], refused: &Watched) -> Vec<Bar> {
    let ratio = |less, more| pairs.get(&(less, more)).map(|ratios| median(ratios));
    let traced: Vec<&Round> = rounds.iter().filter(|r| r.mode == Mode::Hold).collect();
    let missed: u64 = traced
        .iter()
        .map(|round| round.refused - round.reported.unwrap_or_default())
        .sum();
    // Where the empty program costs so much, the machine allows no statement about the sum.
    let floor = ratio(Mode::Nothing, Mode::Empty);
    let mut bars = Vec::new();
    if floor.is_none_or(|floor| floor >= 0.98) {
        bars.push(Bar {
            what: "live: rate, of no tracing",
            bound: Bound::AtLeast(0.97),
            measured: ratio(Mode::Nothing, Mode::Hold),
        });
    }
    bars.extend([
        Bar {
            what: "live: rate, of the empty program",
            bound: Bound::AtLeast(0.985),
            measured: ratio(Mode::Empty, Mode::Hold),
        },
        Bar {
            what: "live: refusals not reported",
            bound: Bound::AtMost(0.0),
            measured: Some(missed as f64),
        },
        Bar {
            what: "live: userspace, % of a core",
            bound: Bound::AtMost(2.0),
            measured: tool_share(&traced).map(|share| share * 100.0),
        },
        Bar {
            what: "live, everything refused: neither reported nor counted",
            bound: Bound::AtMost(0.0),
            measured: Some(refused.unaccounted as f64),
        },
        Bar {
            what: "live, everything refused: memory of the last third, of the second",
            bound: Bound::AtMost(1.05),
            measured: refused.growth(),
        },
        Bar {
            what: "live, --capture all: rate, of tcpdump",
            bound: Bound::AtLeast(1.0),
            measured: ratio(Mode::Tcpdump, Mode::All),
        },
    ]);
    bars
}
