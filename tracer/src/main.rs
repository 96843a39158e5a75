//! Arguments become a source, a pipeline and outputs; the rest is a loop.

mod explain;
mod fingerprints_command;
mod progress;
mod session;
mod sinks;
mod writer;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use session::{Ending, Session};
use tracer403::cli::{Cli, Command, FilterArgs, LimitArgs, Live, OutputArgs, Read, VerdictArgs};
use tracer403::limits::Limits;
use tracer403::output::{self, Mode, json};
use tracer403::pipeline::{self, Baseline, Judge, Pipeline};
use tracer403::ports::Ports;
use tracer403::select::Selection;
use tracer403::source::Source;
use tracer403::source::pcap::CaptureFile;
use writer::{Press, Writer};

/// It could not run, or an output failed.
const FAILED: u8 = 1;
/// An input is damaged; what came before was reported. Bad usage ends with the same number.
const DAMAGED: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::from_arguments(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let ended = match cli.command {
        Command::Live(arguments) => live(&arguments),
        Command::Read(arguments) => read(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Fingerprints(arguments) => fingerprints_command::run(&arguments),
        Command::Schema => schema(),
    };
    match ended {
        Ok(Ending::AsAsked) => ExitCode::SUCCESS,
        Ok(Ending::OutputFailed) => ExitCode::from(FAILED),
        Ok(Ending::InputDamaged) => ExitCode::from(DAMAGED),
        Err(error) => {
            eprintln!("tracer403: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

#[cfg(feature = "live")]
fn live(arguments: &Live) -> Result<Ending> {
    use std::time::Duration;
    use tracer403::cli::CaptureMode;
    use tracer403::source::live::{Attach, Capture, Hold, Interfaces, LiveSource, Options};

    let Live {
        capture,
        stop: when,
        filter,
        verdict,
        output,
        limit,
    } = arguments;
    log_to_stderr(output);
    let stop = stop_on_signals()?;
    let ports = Some(&capture.ports);
    let (mut pipeline, mut writer) = parts(ports, filter, verdict, output, limit, &stop)?;
    let names = &capture.interfaces;
    let attach = match names.as_slice() {
        [] => Attach::Cgroup(capture.cgroup.clone()),
        _ if names.iter().any(|name| name == "any") => Attach::Interfaces(Interfaces::Any),
        _ => Attach::Interfaces(Interfaces::Named(names.clone())),
    };
    let selection = filter.selection();
    let hold = Hold {
        connections: capture.hold_connections,
        bytes: capture.hold_bytes,
        statuses: selection.status_ranges(),
        methods: selection.request_methods(),
    };
    let held_memory = hold.memory();
    let usual = Options::default();
    let options = Options {
        ports: capture.ports.clone(),
        attach,
        ring_bytes: capture.ring_size,
        snap_len: capture.snaplen.unwrap_or(usual.snap_len),
        capture: match (arguments.mode(), capture.capture) {
            (CaptureMode::All, _) => Capture::All,
            (CaptureMode::Hold, Some(_)) => Capture::Hold(hold),
            (CaptureMode::Hold, None) => Capture::HoldOrAll(hold),
        },
    };
    let mut source = LiveSource::start(&options, Arc::clone(&stop))?;
    eprintln!("{}", source.started());
    eprintln!("ports: {}", options.ports);
    if source.is_holding() {
        pipeline.source_leaves_out();
        eprintln!(
            "holding requests of up to {} connections in {} MiB of the kernel's memory",
            capture.hold_connections,
            held_memory.div_ceil(1 << 20)
        );
    }
    eprintln!("reporting {selection}; Ctrl-C ends");
    let inputs = source
        .started()
        .attached
        .iter()
        .map(|a| a.to.clone())
        .collect();
    writer.start(&about(Mode::Live, inputs, ports, filter));
    let mut session = session(pipeline, writer, limit, when.count)?;
    if let Some(path) = &capture.ready_file {
        std::fs::write(path, "")
            .with_context(|| format!("cannot create the ready file {}", path.display()))?;
    }
    if let Some(duration) = when.duration {
        stop_after(duration, Arc::clone(&stop));
    }
    session.drive(&mut source);
    return Ok(session.finish());

    fn stop_after(duration: Duration, stop: Arc<AtomicBool>) {
        std::thread::spawn(move || {
            std::thread::sleep(duration);
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}

#[cfg(not(feature = "live"))]
fn live(_: &Live) -> Result<Ending> {
    anyhow::bail!(
        "this build reads captures only; build it with the feature `live` to trace this host"
    )
}

fn read(arguments: &Read) -> Result<Ending> {
    let Read {
        capture,
        filter,
        verdict,
        output,
        limit,
    } = arguments;
    log_to_stderr(output);
    let stop = stop_on_signals()?;
    let ports = capture.ports.as_ref();
    let (pipeline, mut writer) = parts(ports, filter, verdict, output, limit, &stop)?;
    let names = capture
        .files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    writer.start(&about(Mode::Read, names, ports, filter));
    let mut session = session(pipeline, writer, limit, capture.count)?;
    for file in &capture.files {
        match open(file).and_then(|source| ahead(source, limit.threads())) {
            Ok(mut source) => {
                session.progress.of(&source);
                session.drive_file(&mut source);
            }
            Err(error) => session.input_failed(&error),
        }
    }
    Ok(session.finish())
}

fn open(file: &Path) -> Result<CaptureFile, tracer403::source::SourceError> {
    match file.to_str() {
        Some(name) => CaptureFile::open(name),
        None => {
            let name = file.display().to_string();
            let opened = std::fs::File::open(file).map_err(|source| {
                tracer403::source::SourceError::Read {
                    path: name.clone(),
                    source,
                }
            })?;
            CaptureFile::from_reader(&name, Box::new(opened))
        }
    }
}

/// Bytes of the smallest file that is worth a thread of its own.
const READ_AHEAD: u64 = 4 << 20;

/// Reads a file ahead of its records, where there may be another thread.
fn ahead(
    mut file: CaptureFile,
    threads: usize,
) -> Result<CaptureFile, tracer403::source::SourceError> {
    if threads > 1 && file.len().is_some_and(|len| len >= READ_AHEAD) {
        file.read_ahead()?;
    }
    Ok(file)
}

fn schema() -> Result<Ending> {
    print(&serde_json::to_string_pretty(&json::schema())?)
}

/// Writes a text to standard output; whoever reads it may go away.
fn print(text: &str) -> Result<Ending> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write standard output")
        }
        _ => Ok(Ending::AsAsked),
    }
}

/// What a run is made of: records go in at the one end, cases out at the other.
fn parts(
    ports: Option<&Ports>,
    filter: &FilterArgs,
    verdict: &VerdictArgs,
    output: &OutputArgs,
    limit: &LimitArgs,
    stop: &Arc<AtomicBool>,
) -> Result<(Pipeline, Writer)> {
    let limits = limit.limits(output.body_bytes());
    let outputs = sinks::open(output, &limits)?;
    let selection = filter.selection();
    let baseline = baseline(&verdict.baselines, &limits, &selection)?;
    let options = pipeline::Options {
        limits,
        ports: ports.cloned(),
        selection,
        fingerprints: Arc::new(fingerprints_command::table(
            verdict.fingerprints.as_deref(),
        )?),
        no_verdict: verdict.no_verdict,
        keep_packets: output.needs_packets(),
    };
    let writer = Writer::new(Judge::new(&options), outputs, Arc::clone(stop));
    Ok((Pipeline::with_baseline(options, baseline), writer))
}

fn session(
    pipeline: Pipeline,
    writer: Writer,
    limit: &LimitArgs,
    wanted: Option<u64>,
) -> Result<Session> {
    let (stop, progress) = (Arc::clone(&writer.stop), writer.progress.clone());
    let press = Press::new(writer, limit.threads(), pipeline.keeps_packets());
    Ok(Session {
        pipeline,
        stop,
        wanted,
        ending: Ending::AsAsked,
        progress,
        press: press.context("cannot start a thread")?,
    })
}

/// The requests that passed in these captures, with which those that are selected are compared.
fn baseline(files: &[PathBuf], limits: &Limits, selection: &Selection) -> Result<Baseline> {
    let mut pipeline = Pipeline::new(pipeline::Options {
        limits: limits.clone(),
        selection: selection.clone(),
        ..pipeline::Options::default()
    });
    for file in files {
        let mut source = open(file)?;
        while source.next(&mut |record| pipeline.push(record))? {
            // What was refused there is of no interest here.
            while pipeline.next_case().is_some() {}
        }
    }
    pipeline.finish();
    Ok(pipeline.into_baseline())
}

fn about(
    mode: Mode,
    inputs: Vec<String>,
    ports: Option<&Ports>,
    filter: &FilterArgs,
) -> output::Session {
    output::Session {
        version: env!("CARGO_PKG_VERSION"),
        mode,
        inputs,
        ports: ports.map(Ports::to_string),
        filter: filter.selection().to_string(),
    }
}

/// The first SIGINT or SIGTERM asks for an orderly end; a second one ends at once.
fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot listen for signals")?;
    }
    Ok(stop)
}

fn log_to_stderr(output: &OutputArgs) {
    let level = match output.verbosity() {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .with_env_var("TRACER403_LOG")
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
