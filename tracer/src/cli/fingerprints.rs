//! Arguments of `fingerprints`.

use std::path::PathBuf;

use clap::Args;

use crate::model::{CauseId, Kind};

/// Which marks, and what to do with them.
#[derive(Args, Clone, Debug)]
pub struct FingerprintsArgs {
    /// Only those that have every one of these words in them, in any letter case
    #[arg(value_name = "WORD", help_heading = "Filter")]
    pub words: Vec<String>,

    /// Only those of this kind of product, such as cdn-waf or framework
    #[arg(long, value_name = "KIND", value_parser = kind, help_heading = "Filter")]
    pub kind: Option<Kind>,

    /// Only those of products with this in their name, in any letter case
    #[arg(long, value_name = "NAME", help_heading = "Filter")]
    pub product: Option<String>,

    /// Only those that go with this cause, such as csrf-token or waf-block
    #[arg(long, value_name = "CAUSE", value_parser = cause, help_heading = "Filter")]
    pub cause: Option<CauseId>,

    /// Try them on the exchanges of this capture, or on a message written down as text
    ///
    /// Such a text is a request, a response, or a request and a response with a line `---` between
    /// them; the body is as it stands, without any coding.
    #[arg(long, value_name = "FILE", help_heading = "Capture")]
    pub test: Option<PathBuf>,

    /// Add the marks of products in this file, or replace those that have the same id
    #[arg(long, value_name = "FILE", help_heading = "Verdict")]
    pub fingerprints: Option<PathBuf>,

    /// JSON on standard output, one object a line, instead of text
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// Say everything of each, in the form that a file of marks takes [default: where one is left]
    #[arg(short, long, conflicts_with = "json", help_heading = "Output")]
    pub verbose: bool,
}

fn kind(name: &str) -> Result<Kind, String> {
    Kind::from_name(name).ok_or_else(|| one_of(&Kind::ALL.map(Kind::name)))
}

fn cause(name: &str) -> Result<CauseId, String> {
    CauseId::from_name(name).ok_or_else(|| one_of(&CauseId::ALL.map(CauseId::name)))
}

fn one_of(names: &[&str]) -> String {
    format!("it is one of {}", names.join(", "))
}
