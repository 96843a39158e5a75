//! `lab-client` as a process: what it is asked to do and what it saw.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::place::{Place, Process};
use crate::wait::Deadline;

/// A running load client; its process id is the truth about the client's end.
#[derive(Debug)]
pub struct Client {
    process: Process,
}

/// What a client saw: its only output, as JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ClientReport {
    /// The process id of the client.
    pub pid: u32,
    /// Requests whose last byte went out, or whose answer came before that.
    pub sent: u64,
    /// The answers, in no order.
    pub answers: Vec<Answer>,
}

/// One final answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The id of the request.
    pub id: String,
    /// The status.
    pub status: u16,
    /// The worker that answered, as the answer itself says; 0 where it does not.
    pub worker: u32,
    /// Bytes of content.
    pub length: u64,
}

impl Client {
    /// Starts `lab-client` with arguments (see its `--help`).
    ///
    /// # Errors
    /// Where it is not built.
    pub fn start(place: Place<'_>, arguments: &[&str]) -> Result<Self> {
        let process = Place::spawn(
            place
                .command(client_binary()?)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped()),
        )?;
        Ok(Self { process })
    }

    /// Runs one to its end.
    ///
    /// # Errors
    /// As [`Client::start`] and [`Client::finish`].
    pub fn run(place: Place<'_>, arguments: &[&str]) -> Result<ClientReport> {
        Self::start(place, arguments)?.finish()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits until a client started with `--hold` has its connections open and one answer on each.
    ///
    /// # Errors
    /// Where it ends before.
    pub fn wait_until_held(&mut self) -> Result<()> {
        let pipe = self.process.child.stdout.as_mut().context("no pipe")?;
        let mut line = [0; 5];
        pipe.read_exact(&mut line)
            .context("lab-client ended before its connections were open")?;
        if line != *b"held\n" {
            bail!("lab-client said {line:?}");
        }
        Ok(())
    }

    /// Lets a client that holds go on, then waits for its end.
    ///
    /// # Errors
    /// Where it fails.
    pub fn finish(mut self) -> Result<ClientReport> {
        if let Some(mut pipe) = self.process.child.stdin.take() {
            // A client that does not hold may have ended: then nobody reads this.
            drop(pipe.write_all(b"go\n"));
        }
        let mut output = String::new();
        if let Some(mut pipe) = self.process.child.stdout.take() {
            pipe.read_to_string(&mut output)?;
        }
        let deadline = Deadline::after(Duration::from_secs(300));
        let status = self.process.wait("lab-client ends", deadline)?;
        if !status.success() {
            bail!("lab-client: {status}");
        }
        serde_json::from_str(&output).with_context(|| format!("lab-client said: {output}"))
    }
}

/// Beside the running test.
fn client_binary() -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    me.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("lab-client"))
        .find(|path| path.is_file())
        .context("lab-client is not built: run `cargo build -p tracer-tests`")
}
