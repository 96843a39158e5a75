//! What `/proc` tells of a process that is there.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use procfs::process::Process;

/// A running process. Everything is read through one handle on its directory, which goes dead with
/// the process: what is read is never another's that got its id.
pub(super) struct Running {
    process: Process,
    start_ticks: u64,
}

/// Read at most this much of a file. A cgroup line is as long as a path at most, and there is one
/// per hierarchy.
const FILE_BYTES: u64 = 64 << 10;

impl Running {
    /// `None` where there is no such process, or none that may be looked at.
    pub(super) fn open(pid: u32) -> Option<Self> {
        let process = Process::new(i32::try_from(pid).ok()?).ok()?;
        let start_ticks = process.stat().ok()?.starttime;
        Some(Self {
            process,
            start_ticks,
        })
    }

    /// When it started, in clock ticks since boot.
    pub(super) fn start_ticks(&self) -> u64 {
        self.start_ticks
    }

    /// Its name.
    pub(super) fn comm(&self) -> Option<Vec<u8>> {
        let mut comm = self.read("comm")?;
        if comm.last() == Some(&b'\n') {
            comm.pop();
        }
        Some(comm)
    }

    /// The path of its executable as the kernel prints it: in the file system that the process
    /// sees (a container's own), and followed by ` (deleted)` where the file was replaced or
    /// removed, as an upgrade does. `None` for kernel threads and zombies, and where it may not be
    /// read.
    pub(super) fn exe(&self) -> Option<Arc<str>> {
        let path = self.process.exe().ok()?;
        Some(String::from_utf8_lossy(path.as_os_str().as_bytes()).into())
    }

    /// Its real user id.
    pub(super) fn uid(&self) -> Option<u32> {
        let status = self.read("status")?;
        let status = String::from_utf8_lossy(&status);
        let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        uids.split_ascii_whitespace().next()?.parse().ok()
    }

    /// The lines of its `cgroup` file; empty where it cannot be read.
    pub(super) fn cgroup_lines(&self) -> String {
        let lines = self.read("cgroup").unwrap_or_default();
        String::from_utf8_lossy(&lines).into_owned()
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.process.open_relative(name).ok()?;
        file.take(FILE_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}
