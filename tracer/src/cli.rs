//! The command line: every flag with its help, unit and default.
//!
//! Parsing touches nothing on the machine: no file is opened, no name resolved, no clock read.

mod explain;
mod filter;
mod fingerprints;
mod limit;
mod output;
mod units;
mod verdict;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub use explain::Explain;
pub use filter::FilterArgs;
pub use fingerprints::FingerprintsArgs;
pub use limit::LimitArgs;
pub use output::{Colour, Destination, OutputArgs, Target};
pub use verdict::VerdictArgs;

use crate::ports::Ports;

/// A macro, as `concat!` takes no constants.
macro_rules! exit_status {
    () => {
        "\
Exit status:
  0  the run ended as asked, whether there were cases or not
  1  it could not run, or an output failed
  2  bad usage, or an input is damaged (what came before the damage was reported)"
    };
}

const ABOUT: &str = "\
Who refused this POST with a 403, and why.

Traces HTTP exchanges that were refused, as they cross this host or out of captures: the request, \
the answer, and the process and client at each end.";

/// The command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "tracer403",
    version,
    about = "Who refused this POST with a 403, and why",
    long_about = ABOUT,
    after_help = exit_status!(),
    after_long_help = concat!(exit_status!(), "\n\n\
Examples:
  sudo tracer403 live                  every POST answered 403 on this host, until Ctrl-C
  tracer403 read capture.pcapng        the same, out of a capture
  tracer403 live --status 4xx --json   every POST answered 4xx, for programs"),
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Parses the arguments, the name of the program first.
    ///
    /// # Errors
    /// Where they are no valid command line, or where an output would replace an input or another
    /// output. The error also carries what `--help` and `--version` print; its `exit` does the
    /// right thing for each.
    pub fn from_arguments<I>(arguments: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item: Into<OsString> + Clone>,
    {
        let cli = Self::try_parse_from(arguments)?;
        let (inputs, verdict, output): (&[PathBuf], _, _) = match &cli.command {
            Command::Live(live) => (&[], &live.verdict, &live.output),
            Command::Read(read) => (&read.capture.files, &read.verdict, &read.output),
            Command::Explain(_) | Command::Fingerprints(_) | Command::Schema => return Ok(cli),
        };
        let mut taken = inputs.to_vec();
        taken.extend(verdict.files().cloned());
        for destination in output.destinations() {
            if let Target::File(path) = destination.target {
                if taken.contains(&path) {
                    let message = format!("{} would be overwritten", path.display());
                    return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
                }
                taken.push(path);
            }
        }
        Ok(cli)
    }
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Trace the traffic of this host, through eBPF
    ///
    /// Copies the HTTP traffic of the chosen ports, names the process at each end, and reports
    /// every exchange that the filter lets pass. Ends on Ctrl-C, SIGTERM, --duration or --count.
    /// Nothing of it stays in the kernel afterwards. Needs root, or the capabilities that the
    /// error names where they are missing.
    #[command(after_long_help = concat!(exit_status!(), "\n\n\
Examples:
  sudo tracer403 live
  sudo tracer403 live -p 80,8000-8100 --duration 10m -o cases.json
  sudo tracer403 live --host '*.shop.example' --path '/api/*' -w refused.pcapng
  sudo tracer403 live -i any --status 401,403 --client 10.0.0.0/8"))]
    Live(Box<Live>),
    /// Read captures: pcap or pcapng, plain or compressed with gzip or zstd
    ///
    /// Says the same about a capture as `live` would have said about the traffic; the processes
    /// only where `live -w` wrote the file. Needs no privileges.
    #[command(after_long_help = concat!(exit_status!(), "\n\n\
Examples:
  tracer403 read capture.pcapng
  tracer403 read monday.pcap.gz tuesday.pcap.zst --status 4xx,5xx --method any
  tcpdump -i eth0 -w - tcp port 80 | tracer403 read --json -"))]
    Read(Box<Read>),
    /// Explain a cause: what it is, how it is recognised, how to mend it
    ///
    /// Without a cause, lists them all.
    #[command(after_long_help = "Examples:\n  tracer403 explain\n  tracer403 explain csrf-token")]
    Explain(Explain),
    /// List the marks by which products are told, search them, or try them on a message
    ///
    /// Each says whether the product made the answer that carries it, merely passed it on, or did
    /// not make it; and which cause it goes with.
    #[command(after_long_help = concat!("\
Exit status:
  0  it was listed or tried, whatever came of it
  1  it could not run
  2  bad usage, or an input is damaged\n\n\
Examples:
  tracer403 fingerprints                               every one
  tracer403 fingerprints kong ip                       those with both words
  tracer403 fingerprints --cause csrf-token -v         in full
  tracer403 fingerprints --test answer.http            which of them a message has, and where
  tracer403 fingerprints --fingerprints mine.toml --test capture.pcapng"))]
    Fingerprints(Box<FingerprintsArgs>),
    /// Print the JSON Schema of the lines that --json and -o write
    #[command(after_long_help = "Example:\n  tracer403 schema > tracer403.schema.json")]
    Schema,
}

/// Arguments of `live`.
#[derive(Args, Clone, Debug)]
pub struct Live {
    /// What to capture.
    #[command(flatten)]
    pub capture: CaptureArgs,
    /// When to stop.
    #[command(flatten)]
    pub stop: StopArgs,
    /// What to report.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// What the conclusion goes by.
    #[command(flatten)]
    pub verdict: VerdictArgs,
    /// Where to report it.
    #[command(flatten)]
    pub output: OutputArgs,
    /// How much to keep.
    #[command(flatten)]
    pub limit: LimitArgs,
}

impl Live {
    /// Which packets are copied: as asked for, or as suits the other arguments.
    pub fn mode(&self) -> CaptureMode {
        let held = self.capture.hold_bytes as usize;
        let needs_all = !self.capture.interfaces.is_empty()
            || self.capture.snaplen.is_some()
            || self.output.body_bytes().is_some_and(|bytes| bytes > held);
        let usual = match needs_all {
            true => CaptureMode::All,
            false => CaptureMode::Hold,
        };
        self.capture.capture.unwrap_or(usual)
    }
}

/// What `live` captures.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Capture")]
pub struct CaptureArgs {
    /// TCP ports of the servers, such as 80,8000-8100 [default: where HTTP is usual]
    ///
    /// Packets of other ports are left alone in the kernel. The ports are named at start.
    #[arg(short, long, value_name = "PORTS", default_value_t = Ports::default(), hide_default_value = true)]
    pub ports: Ports,

    /// Attach to this interface instead of a cgroup; may be repeated; `any` for all
    ///
    /// Sees forwarded traffic too, which no socket of this host sends or receives. Without it the
    /// capture attaches to a cgroup.
    #[arg(
        short,
        long = "interface",
        value_name = "IFACE",
        conflicts_with = "cgroup"
    )]
    pub interfaces: Vec<String>,

    /// Attach to this cgroup (v2): sees the sockets of its processes [default: the root cgroup]
    ///
    /// The root cgroup has every socket of the host in it, of every network namespace, also those
    /// that talk over loopback inside a pod. Sockets are of the cgroup in which they were opened.
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// Memory between kernel and tool: a power of two from 4MiB to 1GiB
    ///
    /// Where it is too small for a burst, packets are lost; the summary counts them.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = units::ring_size)]
    pub ring_size: u32,

    /// Bytes to copy of each packet [default: all of them]
    ///
    /// Less copying, at the price of gaps in long messages: what is left out is marked as skipped.
    /// Packets can be larger than the MTU of the network (up to 64KiB), as the kernel joins them.
    /// With it the default of --capture is `all`.
    #[arg(long, value_name = "SIZE", value_parser = units::snap_length)]
    pub snaplen: Option<u32>,

    /// What to copy of the traced ports: `all` packets, or those of the exchanges that count
    /// [default: hold at a cgroup, all with -i]
    ///
    /// `hold` keeps each request in the kernel until the status of its answer is known, and copies
    /// both only where that is asked for by --status and --method: cost follows the refusals. Of
    /// what passes it copies some of each route, to compare with. Of what servers of this host ask
    /// each other it copies every error (4xx, 5xx) and some of the rest; where a server asked one
    /// that was left out, the verdict says so. What cannot be followed there is copied whole
    /// (pipelining, chunked requests, heads longer than --hold-bytes, packets out of order).
    /// Whether the POST of a refused preflight never came cannot be told. At an interface (-i)
    /// where a connection's two directions show under different addresses (translated on this
    /// host), its answers are told without their requests.
    ///
    /// Where the kernel refuses the default, `all` takes its place, and the session says so. The default
    /// is `all` at a cgroup, too, with --snaplen, and where --body-bytes asks for more than is kept of a
    /// request.
    #[arg(long, value_name = "MODE", value_enum)]
    pub capture: Option<CaptureMode>,

    /// Connections whose requests can be held at once (--capture hold)
    ///
    /// Each takes --hold-bytes and some 800 more of the kernel's memory from the start: 38MiB by
    /// default. Where more are under way, requests of the oldest are forgotten; their answers are
    /// still reported.
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub hold_connections: u32,

    /// Bytes to keep of a request that is held: a power of two from 1KiB to 16KiB (--capture hold)
    ///
    /// With the headers of its first packet. What is longer is marked as cut, as is seen where the
    /// cause lies in a body.
    #[arg(long, value_name = "SIZE", default_value = "4KiB", value_parser = units::hold_size)]
    pub hold_bytes: u32,

    /// Create this file once every probe is attached
    ///
    /// For scripts that start the traffic themselves.
    #[arg(long, value_name = "PATH")]
    pub ready_file: Option<PathBuf>,
}

/// Which packets of the traced ports `live` copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CaptureMode {
    /// Every one.
    All,
    /// Those of exchanges whose answer counts; the kernel holds each request until that is known.
    Hold,
}

/// When `live` stops by itself.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Capture")]
pub struct StopArgs {
    /// Stop after this time, such as 30s, 5m or 1h30m [default: on Ctrl-C]
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub duration: Option<Duration>,

    /// Stop after this many cases [default: never]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// Arguments of `read`.
#[derive(Args, Clone, Debug)]
pub struct Read {
    /// What to read.
    #[command(flatten)]
    pub capture: FileArgs,
    /// What to report.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// What the conclusion goes by.
    #[command(flatten)]
    pub verdict: VerdictArgs,
    /// Where to report it.
    #[command(flatten)]
    pub output: OutputArgs,
    /// How much to keep.
    #[command(flatten)]
    pub limit: LimitArgs,
}

/// What `read` reads.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Capture")]
pub struct FileArgs {
    /// Captures, read one after another as one session; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// TCP ports of the servers, such as 80,8000-8100 [default: any]
    #[arg(short, long, value_name = "PORTS")]
    pub ports: Option<Ports>,

    /// Stop after this many cases [default: never]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

#[cfg(test)]
mod tests;
