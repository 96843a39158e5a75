//! Capture files.

use std::io::{self, Cursor, Read};

use tracer403::decode::{Decoded, Decoder};
use tracer403::source::pcap::CaptureFile;
use tracer403::source::{Record, Source, SourceError};

const PCAP_HEADER: [u8; 24] =
    *b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0";

const PCAPNG_HEADER: [u8; 48] = *b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\
    \xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0\
    \x01\0\0\0\x14\0\0\0\x01\0\0\0\0\0\0\0\x14\0\0\0";

/// A pcap file, plain or compressed; what has no header gets one.
pub fn pcap(data: &[u8]) {
    match data {
        [0xa1 | 0xd4 | 0x4d | 0x34 | 0x1f | 0x28, ..] => check(data),
        _ => check(&[&PCAP_HEADER, data].concat()),
    }
}

/// A pcapng file; what has no header gets one.
pub fn pcapng(data: &[u8]) {
    match data {
        [0x0a, 0x0d, 0x0d, 0x0a, ..] => check(data),
        _ => check(&[&PCAPNG_HEADER, data].concat()),
    }
}

/// A capture file of either format; what has no header gets that of a pcap file.
pub(crate) fn with_header(data: &[u8]) -> Vec<u8> {
    match data {
        [0xa1 | 0xd4 | 0x4d | 0x34 | 0x1f | 0x28 | 0x0a, ..] => data.to_vec(),
        _ => [&PCAP_HEADER, data].concat(),
    }
}

/// What was read: how much, and where it ended. Two ways to read a file have to agree on it.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    records: u64,
    bytes: usize,
    digest: u64,
    damaged_at: Option<u64>,
    is_capture: bool,
}

fn check(data: &[u8]) {
    let whole = read(Box::new(Cursor::new(data.to_vec())));
    let is_compressed = matches!(data, [0x1f | 0x28 | 0x50..=0x5f, ..]);
    if is_compressed {
        return;
    }
    assert!(whole.bytes <= data.len());
    assert!(whole.damaged_at.is_none_or(|at| at <= data.len() as u64));
    let in_portions = read(Box::new(Portions(Cursor::new(data.to_vec()))));
    assert_eq!(whole, in_portions);
}

fn read(reader: Box<dyn Read + Send>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut decoder = Decoder::new();
    let mut file = match CaptureFile::from_reader("fuzz", reader) {
        Ok(file) => file,
        Err(error) => return outcome.ended(&error),
    };
    outcome.is_capture = true;
    loop {
        let more = file.next(&mut |record| {
            outcome.records += 1;
            if let Record::Packet(frame) = record {
                assert!(frame.wire_len as usize >= frame.data.len());
                outcome.bytes += frame.data.len();
                for byte in frame.data.iter().chain(&frame.at.as_nanos().to_le_bytes()) {
                    outcome.digest = outcome.digest.rotate_left(5) ^ u64::from(*byte);
                }
                if let Decoded::Tcp(segment) = decoder.decode(&frame) {
                    assert_eq!(segment.at, frame.at);
                }
            }
        });
        match more {
            Ok(true) => {}
            Ok(false) => return outcome,
            Err(error) => {
                let after = file.next(&mut |_| panic!("a record after the end"));
                assert!(matches!(after, Ok(false)));
                return outcome.ended(&error);
            }
        }
    }
}

impl Outcome {
    fn ended(self, error: &SourceError) -> Self {
        assert!(!error.to_string().is_empty());
        let damaged_at = match error {
            SourceError::Damaged { offset, .. } => Some(*offset),
            SourceError::Format { .. } => None,
            other => panic!("{other}"),
        };
        Self { damaged_at, ..self }
    }
}

/// Gives bytes in small portions of changing size.
pub(crate) struct Portions(pub(crate) Cursor<Vec<u8>>);

impl Read for Portions {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let size = (self.0.position() % 13 + 1) as usize;
        let size = size.min(buf.len());
        self.0.read(&mut buf[..size])
    }
}
