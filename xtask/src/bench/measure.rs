//! Time and memory of one run of a program.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::exec;

/// How often it is asked whether a run is over: far below what is measured.
const POLL: Duration = Duration::from_millis(1);

/// A program that is measured.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) command: Command,
    /// How often it runs at most.
    pub(super) rounds: u32,
}

impl Program {
    pub(super) fn new(name: &'static str, program: impl AsRef<OsStr>, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self {
            name,
            command,
            rounds: u32::MAX,
        }
    }
}

/// What a run took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Run {
    /// From start to end.
    pub(super) seconds: f64,
    /// Of all its threads, in user and kernel mode.
    pub(super) cpu_seconds: f64,
    /// The most memory that it had at once, in KiB. The kernel counts from before the program
    /// replaces its parent's image, so this is no less than what this process has.
    pub(super) peak_kib: u64,
    /// Whether it came to its end within the limit; otherwise the numbers are lower bounds.
    pub(super) finished: bool,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let than = if self.finished { "" } else { "more than " };
        let mib = self.peak_kib / 1024;
        write!(f, "{than}{:.2} s, {than}{mib} MiB", self.seconds)
    }
}

/// Runs a program whose output goes to /dev/null, in a directory of its own below `scratch` that
/// is removed with the files that the program leaves there. After `limit` the run is ended.
///
/// # Errors
/// Where it cannot be started or fails.
pub(super) fn run(command: &mut Command, limit: Duration, scratch: &Path) -> Result<Run> {
    let directory = tempfile::tempdir_in(scratch)?;
    command
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("could not start `{}`", exec::line(command)))?;
    let pid = libc::pid_t::try_from(child.id())?;
    let mut finished = true;
    let (status, usage) = loop {
        if let Some(ended) = reap(pid)? {
            break ended;
        }
        if finished && start.elapsed() >= limit {
            finished = false;
            child.kill()?;
        }
        std::thread::sleep(POLL);
    };
    let seconds = start.elapsed().as_secs_f64();
    let succeeded = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
    if finished && !succeeded {
        bail!("`{}` failed: wait status {status}", exec::line(command));
    }
    let time = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    Ok(Run {
        seconds,
        cpu_seconds: time(usage.ru_utime) + time(usage.ru_stime),
        peak_kib: u64::try_from(usage.ru_maxrss)?,
        finished,
    })
}

/// The wait status of a child and what it used, if it has ended.
fn reap(pid: libc::pid_t) -> Result<Option<(libc::c_int, libc::rusage)>> {
    let mut status = 0;
    // SAFETY: a rusage is plain numbers, of which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to values that live through the call; the child is ours and
    // nobody else waits for it.
    match unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage) } {
        0 => Ok(None),
        waited if waited == pid => Ok(Some((status, usage))),
        _ => Err(std::io::Error::last_os_error()).context("wait4"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_measured_and_its_files_are_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo left > behind"]);
        let run = run(&mut command, Duration::from_secs(60), scratch.path()).unwrap();
        assert!(run.finished && run.seconds > 0.0 && run.peak_kib > 0);
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_run_that_takes_too_long_is_ended() {
        let scratch = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        command.arg("60");
        let run = run(&mut command, Duration::from_millis(20), scratch.path()).unwrap();
        assert!(!run.finished && run.seconds < 60.0);
        assert!(run.to_string().starts_with("more than "));
    }

    #[test]
    fn a_run_that_fails_counts_for_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let limit = Duration::from_secs(60);
        assert!(run(&mut Command::new("false"), limit, scratch.path()).is_err());
    }
}
