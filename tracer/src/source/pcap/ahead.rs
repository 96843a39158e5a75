//! A file that is read on a thread of its own, a few buffers ahead of whoever takes its records.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::input::BUFFER;

/// Bytes that are read at once: few enough to be in the processor's caches still when they are
/// parsed.
const STEP: usize = 256 << 10;
/// Buffers that go to and fro.
const BUFFERS: usize = 4;

/// The thread, and the buffers under way.
pub(super) struct Ahead {
    full: Receiver<io::Result<Full>>,
    empty: Sender<Box<[u8]>>,
    thread: Option<JoinHandle<()>>,
}

/// A buffer in which bytes of the file begin at [`BUFFER`]. Before them there is room for the
/// beginning of a record that ends in them.
pub(super) struct Full {
    pub(super) buffer: Box<[u8]>,
    pub(super) end: usize,
}

impl Ahead {
    /// Starts to read.
    ///
    /// # Errors
    /// Where there can be no thread.
    pub(super) fn start(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let (to_full, full) = channel();
        let (empty, from_empty) = channel();
        let thread = std::thread::Builder::new()
            .name("reader".to_owned())
            .spawn(move || read(reader, &from_empty, &to_full))?;
        let ahead = Self {
            full,
            empty,
            thread: Some(thread),
        };
        for _ in 0..BUFFERS {
            ahead.give_back(vec![0; BUFFER + STEP].into_boxed_slice());
        }
        Ok(ahead)
    }

    /// The next bytes; `None` at the end of the file.
    ///
    /// # Errors
    /// Where the file cannot be read any further: once, and it ends there.
    pub(super) fn next(&mut self) -> io::Result<Option<Full>> {
        if let Ok(next) = self.full.recv() {
            return next.map(Some);
        }
        // The thread is done; a panic is passed on.
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            _ => Ok(None),
        }
    }

    /// Takes a buffer back of which nothing is needed any more; one of another size is let go.
    pub(super) fn give_back(&self, buffer: Box<[u8]>) {
        if buffer.len() == BUFFER + STEP {
            // Where the thread is done, nobody takes it.
            drop(self.empty.send(buffer));
        }
    }
}

/// Fills buffers until the file ends, or nobody wants more.
fn read(
    mut reader: Box<dyn Read + Send>,
    empty: &Receiver<Box<[u8]>>,
    full: &Sender<io::Result<Full>>,
) {
    while let Ok(mut buffer) = empty.recv() {
        let mut end = BUFFER;
        let ended = loop {
            let Some(room) = buffer.get_mut(end..).filter(|room| !room.is_empty()) else {
                break Ok(false);
            };
            match reader.read(room) {
                Ok(0) => break Ok(true),
                Ok(n) => end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let is_sent = full.send(Ok(Full { buffer, end })).is_ok();
        match ended {
            Ok(false) if is_sent => {}
            Ok(_) => return,
            Err(error) => return drop(full.send(Err(error))),
        }
    }
}
