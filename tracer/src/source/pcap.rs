//! Capture files: pcap and pcapng, plain or compressed, as a stream of records.
//!
//! The reader is this module's own: packets are handed out where they lie in one buffer, memory
//! does not grow with the file, and a fault has its exact offset, none of which a general parser
//! gives. A file's lengths are believed only as far as the bytes are there.

mod ahead;
mod classic;
mod comment;
mod input;
mod line;
mod ng;
mod order;
#[cfg(test)]
mod tests;
mod told;

use std::io::{self, Read};

use super::{Record, Source, SourceError};
use crate::ports::Ports;
use input::{Input, Window};

/// A capture file that is being read.
pub struct CaptureFile {
    path: String,
    len: Option<u64>,
    window: Window,
    state: State,
    /// What the file said of the ports, once it is read to its end.
    ports: Option<Ports>,
}

enum State {
    Pcap(classic::Pcap),
    Pcapng(ng::Pcapng),
    Over,
}

/// What a format found at the start of the window.
enum Step {
    /// A record of this many bytes, handed out.
    Consumed(usize),
    /// A record that needs this many bytes to go on.
    Need(usize),
    /// A record of this many bytes that nobody needs.
    Skip(u64),
}

impl CaptureFile {
    /// Opens a file, or standard input for `-`, and reads its header. The format and the
    /// compression (gzip, zstd) are told by the first bytes, never by the name.
    ///
    /// # Errors
    /// [`SourceError::Read`] where it cannot be read, [`SourceError::Format`] where it is no
    /// capture, [`SourceError::Damaged`] where it ends within its header.
    pub fn open(path: &str) -> Result<Self, SourceError> {
        let (input, len) = Input::open(path).map_err(|source| read_error(path, source))?;
        Self::start(path, input, len)
    }

    /// Reads a capture from `reader`; errors call it `name`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_reader(name: &str, reader: Box<dyn Read + Send>) -> Result<Self, SourceError> {
        let input = Input::new(reader).map_err(|source| read_error(name, source))?;
        Self::start(name, input, None)
    }

    /// Has the rest of the file read, and its compression removed, on another thread: some 1 MiB
    /// ahead of the records that are handed out, which stay the same.
    ///
    /// # Errors
    /// [`SourceError::Read`] where there can be no such thread.
    pub fn read_ahead(&mut self) -> Result<(), SourceError> {
        let started = self.window.read_ahead();
        started.map_err(|source| read_error(&self.path, source))
    }

    /// Bytes of the file (compressed, where it is) read so far.
    pub fn position(&self) -> u64 {
        self.window.progress().bytes()
    }

    /// Bytes of the file (compressed, where it is); `None` for a pipe.
    #[expect(
        clippy::len_without_is_empty,
        reason = "an empty file cannot be opened"
    )]
    pub fn len(&self) -> Option<u64> {
        self.len
    }

    /// The ports that this tool traced as it wrote the file, as far as it is read by now; `None`
    /// where it does not say so.
    pub fn ports(&self) -> Option<&Ports> {
        match &self.state {
            State::Pcapng(format) => format.ports(),
            State::Pcap(_) => None,
            State::Over => self.ports.as_ref(),
        }
    }

    fn start(path: &str, input: Input, len: Option<u64>) -> Result<Self, SourceError> {
        let mut file = Self {
            path: path.to_owned(),
            len,
            window: Window::new(input),
            state: State::Over,
            ports: None,
        };
        let whole = match file.window.fill(classic::HEADER) {
            Ok(whole) => whole,
            Err(error) => return Err(file.failed(error)),
        };
        let bytes = file.window.bytes();
        if bytes.starts_with(&ng::SECTION_HEADER) {
            file.state = State::Pcapng(ng::Pcapng::new());
        } else if let Some(format) = classic::Pcap::new(bytes) {
            file.window.consume(classic::HEADER);
            file.state = State::Pcap(format);
        } else if !whole && bytes.len() >= 4 && is_pcap_magic(bytes) {
            return Err(file.damaged(0, "it ends within the file header".into()));
        } else {
            return Err(SourceError::Format {
                path: file.path,
                what: describe(bytes, file.window.layers()),
            });
        }
        Ok(file)
    }

    /// Nothing more will be read after this.
    fn end(&mut self) {
        self.ports = self.ports().cloned();
        self.state = State::Over;
    }

    /// The file makes no sense from here on.
    fn damaged(&mut self, offset: u64, what: String) -> SourceError {
        self.end();
        SourceError::Damaged {
            path: self.path.clone(),
            offset,
            what,
        }
    }

    /// The file could not be read, or its compression is damaged.
    fn failed(&mut self, error: io::Error) -> SourceError {
        if self.window.progress().failed() {
            self.end();
            return read_error(&self.path, error);
        }
        let layers = self.window.layers().join(" in ");
        let read = self.window.offset() + self.window.bytes().len() as u64;
        self.damaged(
            read,
            format!("its {layers} compression is damaged: {error}"),
        )
    }
}

