//! Real captures, one after the other in one file.
//!
//! Only those of Ethernet: a classic file has one link type, and some of the contestants read no
//! other format. Each is moved in time to behind the one before, so that connections of the same
//! addresses in different files stay apart.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::pcap::{ETHERNET, Pcap, START};
use crate::corpora::captures;
use crate::exec;

/// Large enough to take a second or so.
const BYTES: u64 = 400_000_000;
/// Nanoseconds between two captures: longer than any connection is remembered.
const APART: u64 = 1_000_000_000_000;
/// The longest time between two packets of a capture; some jump by decades.
const PAUSE: u64 = 60_000_000_000;

/// Writes the captures of a folder again and again.
///
/// # Errors
/// Where there is none, or editcap (of Wireshark) is not installed.
pub(super) fn write(path: &Path, corpora: &Path) -> Result<()> {
    let scratch = tempfile::tempdir_in(path.parent().unwrap_or(path))?;
    let plain = scratch.path().join("plain.pcap");
    let mut files = Vec::new();
    let captures = captures(corpora)?;
    for capture in &captures {
        let mut convert = Command::new("editcap");
        convert.args(["-F", "nsecpcap"]).arg(capture).arg(&plain);
        // What is damaged, or of several link types, is left out.
        if exec::succeeds(&mut convert)
            && let Some(records) = std::fs::read(&plain).ok().and_then(|bytes| records(&bytes))
        {
            files.push(records);
        }
    }
    ensure!(
        !files.is_empty(),
        "{}: no capture of Ethernet that editcap reads (Debian: wireshark-common)",
        corpora.display()
    );
    exec::say(&format!(
        "bench: {} of {} captures are of Ethernet",
        files.len(),
        captures.len()
    ))?;
    let mut pcap = Pcap::create(path)?;
    let (mut written, mut now) = (0, START);
    for file in files.iter().cycle() {
        let mut before = None;
        for record in file {
            let since = before.map_or(0, |before| record.at.saturating_sub(before));
            now += since.min(PAUSE);
            before = Some(record.at);
            pcap.record(now, record.wire_len, &record.frame)?;
            written += record.frame.len() as u64 + 16;
        }
        now += APART;
        if written >= BYTES {
            break;
        }
    }
    std::io::Write::flush(&mut pcap.out).with_context(|| path.display().to_string())
}

struct Record {
    /// Nanoseconds since 1970.
    at: u64,
    wire_len: u32,
    frame: Vec<u8>,
}

/// The records of a file as editcap writes it; `None` where it is of another link type or empty.
fn records(file: &[u8]) -> Option<Vec<Record>> {
    let word = |bytes: &[u8], at: usize| {
        let word = bytes.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*word))
    };
    if word(file, 0)? != 0xa1b2_3c4d || word(file, 20)? != ETHERNET {
        return None;
    }
    let mut rest = file.get(24..)?;
    let mut records = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<16>() {
        let captured = word(header, 8)? as usize;
        let frame = after.get(..captured)?;
        records.push(Record {
            at: u64::from(word(header, 0)?) * 1_000_000_000 + u64::from(word(header, 4)?),
            wire_len: word(header, 12)?,
            frame: frame.to_vec(),
        });
        rest = after.get(captured..)?;
    }
    (!records.is_empty()).then_some(records)
}

#[cfg(test)]
mod tests {
    use super::{Pcap, START, records};

    #[test]
    fn records_are_read_as_they_were_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut pcap = Pcap::create(file.path()).unwrap();
        pcap.record(START + 7, 90, &[1; 60]).unwrap();
        pcap.record(START + 9, 20, &[2; 20]).unwrap();
        std::io::Write::flush(&mut pcap.out).unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        let records = records(&bytes).unwrap();
        let found: Vec<_> = records
            .iter()
            .map(|r| (r.at - START, r.wire_len, r.frame.len()))
            .collect();
        assert_eq!(found, [(7, 90, 60), (9, 20, 20)]);
        assert!(super::records(&bytes[..bytes.len() - 1]).is_none(), "cut");
    }
}
