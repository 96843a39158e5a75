//! A fast wrong answer is worth nothing.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::capture::{Capture, Truth};
use crate::exec;

/// Runs each of the commands (the same reading, with other numbers of threads) on a capture and
/// compares what they report: with what was generated, and with each other.
///
/// It also brings the file into the page cache, for everybody.
///
/// # Errors
/// Where one fails, a total is wrong, or they differ.
pub(super) fn check(commands: &[Command], capture: &Capture) -> Result<()> {
    let mut first = None;
    for command in commands {
        let line = exec::line(command);
        let answer = Answer::of(command, capture)?;
        if let Some(truth) = capture.truth {
            answer.is(truth).with_context(|| line.clone())?;
        }
        let expected = first.get_or_insert(answer.cases_hash);
        ensure!(
            *expected == answer.cases_hash,
            "`{line}` reports other cases than with another number of threads"
        );
        exec::say(&format!(
            "bench: checked: {} cases from `{line}`",
            answer.cases
        ))?;
    }
    Ok(())
}

/// What a run reported.
struct Answer {
    cases: u64,
    /// Of all lines of cases, in their order.
    cases_hash: u64,
    summary: Value,
}

impl Answer {
    /// The output is read line by line: what this process holds at its peak is counted as the peak
    /// of every program that it starts later (see [`Run::peak_kib`](super::measure::Run)).
    fn of(command: &Command, capture: &Capture) -> Result<Self> {
        let mut again = Command::new(command.get_program());
        again.args(command.get_args()).arg(&capture.path);
        let line = exec::line(&again);
        let mut child = again
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start `{line}`"))?;
        let out = child.stdout.take().context("its output is not piped")?;
        let (mut cases, mut summary) = (0, None);
        let mut hasher = DefaultHasher::new();
        for text in BufReader::new(out).lines() {
            let text = text?;
            // A line's first key tells it; parsing every case would take longer than the run.
            if text.starts_with(r#"{"type":"case","#) {
                cases += 1;
                text.hash(&mut hasher);
            } else if text.starts_with(r#"{"type":"summary","#) {
                summary = Some(serde_json::from_str::<Value>(&text)?);
            }
        }
        let status = child.wait()?;
        ensure!(status.success(), "`{line}` failed: {status}");
        let Some(summary) = summary else {
            bail!("`{line}` wrote no summary");
        };
        Ok(Self {
            cases,
            cases_hash: hasher.finish(),
            summary,
        })
    }

    fn is(&self, truth: Truth) -> Result<()> {
        let total = |name: &str| self.summary.get(name).and_then(Value::as_u64);
        for (name, found, expected) in [
            ("lines of type `case`", Some(self.cases), truth.refused),
            ("cases", total("cases"), truth.refused),
            ("requests", total("requests"), truth.exchanges),
            ("responses", total("responses"), truth.exchanges),
            ("exchanges", total("exchanges"), truth.exchanges),
        ] {
            ensure!(
                found == Some(expected),
                "reports {found:?} {name} where there are {expected}"
            );
        }
        Ok(())
    }
}
