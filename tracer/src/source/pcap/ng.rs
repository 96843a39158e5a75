//! The pcapng format: sections of blocks (draft-ietf-opsawg-pcapng).

use super::input::BUFFER;
use super::order::Order;
use super::{Step, comment, told, wire_len};
use crate::model::{LossPlace, Settled, Timestamp};
use crate::ports::Ports;
use crate::source::{Frame, Hook, Record, Vantage};

/// Type of a section header block; the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Largest block that is stepped over, in bytes: Wireshark's bound. More is damage.
const LARGEST_SKIPPED: u32 = 128 << 20;

/// Interfaces of a section; bounds a file that declares them without end.
const INTERFACES: usize = 65_536;

/// What the section so far says.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Order,
    interfaces: Vec<Interface>,
    /// Time of the packet before: simple packet blocks have none of their own.
    last: Timestamp,
    /// Losses that custom blocks have told and that statistics are still to count.
    told_lost: u64,
    /// The ports that the writer traced, where it says so.
    ports: Option<Ports>,
}

/// What an interface description block says.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u16,
    snap_len: u32,
    resolution: Resolution,
    /// Seconds to add to each time stamp.
    offset: i64,
    /// Packets that statistics blocks have reported lost so far: their counts only grow.
    lost: u64,
}

/// Length of a time stamp's unit.
#[derive(Clone, Copy, Debug)]
enum Resolution {
    /// This many nanoseconds.
    Nanos(u64),
    /// This part of a nanosecond.
    PerNano(u64),
    /// Two to the minus this many seconds.
    Binary(u32),
}

/// Where a packet's data begins in its block's body, and the numbers before it.
struct Packet {
    interface: u32,
    at: Option<u64>,
    captured: u32,
    wire_len: u32,
    data: usize,
}

impl Pcapng {
    /// Before the first section header.
    pub(super) fn new() -> Self {
        Self {
            order: Order::Little,
            interfaces: Vec::new(),
            last: Timestamp::default(),
            told_lost: 0,
            ports: None,
        }
    }

    /// The ports that the writer of the latest section traced, where it says so.
    pub(super) fn ports(&self) -> Option<&Ports> {
        self.ports.as_ref()
    }

