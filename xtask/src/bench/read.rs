//! `bench read`: how long it takes to read captures, beside other programs.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::capture::{Capture, Load};
use super::contestants::{self, Contestants, Threads};
use super::measure::{self, Program, Run};
use super::report::{Bar, Bound, Report, Table};
use super::stats::{Estimate, median};
use super::{Arguments, Bench, Part, answer};
use crate::exec;

/// Bytes of each large answer's body.
const LARGE: usize = 1 << 20;
/// Exchanges with large answers for so many of the others.
const LARGE_EACH: u64 = 1_250;

pub(super) fn run(arguments: &Arguments, bench: &Bench) -> Result<Report> {
    let exchanges = arguments.exchanges;
    let posts = Capture::generated(&bench.directory, "posts", Load::kept_alive(exchanges))?;
    let load = Load::large((exchanges / LARGE_EACH).max(64), LARGE);
    let large = Capture::generated(&bench.directory, "large", load)?;
    let posts = Contest::hold(arguments, bench, posts)?;
    let large = Contest::hold(arguments, bench, large)?;
    let real = match &arguments.corpora {
        Some(corpora) => {
            let real = Capture::real(&bench.directory, corpora)?;
            Some(Contest::hold(arguments, bench, real)?)
        }
        None => None,
    };
    let bars = bars(&posts, &large, real.as_ref());
    let contests = || {
        [Some(&posts), Some(&large), real.as_ref()]
            .into_iter()
            .flatten()
    };
    Ok(Report {
        part: Part::Read,
        tables: contests().map(Contest::table).collect::<Result<_>>()?,
        bars,
        data: contests().map(Contest::json).collect(),
    })
}

/// All programs on one capture, and every run of theirs.
struct Contest {
    capture: Capture,
    contestants: Contestants,
    runs: Vec<Vec<Run>>,
}

impl Contest {
    /// Lets every program run in every round, so that what else the machine does meets all of
    /// them; each round begins with another one.
    fn hold(arguments: &Arguments, bench: &Bench, capture: Capture) -> Result<Self> {
        let mut contestants = Contestants::find(
            &bench.tracer,
            &bench.directory.join("suricata"),
            arguments.alone,
        );
        let ours: Vec<Command> = contestants
            .programs
            .iter()
            .filter(|program| is_ours(program))
            .map(|program| {
                let mut same = Command::new(program.command.get_program());
                same.args(program.command.get_args());
                same
            })
            .collect();
        answer::check(&ours, &capture)?;
        for program in &mut contestants.programs {
            program.command.arg(&capture.path);
        }
        let limit = Duration::from_secs(arguments.limit);
        let count = contestants.programs.len();
        let mut runs: Vec<Vec<Run>> = vec![Vec::new(); count];
        for round in 0..arguments.rounds {
            for turn in 0..count {
                let at = (turn + round as usize) % count;
                let (Some(program), Some(runs)) =
                    (contestants.programs.get_mut(at), runs.get_mut(at))
                else {
                    continue;
                };
                if round >= program.rounds || runs.iter().any(|run| !run.finished) {
                    continue;
                }
                let run = measure::run(&mut program.command, limit, &bench.directory)?;
                exec::say(&format!(
                    "bench: round {}: {}: {run}",
                    round + 1,
                    program.name
                ))?;
                runs.push(run);
            }
        }
        Ok(Self {
            capture,
            contestants,
            runs,
        })
    }

    fn runs_of(&self, name: &str) -> &[Run] {
        let programs = self.contestants.programs.iter().zip(&self.runs);
        let found = programs
            .into_iter()
            .find(|(program, _)| program.name == name);
        found.map_or(&[], |(_, runs)| runs)
    }

    /// A program's time as a multiple of another's, round by round; for one that ran fewer rounds,
    /// of the rounds that both ran.
    fn ratio(&self, name: &str, of: &str) -> Option<Estimate> {
        let pairs = self.runs_of(name).iter().zip(self.runs_of(of));
        let ratios: Vec<f64> = pairs.map(|(a, b)| a.seconds / b.seconds).collect();
        (!ratios.is_empty()).then(|| Estimate::of(&ratios))
    }

