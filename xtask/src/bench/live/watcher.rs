//! What watches the server in a round.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, ensure};
use serde::Serialize;
use serde_json::Value;
use tracer_tests::{Deadline, EmptyPrograms, Place, Process, Tracer};

use super::stand::{PORT, Stand};
use crate::bench::Bench;

/// The ways to watch, the least first: a ratio is of the later to the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::bench) enum Mode {
    Nothing,
    Empty,
    Tcpdump,
    /// The tool with `--capture all`.
    All,
    /// The tool with `--capture hold`.
    Hold,
}

/// The arguments for [`Mode::Hold`].
pub(in crate::bench) const HOLD: &[&str] = &["--capture", "hold"];

impl Mode {
    pub(in crate::bench) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "no tracing",
            Self::Empty => "empty program",
            Self::Tcpdump => "tcpdump -w /dev/null",
            Self::All => "tracer403 --capture all",
            Self::Hold => "tracer403 --capture hold",
        }
    }
}

/// One of them, at work.
pub(in crate::bench) enum Watcher {
    Nothing,
    /// For as long as they live.
    Empty {
        _programs: EmptyPrograms,
    },
    Tcpdump {
        _process: Process,
    },
    Tracer(Running),
}

impl Watcher {
    /// Starts it, and waits until it watches.
    pub(in crate::bench) fn start(mode: Mode, stand: &Stand, bench: &Bench) -> Result<Self> {
        Ok(match mode {
            Mode::Nothing => Self::Nothing,
            Mode::Empty => Self::Empty {
                _programs: EmptyPrograms::attach(stand.traced())?,
            },
            Mode::Tcpdump => Self::Tcpdump {
                _process: tcpdump(stand)?,
            },
            Mode::All => Self::Tracer(Running::start(stand, bench, &["--capture", "all"])?),
            Mode::Hold => Self::Tracer(Running::start(stand, bench, HOLD)?),
        })
    }

    /// The process of the tool.
    pub(in crate::bench) fn pid(&self) -> Option<u32> {
        match self {
            Self::Tracer(running) => Some(running.tracer.pid()),
            _ => None,
        }
    }

    /// Ends it; what it reported, where it reports.
    pub(in crate::bench) fn stop(self) -> Result<Option<Reported>> {
        match self {
            Self::Tracer(running) => running.stop().map(Some),
            _ => Ok(None),
        }
    }
}

fn tcpdump(stand: &Stand) -> Result<Process> {
    let mut command = Place::in_netns(stand.netns()).command("tcpdump");
    command
        .args(["-i", "lo", "-n", "-w", "/dev/null", "tcp", "port"])
        .arg(PORT.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = Place::spawn(&mut command)?;
    let mut said = process.child.stderr.take().context("no pipe")?;
    let mut text = Vec::new();
    while !text.windows(12).any(|w| w == b"listening on") {
        let mut byte = [0];
        ensure!(
            said.read(&mut byte)? == 1,
            "tcpdump: {}",
            String::from_utf8_lossy(&text)
        );
        text.extend(byte);
    }
    // Kept open: what it says at its end must not kill it.
    process.child.stderr = Some(said);
    Ok(process)
}

/// The tool, and who reads what it reports.
pub(in crate::bench) struct Running {
    tracer: Tracer,
    reader: JoinHandle<Result<Reported>>,
}

/// What the tool reported in a round.
#[derive(Debug, Default)]
pub(in crate::bench) struct Reported {
    /// The `X-Exchange` of each case.
    pub(in crate::bench) ids: BTreeSet<String>,
    pub(in crate::bench) cases: u64,
    /// Records lost, as the summary counts them.
    pub(in crate::bench) lost: u64,
}

impl Running {
    pub(in crate::bench) fn start(stand: &Stand, bench: &Bench, more: &[&str]) -> Result<Self> {
        let cgroup = stand.traced().path().to_str().context("path")?;
        let port = PORT.to_string();
        let arguments = [&["-p", &port, "--cgroup", cgroup], more].concat();
        let mut tracer = Tracer::start_binary(&bench.tracer, Place::here(), arguments)?;
        let output = BufReader::with_capacity(1 << 20, tracer.take_output()?);
        let reader = std::thread::spawn(move || {
            let mut reported = Reported::default();
            for line in output.lines() {
                reported.line(&line?)?;
            }
            Ok(reported)
        });
        Ok(Self { tracer, reader })
    }

    pub(in crate::bench) fn pid(&self) -> u32 {
        self.tracer.pid()
    }

    /// Its resident memory, without what is mapped of the maps, which are the kernel's.
    pub(in crate::bench) fn resident_bytes(&self) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps", self.pid()))?;
        let resident = resident_kib(&text).context("no Rss in smaps")?;
        Ok(resident * 1024)
    }

    pub(in crate::bench) fn stop(self) -> Result<Reported> {
        self.tracer.interrupt()?;
        let finished = self.tracer.finish()?;
        ensure!(
            finished.code == Some(0),
            "tracer403 ended with {:?}: {}",
            finished.code,
            finished.errors
        );
        self.reader.join().map_err(|_| anyhow!("the reader died"))?
    }
}

