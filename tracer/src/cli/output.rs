//! Flags of the outputs.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::units;
use crate::output::Format;
use crate::output::redact::Secrets;

/// Where to report, and how much of it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// JSON on standard output, one object a line, instead of text
    ///
    /// `tracer403 schema` prints what the lines hold.
    #[arg(long)]
    json: bool,

    /// Write JSON, one object a line, to this file as well
    ///
    /// Readable by its owner alone. A file that is there is replaced.
    #[arg(short, long = "output", value_name = "FILE")]
    output: Option<PathBuf>,

    /// Write the packets of the reported connections to this pcapng file as well
    ///
    /// Readable by its owner alone. Packets are written as they crossed the wire, secrets and all.
    #[arg(short, long = "write", value_name = "FILE")]
    write: Option<PathBuf>,

    /// Show passwords, cookies and tokens instead of a short hash of each
    #[arg(long)]
    show_secrets: bool,

    /// Bytes of each body to show [default: 1KiB as text, all that is kept as JSON]
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    body_bytes: Option<usize>,

    /// Colour
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: Colour,

    /// Show every case whole, however many were like it
    ///
    /// Without it, of the cases with the same method, route, status, issuer and cause the first
    /// three are shown whole and the others as one line each. JSON always holds every case.
    #[arg(long, conflicts_with = "quiet")]
    all: bool,

    /// Only the summary on standard output
    #[arg(short, long, conflicts_with_all = ["json", "verbose"])]
    quiet: bool,

    /// Show the messages of every hop whole, and say what the tool does; -vv for even more
    ///
    /// What the tool does goes to standard error.
    /// TRACER403_LOG=module=level,… chooses in detail.
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
}

/// When to colour text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// One output that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// In which form.
    pub format: Format,
    /// Where to.
    pub target: Target,
}

/// Where an output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file, to be created or replaced.
    File(PathBuf),
}

impl OutputArgs {
    /// Every output that these flags ask for, standard output first.
    pub fn destinations(&self) -> Vec<Destination> {
        let stdout = if self.json {
            Format::Json
        } else {
            Format::Text
        };
        let to = |format, file: &Option<PathBuf>| {
            file.clone().map(|path| Destination {
                format,
                target: Target::File(path),
            })
        };
        std::iter::once(Destination {
            format: stdout,
            target: Target::Stdout,
        })
        .chain(to(Format::Json, &self.output))
        .chain(to(Format::Pcapng, &self.write))
        .collect()
    }

    /// Whether the packets of cases have to be kept.
    pub fn needs_packets(&self) -> bool {
        self.write.is_some()
    }

    /// Whether secrets are shown.
    pub fn secrets(&self) -> Secrets {
        if self.show_secrets {
            Secrets::Shown
        } else {
            Secrets::Redacted
        }
    }

    /// Bytes of each body to show; `None` for the default of the format.
    pub fn body_bytes(&self) -> Option<usize> {
        self.body_bytes
    }

    /// When to colour text.
    pub fn colour(&self) -> Colour {
        self.color
    }

    /// Whether text is only the summary.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether every case is shown whole.
    pub fn shows_all(&self) -> bool {
        self.all
    }

    /// How often `-v` was given.
    pub fn verbosity(&self) -> u8 {
        self.verbose
    }
}
