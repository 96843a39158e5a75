//! `cargo xtask corpora DIR`: what `tracer403 read` finds in a folder of captures beside what
//! tshark finds.
//!
//! tshark is a witness, not the judge: a difference that `docs/corpora-differences.md` explains,
//! with the very numbers that are seen, does not count against us.

mod compare;
mod index;
mod known;
mod ours;
mod theirs;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::json;

use crate::exec::{self, cargo};
use compare::{Difference, Found};
use index::Capture;
use known::Known;

/// Captures that must agree or be explained, in percent.
const ENOUGH: f64 = 99.0;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder with captures; an index.tsv in it may say how tshark has to be asked
    directory: PathBuf,
    /// The tool to compare, instead of a release build of this tree
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Only captures whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Print the rows that the document of differences lacks
    #[arg(long)]
    rows: bool,
    /// Write the outcome as JSON here too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds after which a program counts as hung on a capture
    #[arg(long, default_value_t = 60)]
    timeout: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut captures = index::captures(&arguments.directory)?;
    if let Some(part) = &arguments.only {
        captures.retain(|c| c.name.contains(part));
    }
    if captures.is_empty() {
        bail!("no captures in {}", arguments.directory.display());
    }
    let known = Known::read(&exec::root().join("docs/corpora-differences.md"))?;
    let binary = binary(arguments)?;
    let limit = Duration::from_secs(arguments.timeout);
    let outcomes = in_parallel(&captures, |capture| compare_one(&binary, capture, limit))?;
    report(arguments, &known, &captures, &outcomes)
}

/// The captures of a folder.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn captures(directory: &Path) -> Result<Vec<PathBuf>> {
    Ok(index::captures(directory)?
        .into_iter()
        .map(|capture| capture.path)
        .collect())
}

/// What came out for a capture: the differences, or why there is no comparison.
type Outcome = Result<Vec<Difference>>;

fn binary(arguments: &Arguments) -> Result<PathBuf> {
    if let Some(binary) = &arguments.binary {
        return Ok(binary.clone());
    }
    exec::run(cargo().args(["build", "--release", "--locked", "-p", "tracer403"]))?;
    Ok(exec::target().join("release/tracer403"))
}

fn compare_one(binary: &Path, capture: &Capture, limit: Duration) -> Outcome {
    let theirs = theirs::found(capture, limit).context("tshark")?;
    let ours = ours::found(binary, &capture.path, limit).context("tracer403")?;
    Ok(Found::differences(&theirs, &ours))
}

fn in_parallel(
    captures: &[Capture],
    work: impl Fn(&Capture) -> Outcome + Sync,
) -> Result<Vec<Outcome>> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let mut done: Vec<(usize, Outcome)> = thread::scope(|scope| {
        let worker = || {
            let mut mine = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(capture) = captures.get(at) else {
                    return mine;
                };
                mine.push((at, work(capture)));
            }
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let joined: Result<Vec<_>, _> = threads.into_iter().map(|t| t.join()).collect();
        joined.map_err(|_| anyhow!("a worker thread died"))
    })?
    .into_iter()
    .flatten()
    .collect();
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}

fn report(
    arguments: &Arguments,
    known: &Known,
    captures: &[Capture],
    outcomes: &[Outcome],
) -> Result<()> {
    let (mut agree, mut explained, mut differ) = (0_usize, 0_usize, 0_usize);
    let mut lines = Vec::new();
    for (capture, outcome) in captures.iter().zip(outcomes) {
        let (verdict, text) = match outcome {
            Ok(differences) if differences.is_empty() => {
                agree += 1;
                ("agrees", String::new())
            }
            Ok(differences) => {
                let new: Vec<_> = differences
                    .iter()
                    .filter(|d| !known.explains(&capture.name, d))
                    .collect();
                if arguments.rows {
                    for difference in &new {
                        exec::say(&difference.row(&capture.name))?;
                    }
                }
                let all: Vec<_> = differences.iter().map(ToString::to_string).collect();
                if new.is_empty() {
                    explained += 1;
                    ("explained", all.join("; "))
                } else {
                    differ += 1;
                    ("DIFFERS", all.join("; "))
                }
            }
            Err(why) => {
                differ += 1;
                ("FAILED", format!("{why:#}"))
            }
        };
        if !text.is_empty() && !arguments.rows {
            exec::say(&format!("{}: {verdict}: {text}", capture.name))?;
        }
        lines.push(json!({"file": capture.name, "outcome": verdict, "differences": text}));
    }
    if arguments.only.is_none() {
        for stale in known.unused(captures, outcomes) {
            exec::say(&format!(
                "docs/corpora-differences.md explains what is not seen: {stale}"
            ))?;
        }
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_vec_pretty(&lines)?)
            .with_context(|| file.display().to_string())?;
    }
    let percent = 100.0 * (agree + explained) as f64 / captures.len() as f64;
    exec::say(&format!(
        "{} captures: {agree} agree, {explained} explained, {differ} differ ({percent:.1} %)",
        captures.len()
    ))?;
    if percent < ENOUGH {
        bail!("below {ENOUGH} %");
    }
    Ok(())
}
