//! Damaged captures: whatever the bytes, `read` ends by itself with status 0 or 2, within its
//! memory.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tracer_tests::{Deadline, Place, tracer_binary};

/// Damages of each kind and file: spread evenly, every byte where the file is shorter.
const DAMAGES: usize = 150;
/// A small capture is read in milliseconds; this is for a machine under full load.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of address space that `read` may fill with data, far below what a hostile length field
/// could ask for.
const MEMORY: u64 = 512 << 20;

#[test]
fn a_capture_cut_anywhere_is_read_up_to_there() -> Result<()> {
    each_capture(|bytes, at| bytes.get(..at).unwrap_or_default().to_vec())
}

#[test]
fn a_capture_with_a_flipped_byte_is_survived() -> Result<()> {
    each_capture(|bytes, at| {
        let mut damaged = bytes.to_vec();
        if let Some(byte) = damaged.get_mut(at) {
            *byte ^= 0xff;
        }
        damaged
    })
}

#[test]
fn a_capture_whose_number_is_huge_is_survived() -> Result<()> {
    each_capture(|bytes, at| {
        let mut damaged = bytes.to_vec();
        for byte in damaged.iter_mut().skip(at).take(4) {
            *byte = 0xff;
        }
        damaged
    })
}

#[test]
fn noise_is_survived() -> Result<()> {
    let directory = tempfile::tempdir()?;
    // The first bytes of the formats, so that noise is taken for content.
    let starts: [&[u8]; 6] = [
        b"",
        b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0",
        b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0",
        b"\x1f\x8b\x08\0\0\0\0\0\0\0",
        b"\x28\xb5\x2f\xfd",
        b"\xa1\xb2\x3c\x4d\x00\x02\x00\x04",
    ];
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for round in 0..20 {
        for start in starts {
            let mut bytes = start.to_vec();
            bytes.extend((0..(1 << (round % 14))).map(|_| noise.byte()));
            survive(directory.path(), &bytes, "noise")?;
        }
    }
    Ok(())
}

/// Applies a damage at many places of each capture of the test set.
fn each_capture(damage: impl Fn(&[u8], usize) -> Vec<u8>) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let captures = captures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"))?;
    ensure!(!captures.is_empty(), "there are no captures in tests/cases");
    for capture in captures {
        let bytes = fs::read(&capture)?;
        let step = bytes.len().div_ceil(DAMAGES).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let what = format!("{} at byte {at}", capture.display());
            survive(directory.path(), &damage(&bytes, at), &what)?;
        }
    }
    Ok(())
}

fn captures(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(captures(&path)?);
        } else if path
            .extension()
            .is_some_and(|e| e == "pcap" || e == "pcapng")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn survive(directory: &Path, bytes: &[u8], what: &str) -> Result<()> {
    let file = directory.join("damaged");
    fs::write(&file, bytes)?;
    let mut command = Place::here().command(tracer_binary()?);
    command
        .args(["read", "--json", "--method", "any", "--status", "any,none"])
        .arg(&file);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    limit_memory(&mut command);
    let mut process = Place::spawn(&mut command)?;
    let status = process.wait(what, Deadline::after(PATIENCE))?;
    if !matches!(status.code(), Some(0 | 2)) {
        let kept = keep(&file)?;
        bail!(
            "{what}: {status} (signal {:?}); kept as {}",
            status.signal(),
            kept.display()
        );
    }
    Ok(())
}

/// A failing input is worth more than the message about it.
fn keep(file: &Path) -> Result<PathBuf> {
    let kept = std::env::temp_dir().join("tracer403-hostile.bin");
    fs::copy(file, &kept)?;
    Ok(kept)
}

fn limit_memory(command: &mut std::process::Command) {
    let limit = libc::rlimit {
        rlim_cur: MEMORY,
        rlim_max: MEMORY,
    };
    // SAFETY: setrlimit is async-signal-safe; the limit is a copy that lives in the closure.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(command, move || {
            if libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// Numbers that look random and are the same each time (xorshift).
struct Noise(u64);

impl Noise {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_le_bytes()[0]
    }
}
