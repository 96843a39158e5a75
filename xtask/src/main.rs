//! `cargo xtask COMMAND`: what people do with this repository.
//!
//! One file a command; a new one is a file, a variant of [`Task`] and a line in [`main`].

#![allow(
    clippy::disallowed_methods,
    reason = "measuring and waiting need clocks; the rule is for the pipeline"
)]

mod bench;
mod corpora;
mod demo;
mod deps;
mod exec;
mod setup;
mod test;
mod verdicts;

use std::process::ExitCode;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
enum Task {
    /// Install what a build needs: a compiler for the kernel side, bpf-linker
    Setup(setup::Arguments),
    /// Show it at work: real servers, real refusals, traced live
    Demo(demo::Arguments),
    /// Set up and run every test: unit, whole-tool, live with real servers (needs root)
    Test(test::Arguments),
    /// Compare what `read` finds in a folder of captures with what tshark finds
    Corpora(corpora::Arguments),
    /// Measure reading, memory, and what tracing costs, beside other programs
    Bench(bench::Arguments),
    /// Hold the tool's verdicts against real refusals whose truth is known (needs root)
    Verdicts(verdicts::Arguments),
    /// Check the dependencies: licences, sources, duplicates
    Deps,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Setup(arguments) => setup::run(&arguments),
        Task::Demo(arguments) => demo::run(&arguments),
        Task::Test(arguments) => test::run(&arguments),
        Task::Corpora(arguments) => corpora::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Verdicts(arguments) => verdicts::run(&arguments),
        Task::Deps => deps::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // What a shell reports for a program that SIGPIPE ended.
        Err(why) if exec::reader_has_gone(&why) => ExitCode::from(141),
        Err(why) => {
            eprintln!("error: {why:#}");
            ExitCode::FAILURE
        }
    }
}