impl Reported {
    fn line(&mut self, line: &str) -> Result<()> {
        if line.starts_with(r#"{"type":"case","#) {
            self.cases += 1;
            // The answer's headers come first in a case; parsing all of it would take the time
            // that is measured.
            self.ids.extend(exchange(line).map(str::to_owned));
        } else if line.starts_with(r#"{"type":"summary","#) {
            let summary: Value = serde_json::from_str(line)?;
            let places = summary.pointer("/not_seen/lost").and_then(Value::as_array);
            let records = |place: &Value| place.get("records")?.as_u64();
            self.lost = places.into_iter().flatten().filter_map(records).sum();
        }
        Ok(())
    }
}

/// The sum of what is resident of each mapping, in KiB, but for BPF maps.
fn resident_kib(smaps: &str) -> Option<u64> {
    let mut is_map = false;
    let mut sum = None;
    for line in smaps.lines() {
        if let Some(kib) = line.strip_prefix("Rss:").filter(|_| !is_map) {
            let kib: u64 = kib.split_whitespace().next()?.parse().ok()?;
            sum = Some(sum.unwrap_or(0) + kib);
        } else if line.split(' ').next().is_some_and(|w| w.contains('-')) {
            is_map = line.ends_with("anon_inode:bpf-map");
        }
    }
    sum
}

/// The value of the first `X-Exchange`.
fn exchange(case: &str) -> Option<&str> {
    let (_, after) = case.split_once(r#"{"text":"X-Exchange"},"value":{"text":""#)?;
    Some(after.split_once('"')?.0)
}

/// Nanoseconds that all threads of a process have run.
pub(in crate::bench) fn cpu_nanos(pid: u32) -> Result<u64> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let ran = text.split(' ').next().and_then(|n| n.parse::<u64>().ok());
        nanos += ran.unwrap_or_default();
    }
    Ok(nanos)
}

/// Waits until a load is over.
pub(in crate::bench) fn wait(load: &mut Process, seconds: u64) -> Result<()> {
    let patience = Deadline::after(std::time::Duration::from_secs(seconds + 60));
    load.wait("wrk ends", patience).map(drop)
}

#[cfg(test)]
mod tests {
    use super::{Mode, Reported, resident_kib};

    #[test]
    fn cases_and_losses_are_read() {
        let mut reported = Reported::default();
        for line in [
            r#"{"type":"case","response":{"headers":[{"name":{"text":"X-Exchange"},"value":{"text":"7-100"}}]},"hops":[{"name":{"text":"X-Exchange"},"value":{"text":"8-1"}}]}"#,
            r#"{"type":"summary","not_seen":{"lost":[{"place":"a","records":2},{"place":"b","records":3}]}}"#,
        ] {
            reported.line(line).unwrap();
        }
        assert_eq!(reported.ids.iter().collect::<Vec<_>>(), ["7-100"]);
        assert_eq!((reported.cases, reported.lost), (1, 5));
    }

    #[test]
    fn the_ring_buffer_is_no_memory_of_userspace() {
        let smaps = "7fde0000-7fde1000 rw-p 00000000 00:00 0 \nSize: 64 kB\nRss:      12 kB\n\
                     7fde7960-7fde8160 r--s 00001000 00:10 1039    anon_inode:bpf-map\n\
                     Rss:  131076 kB\n7fdf0000-7fdf1000 r-xp 0 08:00 7  /bin/tool\nRss: 3 kB\n";
        assert_eq!(resident_kib(smaps), Some(15));
        assert_eq!(resident_kib(""), None);
    }

    #[test]
    fn a_ratio_is_of_the_more_to_the_less() {
        assert!(Mode::Nothing < Mode::Empty && Mode::Empty < Mode::Hold);
        assert!(Mode::Tcpdump < Mode::All);
    }
}
