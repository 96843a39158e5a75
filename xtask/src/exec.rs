//! Running other programs: every failure names the exact command line.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Cargo, as the one that runs us, in the root of the repository.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command that shares our terminal.
///
/// # Errors
/// Where it cannot be started or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| could_not_start(command))?;
    if !status.success() {
        bail!("`{}` failed: {status}", line(command));
    }
    Ok(())
}

/// Runs a command and gives what it wrote to standard output.
///
/// # Errors
/// Where it cannot be started or fails; with what it wrote to standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = raw_output(command)?;
    if !output.status.success() {
        bail!(
            "`{}` failed: {}: {}",
            line(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a command can be started and succeeds; it says nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    raw_output(command).is_ok_and(|output| output.status.success())
}

/// Whether a program is in PATH.
pub(crate) fn in_path(program: &str) -> bool {
    // Servers live in sbin, which not every user has in PATH.
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|directory| directory.join(program).is_file())
}

/// Runs a command that must be done in `limit`; past that it and its children are killed.
///
/// # Errors
/// As [`output`], and where it takes too long.
pub(crate) fn output_within(command: &mut Command, limit: Duration) -> Result<Output> {
    use std::os::unix::process::CommandExt as _;
    let mut stdout = tempfile::tempfile()?;
    let mut stderr = tempfile::tempfile()?;
    command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .process_group(0);
    let mut child = command.spawn().with_context(|| could_not_start(command))?;
    let end = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= end {
            let group = libc::pid_t::try_from(child.id())?;
            // SAFETY: takes no pointers; the group is the child's own, and it is not waited for.
            unsafe { libc::kill(-group, libc::SIGKILL) };
            child.wait()?;
            bail!("`{}` was stopped after {limit:?}", line(command));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Ok(Output {
        status,
        stdout: contents(&mut stdout)?,
        stderr: contents(&mut stderr)?,
    })
}

/// Prints a line.
///
/// # Errors
/// Where standard output cannot be written; [`main`](crate::main) takes a closed pipe for the
/// reader's wish to stop.
pub(crate) fn say(text: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// Whether the reader of our standard output has gone, as after `| head`.
pub(crate) fn reader_has_gone(why: &anyhow::Error) -> bool {
    let cause = why.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// The command line, as a shell would take it.
pub(crate) fn line(command: &Command) -> String {
    let quoted = |word: &std::ffi::OsStr| {
        let word = word.to_string_lossy();
        let plain = |c: char| c.is_alphanumeric() || "-_=+./:,@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.into_owned()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    let environment = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    environment
        .chain(words.map(quoted))
        .collect::<Vec<_>>()
        .join(" ")
}

fn raw_output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .with_context(|| could_not_start(command))
}

fn could_not_start(command: &Command) -> String {
    format!("could not start `{}`", line(command))
}

fn contents(file: &mut std::fs::File) -> Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _};
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
