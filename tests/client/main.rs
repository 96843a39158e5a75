//! `lab-client`: POSTs over plain sockets in all the shapes that matter, and says what it saw.
//!
//! A process of its own, so that "the client's process" is a fact. Prints one JSON object
//! ([`ClientReport`]) when it is done.

mod http;
mod shapes;

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;

use anyhow::{Result, anyhow};
use clap::Parser;
use tracer_tests::{Answer, ClientReport};

/// What to send, where to and how.
#[derive(Clone, Debug, Parser)]
struct Plan {
    /// Address and port of the server.
    #[arg(long)]
    to: SocketAddr,
    /// Beginning of every request's id; a number follows.
    #[arg(long, default_value = "r")]
    prefix: String,
    /// Path that is asked for.
    #[arg(long, default_value = "/")]
    path: String,
    /// Path of the first request of each connection (thread), where it is another one.
    #[arg(long)]
    first_path: Option<String>,
    /// Requests in all.
    #[arg(long, default_value_t = 1)]
    requests: u64,
    /// Connections (threads) that share them.
    #[arg(long, default_value_t = 1)]
    connections: u64,
    /// Stop after so many seconds, however many requests are left.
    #[arg(long)]
    seconds: Option<u64>,
    /// Bytes of body in each request.
    #[arg(long, default_value_t = 64)]
    body: u64,
    /// How a request is sent.
    #[arg(long, value_enum, default_value_t = Shape::KeepAlive)]
    shape: Shape,
    /// Requests sent at once before the answers are read, in shape `pipelined`.
    #[arg(long, default_value_t = 4)]
    depth: u64,
    /// After the first answer on each connection print `held`, and wait for a line on standard
    /// input before going on.
    #[arg(long)]
    hold: bool,
}

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Shape {
    /// One after the other on the same connection.
    KeepAlive,
    /// A new connection each.
    Close,
    /// A new connection each; all stay open to the end.
    Parked,
    /// Several at once on the same connection.
    Pipelined,
    /// The body in chunks, with a trailer.
    Chunked,
    /// `Expect: 100-continue`; the body is sent only when the server says so.
    Expect,
    /// A body that is sent until the answer comes.
    Upload,
    /// The connection is reset as soon as the answer is there.
    Reset,
}

fn main() -> Result<()> {
    let plan = Plan::parse();
    let share = plan.requests.div_ceil(plan.connections.max(1));
    let mut report = ClientReport {
        pid: std::process::id(),
        ..ClientReport::default()
    };
    let gate = Gate::new(plan.hold.then_some(plan.connections));
    std::thread::scope(|scope| -> Result<()> {
        let threads: Vec<_> = (0..plan.connections)
            .map(|connection| {
                let first = connection * share;
                let last = plan.requests.min(first + share);
                let (plan, gate) = (&plan, &gate);
                scope.spawn(move || {
                    shapes::run(plan, first..last, gate).unwrap_or_else(|why| {
                        // The other threads may be waiting for this one: end them all.
                        eprintln!("lab-client: {why:#}");
                        std::process::exit(1);
                    })
                })
            })
            .collect();
        gate.open()?;
        for thread in threads {
            let (sent, answers) = thread.join().map_err(|_| anyhow!("a thread died"))?;
            report.sent += sent;
            report.answers.extend(answers);
        }
        Ok(())
    })?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// Holds the connections after their first answer until somebody says go.
struct Gate {
    threads: Option<u64>,
    held: std::sync::Barrier,
    go: std::sync::Barrier,
}

impl Gate {
    fn new(threads: Option<u64>) -> Self {
        let parties = usize::try_from(threads.unwrap_or_default()).unwrap_or_default() + 1;
        Self {
            threads,
            held: std::sync::Barrier::new(parties),
            go: std::sync::Barrier::new(parties),
        }
    }

    /// The main thread's side.
    fn open(&self) -> Result<()> {
        if self.threads.is_some() {
            self.held.wait();
            println!("held");
            std::io::stdout().flush()?;
            std::io::stdin().lock().read_line(&mut String::new())?;
            self.go.wait();
        }
        Ok(())
    }

    /// A connection's side.
    fn pass(&self) {
        if self.threads.is_some() {
            self.held.wait();
            self.go.wait();
        }
    }
}

/// What a connection's thread gives back: requests sent, answers.
type Outcome = Result<(u64, Vec<Answer>)>;