    fn table(&self) -> Result<Table> {
        let bytes = self.capture.bytes()? as f64;
        let rows = self.contestants.programs.iter().zip(&self.runs);
        let mut notes = vec![
            "Medians of the rounds, the shortest and longest in brackets; the ratio is that of the \
             same round, with its 95 % interval."
                .to_owned(),
        ];
        notes.extend(self.contestants.note());
        Ok(Table {
            title: format!("Reading {}", self.capture.what),
            columns: &[
                "program",
                "time s",
                "CPU s",
                "MB/s",
                "peak RSS MiB",
                "times ngrep",
                "times ngrep -q",
                "rounds",
            ],
            rows: rows
                .map(|(program, runs)| self.row(program, runs, bytes))
                .collect(),
            notes,
        })
    }

    fn row(&self, program: &Program, runs: &[Run], bytes: f64) -> Vec<String> {
        let seconds: Vec<f64> = runs.iter().map(|r| r.seconds).collect();
        let cpu: Vec<f64> = runs.iter().map(|r| r.cpu_seconds).collect();
        let peak = runs.iter().map(|r| r.peak_kib).max().unwrap_or_default();
        let (shortest, longest) = seconds
            .iter()
            .fold((f64::INFINITY, 0.0_f64), |(a, b), s| (a.min(*s), b.max(*s)));
        let time = median(&seconds);
        let finished = runs.iter().all(|run| run.finished);
        let than = if finished { "" } else { "more than " };
        let times = |of| match self.ratio(program.name, of) {
            Some(ratio) => ratio.text(),
            None => "-".to_owned(),
        };
        vec![
            program.name.to_owned(),
            format!("{than}{time:.2} ({shortest:.2} to {longest:.2})"),
            format!("{:.2}", median(&cpu)),
            format!("{:.0}", bytes / time / 1e6),
            format!("{:.0}", peak as f64 / 1024.0),
            times("ngrep"),
            times("ngrep -q"),
            runs.len().to_string(),
        ]
    }

    fn json(&self) -> Value {
        let programs = self.contestants.programs.iter().zip(&self.runs);
        json!({
            "capture": self.capture.what,
            "programs": programs
                .map(|(program, runs)| json!({
                    "name": program.name,
                    "command": exec::line(&program.command),
                    "runs": runs,
                }))
                .collect::<Vec<_>>(),
            "missing": self.contestants.missing,
        })
    }
}

fn is_ours(program: &Program) -> bool {
    [Threads::One, Threads::Two]
        .map(contestants::name)
        .contains(&program.name)
}

fn bars(posts: &Contest, large: &Contest, real: Option<&Contest>) -> Vec<Bar> {
    let one = contestants::name(Threads::One);
    let two = contestants::name(Threads::Two);
    let median = |contest: &Contest, name, of| contest.ratio(name, of).map(|ratio| ratio.median);
    let peak = [one, two]
        .iter()
        .flat_map(|name| posts.runs_of(name))
        .map(|run| run.peak_kib)
        .max();
    vec![
        Bar {
            what: "read, 1 thread: times ngrep",
            bound: Bound::AtMost(0.5),
            measured: median(posts, one, "ngrep"),
        },
        Bar {
            what: "read, 2 threads: times ngrep",
            bound: Bound::AtMost(0.3),
            measured: median(posts, two, "ngrep"),
        },
        Bar {
            what: "read, 2 threads: times faster than Suricata",
            bound: Bound::AtLeast(100.0),
            measured: median(posts, "Suricata", two),
        },
        Bar {
            what: "read, with verdicts, 2 threads: times without",
            bound: Bound::AtMost(1.15),
            measured: median(posts, two, contestants::unjudged(Threads::Two)),
        },
        Bar {
            what: "read: peak MB",
            bound: Bound::AtMost(150.0),
            measured: peak.map(|kib| kib as f64 * 1024.0 / 1e6),
        },
        Bar {
            what: "read, large answers: times ngrep",
            bound: Bound::AtMost(0.6),
            measured: median(large, one, "ngrep"),
        },
        Bar {
            what: "read, real captures: times ngrep",
            bound: Bound::AtMost(0.6),
            measured: real.and_then(|real| median(real, one, "ngrep")),
        },
    ]
}
