//! The packets of the reported connections, as a pcapng file (draft-ietf-opsawg-pcapng).
//!
//! Wireshark opens it, and so does this tool: the owner of each end stands as a comment on the
//! first packet that the end sent, what else the host told in custom blocks, and losses in the
//! statistics too, so a session that is read back tells the same.
//!
//! A loss that concerns a case is there twice: as a custom block between the packets, for its time,
//! and in the statistics at the end, for other programs. The block comes first, so a reader that
//! knows both takes it off the count of the statistics.

mod blocks;
mod comment;
mod line;
mod owners;
mod told;

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::{Session, Sink};
use crate::model::{Case, Health, LossPlace, Packet, Timestamp, Told};
use blocks::{block, custom, option, padded};
use owners::Owners;

/// The option for bytes of a format of one's own, which may be copied with its packet.
const CUSTOM_BINARY: u16 = 2989;

/// Raw IP, for a file that holds statistics and no packet.
const LINKTYPE_RAW: u16 = 101;

/// Facts that are remembered as written, so that none is there twice: cases that were under way at
/// the same time share them. Past this the oldest is forgotten, and may be written again.
const TOLD: usize = 4_096;

/// Writes pcapng to `W`, one write a case, so that a `W` which keeps writes whole
/// ([`WholeFile`](super::WholeFile)) holds a valid file at any time.
#[derive(Debug)]
pub struct PcapngSink<W> {
    out: W,
    /// Blocks that are not written yet.
    pending: Vec<u8>,
    /// Link types of the interfaces that are described, in order.
    interfaces: Vec<u16>,
    /// Lines of custom blocks that are written, with their time.
    told: BTreeSet<(Timestamp, String)>,
    packets: u64,
    first_at: Option<Timestamp>,
    last_at: Timestamp,
}

impl<W: Write> PcapngSink<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            pending: Vec::new(),
            interfaces: Vec::new(),
            told: BTreeSet::new(),
            packets: 0,
            first_at: None,
            last_at: Timestamp::default(),
        }
    }

    fn write_pending(&mut self) -> io::Result<()> {
        let written = self
            .out
            .write_all(&self.pending)
            .and_then(|()| self.out.flush());
        self.pending.clear();
        written
    }

    /// Writes a fact, unless it is there.
    fn tell(&mut self, told: &Told) {
        let line = told::line(told);
        let key = (told.at(), line);
        if self.told.contains(&key) {
            return;
        }
        custom(&mut self.pending, &key.1);
        self.told.insert(key);
        if self.told.len() > TOLD {
            self.told.pop_first();
        }
    }

    fn packet(&mut self, packet: &Packet, flags: u32, comments: &[String]) {
        let interface = self.interface(packet.link_type);
        block(&mut self.pending, 6, |out| {
            out.extend_from_slice(&interface.to_le_bytes());
            time(out, packet.at);
            let captured = u32::try_from(packet.data.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&captured.to_le_bytes());
            out.extend_from_slice(&packet.wire_len.max(captured).to_le_bytes());
            padded(out, &packet.data);
            if flags != 0 || !comments.is_empty() || packet.settled.is_some() || packet.lost != 0 {
                for comment in comments {
                    option(out, 1, comment.as_bytes());
                }
                if flags != 0 {
                    option(out, 2, &flags.to_le_bytes());
                }
                if let Some(settled) = packet.settled {
                    option(out, CUSTOM_BINARY, &blocks::settled(settled));
                }
                if packet.lost != 0 {
                    option(out, CUSTOM_BINARY, &blocks::lost(packet.lost));
                }
                option(out, 0, &[]);
            }
        });
        self.packets += 1;
        self.first_at.get_or_insert(packet.at);
        self.last_at = self.last_at.max(packet.at);
    }

    /// The number of the interface for a link type; there is one for each.
    fn interface(&mut self, link_type: u16) -> u32 {
        let known = self.interfaces.iter().position(|l| *l == link_type);
        let place = known.unwrap_or_else(|| {
            interface_description(&mut self.pending, link_type);
            self.interfaces.push(link_type);
            self.interfaces.len() - 1
        });
        // There are no more interfaces than 16-bit link types.
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    fn statistics(&mut self, health: &Health) {
        let link_type = self.interfaces.first().copied().unwrap_or(LINKTYPE_RAW);
        let interface = self.interface(link_type);
        let lost = |wanted: &[LossPlace]| {
            let counts = health
                .lost
                .iter()
                .filter(|(place, _)| wanted.contains(place));
            counts.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count))
        };
        let by_interface = lost(&[LossPlace::CaptureFile]);
        let by_system = lost(&[LossPlace::RingPacket, LossPlace::PacketUnreadable]);
        block(&mut self.pending, 5, |out| {
            out.extend_from_slice(&interface.to_le_bytes());
            time(out, self.last_at);
            for (code, at) in [(2, self.first_at), (3, self.first_at.map(|_| self.last_at))] {
                if let Some(at) = at {
                    let mut value = Vec::with_capacity(8);
                    time(&mut value, at);
                    option(out, code, &value);
                }
            }
            for (code, count) in [
                (4, health.packets),
                (5, by_interface),
                (7, by_system),
                (8, self.packets),
            ] {
                option(out, code, &count.to_le_bytes());
            }
            option(out, 0, &[]);
        });
    }
}

