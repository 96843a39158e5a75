//! Captures whose truth is known: `read --json` says the same of them as ever.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tracer_tests::{Place, Read, Session, tracer_binary};

/// Compared by `cargo xtask demo`.
const DEMO: &str = "demo";

#[test]
fn every_case_is_read_as_expected() -> Result<()> {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = Vec::new();
    let cases = cases()?;
    ensure!(cases.len() >= 10, "only {} cases were found", cases.len());
    for case in cases {
        let found = read(&case, "1")?;
        ensure!(
            found == read(&case, "2")?,
            "{}: a second thread makes a difference",
            case.display()
        );
        let path = case.join("expected.jsonl");
        if update {
            fs::write(&path, &found)?;
        }
        let expected = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for (number, line) in difference(&expected, &found) {
            wrong.push(format!("{}:{number}: {line}", path.display()));
        }
        let truth = fs::read_to_string(case.join("README.md"));
        truth.with_context(|| format!("{} has no README.md", case.display()))?;
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn what_is_written_reads_back_to_the_same_verdicts() -> Result<()> {
    for case in cases()? {
        let directory = tempfile::tempdir()?;
        let written = directory.path().join("written.pcapng");
        let written = written.to_str().context("path")?;
        let capture = capture(&case)?;
        let capture = capture.to_str().context("path")?;
        let first = Read::session(&[capture, "-w", written])?;
        let again = Read::session(&[written])?;
        let said = |session: &Session| -> Vec<_> {
            let cases = session.cases.iter();
            let parts = cases.map(|c| [c.0["verdict"].clone(), c.0["evidence"].clone()]);
            parts.collect()
        };
        ensure!(
            said(&first) == said(&again),
            "{}: {:#?}\nread back: {:#?}",
            case.display(),
            said(&first),
            said(&again)
        );
    }
    Ok(())
}

fn cases() -> Result<Vec<PathBuf>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut cases = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with(DEMO) {
            cases.push(path);
        }
    }
    cases.sort();
    Ok(cases)
}

fn read(case: &Path, threads: &str) -> Result<String> {
    let capture = capture(case)?;
    let capture = capture.file_name().context("path")?;
    let mut command = Place::here().command(tracer_binary()?);
    command
        .args(["read", "--threads", threads, "--json"])
        .arg(capture)
        .current_dir(case);
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{}: {}: {}",
        case.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

fn capture(case: &Path) -> Result<PathBuf> {
    ["capture.pcap", "capture.pcapng"]
        .into_iter()
        .map(|name| case.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{} has no capture", case.display()))
}

/// The lines that differ, by number; what was found of each.
fn difference<'a>(expected: &'a str, found: &'a str) -> Vec<(usize, &'a str)> {
    let mut expected = expected.lines();
    let mut found = found.lines();
    let mut different = Vec::new();
    for number in 1.. {
        match (expected.next(), found.next()) {
            (None, None) => break,
            (expected, found) if expected == found => {}
            (_, found) => different.push((number, found.unwrap_or("this line is not there"))),
        }
    }
    different
}
