//! `cargo xtask bench`: `read` beside tshark, tcpflow and ngrep on the same generated capture, and
//! the memory that connections take which are never closed.

mod check;
mod generate;
mod measure;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::exec::{self, cargo};
use generate::{Ending, Load};
use measure::{Program, Run};
use table::{Report, Row};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// POST exchanges in the generated capture, one in a hundred of them refused
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..))]
    exchanges: u64,
    /// How often each program runs; they take turns (tshark, far the slowest, runs 3 times at most)
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds after which a run is ended; that program does not run again
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Measure only `tracer403 read`
    #[arg(long)]
    alone: bool,
    /// Measure instead the memory for this many connections that are never closed
    #[arg(long, value_name = "CONNECTIONS", conflicts_with_all = ["exchanges", "alone"],
          value_parser = clap::value_parser!(u64).range(100..))]
    never_closed: Option<u64>,
}

/// Rounds for tshark.
const SLOW_ROUNDS: u32 = 3;

/// `--limit-connections` where it is not given.
const CONNECTIONS_KEPT: u64 = 200_000;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    exec::run(cargo().args(["build", "--release", "--locked", "-p", "tracer403"]))?;
    // Absolute, as every run has a directory of its own.
    let target = std::path::absolute(exec::target())?;
    let directory = target.join("bench");
    std::fs::create_dir_all(&directory)?;
    let tracer = target.join("release/tracer403");
    match arguments.never_closed {
        Some(connections) => never_closed(arguments, connections, &tracer, &directory),
        None => compare(arguments, &tracer, &directory),
    }
}

fn compare(arguments: &Arguments, tracer: &Path, directory: &Path) -> Result<()> {
    let exchanges = arguments.exchanges;
    let file = capture(directory, "posts", Load::kept_alive(exchanges))?;
    // It also brings the file into the page cache, for everybody.
    check::answer(tracer, &file, exchanges, generate::refused(exchanges))?;

    let mut programs = vec![Program::new("tracer403 read", tracer, &["read", "--json"])];
    if !arguments.alone {
        programs.extend(peers()?);
    }
    for program in &mut programs {
        program.command.arg(&file);
    }
    let runs = take_turns(&mut programs, arguments, directory)?;
    let bytes = std::fs::metadata(&file)?.len();
    let rows = programs.iter().zip(&runs);
    let report = Report {
        exchanges,
        bytes,
        cores: std::thread::available_parallelism()?.get(),
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")?,
        rows: rows
            .map(|(program, runs)| Row::new(program, runs, exchanges, bytes))
            .collect(),
    };
    report.print()?;
    report.write(&directory.join("result.json"))
}

/// The other programs, as far as they are installed. Each does the least that it can be asked for.
fn peers() -> Result<Vec<Program>> {
    let mut peers = vec![
        Program {
            rounds: SLOW_ROUNDS,
            ..Program::new("tshark", "tshark", &["-n", "-Y", "http", "-r"])
        },
        // Prints packets as they come.
        Program::new("tcpflow, printing", "tcpflow", &["-C", "-r"]),
        // Writes each direction of each connection to a file.
        Program::new("tcpflow, to files", "tcpflow", &["-r"]),
        Program::new("ngrep", "ngrep", &["-q", "403 Forbidden", "-I"]),
    ];
    let installed =
        |program: &Program| exec::in_path(&program.command.get_program().to_string_lossy());
    for missing in peers.iter().filter(|program| !installed(program)) {
        exec::say(&format!("bench: {} is not installed", missing.name))?;
    }
    peers.retain(installed);
    Ok(peers)
}

/// Runs every program in every round, so that what else the machine does meets all of them.
fn take_turns(
    programs: &mut [Program],
    arguments: &Arguments,
    directory: &Path,
) -> Result<Vec<Vec<Run>>> {
    let limit = Duration::from_secs(arguments.limit);
    let mut runs: Vec<Vec<Run>> = programs.iter().map(|_| Vec::new()).collect();
    for round in 1..=arguments.rounds {
        for (program, runs) in programs.iter_mut().zip(&mut runs) {
            if round > program.rounds || runs.iter().any(|run| !run.finished) {
                continue;
            }
            let run = measure::run(&mut program.command, limit, directory)?;
            exec::say(&format!("bench: round {round}: {}: {run}", program.name))?;
            runs.push(run);
        }
    }
    Ok(runs)
}

/// Memory per connection: what a capture takes, less what one with hardly any connections takes.
fn never_closed(
    arguments: &Arguments,
    connections: u64,
    tracer: &Path,
    directory: &Path,
) -> Result<()> {
    let limit = Duration::from_secs(arguments.limit);
    let peak = |name: &str, load: Load| -> Result<u64> {
        let file = capture(directory, name, load)?;
        let mut program = Program::new("tracer403 read", tracer, &["read", "--json"]);
        let run = measure::run(program.command.arg(&file), limit, directory)?;
        exec::say(&format!("bench: {}: {run}", file.display()))?;
        Ok(run.peak_kib * 1024)
    };
    let kept = connections.min(CONNECTIONS_KEPT);
    for (name, ending, what) in [
        ("idle", Ending::Idle, "answered, then silent"),
        ("waiting", Ending::Waiting, "waiting for an answer"),
    ] {
        let few = peak(name, Load::never_closed(100, ending))?;
        let many = peak(name, Load::never_closed(connections, ending))?;
        exec::say(&format!(
            "bench: {connections} connections, {what}: {} MiB; {} bytes for each of {kept} kept",
            many >> 20,
            many.saturating_sub(few) / kept
        ))?;
    }
    Ok(())
}

/// The capture of this load, generated where it is not there.
fn capture(directory: &Path, name: &str, load: Load) -> Result<PathBuf> {
    let file = directory.join(format!("{name}-{}.pcap", load.exchanges));
    if !file.is_file() {
        exec::say(&format!("bench: generating {}", file.display()))?;
        // Written beside and renamed: a file that is there is whole.
        let partial = file.with_extension("partial");
        generate::capture(&partial, load)?;
        std::fs::rename(&partial, &file).with_context(|| file.display().to_string())?;
    }
    Ok(file)
}
