//! Time and memory of one run of a program.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::exec;

/// What a run took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Run {
    /// From start to end.
    pub(crate) seconds: f64,
    /// Of all its threads, in user and kernel mode.
    pub(crate) cpu_seconds: f64,
    /// The most memory that it had at once, in KiB.
    pub(crate) peak_kib: u64,
}

/// Runs a program whose output goes to /dev/null.
///
/// # Errors
/// Where it cannot be started or fails.
pub(crate) fn run(command: &mut Command) -> Result<Run> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    let child = command
        .spawn()
        .with_context(|| format!("could not start `{}`", exec::line(command)))?;
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: a rusage is plain numbers, of which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to values that live through the call; the child is ours and
    // nobody else waits for it.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    let seconds = start.elapsed().as_secs_f64();
    if waited != pid {
        return Err(std::io::Error::last_os_error()).context("wait4");
    }
    if !(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0) {
        bail!("`{}` failed: wait status {status}", exec::line(command));
    }
    let time = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    Ok(Run {
        seconds,
        cpu_seconds: time(usage.ru_utime) + time(usage.ru_stime),
        peak_kib: u64::try_from(usage.ru_maxrss)?,
    })
}
