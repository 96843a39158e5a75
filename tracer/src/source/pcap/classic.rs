//! The pcap format: one header, then packets (draft-ietf-opsawg-pcap).

use super::input::BUFFER;
use super::order::Order;
use super::{Step, wire_len};
use crate::model::Timestamp;
use crate::source::{Frame, Record, Vantage};

/// Bytes of the file header.
pub(super) const HEADER: usize = 24;

/// What the file header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pcap {
    order: Order,
    /// Nanoseconds in a unit of the second number of a time stamp.
    fraction: u64,
    /// Bytes of a packet's header.
    packet_header: usize,
    link_type: u16,
}

impl Pcap {
    /// Reads the file header; `None` where it is not that of a pcap file.
    pub(super) fn new(header: &[u8]) -> Option<Self> {
        let (order, fraction, packet_header) = match *header.first_chunk()? {
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1_000, 16),
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1_000, 16),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1, 16),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1, 16),
            // "Modified" pcap of old Linux systems: interface, protocol and type follow.
            [0x34, 0xcd, 0xb2, 0xa1] => (Order::Little, 1_000, 24),
            [0xa1, 0xb2, 0xcd, 0x34] => (Order::Big, 1_000, 24),
            _ => return None,
        };
        Some(Self {
            order,
            fraction,
            packet_header,
            // The upper half tells of a frame check sequence, which IP's own length leaves out.
            link_type: (order.u32_at(header, 20)? & 0xffff) as u16,
        })
    }

    /// Reads the packet at the start of `bytes` and hands it out.
    pub(super) fn step(
        &self,
        bytes: &[u8],
        sink: &mut dyn FnMut(Record<'_>),
    ) -> Result<Step, String> {
        let Some((header, rest)) = bytes.split_at_checked(self.packet_header) else {
            return Ok(Step::Need(self.packet_header));
        };
        let [seconds, fraction, captured, on_wire, ..] = *header.as_chunks().0 else {
            return Ok(Step::Need(self.packet_header));
        };
        let number = |raw| self.order.u32_of(raw);
        let captured = number(captured) as usize;
        let whole = self.packet_header.saturating_add(captured);
        if whole > BUFFER {
            return Err(format!("a packet of {captured} bytes"));
        }
        let Some(data) = rest.get(..captured) else {
            return Ok(Step::Need(whole));
        };
        let fraction = u64::from(number(fraction)) * self.fraction;
        let nanos = u64::from(number(seconds)) * 1_000_000_000 + fraction;
        sink(Record::Packet(Frame {
            at: Timestamp::from_nanos(nanos),
            link_type: self.link_type,
            wire_len: wire_len(number(on_wire), data),
            data,
            vantage: Vantage::default(),
        }));
        Ok(Step::Consumed(whole))
    }
}
