//! Bytes of a capture file: compression removed, through one buffer.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::ahead::{Ahead, Full};

/// Size of the buffer, in bytes, and so of the largest record that is read as a packet. libpcap
/// captures at most 256 KiB of a packet.
pub(super) const BUFFER: usize = 1 << 20;

/// Layers of compression that are removed: nobody wraps a file more often in earnest.
const LAYERS: usize = 4;

/// A file or standard input, with its compression removed.
pub(super) struct Input {
    reader: Box<dyn Read + Send>,
    /// The compressions that were found, outermost first.
    pub(super) layers: Vec<&'static str>,
    /// How far the outermost reader is.
    pub(super) progress: Arc<Progress>,
}

/// What the outermost reader did so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    bytes: AtomicU64,
    failed: AtomicBool,
}

impl Input {
    /// Opens a file, or standard input for `-`; also its length, where it is a regular file.
    pub(super) fn open(path: &str) -> io::Result<(Self, Option<u64>)> {
        if path == "-" {
            return Ok((Self::new(Box::new(io::stdin()))?, None));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let len = metadata.is_file().then_some(metadata.len());
        Ok((Self::new(Box::new(file))?, len))
    }

    /// Removes every layer of compression from `reader`.
    pub(super) fn new(reader: Box<dyn Read + Send>) -> io::Result<Self> {
        let progress = Arc::new(Progress::default());
        let mut input = Self {
            reader: Box::new(Counted {
                inner: reader,
                progress: Arc::clone(&progress),
            }),
            layers: Vec::new(),
            progress,
        };
        for _ in 0..LAYERS {
            let (magic, reader) = peek(input.reader)?;
            match magic.as_slice() {
                [0x1f, 0x8b, ..] => {
                    input.layers.push("gzip");
                    input.reader = Box::new(flate2::read::MultiGzDecoder::new(reader));
                }
                // A frame, or one to be skipped (RFC 8878 section 3.1).
                [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
                    input.layers.push("zstd");
                    input.reader = Box::new(zstd::stream::read::Decoder::new(reader)?);
                }
                _ => {
                    input.reader = reader;
                    break;
                }
            }
        }
        Ok(input)
    }
}

/// The first four bytes, or what there is of them, and a reader that still gives them. A fault in
/// a layer's first bytes is left to whoever reads on.
fn peek(mut reader: Box<dyn Read + Send>) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut magic = Vec::with_capacity(4);
    match reader.by_ref().take(4).read_to_end(&mut magic) {
        Ok(_) => {
            let again = io::Cursor::new(magic.clone()).chain(reader);
            Ok((magic, Box::new(again)))
        }
        Err(error) => {
            let again = io::Cursor::new(magic.clone()).chain(Failed(Some(error)));
            Ok((magic, Box::new(again)))
        }
    }
}

/// Gives one error, then the end.
struct Failed(Option<io::Error>);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

impl Progress {
    /// Bytes read so far, compressed where the file is.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether it was the file itself that could not be read, rather than what is in it.
    pub(super) fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Counts what is read of the file itself.
struct Counted {
    inner: Box<dyn Read + Send>,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buf) {
            Ok(n) => {
                let n64 = u64::try_from(n).unwrap_or(u64::MAX);
                self.progress.bytes.fetch_add(n64, Ordering::Relaxed);
                Ok(n)
            }
            Err(error) => {
                let passing = error.kind() == io::ErrorKind::Interrupted;
                self.progress.failed.fetch_or(!passing, Ordering::Relaxed);
                Err(error)
            }
        }
    }
}

/// The part of the input that lies in the buffer. Whole records are parsed in place; only the
/// beginning of one that is not whole yet is moved, once per refill.
pub(super) struct Window {
    input: Input,
    /// Where the input is read on another thread.
    ahead: Option<Ahead>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    offset: u64,
}

impl Window {
    /// An empty window at the start of `input`.
    pub(super) fn new(input: Input) -> Self {
        Self {
            input,
            ahead: None,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
        }
    }

    /// Has the rest of the input read on another thread.
    ///
    /// # Errors
    /// Where there can be none; nothing more can be read then.
    pub(super) fn read_ahead(&mut self) -> io::Result<()> {
        if self.ahead.is_none() {
            let reader = std::mem::replace(&mut self.input.reader, Box::new(io::empty()));
            self.ahead = Some(Ahead::start(reader)?);
        }
        Ok(())
    }

    /// What was read and not consumed.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Where [`bytes`](Self::bytes) begins in the decompressed file.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether nothing came after `offset`.
    pub(super) fn ended_at(&self, offset: u64) -> bool {
        self.offset == offset && self.start == self.end
    }

    /// The compressions around the file, outermost first.
    pub(super) fn layers(&self) -> &[&'static str] {
        &self.input.layers
    }

    /// How far the file was read.
    pub(super) fn progress(&self) -> &Progress {
        &self.input.progress
    }

    /// Leaves `n` bytes behind, at most those that are there.
    pub(super) fn consume(&mut self, n: usize) {
        let n = n.min(self.end - self.start);
        self.start += n;
        self.offset += n as u64;
    }

    /// Reads until there are `need` bytes (at most [`BUFFER`]); `false` where the file ends
    /// before. Takes more where more is there, and never waits for it.
    pub(super) fn fill(&mut self, need: usize) -> io::Result<bool> {
        let need = need.min(BUFFER);
        if let Some(ahead) = &mut self.ahead {
            while self.end - self.start < need {
                let Some(Full { mut buffer, end }) = ahead.next()? else {
                    return Ok(false);
                };
                let left = self.buffer.get(self.start..self.end).unwrap_or_default();
                self.start = BUFFER - left.len();
                if let Some(room) = buffer.get_mut(self.start..BUFFER) {
                    room.copy_from_slice(left);
                }
                self.end = end;
                ahead.give_back(std::mem::replace(&mut self.buffer, buffer));
            }
            return Ok(true);
        }
        // What is left is less than a record, so this moves little.
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end - self.start < need {
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.input.reader.read(room) {
                Ok(0) => return Ok(false),
                Ok(n) => self.end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Leaves `n` bytes behind, reading past those that are not there yet; `false` where the file
    /// ends before.
    pub(super) fn skip(&mut self, n: u64) -> io::Result<bool> {
        let mut left = n;
        loop {
            let here = (self.end - self.start) as u64;
            let step = left.min(here);
            self.consume(usize::try_from(step).unwrap_or(usize::MAX));
            left -= step;
            if left == 0 {
                return Ok(true);
            }
            if !self.fill(1)? {
                return Ok(false);
            }
        }
    }
}
