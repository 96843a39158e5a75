//! The instructions that each stage needs for a fixed piece of work, beside those that are
//! committed. Unlike times they are nearly the same on every run, however busy the machine is.
//!
//! They are counted by valgrind's callgrind in the functions called `measured_…` of
//! `tracer/benches/stages`. Another compiler, or another processor, gives other counts: the file
//! says which compiler it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::exec::{self, cargo};

/// The stages, as `--once` of the benchmark knows them.
const STAGES: [&str; 5] = ["decode", "reassembly", "h1", "pair", "pipeline"];
/// How much more a stage may need, as a part of what is committed.
const MORE: f64 = 0.05;

/// What is committed.
#[derive(Debug, Deserialize, Serialize)]
struct Committed {
    /// The compiler, as `rustc --version` names it.
    compiler: String,
    /// Instructions, by stage.
    instructions: BTreeMap<String, u64>,
}

/// Counts, and compares with what is committed, or commits to it.
///
/// # Errors
/// Where valgrind is missing, a stage cannot be run, or one needs over 5 % more.
pub(super) fn run(update: bool) -> Result<()> {
    let file = exec::root().join("tracer/benches/instructions.json");
    let compiler = exec::output(Command::new("rustc").arg("--version"))?;
    let compiler = compiler.trim();
    let program = build()?;
    let mut instructions = BTreeMap::new();
    for stage in STAGES {
        instructions.insert(stage.to_owned(), count(&program, stage)?);
    }
    let before = match fs::read(&file) {
        Ok(text) => Some(serde_json::from_slice::<Committed>(&text).context("instructions.json")?),
        Err(_) => None,
    };
    let mut grown = Vec::new();
    exec::say("| stage | instructions | committed | ratio |\n| --- | ---: | ---: | ---: |")?;
    for (stage, &count) in &instructions {
        let committed = before.as_ref().and_then(|b| b.instructions.get(stage));
        let ratio = committed.map(|committed| count as f64 / *committed as f64);
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        exec::say(&format!(
            "| {stage} | {count} | {} | {} |",
            shown(committed.map(u64::to_string)),
            shown(ratio.map(|ratio| format!("{ratio:.3}")))
        ))?;
        // A stage that is not committed is one that nobody looked at.
        if ratio.is_none_or(|ratio| ratio > 1.0 + MORE) {
            grown.push(stage.as_str());
        }
    }
    if update {
        let committed = Committed {
            compiler: compiler.to_owned(),
            instructions,
        };
        let text = serde_json::to_string_pretty(&committed)? + "\n";
        return fs::write(&file, text).with_context(|| file.display().to_string());
    }
    if let Some(before) = before.filter(|before| before.compiler != compiler) {
        exec::say(&format!(
            "The committed counts are of {}, these of {compiler}: part of a difference may be the \
             compiler's.",
            before.compiler
        ))?;
    }
    ensure!(
        grown.is_empty(),
        "over 5 % more instructions than committed, or not committed: {}. Mend it, or see why it \
         must be and run `cargo xtask bench --check --update`",
        grown.join(", ")
    );
    Ok(())
}

/// Builds the benchmark, without the kernel side; gives its path.
fn build() -> Result<PathBuf> {
    let messages = exec::output(cargo().args([
        "bench",
        "--locked",
        "-p",
        "tracer403",
        "--no-default-features",
        "--bench",
        "stages",
        "--no-run",
        "--message-format=json",
    ]))?;
    let mut messages = messages.lines().rev().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_it = message.pointer("/target/name")?.as_str()? == "stages";
        let program = message.get("executable")?.as_str()?;
        is_it.then(|| PathBuf::from(program))
    });
    messages
        .next()
        .context("cargo named no program for the benchmark `stages`")
}

fn count(program: &Path, stage: &str) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("counts");
    exec::output(
        Command::new("valgrind")
            .arg("--tool=callgrind")
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg("--collect-atstart=no")
            .arg(format!("--toggle-collect=*measured_{stage}*"))
            .arg(program)
            .args(["--once", stage]),
    )
    .context("counting instructions needs valgrind: `cargo xtask setup --bench` installs it")?;
    let text = fs::read_to_string(&file)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: u64 = total.context("callgrind gave no total")?.trim().parse()?;
    ensure!(
        total > 0,
        "nothing was counted of `{stage}`: is its function inlined?"
    );
    Ok(total)
}
