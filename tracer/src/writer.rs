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

/// Where the [`Writer`] works.
pub(crate) enum Press {
    /// On the thread that reads.
    Here(Box<Writer>),
    /// On one of its own.
    Aside {
        cases: SyncSender<Unjudged>,
        writer: JoinHandle<Box<Writer>>,
    },
}

/// Cases that wait for the other thread; past it, reading waits. Each can hold some MiB of packets.
const WAITING: usize = 16;

impl Writer {
    /// Tells the outputs what is known before the first case.
    pub(crate) fn start(&mut self, about: &output::Session) {
        let started = self.outputs.start(about);
        self.note(started);
    }

    fn case(&mut self, case: Unjudged) {
        let case = self.judge.judge(case);
        let outputs = &mut self.outputs;
        let written = self.progress.suspend(|| outputs.case(case));
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
    /// With a thread of its own, where there are at least two.
    ///
    /// # Errors
    /// Where the thread cannot be started.
    pub(crate) fn new(writer: Writer, threads: usize) -> std::io::Result<Self> {
        let writer = Box::new(writer);
        if threads < 2 {
            return Ok(Self::Here(writer));
        }
        let (cases, waiting) = sync_channel(WAITING);
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || work(writer, &waiting))?;
        Ok(Self::Aside { cases, writer })
    }

    /// Judges and writes a case, now or soon.
    pub(crate) fn case(&mut self, case: Unjudged) {
        match self {
            Self::Here(writer) => writer.case(case),
            // It only goes before its time where it panicked, which `finish` passes on.
            Self::Aside { cases, .. } => drop(cases.send(case)),
        }
    }

    /// Closes the outputs.
    pub(crate) fn finish(self, health: &Health) -> Ending {
        let writer = match self {
            Self::Here(writer) => writer,
            Self::Aside { cases, writer } => {
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

fn work(mut writer: Box<Writer>, waiting: &Receiver<Unjudged>) -> Box<Writer> {
    while let Ok(case) = waiting.recv() {
        writer.case(case);
    }
    writer
}
