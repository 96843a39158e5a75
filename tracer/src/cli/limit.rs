//! Flags of the bounds: those of [`Limits`] that a user may have to move.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Args;

use super::units;
use crate::limits::Limits;

/// How much to keep. Past each bound the oldest goes, and the summary counts it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits (past each the oldest goes, and is counted)")]
pub struct LimitArgs {
    /// Connections followed at once [default: 200000]
    #[arg(long = "limit-connections", value_name = "N", value_parser = units::count)]
    connections: Option<usize>,

    /// Memory for all connections together [default: 512MiB]
    #[arg(long = "limit-memory", value_name = "SIZE", value_parser = units::size)]
    memory: Option<usize>,

    /// Bytes kept of each body [default: 16KiB]
    #[arg(long = "limit-body", value_name = "SIZE", value_parser = units::size)]
    body: Option<usize>,

    /// Bytes of packets kept of each connection for -w [default: 4MiB]
    #[arg(long = "limit-packets", value_name = "SIZE", value_parser = units::size)]
    packets: Option<usize>,

    /// A connection that is silent for this long is forgotten [default: 5m]
    #[arg(long = "limit-idle", value_name = "TIME", value_parser = units::duration)]
    idle: Option<Duration>,

    /// Threads; with a second one, files are read ahead, and cases are judged and written while the
    /// next ones are read [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl LimitArgs {
    /// How many threads may be used: at least one.
    pub fn threads(&self) -> usize {
        let asked = self.threads.map(NonZeroUsize::get);
        asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
    }

    /// The bounds that these flags ask for; enough of each body is kept to show `body_bytes`.
    pub fn limits(&self, body_bytes: Option<usize>) -> Limits {
        let usual = Limits::default();
        let body_kept = self
            .body
            .unwrap_or(usual.body_kept)
            .max(body_bytes.unwrap_or(0));
        Limits {
            connections: self.connections.unwrap_or(usual.connections),
            memory: self.memory.unwrap_or(usual.memory),
            body_kept,
            body_decoded: usual.body_decoded.max(body_kept),
            packets_per_connection: self.packets.unwrap_or(usual.packets_per_connection),
            idle: self.idle.unwrap_or(usual.idle),
            ..usual
        }
    }
}
