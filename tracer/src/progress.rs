//! A progress bar for long captures, on a terminal only.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use tracer403::source::pcap::CaptureFile;

/// Files shorter than this are read before a bar could be seen, in bytes.
const LONG: u64 = 64 << 20;

/// How far a file is read.
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Shows nothing.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// A bar for a long file, where standard error is a terminal.
    pub(crate) fn of(file: &CaptureFile) -> Self {
        let len = file
            .len()
            .filter(|len| *len >= LONG && std::io::stderr().is_terminal());
        Self(len.map(|len| {
            let style = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            let style = ProgressStyle::with_template(style)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(len).with_style(style)
        }))
    }

    /// That many bytes are read.
    pub(crate) fn at(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(bytes);
        }
    }

    /// Takes the bar away while something else is written.
    pub(crate) fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// The file is read; the bar goes.
    pub(crate) fn done(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