    /// Reads the block at the start of `bytes` and hands out what it holds.
    pub(super) fn step(
        &mut self,
        bytes: &[u8],
        sink: &mut dyn FnMut(Record<'_>),
    ) -> Result<Step, String> {
        let Some(header) = bytes.first_chunk::<12>() else {
            return Ok(Step::Need(12));
        };
        if header.starts_with(&SECTION_HEADER) {
            self.order = match header {
                [.., 0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
                [.., 0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
                _ => return Err("a section header without a byte order".into()),
            };
        }
        let order = self.order;
        let kind = order.u32_at(header, 0).unwrap_or_default();
        let len = order.u32_at(header, 4).unwrap_or_default();
        if len < 12 || !len.is_multiple_of(4) {
            return Err(format!("a block of {len} bytes"));
        }
        let whole = len as usize;
        if whole > BUFFER {
            // Packets are bounded by what can be captured; names, keys and the like are not.
            let wanted = header.starts_with(&SECTION_HEADER) || matches!(kind, 1..=3 | 5 | 6);
            return if wanted || len > LARGEST_SKIPPED {
                Err(format!("a block of {len} bytes"))
            } else {
                Ok(Step::Skip(u64::from(len)))
            };
        }
        let Some(block) = bytes.get(..whole) else {
            return Ok(Step::Need(whole));
        };
        if order.u32_at(block, whole - 4) != Some(len) {
            return Err("a block whose two lengths differ".into());
        }
        let body = block.get(8..whole - 4).unwrap_or_default();
        match kind {
            _ if header.starts_with(&SECTION_HEADER) => self.section(body)?,
            1 => self.interface(body)?,
            2 => self.packet(old_packet(order, body), body, sink)?,
            3 => self.packet(self.simple_packet(body), body, sink)?,
            5 => self.statistics(body, sink)?,
            6 => self.packet(enhanced_packet(order, body), body, sink)?,
            // The kind that may be copied, and the one that may not.
            0x0000_0bad | 0x4000_0bad => self.custom(body, sink),
            _ => {}
        }
        Ok(Step::Consumed(whole))
    }

    fn section(&mut self, body: &[u8]) -> Result<(), String> {
        let major = self.order.u16_at(body, 4).ok_or("a short section header")?;
        if major != 1 {
            return Err(format!("a section of version {major}, which is not known"));
        }
        self.interfaces.clear();
        self.told_lost = 0;
        self.ports = None;
        Ok(())
    }

    fn interface(&mut self, body: &[u8]) -> Result<(), String> {
        const SHORT: &str = "a short interface description";
        if self.interfaces.len() >= INTERFACES {
            return Err(format!("more than {INTERFACES} interfaces"));
        }
        let mut interface = Interface {
            link_type: self.order.u16_at(body, 0).ok_or(SHORT)?,
            snap_len: self.order.u32_at(body, 4).ok_or(SHORT)?,
            resolution: Resolution::Nanos(1_000),
            offset: 0,
            lost: 0,
        };
        for (code, value) in options(self.order, body, 8) {
            match (code, value) {
                (9, &[unit, ..]) => interface.resolution = Resolution::new(unit),
                (14, _) => {
                    let offset = self.order.u64_at(value, 0).unwrap_or_default();
                    interface.offset = offset.cast_signed();
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(())
    }

    fn packet(
        &mut self,
        packet: Option<Packet>,
        body: &[u8],
        sink: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), String> {
        let packet = packet.ok_or("a short packet block")?;
        let interface = self
            .interfaces
            .get(packet.interface as usize)
            .ok_or_else(|| format!("a packet of interface {}, not described", packet.interface))?;
        let captured = packet.captured as usize;
        let data = body
            .get(packet.data..)
            .and_then(|rest| rest.get(..captured))
            .ok_or_else(|| format!("a packet of {captured} bytes in a smaller block"))?;
        if let Some(ticks) = packet.at {
            self.last = interface.time(ticks);
        }
        let mut vantage = Vantage::default();
        let after = packet.data + captured.next_multiple_of(4);
        for (code, value) in options(self.order, body, after) {
            match code {
                1 => {
                    if let Some(owner) = comment::owner(value, self.last) {
                        sink(Record::Owner(owner));
                    }
                }
                2989 => {
                    custom_option(self.order, value, &mut vantage);
                }
                2 => vantage.hook = hook(self.order.u32_at(value, 0).unwrap_or_default()),
                _ => {}
            }
        }
        sink(Record::Packet(Frame {
            at: self.last,
            link_type: interface.link_type,
            wire_len: wire_len(packet.wire_len, data),
            data,
            vantage,
        }));
        Ok(())
    }

    /// Simple packet block: no time, no interface but the first, no length but the original.
    fn simple_packet(&self, body: &[u8]) -> Option<Packet> {
        let wire_len = self.order.u32_at(body, 0)?;
        let room = u32::try_from(body.len()).ok()?.checked_sub(4)?;
        let snap_len = match self.interfaces.first().map(|i| i.snap_len) {
            None | Some(0) => u32::MAX,
            Some(bound) => bound,
        };
        Some(Packet {
            interface: 0,
            at: None,
            captured: wire_len.min(snap_len).min(room),
            wire_len,
            // No options may follow, and the padding is less than an option.
            data: 4,
        })
    }

    /// Custom block: this tool's own, or nobody's.
    fn custom(&mut self, body: &[u8], sink: &mut dyn FnMut(Record<'_>)) {
        if self.order.u32_at(body, 0) != Some(told::ENTERPRISE) {
            return;
        }
        match told::read(body.get(4..).unwrap_or_default()) {
            Some(told::Told::Record(record)) => {
                if let Record::Lost { count, place } = record
                    && told::is_in_statistics(place)
                {
                    self.told_lost = self.told_lost.saturating_add(count);
                }
                sink(record);
            }
            Some(told::Told::Ports(ports)) => self.ports = Some(ports),
            None => {}
        }
    }

    /// Interface statistics block: how many packets its writer lost. What custom blocks before it
    /// have told of them, each at its time, is not told again.
    fn statistics(&mut self, body: &[u8], sink: &mut dyn FnMut(Record<'_>)) -> Result<(), String> {
        let order = self.order;
        let id = order.u32_at(body, 0).ok_or("a short statistics block")?;
        let interface = self
            .interfaces
            .get_mut(id as usize)
            .ok_or_else(|| format!("statistics of interface {id}, not described"))?;
        let lost = options(order, body, 12)
            .filter(|(code, _)| matches!(code, 5 | 7))
            .filter_map(|(_, value)| order.u64_at(value, 0))
            .fold(0, u64::saturating_add);
        if let Some(grown @ 1..) = lost.checked_sub(interface.lost) {
            interface.lost = lost;
            let count = grown.saturating_sub(self.told_lost);
            self.told_lost = self.told_lost.saturating_sub(grown);
            if count > 0 {
                sink(Record::Lost {
                    count,
                    place: LossPlace::CaptureFile,
                });
            }
        }
        Ok(())
    }
}

/// Takes in a custom option that this tool writes (`output/pcapng/blocks.rs`); somebody else's is left
/// alone. Its numbers are in little-endian order, as every byte of the tool's files.
fn custom_option(order: Order, value: &[u8], vantage: &mut Vantage) -> Option<()> {
    if order.u32_at(value, 0)? != told::ENTERPRISE {
        return None;
    }
    let said = value.get(4..)?.strip_prefix(b"tracer403 ")?;
    if let Some(numbers) = said.strip_prefix(b"settled ") {
        vantage.settled = Some(Settled {
            own: Order::Little.u32_at(numbers, 0)?,
            peer: Order::Little.u32_at(numbers, 4)?,
        });
    } else if let Some(number) = said.strip_prefix(b"lost ") {
        vantage.lost = Order::Little.u32_at(number, 0)?;
    }
    Some(())
}

fn enhanced_packet(order: Order, body: &[u8]) -> Option<Packet> {
    Some(Packet {
        interface: order.u32_at(body, 0)?,
        at: Some(ticks(order, body)?),
        captured: order.u32_at(body, 12)?,
        wire_len: order.u32_at(body, 16)?,
        data: 20,
    })
}

/// The obsolete packet block: a drop count shares the interface's place.
fn old_packet(order: Order, body: &[u8]) -> Option<Packet> {
    Some(Packet {
        interface: u32::from(order.u16_at(body, 0)?),
        ..enhanced_packet(order, body)?
    })
}

/// A time stamp: its upper half comes first in either byte order.
fn ticks(order: Order, body: &[u8]) -> Option<u64> {
    let high = u64::from(order.u32_at(body, 4)?);
    Some(high << 32 | u64::from(order.u32_at(body, 8)?))
}

/// Direction bits of the flags of a packet.
fn hook(flags: u32) -> Hook {
    match flags & 3 {
        1 => Hook::Ingress,
        2 => Hook::Egress,
        _ => Hook::Unknown,
    }
}

/// The options of a block from `at` on, up to the last that is whole.
fn options(order: Order, body: &[u8], at: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(at..).unwrap_or_default();
    std::iter::from_fn(move || {
        let code = order.u16_at(rest, 0).filter(|&code| code != 0)?;
        let len = usize::from(order.u16_at(rest, 2)?);
        let value = rest.get(4..4 + len)?;
        rest = rest.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    })
}

impl Resolution {
    fn new(unit: u8) -> Self {
        let exponent = u32::from(unit & 0x7f);
        match (unit & 0x80, exponent) {
            (0, 0..=9) => Self::Nanos(10_u64.pow(9 - exponent)),
            (0, _) => Self::PerNano(10_u64.checked_pow(exponent - 9).unwrap_or(u64::MAX)),
            _ => Self::Binary(exponent),
        }
    }
}

impl Interface {
    /// A time stamp in nanoseconds since the epoch; the nearest there is where it lies outside.
    fn time(&self, ticks: u64) -> Timestamp {
        let nanos = match self.resolution {
            Resolution::Nanos(n) => u128::from(ticks) * u128::from(n),
            Resolution::PerNano(n) => u128::from(ticks / n),
            Resolution::Binary(n) => (u128::from(ticks) * 1_000_000_000) >> n,
        };
        // Ticks are below 2^64 and a unit is at most 10^9 ns, so this fits.
        let nanos = nanos.cast_signed() + i128::from(self.offset) * 1_000_000_000;
        Timestamp::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}
