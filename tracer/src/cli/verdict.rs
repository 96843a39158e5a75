//! Flags of the conclusion: who refused it, and why.

use std::path::PathBuf;

use clap::Args;

/// What the conclusion goes by, beside the traffic itself.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Verdict")]
pub struct VerdictArgs {
    /// Add the marks of products in this file, or replace those that have the same id
    ///
    /// `tracer403 fingerprints` lists them; with -v in the form that the file takes.
    #[arg(long, value_name = "FILE")]
    pub fingerprints: Option<PathBuf>,

    /// Captures of requests that were not refused, to compare with; may be repeated
    #[arg(long = "baseline", value_name = "FILE")]
    pub baselines: Vec<PathBuf>,

    /// Report the exchanges and their hops only: gather no evidence, come to no verdict
    ///
    /// For programs that want the exchanges and nothing else: a case costs less.
    #[arg(long, conflicts_with_all = ["fingerprints", "baselines"])]
    pub no_verdict: bool,
}

impl VerdictArgs {
    /// The files that are read, which no output may replace.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.fingerprints.iter().chain(&self.baselines)
    }
}