impl Source for CaptureFile {
    /// Hands out a buffer's worth of records.
    fn next(&mut self, sink: &mut dyn FnMut(Record<'_>)) -> Result<bool, SourceError> {
        let mut any = false;
        loop {
            let at = self.window.offset();
            let bytes = self.window.bytes();
            let step = match &mut self.state {
                State::Pcap(format) => format.step(bytes, sink),
                State::Pcapng(format) => format.step(bytes, sink),
                State::Over => return Ok(false),
            };
            let filled = match step {
                Ok(Step::Consumed(n)) => {
                    self.window.consume(n);
                    any = true;
                    continue;
                }
                Ok(Step::Need(_)) if any => return Ok(true),
                Ok(Step::Need(n)) => self.window.fill(n),
                Ok(Step::Skip(n)) => self.window.skip(n),
                Err(what) => return Err(self.damaged(at, what)),
            };
            match filled {
                Ok(true) => {}
                Ok(false) if self.window.ended_at(at) => {
                    self.end();
                    return Ok(false);
                }
                Ok(false) => return Err(self.damaged(at, "it ends within a record".into())),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }
}

/// Length on the wire: what the file says, or what it holds where that is more.
fn wire_len(said: u32, data: &[u8]) -> u32 {
    said.max(u32::try_from(data.len()).unwrap_or(u32::MAX))
}

fn read_error(path: &str, source: io::Error) -> SourceError {
    SourceError::Read {
        path: path.to_owned(),
        source,
    }
}

/// Whether a file that is too short for a header would have been pcap.
fn is_pcap_magic(bytes: &[u8]) -> bool {
    let mut header = [0; classic::HEADER];
    for (to, from) in header.iter_mut().zip(bytes) {
        *to = *from;
    }
    classic::Pcap::new(&header).is_some()
}

/// What a file is that is no capture.
fn describe(bytes: &[u8], layers: &[&str]) -> String {
    const KNOWN: [(&[u8], &str); 8] = [
        (b"\x7fELF", "a program (ELF)"),
        (b"\xfd7zXZ", "an xz archive: unpack it first"),
        (b"BZh", "a bzip2 archive: unpack it first"),
        (b"\x04\x22\x4d\x18", "an lz4 archive: unpack it first"),
        (b"PK\x03\x04", "a zip archive: unpack it first"),
        (b"snoop\0", "a snoop capture: convert it with editcap"),
        (
            b"GMBU",
            "a Network Monitor capture: convert it with editcap",
        ),
        (b"{\"", "JSON"),
    ];
    let head = bytes.get(..bytes.len().min(16)).unwrap_or_default();
    let found = KNOWN.iter().find(|(magic, _)| head.starts_with(magic));
    let what = match (head, found) {
        ([], _) => "it is empty".to_owned(),
        (_, Some((_, what))) => format!("it is {what}"),
        _ if head
            .iter()
            .all(|b| matches!(b, b' '..=b'~' | b'\t' | b'\r' | b'\n')) =>
        {
            format!(
                "it starts with the text {:?}",
                String::from_utf8_lossy(head)
            )
        }
        _ => {
            let hex: Vec<_> = head.iter().take(4).map(|b| format!("{b:02x}")).collect();
            format!("it starts with {}", hex.join(" "))
        }
    };
    match layers {
        [] => what,
        _ => format!("without its {} compression, {what}", layers.join(" in ")),
    }
}
