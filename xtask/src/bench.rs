//! `cargo xtask bench`: `read` beside tshark, tcpflow and ngrep on the same generated capture.

mod generate;
mod measure;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::exec::{self, cargo};
use measure::Run;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// POST exchanges in the generated capture, one in a hundred of them refused
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..))]
    exchanges: u64,
    /// How often each program runs; they take turns
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure only `tracer403 read`
    #[arg(long)]
    alone: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    exec::run(cargo().args(["build", "--release", "--locked", "-p", "tracer403"]))?;
    let directory = exec::target().join("bench");
    std::fs::create_dir_all(&directory)?;
    let file = directory.join(format!("posts-{}.pcap", arguments.exchanges));
    if !file.is_file() {
        exec::say(&format!("bench: generating {}", file.display()))?;
        // Written beside and renamed: a file that is there is whole.
        let partial = file.with_extension("partial");
        generate::capture(&partial, arguments.exchanges)?;
        std::fs::rename(&partial, &file)?;
    }
    let bytes = std::fs::metadata(&file)?.len();
    let tracer = exec::target().join("release/tracer403");
    // It also brings the file into the page cache, for everybody.
    check_answer(&tracer, &file, arguments.exchanges)?;

    let mut programs = programs(&tracer, &file);
    if arguments.alone {
        programs.truncate(1);
    }
    let mut runs: Vec<Vec<Run>> = programs.iter().map(|_| Vec::new()).collect();
    for round in 1..=arguments.rounds {
        for (program, runs) in programs.iter_mut().zip(&mut runs) {
            let run = measure::run(&mut program.command)?;
            exec::say(&format!(
                "bench: round {round}: {}: {:.2} s, {} MiB",
                program.name,
                run.seconds,
                run.peak_kib / 1024
            ))?;
            runs.push(run);
        }
    }
    let rows: Vec<Row> = programs
        .iter()
        .zip(&runs)
        .map(|(program, runs)| Row::new(program, runs, arguments.exchanges, bytes))
        .collect();
    report(&rows, bytes, arguments, &directory.join("result.json"))
}

/// A program that is measured.
struct Program {
    name: &'static str,
    command: Command,
}

fn programs(tracer: &Path, file: &Path) -> Vec<Program> {
    let program = |name, program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).arg(file);
        Program { name, command }
    };
    vec![
        program("tracer403 read", tracer, &["read", "--json"]),
        program("tshark", Path::new("tshark"), &["-n", "-Y", "http", "-r"]),
        program("tcpflow", Path::new("tcpflow"), &["-C", "-r"]),
        program(
            "ngrep",
            Path::new("ngrep"),
            &["-q", "^POST |^HTTP/1.1 403 ", "tcp", "-I"],
        ),
    ]
}

/// A fast wrong answer is worth nothing.
fn check_answer(tracer: &Path, file: &Path, exchanges: u64) -> Result<()> {
    let mut command = Command::new(tracer);
    command.args(["read", "--json"]).arg(file);
    let output = exec::output(&mut command)?;
    let cases = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line.get("type").and_then(Value::as_str) == Some("case"))
        .count() as u64;
    let refused = generate::refused(exchanges);
    ensure!(
        cases == refused,
        "`{}` reports {cases} cases where there are {refused}",
        exec::line(&command)
    );
    Ok(())
}

/// A line of the table: medians.
#[derive(Debug, Serialize)]
struct Row {
    program: &'static str,
    command: String,
    seconds: f64,
    cpu_seconds: f64,
    exchanges_per_second: f64,
    bytes_per_second: f64,
    peak_rss_bytes: u64,
    runs: Vec<Run>,
}

impl Row {
    fn new(program: &Program, runs: &[Run], exchanges: u64, bytes: u64) -> Self {
        let seconds = median(runs.iter().map(|r| r.seconds));
        Self {
            program: program.name,
            command: exec::line(&program.command),
            seconds,
            cpu_seconds: median(runs.iter().map(|r| r.cpu_seconds)),
            exchanges_per_second: exchanges as f64 / seconds,
            bytes_per_second: bytes as f64 / seconds,
            peak_rss_bytes: runs
                .iter()
                .map(|r| r.peak_kib * 1024)
                .max()
                .unwrap_or_default(),
            runs: runs.to_vec(),
        }
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

fn report(rows: &[Row], bytes: u64, arguments: &Arguments, json: &PathBuf) -> Result<()> {
    let ours = rows.first().context("nothing was measured")?.seconds;
    exec::say(&format!(
        "\n{} POST exchanges, 1 % refused, {} MB; medians of {} rounds\n",
        arguments.exchanges,
        bytes / 1_000_000,
        arguments.rounds
    ))?;
    exec::say(
        "| program | time s | CPU s | exchanges/s | MB/s | peak RSS MiB | times tracer403 |",
    )?;
    exec::say("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for row in rows {
        exec::say(&format!(
            "| {} | {:.2} | {:.2} | {:.0} | {:.0} | {} | {:.2} |",
            row.program,
            row.seconds,
            row.cpu_seconds,
            row.exchanges_per_second,
            row.bytes_per_second / 1e6,
            row.peak_rss_bytes >> 20,
            row.seconds / ours
        ))?;
    }
    std::fs::write(json, serde_json::to_vec_pretty(rows)?)
        .with_context(|| json.display().to_string())?;
    exec::say(&format!("\nbench: also in {}", json.display()))
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0].into_iter()), 2.5);
        assert_eq!(median([7.0].into_iter()), 7.0);
    }
}
