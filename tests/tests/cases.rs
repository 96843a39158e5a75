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

/// More cases than wait for the thread that writes them, so that both threads judge some.
#[test]
fn many_cases_are_the_same_with_any_number_of_threads() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/keep-alive");
    let one = fs::read(capture(&case)?)?;
    let (header, packets) = one.split_at_checked(24).context("a file header")?;
    let mut many = header.to_vec();
    for port in 1_024..1_324_u16 {
        many.extend(from_port(packets, port)?);
    }
    fs::write(directory.path().join("capture.pcap"), many)?;
    let found = read(directory.path(), "1")?;
    let lines = found.lines().count();
    ensure!(lines > 600, "{lines} lines");
    ensure!(
        found == read(directory.path(), "2")?,
        "a second thread makes a difference"
    );
    Ok(())
}

/// The packets of a pcap file, of TCP in IPv4 over Ethernet, where the client has this port.
fn from_port(packets: &[u8], port: u16) -> Result<Vec<u8>> {
    const SERVER: [u8; 2] = 80_u16.to_be_bytes();
    let mut changed = packets.to_vec();
    let mut rest = &mut changed[..];
    while let Some((header, after)) = rest.split_first_chunk_mut::<16>() {
        let [.., a, b, c, d, _, _, _, _] = *header;
        let len = usize::try_from(u32::from_le_bytes([a, b, c, d]))?;
        let (packet, after) = after.split_at_mut_checked(len).context("a whole packet")?;
        let ports = packet.get_mut(34..38).context("TCP")?;
        for end in ports.as_chunks_mut::<2>().0 {
            if *end != SERVER {
                *end = port.to_be_bytes();
            }
        }
        rest = after;
    }
    Ok(changed)
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
