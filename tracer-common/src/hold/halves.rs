//! The two halves of a slot, one for each direction, and how one looks at the other.

use super::Segment;

/// What the client's packets do. Written by them alone.
#[repr(C)]
pub(super) struct Client {
    /// Bytes of the request under way that are still to come.
    pub(super) left: u64,
    pub(super) state: u32,
    /// The sequence number of the next byte.
    pub(super) next: u32,
    /// Up to where the server's bytes had been received as the request began.
    pub(super) acked: u32,
    /// Requests that began.
    pub(super) begun: u32,
    /// Where the scan of the head goes on.
    pub(super) scan_at: u32,
    /// Bytes that may still be shipped of the request once it is answered.
    pub(super) stream: u32,
    /// Where the head says how long the body is; 0 where that was not found.
    pub(super) length_at: u32,
    /// The sequence number of the first byte seen.
    pub(super) first: u32,
    /// Offset of the request in the room, in bytes.
    pub(super) payload_at: u32,
    /// Bytes that were held or cut of the request before the packet in hand.
    pub(super) before: u32,
    /// As `next`, for the other direction: once the packet before it is out.
    pub(super) out: u32,
    pub(super) in_hand: Segment,
}

/// What the server's packets do. Written by them alone.
#[repr(C)]
pub(super) struct Server {
    /// Requests that have their final answer.
    pub(super) answered: u32,
    /// Of which request the exchange is being shipped.
    pub(super) shipping: u32,
    /// The sequence number of the next byte, once `is_seen`.
    pub(super) next: u32,
    pub(super) is_seen: u32,
    /// Not 0 where the connection is shipped whole for what the server sent.
    pub(super) is_whole: u32,
    /// Bytes that may still be shipped of the answer.
    pub(super) stream: u32,
    /// As `next`, for the other direction: once the packet before it is out; while `is_out`.
    pub(super) out: u32,
    pub(super) is_out: u32,
    pub(super) in_hand: Segment,
}

/// [`Client::state`]: nothing was seen.
pub(super) const FRESH: u32 = 0;
/// [`Client::state`]: in the head of a request.
pub(super) const HEAD: u32 = 1;
/// [`Client::state`]: in the body, or behind it.
pub(super) const BODY: u32 = 2;
/// [`Client::state`]: the connection is shipped whole.
pub(super) const WHOLE: u32 = 3;

impl Client {
    pub(super) const fn new() -> Self {
        Self {
            left: 0,
            state: FRESH,
            next: 0,
            acked: 0,
            begun: 0,
            scan_at: 0,
            stream: 0,
            length_at: 0,
            first: 0,
            payload_at: 0,
            before: 0,
            out: 0,
            in_hand: Segment::NONE,
        }
    }
}

impl Server {
    pub(super) const fn new() -> Self {
        Self {
            answered: 0,
            shipping: 0,
            next: 0,
            is_seen: 0,
            is_whole: 0,
            stream: 0,
            out: 0,
            is_out: 0,
            in_hand: Segment::NONE,
        }
    }
}

/// Passes a segment through the slot: what comes out, the verifier knows nothing of. So the ways by
/// which the kernel's side read the headers are one from here on.
#[inline(always)]
pub(super) fn through(place: &mut Segment, segment: Segment) -> Segment {
    let place = core::ptr::from_mut(place);
    // SAFETY: a reference.
    unsafe {
        place.write_volatile(segment);
        place.read_volatile()
    }
}

/// Reads what the other direction writes.
#[inline(always)]
pub(super) fn read(word: &u32) -> u32 {
    // SAFETY: a reference. Volatile, so that two such reads keep their order.
    unsafe { core::ptr::from_ref(word).read_volatile() }
}

/// Writes what the other direction reads.
#[inline(always)]
pub(super) fn write(word: &mut u32, value: u32) {
    // SAFETY: a reference. Volatile, so that two such writes keep their order.
    unsafe { core::ptr::from_mut(word).write_volatile(value) };
}
