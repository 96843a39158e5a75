//! `cargo xtask bench`: the tool beside what else one would use, and within its bounds.
//!
//! | part | what is measured |
//! | --- | --- |
//! | `read` | the time to read captures, beside other programs |
//! | `memory` | what connections and packets take |
//! | `live` | what tracing costs a saturated server, and whether every refusal is reported |
//! | `kernel` | the kernel's time for each packet and each request |
//!
//! `--check` counts the instructions of the stages instead (`check.rs`).
//!
//! Contestants take turns, so that what else the machine does meets all of them.

mod answer;
mod capture;
mod check;
mod contestants;
mod docs;
mod kernel;
mod live;
mod machine;
mod measure;
mod memory;
mod read;
mod report;
mod stats;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

use crate::exec::{self, cargo};
use machine::Machine;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to measure; everything where nothing is named
    parts: Vec<Part>,
    /// POST exchanges in the generated capture, one in a hundred of them refused
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(100..))]
    exchanges: u64,
    /// How often each program reads; they take turns (tshark and Suricata, far the slowest, once)
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds after which a run is ended; that program does not read this capture again
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// Read captures with the tool only
    #[arg(long)]
    alone: bool,
    /// A folder of real captures, to be read too
    #[arg(long, value_name = "DIR")]
    corpora: Option<PathBuf>,
    /// Pairs of adjacent rounds of a second, live
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pairs: u32,
    /// Seconds for which everything is refused, live
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(3..=3600))]
    soak: u32,
    /// Put the tables into docs/benchmarks.md
    #[arg(long)]
    update_docs: bool,
    /// Fail where a bound is missed, and say which
    #[arg(long)]
    bars: bool,
    /// Count the instructions of each stage, and fail where one needs over 5 % more than is
    /// committed (needs valgrind)
    #[arg(long, conflicts_with_all = ["parts", "bars", "update_docs"])]
    check: bool,
    /// Commit to what is counted
    #[arg(long, requires = "check")]
    update: bool,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    /// The time to read captures
    Read,
    /// The memory for connections and packets
    Memory,
    /// What tracing costs a saturated server (needs root)
    Live,
    /// The kernel's time for each packet and request (needs root)
    Kernel,
}

impl Part {
    const ALL: [Self; 4] = [Self::Read, Self::Memory, Self::Live, Self::Kernel];

    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Memory => "memory",
            Self::Live => "live",
            Self::Kernel => "kernel",
        }
    }
}

/// What is measured, and where its files are.
struct Bench {
    tracer: PathBuf,
    directory: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.check {
        return check::run(arguments.update);
    }
    exec::run(cargo().args(["build", "--release", "--locked", "-p", "tracer403"]))?;
    // Absolute, as every run has a directory of its own.
    let target = std::path::absolute(exec::target())?;
    let bench = Bench {
        tracer: target.join("release/tracer403"),
        directory: target.join("bench"),
    };
    std::fs::create_dir_all(&bench.directory)?;
    let parts = match arguments.parts.as_slice() {
        [] => &Part::ALL,
        parts => parts,
    };
    let document = exec::root().join("docs/benchmarks.md");
    let mut missed = Vec::new();
    for part in parts {
        let machine = Machine::here()?;
        let report = match part {
            Part::Read => read::run(arguments, &bench)?,
            Part::Memory => memory::run(arguments, &bench)?,
            Part::Live => live::run(arguments, &bench)?,
            Part::Kernel => kernel::run(&bench)?,
        };
        exec::say(&format!("\n{}\n\n{}", machine.text(), report.markdown()))?;
        report.write(&machine, &bench.directory)?;
        if arguments.update_docs {
            docs::update(&document, &machine, &report)?;
        }
        missed.extend(
            report
                .bars
                .iter()
                .filter(|bar| !bar.holds())
                .map(|bar| bar.what),
        );
    }
    ensure!(
        !arguments.bars || missed.is_empty(),
        "missed: {}",
        missed.join("; ")
    );
    Ok(())
}
