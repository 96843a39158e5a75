//! Where a process of the lab runs, and the process itself.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use crate::cgroup::Cgroup;
use crate::netns::Netns;
use crate::wait::Deadline;

/// A network namespace and a control group, or the ones this process is in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    netns: Option<&'a Netns>,
    cgroup: Option<&'a Cgroup>,
}

impl<'a> Place<'a> {
    /// The place where this process is.
    pub fn here() -> Self {
        Self::default()
    }

    /// In a network namespace.
    pub fn in_netns(netns: &'a Netns) -> Self {
        Self {
            netns: Some(netns),
            cgroup: None,
        }
    }

    /// In a network namespace and a control group.
    pub fn inside(netns: &'a Netns, cgroup: &'a Cgroup) -> Self {
        Self {
            netns: Some(netns),
            cgroup: Some(cgroup),
        }
    }

    /// A command that will run here. It dies with the thread that starts it.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        let netns = self.netns.map(|n| n.as_fd().as_raw_fd());
        let cgroup = self.cgroup.map(|c| c.as_fd().as_raw_fd());
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        // SAFETY: the closure calls prctl, setns and write only, which are async-signal-safe, on
        // descriptors that outlive the command through `'a` of the caller's borrow of the lab.
        unsafe { command.pre_exec(move || move_in(netns, cgroup)) };
        command
    }

    /// Runs a program here and gives its standard output.
    ///
    /// # Errors
    /// Where it cannot be started or fails; with its command line and what it said.
    pub fn output(self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self
            .command(program)
            .args(arguments)
            .output()
            .with_context(|| format!("{program}: is it installed? (cargo xtask setup --tests)"))?;
        if !output.status.success() {
            bail!(
                "{program} {}: {}: {}",
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Calls `work` on a thread of its own that has moved into the network namespace.
    ///
    /// Gives the default where the thread cannot move in.
    pub fn run_on_thread<T: Default + Send>(self, work: impl FnOnce() -> T + Send) -> T {
        let netns = self.netns.map(|n| n.as_fd().as_raw_fd());
        std::thread::scope(|scope| {
            scope
                .spawn(move || match netns.map(enter).transpose() {
                    Ok(_) => work(),
                    Err(_) => T::default(),
                })
                .join()
                .unwrap_or_default()
        })
    }

    /// Starts a command made by [`Place::command`].
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn spawn(command: &mut Command) -> Result<Process> {
        let child = command.spawn().with_context(|| {
            format!("starting {command:?}: is it installed? (cargo xtask setup --tests)")
        })?;
        Ok(Process { child })
    }
}

/// What happens in the child between fork and exec.
fn move_in(netns: Option<RawFd>, cgroup: Option<RawFd>) -> io::Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } as isize)?;
    if let Some(fd) = cgroup {
        // SAFETY: the buffer is one byte long and lives through the call.
        check(unsafe { libc::write(fd, b"0".as_ptr().cast(), 1) })?;
    }
    if let Some(fd) = netns {
        enter(fd)?;
    }
    Ok(())
}

/// Moves the calling thread into a network namespace.
fn enter(netns: RawFd) -> io::Result<()> {
    // SAFETY: takes no pointers.
    check(unsafe { libc::setns(netns, libc::CLONE_NEWNET) } as isize)
}

fn check(result: isize) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A process of the lab; killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    /// The process, for its pipes.
    pub child: Child,
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as [`libc::SIGINT`].
    ///
    /// # Errors
    /// Where it has ended already.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let pid = libc::pid_t::try_from(self.pid())?;
        // SAFETY: takes no pointers; the child has not been waited for, so the id is still its.
        check(unsafe { libc::kill(pid, signal) } as isize)
            .with_context(|| format!("signal {signal} to process {pid}"))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Where it does not end in time; it is killed then.
    pub fn wait(&mut self, what: &str, deadline: Deadline) -> Result<ExitStatus> {
        let ended = deadline.wait_for(what, || Ok(self.child.try_wait()?));
        if ended.is_err() {
            self.child.kill()?;
        }
        ended
    }

    /// Whether it has ended, and how.
    ///
    /// # Errors
    /// Where the kernel will not say.
    pub fn ended(&mut self) -> Result<Option<String>> {
        Ok(self.child.try_wait()?.map(|status| match status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => status.to_string(),
        }))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
