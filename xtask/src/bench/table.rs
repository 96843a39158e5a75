//! What was measured, for people and for programs.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::{Program, Run};
use crate::exec;

/// All that was measured side by side.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// In the capture.
    pub(super) exchanges: u64,
    /// Of the capture.
    pub(super) bytes: u64,
    pub(super) cores: usize,
    pub(super) kernel: String,
    pub(super) rows: Vec<Row>,
}

/// One program: medians, and the largest peak.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    program: &'static str,
    command: String,
    /// Whether all runs came to their end; otherwise seconds and memory are lower bounds.
    finished: bool,
    seconds: f64,
    cpu_seconds: f64,
    exchanges_per_second: f64,
    bytes_per_second: f64,
    peak_rss_bytes: u64,
    runs: Vec<Run>,
}

impl Row {
    pub(super) fn new(program: &Program, runs: &[Run], exchanges: u64, bytes: u64) -> Self {
        let seconds = median(runs.iter().map(|r| r.seconds));
        let peak_kib = runs.iter().map(|r| r.peak_kib).max().unwrap_or_default();
        Self {
            program: program.name,
            command: exec::line(&program.command),
            finished: runs.iter().all(|r| r.finished),
            seconds,
            cpu_seconds: median(runs.iter().map(|r| r.cpu_seconds)),
            exchanges_per_second: exchanges as f64 / seconds,
            bytes_per_second: bytes as f64 / seconds,
            peak_rss_bytes: peak_kib * 1024,
            runs: runs.to_vec(),
        }
    }

    /// The line of the table; `ours` is the time of the first row.
    fn line(&self, ours: f64) -> String {
        let (at_least, at_most) = if self.finished {
            ("", "")
        } else {
            ("> ", "< ")
        };
        format!(
            "| {} | {at_least}{:.2} | {at_least}{:.2} | {at_most}{:.0} | {at_most}{:.0} | {at_least}{} | {at_least}{:.2} | {} |",
            self.program,
            self.seconds,
            self.cpu_seconds,
            self.exchanges_per_second,
            self.bytes_per_second / 1e6,
            self.peak_rss_bytes >> 20,
            self.seconds / ours,
            self.runs.len(),
        )
    }
}

impl Report {
    /// Prints a table in Markdown.
    pub(super) fn print(&self) -> Result<()> {
        let ours = self.rows.first().context("nothing was measured")?.seconds;
        exec::say(&format!(
            "\n{} POST exchanges, 1 % refused, {} MB; medians; {} cores, Linux {}\n",
            self.exchanges,
            self.bytes / 1_000_000,
            self.cores,
            self.kernel.trim(),
        ))?;
        exec::say(
            "| program | time s | CPU s | exchanges/s | MB/s | peak RSS MiB | times tracer403 | runs |",
        )?;
        exec::say("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
        for row in &self.rows {
            exec::say(&row.line(ours))?;
        }
        Ok(())
    }

    /// Writes it as JSON.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        std::fs::write(file, serde_json::to_vec_pretty(self)?)
            .with_context(|| file.display().to_string())?;
        exec::say(&format!("\nbench: also in {}", file.display()))
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(below), Some(above)) if values.len().is_multiple_of(2) => (below + above) / 2.0,
        (_, Some(middle)) => *middle,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0].into_iter()), 2.5);
        assert_eq!(median([7.0].into_iter()), 7.0);
    }

    #[test]
    fn what_did_not_finish_is_a_bound() {
        let run = Run {
            seconds: 2.0,
            cpu_seconds: 1.5,
            peak_kib: 10_240,
            finished: true,
        };
        let program = Program::new("it", "it", &["-x"]);
        let line = |finished| {
            let runs = [Run { finished, ..run }];
            Row::new(&program, &runs, 1_000, 8_000_000).line(1.0)
        };
        assert_eq!(line(true), "| it | 2.00 | 1.50 | 500 | 4 | 10 | 2.00 | 1 |");
        assert_eq!(
            line(false),
            "| it | > 2.00 | > 1.50 | < 500 | < 4 | > 10 | > 2.00 | 1 |"
        );
    }
}
