//! The packets of the reported connections, as a pcapng file (draft-ietf-opsawg-pcapng).
//!
//! Wireshark opens it, and so does this tool: the owner of each end stands as a comment on the
//! first packet that the end sent, and losses stand in the statistics, so a session that is read
//! back tells the same.

mod blocks;
mod comment;

use std::io::{self, Write};

use super::{Session, Sink};
use crate::model::{Case, Direction, Endpoint, Health, LossPlace, Packet, Timestamp};
use blocks::{block, option, padded};

/// Raw IP, for a file that holds statistics and no packet.
const LINKTYPE_RAW: u16 = 101;

/// Writes pcapng to `W`, one write a case, so that a `W` which keeps writes whole
/// ([`WholeFile`](super::WholeFile)) holds a valid file at any time.
#[derive(Debug)]
pub struct PcapngSink<W> {
    out: W,
    /// Blocks that are not written yet.
    pending: Vec<u8>,
    /// Link types of the interfaces that are described, in order.
    interfaces: Vec<u16>,
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

    fn packet(&mut self, packet: &Packet, flags: u32, comments: &[&str]) {
        let interface = self.interface(packet.link_type);
        block(&mut self.pending, 6, |out| {
            out.extend_from_slice(&interface.to_le_bytes());
            time(out, packet.at);
            let captured = u32::try_from(packet.data.len()).unwrap_or(u32::MAX);
            out.extend_from_slice(&captured.to_le_bytes());
            out.extend_from_slice(&packet.wire_len.max(captured).to_le_bytes());
            padded(out, &packet.data);
            if flags != 0 || !comments.is_empty() {
                for comment in comments {
                    option(out, 1, comment.as_bytes());
                }
                if flags != 0 {
                    option(out, 2, &flags.to_le_bytes());
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

impl<W: Write> Sink for PcapngSink<W> {
    fn start(&mut self, _session: &Session) -> io::Result<()> {
        section_header(&mut self.pending);
        self.write_pending()
    }

    fn case(&mut self, case: &Case) -> io::Result<()> {
        let exchange = case.exchange();
        let client = comment::end(case.number, "client", &exchange.client, &exchange.server);
        let server = comment::end(case.number, "server", &exchange.server, &exchange.client);
        let first = |direction| case.packets.iter().position(|p| p.direction == direction);
        // An end that sent nothing is named on the first packet of the other.
        let client_at = first(Direction::ClientToServer).unwrap_or(0);
        let server_at = first(Direction::ServerToClient).unwrap_or(0);
        for (place, packet) in case.packets.iter().enumerate() {
            let comments = [(client_at, &client), (server_at, &server)];
            let comments: Vec<_> = comments
                .into_iter()
                .filter(|(at, _)| *at == place)
                .map(|(_, text)| text.as_str())
                .collect();
            let flags = direction_flags(&exchange.client, &exchange.server, packet.direction);
            self.packet(packet, flags, &comments);
        }
        self.write_pending()
    }

    fn finish(&mut self, health: &Health) -> io::Result<()> {
        self.statistics(health);
        self.write_pending()
    }
}

/// 1 inbound, 2 outbound; 0 where both ends are here, or neither.
fn direction_flags(client: &Endpoint, server: &Endpoint, direction: Direction) -> u32 {
    let is_here = |end: &Endpoint| end.owner.is_some() || end.cookie != 0;
    match (is_here(client), is_here(server), direction) {
        (true, false, Direction::ClientToServer) | (false, true, Direction::ServerToClient) => 2,
        (true, false, Direction::ServerToClient) | (false, true, Direction::ClientToServer) => 1,
        _ => 0,
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
