//! The servers of a stage, as long as they run.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::cgroup::Cgroup;
use crate::netns::Netns;
use crate::place::{Place, Process};
use crate::stage::answer::WireAnswer;
use crate::stage::client::{Call, Connection};
use crate::stage::files::{Files, Tools};
use crate::stage::format::{Request, Server, Stage};
use crate::wait::Deadline;

/// A stage whose servers run; they end when it is dropped.
#[derive(Debug)]
pub struct RunningStage {
    stage: Stage,
    netns: Netns,
    processes: Vec<Process>,
    /// Around the servers that are traced.
    inside: Cgroup,
    /// Around those that stand for other hosts.
    outside: Cgroup,
    files: Files,
}

impl RunningStage {
    /// Starts the servers, one after the other, each when the one before accepts connections.
    ///
    /// # Errors
    /// Without root, or where a server does not come up; with what it wrote.
    pub fn start(stage: &Stage, tools: &Tools) -> Result<Self> {
        let mut running = Self {
            stage: stage.clone(),
            netns: Netns::new()?,
            processes: Vec::new(),
            inside: Cgroup::new()?,
            outside: Cgroup::new()?,
            files: Files::copy(stage, tools)?,
        };
        for server in &stage.servers {
            let process = running
                .start_server(server)
                .with_context(|| format!("server {:?} of stage {:?}", server.role, stage.name))?;
            running.processes.push(process);
        }
        Ok(running)
    }

    /// The control group of the servers that are traced.
    pub fn cgroup(&self) -> &Path {
        self.inside.path()
    }

    /// The directory of the servers' files and logs.
    pub fn directory(&self) -> &Path {
        self.files.path()
    }

    /// Where a server listens.
    ///
    /// # Errors
    /// Where no server has that role.
    pub fn address(&self, role: &str) -> Result<SocketAddr> {
        let port = self.stage.server(role)?.port;
        Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// Sends a request as often as it asks for, the last time from `last_port` (0: any), and
    /// gives the last answer.
    ///
    /// # Errors
    /// Where a server does not answer, or not in HTTP.
    pub fn call(&self, request: &Request, last_port: u16) -> Result<WireAnswer> {
        let address = self.address(&request.to)?;
        let traced = self.stage.server(&request.to)?.called_from_inside;
        let _visit = traced.then(|| self.inside.visit()).transpose()?;
        let call = Call {
            request,
            address,
            from_port: last_port,
        };
        let mut answer = None;
        self.place()
            .run_on_thread(|| answer = Some(call_repeatedly(&call)));
        answer.context("the client could not enter the namespace")?
    }

    /// Where clients are: in the namespace, in no control group of the stage.
    pub fn place(&self) -> Place<'_> {
        Place::in_netns(&self.netns)
    }

    fn start_server(&self, server: &Server) -> Result<Process> {
        let fill = |text: &String| self.files.fill(text);
        let cgroup = if server.inside {
            &self.inside
        } else {
            &self.outside
        };
        let place = Place::inside(&self.netns, cgroup);
        for line in &server.prepare {
            let line = format!("cd '{}' && {}", self.directory().display(), fill(line));
            Place::here().output("sh", &["-e", "-c", &line])?;
        }
        let mut words = Vec::new();
        if let Some(user) = &server.user {
            words.extend(["setpriv".to_owned(), format!("--reuid={user}")]);
            words.extend(["--init-groups".to_owned(), "--regid=nogroup".to_owned()]);
        }
        words.extend(server.run.iter().map(fill));
        let (program, arguments) = words.split_first().context("it has nothing to run")?;
        let log = self.directory().join(format!("{}.out", server.role));
        let output = File::create(&log)?;
        let mut command = place.command(program);
        command
            .args(arguments)
            .current_dir(self.directory())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let mut process = Place::spawn(&mut command)?;
        let socket = server.socket.as_ref().map(fill);
        self.wait_until_ready(server, socket.as_deref(), &mut process)
            .with_context(|| {
                let wrote = fs::read_to_string(&log).unwrap_or_default();
                format!("{} wrote: {}", log.display(), wrote.trim())
            })?;
        Ok(process)
    }

    fn wait_until_ready(
        &self,
        server: &Server,
        socket: Option<&str>,
        process: &mut Process,
    ) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, server.port));
        Deadline::usual().wait_for("it accepts connections", || {
            if let Some(how) = process.ended()? {
                bail!("it ended: {how}");
            }
            let ready = match socket {
                Some(path) => Path::new(path).exists(),
                None => self
                    .place()
                    .run_on_thread(|| TcpStream::connect(address).is_ok()),
            };
            Ok(ready.then_some(()))
        })
    }
}

/// What runs in the namespace.
fn call_repeatedly(call: &Call<'_>) -> Result<WireAnswer> {
    let repeat = call.request.repeat;
    if call.request.keep_alive {
        let mut connection = Connection::open(call.address, call.from_port)?;
        for _ in 1..repeat {
            connection.send(call.request)?;
        }
        return connection.send(call.request);
    }
    for _ in 1..repeat {
        Connection::open(call.address, 0)?.send(call.request)?;
    }
    Connection::open(call.address, call.from_port)?.send(call.request)
}
