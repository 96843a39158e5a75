//! Opens the outputs that the flags ask for.

use std::io::{self, Write};

use anyhow::Result;
use jiff::tz::TimeZone;
use tracer403::cli::{Colour, OutputArgs, Target};
use tracer403::limits::Limits;
use tracer403::output::json::{JsonOptions, JsonSink};
use tracer403::output::pcapng::PcapngSink;
use tracer403::output::text::{TextOptions, TextSink, stdout_wants_colour};
use tracer403::output::{Format, Outputs, Sink, WholeFile};

/// Creates every file at once, so that a bad path fails before anything is traced.
pub(crate) fn open(arguments: &OutputArgs, limits: &Limits) -> Result<Outputs> {
    let mut outputs = Outputs::new(arguments.secrets());
    for destination in arguments.destinations() {
        let (name, out): (String, Box<dyn Write + Send>) = match &destination.target {
            Target::Stdout => ("standard output".to_owned(), Box::new(io::stdout())),
            Target::File(path) => (
                path.display().to_string(),
                Box::new(WholeFile::create(path)?),
            ),
        };
        outputs.add(name, sink(destination.format, out, arguments, limits));
    }
    Ok(outputs)
}

fn sink(
    format: Format,
    out: Box<dyn Write + Send>,
    arguments: &OutputArgs,
    limits: &Limits,
) -> Box<dyn Sink> {
    match format {
        Format::Text => Box::new(TextSink::new(
            out,
            TextOptions {
                colour: is_coloured(arguments.colour()),
                quiet: arguments.is_quiet(),
                all: arguments.shows_all(),
                verbose: arguments.verbosity() > 0,
                zone: TimeZone::system(),
                body_bytes: arguments.body_bytes().unwrap_or(TextOptions::BODY_BYTES),
                body_kept: limits.body_kept,
            },
        )),
        Format::Json => Box::new(JsonSink::new(
            out,
            JsonOptions {
                body_bytes: arguments.body_bytes().unwrap_or(limits.body_decoded),
                body_kept: limits.body_kept,
                secrets: arguments.secrets(),
            },
        )),
        Format::Pcapng => Box::new(PcapngSink::new(out)),
    }
}

fn is_coloured(colour: Colour) -> bool {
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => stdout_wants_colour(),
    }
}
