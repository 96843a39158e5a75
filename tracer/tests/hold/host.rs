//! The hold on the host: what it takes in and what it ships.

use std::cell::{Cell, RefCell};

use tracer_common::PacketRecord;
use tracer_common::hold::{Fate, PIECE_MAX, Room, Settled, Slot, World};

use super::talk::{Packet, Shipped};

/// A slot and its room, as in a map of the kernel.
#[repr(C)]
pub(crate) struct Value {
    slot: Slot,
    room: [u8; (Room::BYTES_MAX + PIECE_MAX) as usize],
}

impl Value {
    pub(crate) fn new() -> Box<Self> {
        Box::new(Self {
            // SAFETY: its room follows.
            slot: unsafe { Slot::new() },
            room: [0; (Room::BYTES_MAX + PIECE_MAX) as usize],
        })
    }

    /// Its slot. The pointer is one to all of it.
    pub(crate) fn slot(&mut self) -> *mut Slot {
        (&raw mut *self).cast()
    }
}

/// What the hold ships of these packets, and how many requests it lets go.
pub(crate) fn hold(packets: &[Packet], holding: impl Into<Holding>) -> (Vec<Shipped>, u64) {
    let (out, _) = hold_with(packets, holding, None);
    (out.shipped.into_inner(), out.let_go.get())
}

/// The same, where at a step of the packet with a number another packet comes meanwhile; and whether
/// there were too few steps for that.
pub(crate) fn hold_with(
    packets: &[Packet],
    holding: impl Into<Holding>,
    meanwhile: Option<(usize, u32, &Packet)>,
) -> (Out, u32) {
    let mut value = Value::new();
    let slot = value.slot();
    let out = Out::new(holding);
    let mut left = 0;
    for (at, packet) in packets.iter().enumerate() {
        let meanwhile = meanwhile.filter(|(answer, ..)| *answer == at);
        let meanwhile = meanwhile.map(|(_, step, packet)| Meanwhile {
            steps: Cell::new(step + 1),
            packet,
            slot,
        });
        left += take(slot, packet, meanwhile, &out);
    }
    (out, left)
}

/// Takes in a packet. How many steps were left until something came meanwhile.
fn take(slot: *mut Slot, packet: &Packet, meanwhile: Option<Meanwhile<'_>>, out: &Out) -> u32 {
    // SAFETY: as in the kernel: two may work on it at once, each on its half.
    let slot = unsafe { &mut *slot };
    let mut hands = Hands {
        packet,
        shipped: None,
        meanwhile,
        out,
    };
    if packet.is_syn {
        if !packet.is_from_server {
            slot.reset();
        }
        hands.shipped = Some((u32::MAX, Settled::UNKNOWN));
    } else if packet.segment.len == 0 {
        slot.close(packet.is_from_server, &mut hands);
    } else if packet.is_from_server {
        slot.from_server(&packet.segment, &mut hands);
    } else {
        slot.from_client(&packet.segment, &mut hands);
    }
    hands.step();
    let shipped = hands
        .shipped
        .map(|(longest, settled)| packet.shipped(longest, settled));
    out.shipped.borrow_mut().extend(shipped);
    hands.step();
    slot.is_out(packet.is_from_server);
    hands.step();
    hands.meanwhile.map_or(0, |meanwhile| meanwhile.steps.get())
}

/// Which exchanges that are not wanted are let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetsGo {
    All,
    /// The others are shipped as samples.
    SomeRoutes,
}

/// How a connection is held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holding {
    pub(crate) lets_go: LetsGo,
    /// Bytes of a request.
    pub(crate) bytes: u32,
}

impl From<LetsGo> for Holding {
    fn from(lets_go: LetsGo) -> Self {
        let bytes = 4096;
        Self { lets_go, bytes }
    }
}

/// What came out.
pub(crate) struct Out {
    pub(crate) holding: Holding,
    pub(crate) shipped: RefCell<Vec<Shipped>>,
    pub(crate) let_go: Cell<u64>,
    /// Of the request that was let go last, or shipped for another reason than its answer.
    pub(crate) route: Cell<u64>,
}

