//! The hold on the host: what it takes in and what it ships.

use std::cell::{Cell, RefCell};

use tracer_common::PacketRecord;
use tracer_common::hold::{Fate, HELD_MAX, ROOM, Settled, Slot, World};

use super::talk::{Packet, Shipped};

/// What the hold ships of these packets, and how many requests it lets go.
pub(crate) fn hold(packets: &[Packet], lets_go: LetsGo) -> (Vec<Shipped>, u64) {
    let (shipped, let_go, _) = hold_with(packets, lets_go, None);
    (shipped, let_go)
}

/// The same, where at a step of the packet with a number another packet comes meanwhile; and whether
/// there were too few steps for that.
pub(crate) fn hold_with(
    packets: &[Packet],
    lets_go: LetsGo,
    meanwhile: Option<(usize, u32, &Packet)>,
) -> (Vec<Shipped>, u64, u32) {
    let mut slot = Box::new(Slot::new());
    let out = Out::new(lets_go);
    let mut left = 0;
    for (at, packet) in packets.iter().enumerate() {
        let meanwhile = meanwhile.filter(|(answer, ..)| *answer == at);
        let meanwhile = meanwhile.map(|(_, step, packet)| Meanwhile {
            steps: Cell::new(step + 1),
            packet,
            slot: &raw mut *slot,
        });
        left += take(&raw mut *slot, packet, meanwhile, &out);
    }
    (out.shipped.into_inner(), out.let_go.get(), left)
}

/// Takes in a packet. How many steps were left until something came meanwhile.
pub(crate) fn take(
    slot: *mut Slot,
    packet: &Packet,
    meanwhile: Option<Meanwhile<'_>>,
    out: &Out,
) -> u32 {
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

/// What came out.
pub(crate) struct Out {
    pub(crate) lets_go: LetsGo,
    pub(crate) shipped: RefCell<Vec<Shipped>>,
    pub(crate) let_go: Cell<u64>,
}

impl Out {
    pub(crate) fn new(lets_go: LetsGo) -> Self {
        Self {
            lets_go,
            shipped: RefCell::default(),
            let_go: Cell::default(),
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

impl World for Hands<'_> {
    fn start(&self, at: u32) -> [u64; 2] {
        self.step();
        let start: Option<&[u8; 16]> = self.packet.bytes[at as usize..].first_chunk();
        let words = u128::from_le_bytes(start.copied().unwrap_or_default());
        [words as u64, (words >> 64) as u64]
    }

    fn hold_first(&self, room: &mut [u8; ROOM], len: u32) -> bool {
        assert!((1..=HELD_MAX).contains(&len));
        room[..len as usize].copy_from_slice(&self.packet.bytes[..len as usize]);
        true
    }

    fn hold_more(&self, from: u32, room: &mut [u8; ROOM], to: u32, len: u32) -> bool {
        assert!(to < HELD_MAX && (1..=tracer_common::hold::PIECE_MAX).contains(&len));
        let (from, to, len) = (from as usize, to as usize, len as usize);
        room[to..to + len].copy_from_slice(&self.packet.bytes[from..from + len]);
        true
    }

    fn record(&self) -> PacketRecord {
        PacketRecord {
            at_ns: self.packet.at,
            ..PacketRecord::new()
        }
    }

    fn wants(&self, status: u32) -> bool {
        self.step();
        status == 403
    }

    fn fate(&mut self, slot: &Slot) -> Fate {
        self.step();
        match (self.out.lets_go, slot.route() % 4) {
            (LetsGo::SomeRoutes, 0) => Fate::Sample,
            (LetsGo::SomeRoutes, 1) => Fate::Part,
            _ => Fate::LetGo,
        }
    }

    fn ship_held(&mut self, slot: &Slot) {
        self.step();
        let record = slot.record();
        self.out.shipped.borrow_mut().push(Shipped {
            bytes: slot.room()[..record.captured_len as usize].to_vec(),
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
