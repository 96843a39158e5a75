//! One run: records from a source through the pipeline to the outputs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracer403::pipeline::Pipeline;
use tracer403::source::{Source, SourceError};

use crate::progress::Progress;
use crate::writer::Press;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// As the user asked, with or without cases.
    AsAsked,
    /// An input was damaged; what came before was reported.
    InputDamaged,
    /// An output could not be written whole.
    OutputFailed,
}

/// A run that is under way.
pub(crate) struct Session {
    pub(crate) pipeline: Pipeline,
    pub(crate) press: Press,
    pub(crate) stop: Arc<AtomicBool>,
    /// Cases that are still wanted; `None` for all.
    pub(crate) wanted: Option<u64>,
    pub(crate) ending: Ending,
    pub(crate) progress: Progress,
}

impl Session {
    /// Reads a source until it has no more, or fails. The source sees `stop` by itself.
    #[cfg(feature = "live")]
    pub(crate) fn drive(&mut self, source: &mut dyn Source) {
        while self.step(source) {}
    }

    /// Reads a file until it has no more, fails, or is not wanted any further.
    pub(crate) fn drive_file(&mut self, file: &mut tracer403::source::pcap::CaptureFile) {
        self.pipeline.next_source();
        while !self.stop.load(Ordering::Relaxed) && self.step(file) {
            self.progress.at(file.position());
        }
        self.progress.done();
    }

    fn step(&mut self, source: &mut dyn Source) -> bool {
        let pipeline = &mut self.pipeline;
        let more = source.next(&mut |record| pipeline.push(record));
        self.hand_out();
        match more {
            Ok(more) => more,
            Err(error) => {
                self.input_failed(&error);
                false
            }
        }
    }

    /// An input could not be read, or not to its end.
    pub(crate) fn input_failed(&mut self, error: &SourceError) {
        self.progress.suspend(|| eprintln!("tracer403: {error}"));
        self.ending = self.ending.max(Ending::InputDamaged);
    }

    /// Ends what is still under way and closes the outputs.
    pub(crate) fn finish(mut self) -> Ending {
        self.pipeline.finish();
        self.hand_out();
        let health = self.pipeline.health();
        self.ending.max(self.press.finish(&health))
    }

    fn hand_out(&mut self) {
        loop {
            let next = std::iter::from_fn(|| self.pipeline.next_unjudged());
            let mut batch: Vec<_> = next.take(self.press.batch()).collect();
            if batch.is_empty() {
                break;
            }
            if let Some(wanted) = &mut self.wanted {
                batch.truncate(usize::try_from(*wanted).unwrap_or(usize::MAX));
                *wanted -= batch.len() as u64;
            }
            self.press.cases(batch);
        }
        if self.wanted == Some(0) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}
