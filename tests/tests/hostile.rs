//! Damaged captures: whatever the bytes, reading ends by itself, without a panic, within its memory.
//!
//! Most damages are read within this process, which is quick enough for every byte of a small
//! capture; a sample goes through the tool itself, which has to end with status 0 or 2.

use std::fs;
use std::io::{self, Cursor};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use tracer_tests::{Deadline, Place, tracer_binary};
use tracer403::evidence::fingerprint::Fingerprints;
use tracer403::limits::Limits;
use tracer403::output::Outputs;
use tracer403::output::json::{JsonOptions, JsonSink};
use tracer403::output::redact::Secrets;
use tracer403::pipeline::{Options, Pipeline};
use tracer403::select::Selection;
use tracer403::source::Source;
use tracer403::source::pcap::CaptureFile;

/// Bytes that are read in this process for each kind of damage and each file: a file shorter than
/// the root of it is damaged at every byte.
const READ: usize = 4_600 * 4_600;
/// Damages of each kind and file that the tool itself reads.
const SAMPLES: usize = 5;
/// A small capture is read in milliseconds; this is for a machine under full load.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of address space that a process may fill with data, far below what a hostile length field
/// could ask for.
const MEMORY: u64 = 512 << 20;

#[test]
fn a_capture_cut_anywhere_is_read_up_to_there() -> Result<()> {
    each_capture(|bytes, at| bytes.get(..at).unwrap_or_default().to_vec())
}

#[test]
fn a_capture_with_a_flipped_byte_is_survived() -> Result<()> {
    for mask in [0xff, 0x01] {
        each_capture(move |bytes, at| {
            let mut damaged = bytes.to_vec();
            if let Some(byte) = damaged.get_mut(at) {
                *byte ^= mask;
            }
            damaged
        })?;
    }
    Ok(())
}

#[test]
fn a_capture_whose_number_is_huge_is_survived() -> Result<()> {
    each_capture(move |bytes, at| {
        let mut damaged = bytes.to_vec();
        for byte in damaged.iter_mut().skip(at).take(4) {
            *byte = 0xff;
        }
        damaged
    })
}

#[test]
fn a_capture_with_a_piece_missing_or_twice_is_survived() -> Result<()> {
    for keep_once in [true, false] {
        each_capture(move |bytes, at| {
            let (before, from) = bytes.split_at(at);
            let (piece, after) = from.split_at(from.len().min(37));
            match keep_once {
                true => [before, after].concat(),
                false => [before, piece, piece, after].concat(),
            }
        })?;
    }
    Ok(())
}

#[test]
fn noise_is_survived() -> Result<()> {
    // The first bytes of the formats, so that noise is taken for content.
    let starts: [&[u8]; 6] = [
        b"",
        b"\xd4\xc3\xb2\xa1\x02\x00\x04\x00\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0",
        b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0",
        b"\x1f\x8b\x08\0\0\0\0\0\0\0",
        b"\x28\xb5\x2f\xfd",
        b"\xa1\xb2\x3c\x4d\x00\x02\x00\x04",
    ];
    let inputs = move |rounds: usize| {
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        (0..rounds).flat_map(move |round| {
            starts.map(|start| {
                let mut bytes = start.to_vec();
                bytes.extend((0..(1 << (round % 14))).map(|_| noise.byte()));
                let what = format!("noise, round {round}");
                Input { what, bytes }
            })
        })
    };
    read_here(inputs(200))?;
    read_there(inputs(14))
}

/// Bytes that claim to be a capture, and where they come from.
#[derive(Clone)]
struct Input {
    what: String,
    bytes: Vec<u8>,
}

/// Applies a damage at many places of each capture of the test set.
fn each_capture(damage: impl Fn(&[u8], usize) -> Vec<u8> + Copy + Send + 'static) -> Result<()> {
    let captures = captures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"))?;
    ensure!(!captures.is_empty(), "there are no captures in tests/cases");
    for capture in captures {
        let bytes = fs::read(&capture)?;
        let name = capture.display().to_string();
        let damaged = move |count| {
            let (bytes, name) = (bytes.clone(), name.clone());
            places(bytes.len(), count).map(move |at| Input {
                what: format!("{name} at byte {at}"),
                bytes: damage(&bytes, at),
            })
        };
        let len = usize::try_from(fs::metadata(&capture)?.len())?;
        read_here(damaged((READ / len.max(1)).min(len)))?;
        read_there(damaged(SAMPLES))?;
    }
    Ok(())
}

