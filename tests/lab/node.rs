//! A Node cluster as a server under test: the master accepts, a worker answers.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::place::{Place, Process};
use crate::scene::Scene;
use crate::wait::Deadline;

/// The application, for `node`.
const APPLICATION: &str = include_str!("node/app.js");

/// A Node HTTP server in cluster mode with round robin: the master accepts each connection and
/// passes it to a worker. It refuses everything but `/ok`, `/big` with a page of 1 MiB, and names
/// the worker that answered (`X-Worker`: its process id).
#[derive(Debug)]
pub struct Node {
    process: Process,
    _directory: TempDir,
}

impl Node {
    /// Starts it on `port`, IPv4 and IPv6, and waits until all workers listen.
    ///
    /// # Errors
    /// Where it is not installed or does not come up; with what it printed.
    pub fn start(scene: &Scene, port: u16, workers: u32) -> Result<Self> {
        Self::start_with(scene.server_place(), APPLICATION, port, workers)
    }

    /// Starts a script with the arguments port, workers and the path of a file that the script
    /// makes as soon as it listens.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub fn start_with(place: Place<'_>, script: &str, port: u16, workers: u32) -> Result<Self> {
        let directory = TempDir::with_prefix("tracer403-node-")?;
        let file = directory.path().join("app.js");
        let ready = directory.path().join("ready");
        let log = directory.path().join("log");
        fs::write(&file, script)?;
        let output = fs::File::create(&log)?;
        let process = Place::spawn(
            place
                .command("node")
                .arg(&file)
                .arg(port.to_string())
                .arg(workers.to_string())
                .arg(&ready)
                .stdout(Stdio::from(output.try_clone()?))
                .stderr(Stdio::from(output)),
        )?;
        let mut node = Self {
            process,
            _directory: directory,
        };
        Deadline::usual()
            .wait_for("Node listens", || {
                if let Some(how) = node.process.ended()? {
                    bail!("node ended: {how}");
                }
                Ok(ready.exists().then_some(()))
            })
            .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(node)
    }

    /// The process id of the master.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
