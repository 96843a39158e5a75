//! Cases on their way out: judged, and handed to the outputs; on a thread of their own where there
//! may be one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tracer403::model::Health;
use tracer403::output::redact::Secrets;
use tracer403::output::{self, OutputError, Outputs};
use tracer403::pipeline::{Judge, Unjudged};

use crate::progress::Progress;
use crate::session::Ending;

/// Judges cases and writes them.
pub(crate) struct Writer {
    pub(crate) judge: Judge,
    pub(crate) outputs: Outputs,
    /// Set where an output failed.
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) ending: Ending,
    /// Taken off the terminal while something is written.
    pub(crate) progress: Progress,
}

/// What takes the cases to the [`Writer`].
pub(crate) struct Press {
    /// Most cases that go together.
    batch: usize,
    place: Place,
}

/// Where the [`Writer`] works.
enum Place {
    /// On the thread that reads.
    Here(Box<Writer>),
    /// On one of its own.
    Aside {
        cases: SyncSender<Vec<Unjudged>>,
        writer: JoinHandle<Box<Writer>>,
    },
}

/// Cases go together, so that each step finds its code and tables in the processor's caches from
/// the second on; few where each can hold some MiB of packets.
const BATCH: usize = 32;
const BATCH_WITH_PACKETS: usize = 4;
/// Batches that wait for the other thread; past it, reading waits.
const WAITING: usize = 2;

impl Writer {
    /// Tells the outputs what is known before the first case.
    pub(crate) fn start(&mut self, about: &output::Session) {
        let started = self.outputs.start(about);
        self.note(started);
    }

    fn cases(&mut self, cases: Vec<Unjudged>) {
        let judge = |case| self.judge.judge(case);
        let cases = cases.into_iter().map(judge).collect();
        let outputs = &mut self.outputs;
        let written = self.progress.suspend(|| outputs.cases(cases));
        self.note(written);
    }

    fn finish(mut self, health: &Health) -> Ending {
        let none = Outputs::new(Secrets::Redacted);
        let finished = std::mem::replace(&mut self.outputs, none).finish(health);
        self.note(finished);
        self.ending
    }

    /// A run of which an output failed has no point: better to end and say so at once than to let
    /// the user find out after the incident.
    fn note(&mut self, written: Result<(), OutputError>) {
        let Err(error) = written else { return };
        self.stop.store(true, Ordering::Relaxed);
        // Whoever read it has enough: `tracer403 … | head`.
        if !error.is_closed_pipe() {
            self.progress.suspend(|| eprintln!("tracer403: {error}"));
            self.ending = Ending::OutputFailed;
        }
    }
}

impl Press {
    /// With a thread of its own, where there are at least two. `keeps_packets` says whether cases
    /// come with theirs.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(crate) fn new(
        writer: Writer,
        threads: usize,
        keeps_packets: bool,
    ) -> std::io::Result<Self> {
        let batch = match keeps_packets {
            true => BATCH_WITH_PACKETS,
            false => BATCH,
        };
        let writer = Box::new(writer);
        if threads < 2 {
            let place = Place::Here(writer);
            return Ok(Self { batch, place });
        }
        let (cases, waiting) = sync_channel(WAITING);
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || work(writer, &waiting))?;
        let place = Place::Aside { cases, writer };
        Ok(Self { batch, place })
    }

    /// Most cases that it takes at once.
    pub(crate) const fn batch(&self) -> usize {
        self.batch
    }

    /// Judges and writes cases, now or soon.
    pub(crate) fn cases(&mut self, batch: Vec<Unjudged>) {
        match &mut self.place {
            Place::Here(writer) => writer.cases(batch),
            // It only goes before its time where it panicked, which `finish` passes on.
            Place::Aside { cases, .. } => drop(cases.send(batch)),
        }
    }

    /// Closes the outputs.
    pub(crate) fn finish(self, health: &Health) -> Ending {
        let writer = match self.place {
            Place::Here(writer) => writer,
            Place::Aside { cases, writer } => {
                drop(cases);
                match writer.join() {
                    Ok(writer) => writer,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        };
        writer.finish(health)
    }
}

fn work(mut writer: Box<Writer>, waiting: &Receiver<Vec<Unjudged>>) -> Box<Writer> {
    while let Ok(cases) = waiting.recv() {
        writer.cases(cases);
    }
    writer
}
