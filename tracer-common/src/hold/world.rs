//! What the hold takes in, and what it needs of the place where it runs.

use super::{Room, Slot};
use crate::PacketRecord;

/// A TCP segment, as its headers tell.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Offset of the payload in the packet, in bytes.
    pub payload_at: u32,
    /// Bytes of payload.
    pub len: u32,
    /// Offset of the length field of the IP header in the packet, in bytes.
    pub length_at: u16,
    /// Whether it ends its direction or the connection: FIN or RST.
    pub closes: bool,
}

impl Segment {
    pub(super) const NONE: Self = Self {
        seq: 0,
        ack: 0,
        payload_at: 0,
        len: 0,
        length_at: 0,
        closes: false,
    };

    /// Bytes of the packet up to this many of its payload.
    #[inline(always)]
    pub(super) fn up_to(&self, payload: u32) -> u32 {
        self.payload_at.saturating_add(payload)
    }
}

/// Sequence numbers before which nothing more will come: it was shipped, or left out on purpose.
///
/// No `Option` of it: what an empty one holds is undefined, which the verifier refuses to copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// In the direction of the packet that says so.
    pub own: u32,
    /// In the other direction.
    pub peer: u32,
    /// [`SETTLED_BOTH`](crate::SETTLED_BOTH), or 0 where the two say nothing.
    pub says: u16,
}

impl Settled {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        own: 0,
        peer: 0,
        says: 0,
    };
}

/// What becomes of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is let go.
    LetGo,
    /// The request and the first packet of the answer are shipped, to have some.
    Sample,
    /// It is shipped to its end, as it may be a part of another one.
    Part,
    /// It is shipped to its end, as it is wanted for itself.
    Whole,
}

/// What the state machine needs of the place where it runs: the packet in hand, and the way out.
///
/// # Safety
///
/// Every slot has room for [`World::hold_bytes`], which is one of those that can be chosen.
pub unsafe trait World {
    /// The sixteen bytes of the packet from an offset on, in words whose lowest byte is the first;
    /// zeros where it ends before.
    fn start(&self, at: u32) -> [u64; 2];
    /// Bytes of a request that a slot has room for: [`Room::bytes`].
    fn hold_bytes(&self) -> u32;
    /// Copies `len` bytes of the packet, 1 to [`Room::bytes`], from its beginning to that of the
    /// room.
    fn hold_first(&self, room: Room, len: u32) -> bool;
    /// Copies `len` bytes, 1 to [`PIECE_MAX`](super::PIECE_MAX), from an offset in the packet to one
    /// in the room below [`Room::bytes`].
    fn hold_more(&self, from: u32, room: Room, to: u32, len: u32) -> bool;
    /// A record of the packet, without its bytes; `before` is that of an earlier packet of the same
    /// direction, where it is sure to be of the same connection.
    fn record(&self, before: Option<&PacketRecord>) -> PacketRecord;
    /// What is to become of the held request, as its answer has this status.
    fn fate(&mut self, slot: &Slot, status: u32) -> Fate;
    /// Ships the held request, at once: what is shipped later comes behind it.
    fn ship_held(&mut self, slot: &Slot);
    /// Ships at most this many bytes of the packet. Said more than once, the last time counts.
    fn ship(&mut self, longest: u32, settled: Settled);
    /// Adds one to a counter.
    fn count(&mut self, counter: u32);
}
