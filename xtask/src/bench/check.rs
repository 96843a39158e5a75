//! A fast wrong answer is worth nothing.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::exec;

/// Runs `tracer403 read` once and compares its totals with what was generated.
///
/// Its output is read line by line: what this process holds at its peak is counted as the peak of
/// every program that it starts later (see [`Run::peak_kib`](super::Run::peak_kib)).
///
/// # Errors
/// Where it fails, or a total differs.
pub(super) fn answer(tracer: &Path, file: &Path, exchanges: u64, refused: u64) -> Result<()> {
    let mut command = Command::new(tracer);
    command.args(["read", "--json"]).arg(file);
    let line = exec::line(&command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start `{line}`"))?;
    let out = child.stdout.take().context("its output is not piped")?;
    let (mut cases, mut summary) = (0, None);
    for text in BufReader::new(out).lines() {
        let text = text?;
        // A summary's keys tell it; parsing every case would take longer than the run.
        if text.starts_with(r#"{"type":"case","#) {
            cases += 1;
        } else if text.starts_with(r#"{"type":"summary","#) {
            summary = Some(serde_json::from_str::<Value>(&text)?);
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "`{line}` failed: {status}");
    let Some(summary) = summary else {
        bail!("`{line}` wrote no summary");
    };
    let total = |name: &str| summary.get(name).and_then(Value::as_u64);
    for (name, found, expected) in [
        ("lines of type `case`", Some(cases), refused),
        ("cases", total("cases"), refused),
        ("requests", total("requests"), exchanges),
        ("responses", total("responses"), exchanges),
        ("exchanges", total("exchanges"), exchanges),
    ] {
        ensure!(
            found == Some(expected),
            "`{line}` reports {found:?} {name} where there are {expected}"
        );
    }
    exec::say(&format!(
        "bench: checked: {exchanges} exchanges, {cases} cases"
    ))
}
