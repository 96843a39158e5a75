//! A progress bar for long captures, on a terminal only.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use tracer403::source::pcap::CaptureFile;

/// Files shorter than this are read before a bar could be seen, in bytes.
const LONG: u64 = 64 << 20;

/// How far a file is read. Clones show the same.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<Mutex<Option<ProgressBar>>>);

impl Progress {
    /// From here on it is this file: a bar for a long one, where standard error is a terminal.
    pub(crate) fn of(&self, file: &CaptureFile) {
        let len = file
            .len()
            .filter(|len| *len >= LONG && std::io::stderr().is_terminal());
        *self.bar() = len.map(|len| {
            let style = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            let style = ProgressStyle::with_template(style)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(len).with_style(style)
        });
    }

    /// That many bytes are read.
    pub(crate) fn at(&self, bytes: u64) {
        if let Some(bar) = &*self.bar() {
            bar.set_position(bytes);
        }
    }

    /// Takes the bar away while something else is written.
    pub(crate) fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        let bar = self.bar().clone();
        match bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// The file is read; the bar goes.
    pub(crate) fn done(&self) {
        if let Some(bar) = self.bar().take() {
            bar.finish_and_clear();
        }
    }

    fn bar(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
