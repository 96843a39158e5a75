//! What `tracer403 read` finds.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use tracer_tests::Session;

use crate::corpora::compare::Found;
use crate::exec;

/// Reads a capture.
///
/// # Errors
/// Where the tool fails, hangs, or its output is not what it promises.
pub(crate) fn found(binary: &Path, capture: &Path, limit: Duration) -> Result<Found> {
    let mut command = Command::new(binary);
    command.args([
        "read",
        "--json",
        "--show-secrets",
        "--method",
        "any",
        "--status",
        "any,none",
    ]);
    command.arg(capture);
    let output = exec::output_within(&mut command, limit)?;
    // 2: the capture is damaged; what came before the fault was read.
    if !matches!(output.status.code(), Some(0 | 2)) {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{}`: {}: {}",
            exec::line(&command),
            output.status,
            said.trim()
        );
    }
    let (_, cases, _) = Session::parse_unfinished(&String::from_utf8_lossy(&output.stdout))?;
    let mut found = Found::default();
    for case in &cases {
        for status in case.interim_statuses() {
            found.statuses.add(status.to_string());
        }
        if let (Some(method), Some(target)) = (case.method(), case.target()) {
            found.methods.add(method);
            found.urls.add(target);
            if let Some(status) = case.status() {
                found.pairs.add(format!("{method} {target} {status}"));
            }
        }
        if let Some(status) = case.status() {
            found.statuses.add(status.to_string());
        }
    }
    Ok(found)
}