impl Out {
    pub(crate) fn new(holding: impl Into<Holding>) -> Self {
        Self {
            holding: holding.into(),
            shipped: RefCell::default(),
            let_go: Cell::default(),
            route: Cell::default(),
        }
    }
}

pub(crate) struct Meanwhile<'a> {
    pub(crate) steps: Cell<u32>,
    pub(crate) packet: &'a Packet,
    pub(crate) slot: *mut Slot,
}

pub(crate) struct Hands<'a> {
    pub(crate) packet: &'a Packet,
    pub(crate) shipped: Option<(u32, Settled)>,
    pub(crate) meanwhile: Option<Meanwhile<'a>>,
    pub(crate) out: &'a Out,
}

impl Hands<'_> {
    fn copy(&self, from: u32, to: *mut u8, len: u32) {
        let bytes = &self.packet.bytes[from as usize..][..len as usize];
        // SAFETY: the callers see to it that the room is that long.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    pub(crate) fn step(&self) {
        let Some(meanwhile) = &self.meanwhile else {
            return;
        };
        if meanwhile.steps.get() > 0 {
            meanwhile.steps.update(|steps| steps - 1);
            if meanwhile.steps.get() == 0 {
                take(meanwhile.slot, meanwhile.packet, None, self.out);
            }
        }
    }
}

// SAFETY: each slot is that of a `Value`.
unsafe impl World for Hands<'_> {
    fn start(&self, at: u32) -> [u64; 2] {
        self.step();
        let start: Option<&[u8; 16]> = self.packet.bytes[at as usize..].first_chunk();
        let words = u128::from_le_bytes(start.copied().unwrap_or_default());
        [words as u64, (words >> 64) as u64]
    }

    fn hold_bytes(&self) -> u32 {
        self.out.holding.bytes
    }

    fn hold_first(&self, room: Room, len: u32) -> bool {
        assert!((1..=room.bytes()).contains(&len));
        self.copy(0, room.at(0), len);
        true
    }

    fn hold_more(&self, from: u32, room: Room, to: u32, len: u32) -> bool {
        assert!(to < room.bytes() && (1..=PIECE_MAX).contains(&len));
        self.copy(from, room.at(to), len);
        true
    }

    fn record(&self, _before: Option<&PacketRecord>) -> PacketRecord {
        PacketRecord {
            at_ns: self.packet.at,
            ..PacketRecord::new()
        }
    }

    fn fate(&mut self, slot: &Slot, status: u32) -> Fate {
        self.step();
        if status == 403 {
            return Fate::Whole;
        }
        let route = slot.route(slot.room(self));
        self.out.route.set(route);
        match (self.out.holding.lets_go, route % 4) {
            (LetsGo::SomeRoutes, 0) => Fate::Sample,
            (LetsGo::SomeRoutes, 1) => Fate::Part,
            _ => Fate::LetGo,
        }
    }

    fn ship_held(&mut self, slot: &Slot) {
        self.step();
        let record = slot.record();
        let (room, len) = (slot.room(self), record.captured_len);
        assert!(len <= room.bytes());
        // SAFETY: the room is longer than that.
        let held = unsafe { std::slice::from_raw_parts(room.at(0), len as usize) };
        self.out.shipped.borrow_mut().push(Shipped {
            bytes: held.to_vec(),
            wire_len: record.wire_len,
            at: record.at_ns,
            settled: Settled {
                own: record.settled_own,
                peer: record.settled_peer,
                says: record.settled,
            },
        });
        self.step();
    }

    fn ship(&mut self, longest: u32, settled: Settled) {
        self.step();
        self.shipped = Some((longest, settled));
    }

    fn count(&mut self, counter: u32) {
        self.step();
        let is_let_go = counter == tracer_common::counter::LET_GO;
        self.out.let_go.update(|count| count + u64::from(is_let_go));
    }
}
