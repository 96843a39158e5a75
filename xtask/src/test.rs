//! `cargo xtask test`: every test there is. What is missing is a failure, never a skip.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::exec::{self, cargo};
use crate::setup;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Take the servers and the toolchain as they are
    #[arg(long)]
    no_setup: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !exec::is_root() {
        bail!(
            "the live tests attach eBPF programs and make network namespaces: run \
             `sudo -E env PATH=\"$PATH\" cargo xtask test`; without root, \
             `cargo test` runs the tests that need none"
        );
    }
    if !arguments.no_setup {
        setup::for_tests()?;
    }
    let release = exec::target().join("release/tracer403");
    step(
        "release build",
        cargo().args(["build", "--release", "--locked", "-p", "tracer403"]),
    )?;
    // The tests that spawn the tool run what users run.
    let mut tests = cargo();
    tests.args([
        "test",
        "--locked",
        "--workspace",
        "--all-features",
        "--no-fail-fast",
    ]);
    step("tests", tests.env("TRACER403_BIN", &release))?;
    let myself = std::env::current_exe().context("where this program is")?;
    let verdicts = |more: &[&str]| {
        let mut verdicts = std::process::Command::new(&myself);
        verdicts.arg("verdicts").args(more);
        verdicts.env("TRACER403_BIN", &release);
        verdicts
    };
    step(
        "verdicts on every capture",
        &mut verdicts(&["--offline-only"]),
    )?;
    // All of them take minutes; these have every kind of handling.
    step("verdicts live", &mut verdicts(&["--stage", "nginx-proxy"]))?;
    let mut offline = cargo();
    offline.args([
        "check",
        "--locked",
        "-p",
        "tracer403",
        "--no-default-features",
    ]);
    step("offline half alone", &mut offline)?;
    if exec::root().join("fuzz/Cargo.toml").is_file() {
        let mut replay = cargo();
        // The fuzzing engine is a feature of it; replaying needs none.
        replay.args(["test", "--locked", "--no-default-features"]);
        replay.args(["--manifest-path", "fuzz/Cargo.toml"]);
        // Beside the workspace's, whose dependencies are mostly the same.
        replay.env("CARGO_TARGET_DIR", exec::target());
        step("replay of the fuzz corpus", &mut replay)?;
    }
    exec::say("test: all passed")
}

fn step(name: &str, command: &mut std::process::Command) -> Result<()> {
    let start = Instant::now();
    exec::say(&format!("test: {name}: {}", exec::line(command)))?;
    exec::run(command).with_context(|| name.to_owned())?;
    exec::say(&format!(
        "test: {name}: passed in {} s",
        start.elapsed().as_secs()
    ))
}
