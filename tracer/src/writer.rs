//! Cases on their way out: judged, cleared of secrets, and handed to the outputs; on a thread of
//! their own where there may be one, with the help of the thread that reads where that waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use tracer403::model::Health;
use tracer403::output::redact::{Presentable, Redactor, Secrets};
use tracer403::output::{self, OutputError, Outputs};
use tracer403::pipeline::{Groups, Judge, Judged, Shape, Unjudged};

use crate::progress::Progress;
use crate::session::Ending;

/// Judges cases and writes them.
pub(crate) struct Writer {
    clerk: Clerk,
    groups: Groups,
    outputs: Outputs,
    /// Set where an output failed.
    pub(crate) stop: Arc<AtomicBool>,
    ending: Ending,
    /// Taken off the terminal while something is written.
    pub(crate) progress: Progress,
}

/// Does what is done to each case by itself, and so can be done anywhere and in any order.
struct Clerk {
    judge: Judge,
    redactor: Redactor,
}

/// A case of which only the group is not known, which its place among the others tells.
struct Ready {
    case: Presentable,
    shape: Shape,
}

/// Cases that go together.
enum Batch {
    Unjudged(Vec<Unjudged>),
    Ready(Vec<Ready>),
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
        batches: SyncSender<Batch>,
        /// For the thread that reads.
        clerk: Box<Clerk>,
        writer: JoinHandle<Box<Writer>>,
    },
}

/// Cases go together, so that each step finds its code and tables in the processor's caches from
/// the second on; few where each can hold some MiB of packets.
const BATCH: usize = 32;
const BATCH_WITH_PACKETS: usize = 4;
/// Batches that wait for the other thread; past it, the thread that reads judges some itself, for
/// which it leaves code that it has at hand for code that it has not.
const WAITING: usize = 8;
const WAITING_WITH_PACKETS: usize = 2;

impl Clerk {
    /// Each step is done to all of them before the next one: it finds its code and tables in the
    /// processor's caches.
    fn work(&mut self, cases: Vec<Unjudged>) -> Vec<Ready> {
        let judged = cases.into_iter().map(|case| self.judge.judge(case));
        let judged: Vec<_> = judged.collect();
        let cleared = judged.into_iter().map(|Judged { case, shape }| Ready {
            case: self.redactor.present(case),
            shape,
        });
        cleared.collect()
    }

    fn another(&self) -> Self {
        Self {
            judge: self.judge.another(),
            redactor: self.redactor.another(),
        }
    }
}

impl Writer {
    /// For these outputs; sets `stop` where one fails.
    pub(crate) fn new(judge: Judge, outputs: Outputs, stop: Arc<AtomicBool>) -> Self {
        Self {
            clerk: Clerk {
                judge,
                redactor: outputs.redactor(),
            },
            groups: Groups::default(),
            outputs,
            stop,
            ending: Ending::AsAsked,
            progress: Progress::default(),
        }
    }

    /// Tells the outputs what is known before the first case.
    pub(crate) fn start(&mut self, about: &output::Session) {
        let started = self.outputs.start(about);
        self.note(started);
    }

    fn batch(&mut self, batch: Batch) {
        let cases = match batch {
            Batch::Unjudged(cases) => self.clerk.work(cases),
            Batch::Ready(cases) => cases,
        };
        let cases = cases.into_iter().map(|Ready { mut case, shape }| {
            let (number, at) = (case.case().number, case.case().exchange().started_at());
            case.set_group(self.groups.count(shape, number, at));
            case
        });
        let cases: Vec<_> = cases.collect();
        let outputs = &mut self.outputs;
        let written = self.progress.suspend(|| outputs.present(&cases));
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
        let (batch, most) = match keeps_packets {
            true => (BATCH_WITH_PACKETS, WAITING_WITH_PACKETS),
            false => (BATCH, WAITING),
        };
        let writer = Box::new(writer);
        if threads < 2 {
            let place = Place::Here(writer);
            return Ok(Self { batch, place });
        }
        let (batches, waiting) = sync_channel(most);
        let clerk = Box::new(writer.clerk.another());
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || work(writer, &waiting))?;
        let place = Place::Aside {
            batches,
            clerk,
            writer,
        };
        Ok(Self { batch, place })
    }

    /// Most cases that it takes at once.
    pub(crate) const fn batch(&self) -> usize {
        self.batch
    }

    /// Judges and writes cases, now or soon.
    pub(crate) fn cases(&mut self, cases: Vec<Unjudged>) {
        match &mut self.place {
            Place::Here(writer) => writer.batch(Batch::Unjudged(cases)),
            Place::Aside { batches, clerk, .. } => {
                let sent = batches.try_send(Batch::Unjudged(cases));
                // The writer only goes before its time where it panicked, which `finish` passes on.
                if let Err(TrySendError::Full(Batch::Unjudged(cases))) = sent {
                    drop(batches.send(Batch::Ready(clerk.work(cases))));
                }
            }
        }
    }

    /// Closes the outputs.
    pub(crate) fn finish(self, health: &Health) -> Ending {
        let writer = match self.place {
            Place::Here(writer) => writer,
            Place::Aside {
                batches, writer, ..
            } => {
                drop(batches);
                match writer.join() {
                    Ok(writer) => writer,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        };
        writer.finish(health)
    }
}

fn work(mut writer: Box<Writer>, waiting: &Receiver<Batch>) -> Box<Writer> {
    while let Ok(batch) = waiting.recv() {
        writer.batch(batch);
    }
    writer
}
