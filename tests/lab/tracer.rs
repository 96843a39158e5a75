//! The tool under test, as a process.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::place::{Place, Process};
use crate::session::Session;
use crate::wait::Deadline;

/// The built tool: `TRACER403_BIN`, or the one beside the running test or xtask.
///
/// # Errors
/// Where it is not built.
pub fn tracer_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TRACER403_BIN") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("TRACER403_BIN names {}, which is no file", path.display());
        }
        return Ok(path);
    }
    let me = std::env::current_exe()?;
    me.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("tracer403"))
        .find(|path| path.is_file())
        .context("tracer403 is not built: run `cargo xtask test`, or `cargo build -p tracer403`")
}

/// A running `tracer403 live`.
#[derive(Debug)]
pub struct Tracer {
    process: Process,
    output: Option<JoinHandle<String>>,
    errors: Option<JoinHandle<String>>,
    _directory: TempDir,
}

/// What is left of a tracer after its end.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub output: String,
    /// What it wrote to standard error.
    pub errors: String,
}

impl Tracer {
    /// Starts `tracer403 live --json` with more arguments, and waits until its probes are
    /// attached.
    ///
    /// # Errors
    /// Where it ends before; with what it said.
    pub fn start<A: Into<OsString>>(
        place: Place<'_>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let mut tracer = Self::start_unread(place, arguments)?;
        // Read all the time: a full pipe would hold the tracer up and lose packets.
        if let Some(mut pipe) = tracer.process.child.stdout.take() {
            tracer.output = Some(std::thread::spawn(move || read_all(&mut pipe)));
        }
        Ok(tracer)
    }

    /// As [`Tracer::start`], with the standard output left for the caller to read.
    ///
    /// # Errors
    /// As [`Tracer::start`].
    pub fn start_unread<A: Into<OsString>>(
        place: Place<'_>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        Self::start_binary(&tracer_binary()?, place, arguments)
    }

    /// As [`Tracer::start_unread`], of a given binary.
    ///
    /// # Errors
    /// As [`Tracer::start`].
    pub fn start_binary<A: Into<OsString>>(
        binary: &Path,
        place: Place<'_>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let directory = TempDir::with_prefix("tracer403-lab-")?;
        let ready = directory.path().join("ready");
        let process = Place::spawn(
            place
                .command(binary)
                .args(["live", "--json"])
                .arg("--ready-file")
                .arg(&ready)
                .args(arguments.into_iter().map(Into::into))
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        )?;
        let mut tracer = Self {
            process,
            output: None,
            errors: None,
            _directory: directory,
        };
        if let Some(mut pipe) = tracer.process.child.stderr.take() {
            tracer.errors = Some(std::thread::spawn(move || read_all(&mut pipe)));
        }
        tracer.wait_until_ready(&ready)?;
        Ok(tracer)
    }

    fn wait_until_ready(&mut self, ready: &Path) -> Result<()> {
        // Loading and verifying takes its time on a loaded machine.
        let deadline = Deadline::after(Duration::from_secs(60));
        let waited = deadline.wait_for("the tracer's probes are attached", || {
            if let Some(how) = self.process.ended()? {
                bail!("tracer403 live ended before its probes were attached: {how}");
            }
            Ok(ready.exists().then_some(()))
        });
        waited.map_err(|why| {
            drop(self.process.child.kill());
            let errors = self.errors.take().map_or_else(String::new, join_text);
            why.context(format!("standard error was: {errors:?}"))
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Interrupts it as Ctrl-C does, and reads the session it reported.
    ///
    /// # Errors
    /// Where it does not end with status 0, or its output is not the JSON lines of a session.
    pub fn stop(self) -> Result<Session> {
        self.interrupt()?;
        let finished = self.finish()?;
        if finished.code != Some(0) {
            bail!(
                "tracer403 ended with {:?}: {}",
                finished.code,
                finished.errors
            );
        }
        Session::parse(&finished.output)
            .with_context(|| format!("standard error was: {}", finished.errors))
    }

    /// Interrupts it as Ctrl-C does.
    ///
    /// # Errors
    /// Where it has ended already.
    pub fn interrupt(&self) -> Result<()> {
        self.process.signal(libc::SIGINT)
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Errors
    /// Where it has ended already.
    pub fn kill(self) -> Result<Finished> {
        self.process.signal(libc::SIGKILL)?;
        self.finish()
    }

    /// Waits for it to end by itself.
    ///
    /// # Errors
    /// Where it does not.
    pub fn finish(mut self) -> Result<Finished> {
        let deadline = Deadline::after(Duration::from_secs(120));
        let status = self.process.wait("tracer403 live ends", deadline)?;
        Ok(Finished {
            code: status.code(),
            output: self.output.take().map_or_else(String::new, join_text),
            errors: self.errors.take().map_or_else(String::new, join_text),
        })
    }

    /// Takes the standard output of a tracer from [`Tracer::start_unread`]; dropping it closes
    /// the pipe, as the end of `| head` does.
    ///
    /// # Errors
    /// Where it is taken already.
    pub fn take_output(&mut self) -> Result<impl io::Read + use<>> {
        self.process
            .child
            .stdout
            .take()
            .context("the standard output is read already")
    }
}

/// What a pipe gives until its end; what is not UTF-8 is shown as such.
fn read_all(pipe: &mut impl io::Read) -> String {
    let mut bytes = Vec::new();
    if let Err(why) = pipe.read_to_end(&mut bytes) {
        bytes.extend_from_slice(format!("(reading the pipe: {why})").as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn join_text(reader: JoinHandle<String>) -> String {
    reader.join().unwrap_or_default()
}

/// A finished `tracer403 read`.
#[derive(Debug)]
pub struct Read;

impl Read {
    /// Runs `tracer403 read` with arguments and reads the session.
    ///
    /// # Errors
    /// Where it does not end with status 0, or its output is not the JSON lines of a session.
    pub fn session(arguments: &[&str]) -> Result<Session> {
        let binary = tracer_binary()?;
        let binary = binary
            .to_str()
            .context("the path of tracer403 is not UTF-8")?;
        let all: Vec<&str> = ["read", "--json"]
            .iter()
            .chain(arguments)
            .copied()
            .collect();
        Session::parse(&Place::here().output(binary, &all)?)
    }
}
