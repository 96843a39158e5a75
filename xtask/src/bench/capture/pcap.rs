//! Classic capture files: TCP packets made by hand, and records as they are.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// Nanoseconds from packet to packet.
const STEP: u64 = 10_000;
/// 2026-01-01T00:00:00Z.
pub(super) const START: u64 = 1_767_225_600_000_000_000;
/// LINKTYPE_ETHERNET of the pcap registry.
pub(super) const ETHERNET: u32 = 1;

pub(super) const SYN: u8 = 0x02;
pub(super) const ACK: u8 = 0x10;
pub(super) const PSH_ACK: u8 = 0x18;
pub(super) const FIN_ACK: u8 = 0x11;

/// An address and a port.
pub(super) type End = ([u8; 4], u16);

/// A pcap file with nanoseconds, of Ethernet frames.
pub(super) struct Pcap<W> {
    pub(super) out: W,
    at: u64,
    frame: Vec<u8>,
}

impl Pcap<BufWriter<File>> {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Self::start(BufWriter::with_capacity(1 << 20, file))
    }
}

impl<W: Write> Pcap<W> {
    pub(super) fn start(mut out: W) -> Result<Self> {
        out.write_all(&0xa1b2_3c4d_u32.to_le_bytes())?;
        for half in [2_u16, 4] {
            out.write_all(&half.to_le_bytes())?;
        }
        // Time zone, accuracy, snap length, Ethernet.
        for word in [0_u32, 0, 262_144, ETHERNET] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Self {
            out,
            at: START,
            frame: Vec::with_capacity(2048),
        })
    }

    /// A TCP packet over IPv4, with checksums, a step after the one before.
    pub(super) fn tcp(
        &mut self,
        from: End,
        to: End,
        (seq, ack, flags): (u32, u32, u8),
        payload: &[u8],
    ) -> Result<()> {
        let total = u16::try_from(40 + payload.len())?;
        let mut ip = [0_u8; 20];
        put(&mut ip, 0, &[0x45, 0]);
        put(&mut ip, 2, &total.to_be_bytes());
        put(&mut ip, 6, &[0x40, 0, 64, 6]);
        put(&mut ip, 12, &from.0);
        put(&mut ip, 16, &to.0);
        let checksum = !fold(sum(&ip, 0));
        put(&mut ip, 10, &checksum.to_be_bytes());

        let mut tcp = [0_u8; 20];
        put(&mut tcp, 0, &from.1.to_be_bytes());
        put(&mut tcp, 2, &to.1.to_be_bytes());
        put(&mut tcp, 4, &seq.to_be_bytes());
        put(&mut tcp, 8, &ack.to_be_bytes());
        put(&mut tcp, 12, &[0x50, flags, 0xff, 0xff]);
        let pseudo = sum(&[from.0, to.0].concat(), 6 + u64::from(total) - 20);
        let checksum = !fold(sum(payload, sum(&tcp, pseudo)));
        put(&mut tcp, 16, &checksum.to_be_bytes());

        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        frame.extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00]);
        frame.extend(ip);
        frame.extend(tcp);
        frame.extend(payload);
        self.record(self.at, u32::try_from(frame.len())?, &frame)?;
        self.frame = frame;
        self.at += STEP;
        Ok(())
    }

    /// A frame at a time, in nanoseconds since 1970, with its length on the wire.
    pub(super) fn record(&mut self, at: u64, wire_len: u32, frame: &[u8]) -> Result<()> {
        for word in [
            u32::try_from(at / 1_000_000_000)?,
            u32::try_from(at % 1_000_000_000)?,
            u32::try_from(frame.len())?,
            wire_len,
        ] {
            self.out.write_all(&word.to_le_bytes())?;
        }
        Ok(self.out.write_all(frame)?)
    }
}

fn put(header: &mut [u8; 20], at: usize, bytes: &[u8]) {
    header
        .iter_mut()
        .skip(at)
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
}

/// The sum of the 16-bit words, not yet folded (RFC 1071).
fn sum(bytes: &[u8], start: u64) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let whole = words.iter().fold(start, |sum, word| {
        sum + u64::from(u16::from_be_bytes(*word))
    });
    whole + rest.first().map_or(0, |byte| u64::from(*byte) << 8)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