/// So many places, spread evenly.
fn places(len: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by(len.div_ceil(count.max(1)).max(1))
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

/// Reads inputs as captures, one after the other, on a thread of its own: here it is seen when one
/// of them takes for ever.
fn read_here(inputs: impl Iterator<Item = Input> + Send + 'static) -> Result<()> {
    limit_memory()?;
    let (sender, beats) = mpsc::channel();
    let reader = thread::spawn(move || {
        for input in inputs {
            // Nobody listens any more where the test has failed.
            if sender.send(input.clone()).is_err() {
                return;
            }
            read(&input.bytes);
        }
    });
    let mut current = None;
    loop {
        match beats.recv_timeout(PATIENCE) {
            Ok(input) => current = Some(input),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => return Err(failed(current, "no end")),
        }
    }
    reader.join().map_err(|_| failed(current, "a panic"))
}

/// A failing input is worth more than the message about it.
fn failed(input: Option<Input>, how: &str) -> anyhow::Error {
    let Some(input) = input else {
        return anyhow!("{how} before the first input");
    };
    let kept = std::env::temp_dir().join("tracer403-hostile.bin");
    match fs::write(&kept, &input.bytes) {
        Ok(()) => anyhow!("{}: {how}; kept as {}", input.what, kept.display()),
        Err(error) => anyhow!("{}: {how}; not kept: {error}", input.what),
    }
}

/// Reads inputs with the tool itself.
fn read_there(inputs: impl Iterator<Item = Input>) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("damaged");
    for input in inputs {
        fs::write(&file, &input.bytes)?;
        let mut command = Place::here().command(tracer_binary()?);
        command
            .args(["read", "--json", "--method", "any", "--status", "any,none"])
            .arg(&file);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // SAFETY: setrlimit is async-signal-safe, and the closure does nothing else.
        unsafe { command.pre_exec(limit_memory) };
        let mut process = Place::spawn(&mut command)?;
        let status = process.wait(&input.what, Deadline::after(PATIENCE))?;
        if !matches!(status.code(), Some(0 | 2)) {
            return Err(failed(Some(input), &status.to_string()));
        }
    }
    Ok(())
}

/// Read once: the table is the same for every capture.
static FINGERPRINTS: LazyLock<Arc<Fingerprints>> =
    LazyLock::new(|| Arc::new(Fingerprints::built_in().unwrap_or_default()));

fn read(bytes: &[u8]) {
    let limits = Limits::default();
    let mut outputs = Outputs::new(Secrets::Redacted);
    let options = JsonOptions {
        body_bytes: limits.body_decoded,
        body_kept: limits.body_kept,
        secrets: Secrets::Redacted,
    };
    outputs.add("nowhere", Box::new(JsonSink::new(io::sink(), options)));
    let mut pipeline = Pipeline::new(Options {
        limits,
        ports: None,
        selection: Selection::everything(),
        fingerprints: Arc::clone(&FINGERPRINTS),
        no_verdict: false,
        keep_packets: true,
    });
    if let Ok(mut file) = CaptureFile::from_reader("damaged", Box::new(Cursor::new(bytes.to_vec())))
    {
        while let Ok(true) = file.next(&mut |record| pipeline.push(record)) {}
    }
    pipeline.finish();
    while let Some(case) = pipeline.next_case() {
        assert!(
            outputs.cases(vec![case]).is_ok(),
            "nothing can fail to be written"
        );
    }
    assert!(outputs.finish(&pipeline.health()).is_ok());
}

/// Of this process, and of those that it starts. An allocation that fails ends the process.
fn limit_memory() -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: MEMORY,
        rlim_max: MEMORY,
    };
    // SAFETY: the pointer is to a value that lives until the call is over.
    match unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
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