impl<W: Write + Send> Sink for PcapngSink<W> {
    fn start(&mut self, session: &Session) -> io::Result<()> {
        section_header(&mut self.pending);
        if let Some(ports) = &session.ports {
            custom(&mut self.pending, &told::ports(ports));
        }
        self.write_pending()
    }

    fn case(&mut self, case: &Case) -> io::Result<()> {
        let owners = Owners::of(case);
        let (watching, mut facts): (Vec<_>, Vec<_>) = case
            .told
            .iter()
            .partition(|told| matches!(told, Told::Watching { .. }));
        facts.sort_by_key(|told| told.at());
        let mut facts = facts.into_iter().peekable();
        for told in watching {
            self.tell(told);
        }
        for (place, packet) in case.packets.iter().enumerate() {
            // Behind the packets of its time: a loss counts for what had begun by then.
            while let Some(told) = facts.next_if(|told| told.at() < packet.at) {
                self.tell(told);
            }
            self.packet(packet, owners.flags(packet), owners.comments(place));
        }
        for told in facts {
            self.tell(told);
        }
        self.write_pending()
    }

    fn finish(&mut self, health: &Health) -> io::Result<()> {
        for missing in &health.missing {
            custom(&mut self.pending, &told::missing(missing));
        }
        self.statistics(health);
        self.write_pending()
    }
}

fn section_header(out: &mut Vec<u8>) {
    block(out, 0x0a0d_0d0a, |out| {
        out.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
        out.extend_from_slice(&1_u16.to_le_bytes());
        out.extend_from_slice(&0_u16.to_le_bytes());
        // Its length is not known before its end.
        out.extend_from_slice(&u64::MAX.to_le_bytes());
        option(out, 3, std::env::consts::OS.as_bytes());
        option(
            out,
            4,
            concat!("tracer403 ", env!("CARGO_PKG_VERSION")).as_bytes(),
        );
        option(out, 0, &[]);
    });
}

fn interface_description(out: &mut Vec<u8>, link_type: u16) {
    block(out, 1, |out| {
        out.extend_from_slice(&link_type.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        // No bound on a packet's length.
        out.extend_from_slice(&0_u32.to_le_bytes());
        // Time stamps in nanoseconds.
        option(out, 9, &[9]);
        option(out, 0, &[]);
    });
}

/// A time stamp: its upper half first, whatever the byte order.
fn time(out: &mut Vec<u8>, at: Timestamp) {
    let nanos = at.as_nanos();
    for half in [(nanos >> 32) as u32, (nanos & 0xffff_ffff) as u32] {
        out.extend_from_slice(&half.to_le_bytes());
    }
}
