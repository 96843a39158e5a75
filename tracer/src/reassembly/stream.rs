//! One direction of a connection: sequence numbers become offsets, holes get deadlines.

use std::ops::Range;
use std::time::Duration;

use crate::decode::Segment;
use crate::limits::Limits;
use crate::model::Timestamp;

use super::clock::{Moment, Now};
use super::store::Store;

/// How far from what is expected a sequence number may be: no window is larger (RFC 7323
/// section 2.3), so beyond it is another connection, a forgery or a broken packet.
const REACH: u64 = 1 << 30;

/// How far from what is expected the sequence number of a RST may be, and how far from its end a
/// segment still counts as a straggler of a closed connection: larger than windows in use.
pub(super) const NEAR: u64 = 16 << 20;

/// How far the first segment seen may lie behind what the peer had acknowledged by then for the
/// bytes between to be missed. Segments that cross each other are closer.
const EARLY: u32 = 1 << 20;

/// An end of the stream that is not known.
const UNKNOWN: u64 = u64::MAX;

/// Sequence number of offset 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    /// Nothing is known.
    Unknown,
    /// The peer has received everything before this.
    Acknowledged(u32),
    /// The first segment seen; a SYN was not.
    Guessed(u32),
    /// The SYN was seen.
    Opened(u32),
}

/// One direction of a connection.
///
/// Everything before `next` was handed out; nothing before it is in `store`.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) next: u64,
    pub(super) store: Store,
    pub(super) deadline: Moment,
    /// Up to where the peer says that it has received the stream.
    acked: u64,
    fin: u64,
    base: Base,
    /// Whether any segment of it was captured; nothing waits for the one that never is.
    pub(super) seen: bool,
    pub(super) ended: bool,
    /// Whether the one byte acknowledged beyond the stream is taken for a FIN that was missed.
    fin_missed: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            next: 0,
            store: Store::default(),
            deadline: Moment::NEVER,
            acked: 0,
            fin: UNKNOWN,
            base: Base::Unknown,
            seen: false,
            ended: false,
            fin_missed: false,
        }
    }
}

/// Bytes that are missing at the front of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    /// The offset of the first byte that may yet arrive.
    pub(super) end: u64,
    /// Whether the receiver has them.
    pub(super) acked: bool,
    /// When the first byte behind them was captured, where one was.
    pub(super) since: Option<Timestamp>,
}

/// How a SYN relates to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// It is the stream's own.
    Same,
    /// It is another connection's.
    Other,
    /// Nothing is known of the stream.
    Unknown,
}

impl Stream {
    /// Takes the SYN, or the first segment with something in it, for the beginning.
    pub(super) fn begin(&mut self, segment: &Segment<'_>) {
        let first = first_byte(segment);
        let carries = !segment.payload.is_empty() || segment.cut > 0 || segment.flags.fin;
        self.base = match self.base {
            base @ (Base::Opened(_) | Base::Guessed(_)) => base,
            _ if segment.flags.syn => Base::Opened(first),
            base if !carries => base,
            Base::Acknowledged(ack) if first.wrapping_sub(ack) <= EARLY => Base::Guessed(ack),
            _ => Base::Guessed(first),
        };
    }

    /// Whether it was opened by this SYN, which may carry data itself (RFC 7413).
    pub(super) fn opening(&self, syn: &Segment<'_>) -> Opening {
        let first = first_byte(syn);
        let same = match self.base {
            Base::Unknown => return Opening::Unknown,
            Base::Opened(base) => base == first,
            Base::Guessed(base) => base.wrapping_sub(first) <= EARLY,
            Base::Acknowledged(ack) => ack.wrapping_sub(first) as usize <= syn.payload.len(),
        };
        if same { Opening::Same } else { Opening::Other }
    }

    /// Whether this SYN was seen before.
    pub(super) fn is_opened_by(&self, syn: &Segment<'_>) -> bool {
        self.base == Base::Opened(first_byte(syn))
    }

    /// Whether nothing of it was handed out or waits.
    pub(super) fn is_fresh(&self) -> bool {
        self.is_silent() && self.store.is_empty()
    }

    /// Whether nothing of it was handed out.
    pub(super) fn is_silent(&self) -> bool {
        self.next == 0 && !self.ended
    }

    /// The offset of a sequence number, negative before the start; `None` where it is out of
    /// reach or nothing is known of the stream.
    pub(super) fn offset(&self, seq: u32) -> Option<i64> {
        let (Base::Guessed(base) | Base::Opened(base)) = self.base else {
            return None;
        };
        // Half of the number space lies on each side of what is expected (RFC 1982 section 3.2).
        let expected = base.wrapping_add(self.next as u32);
        let ahead = i64::from(seq.wrapping_sub(expected) as i32);
        let offset = i64::try_from(self.next).ok()?.checked_add(ahead)?;
        (ahead.unsigned_abs() <= REACH).then_some(offset)
    }

    /// Whether a sequence number is within [`NEAR`] of what is expected, or nothing is.
    pub(super) fn is_near(&self, seq: u32) -> bool {
        match self.offset(seq) {
            Some(offset) => offset.unsigned_abs().abs_diff(self.next) <= NEAR,
            None => matches!(self.base, Base::Unknown | Base::Acknowledged(_)),
        }
    }

    /// The number of its next byte, where nothing is missing or waits.
    #[inline]
    pub(super) fn even_at(&self) -> Option<u32> {
        let (Base::Guessed(base) | Base::Opened(base)) = self.base else {
            return None;
        };
        let is_even = self.acked <= self.next
            && self.fin == UNKNOWN
            && self.store.is_empty()
            && self.seen
            && !self.ended;
        is_even.then(|| base.wrapping_add(self.next as u32))
    }

    /// Whether its next byte, or the `len` bytes handed out last, have this number.
    pub(super) fn stands_at(&self, seq: u32, len: u32) -> bool {
        let next = match self.base {
            Base::Unknown => return false,
            Base::Acknowledged(next) => next,
            Base::Guessed(base) | Base::Opened(base) => base.wrapping_add(self.next as u32),
        };
        seq == next || seq.wrapping_add(len) == next
    }

    /// Takes what another sight of it knows better of its beginning; neither has any bytes, or
    /// only this one.
    pub(super) fn join(&mut self, other: Self) {
        let rank = |base| match base {
            Base::Unknown => 0,
            Base::Acknowledged(_) => 1,
            Base::Guessed(_) => 2,
            Base::Opened(_) => 3,
        };
        let seen = self.seen || other.seen;
        if self.is_fresh() && rank(other.base) > rank(self.base) {
            *self = other;
        }
        self.seen = seen;
    }

    /// The range of offsets that a segment takes up, negative before the start; `None` where it
    /// is out of reach. Where nothing is known of the stream it is empty.
    pub(super) fn span(&self, segment: &Segment<'_>) -> Option<Range<i64>> {
        if let Base::Unknown | Base::Acknowledged(_) = self.base {
            return Some(0..0);
        }
        let start = self.offset(first_byte(segment))?;
        let len = segment.payload.len() as u64 + u64::from(segment.cut);
        let end = start.checked_add_unsigned(len)?;
        let reach = self.next.saturating_add(REACH);
        (u64::try_from(end).unwrap_or(0) <= reach).then_some(start..end)
    }

    /// The peer has received everything before `ack`. Returns that offset, 0 where not known.
    pub(super) fn acknowledge(&mut self, ack: u32) -> u64 {
        if let Base::Unknown | Base::Acknowledged(_) = self.base {
            self.base = Base::Acknowledged(ack);
            return 0;
        }
        let offset = self.offset(ack).unwrap_or(0);
        let offset = u64::try_from(offset).unwrap_or(0);
        self.acked = self.acked.max(offset);
        offset
    }

    /// The peer has received everything before this offset, which was handed out.
    #[inline]
    pub(super) fn acknowledge_to(&mut self, offset: u64) {
        self.acked = self.acked.max(offset);
    }

    /// Notes where the stream ends, the first time; `false` where that cannot be.
    pub(super) fn note_fin(&mut self, offset: u64) -> bool {
        let held = self.store.end().unwrap_or(0).max(self.next);
        if self.fin != UNKNOWN || offset < held {
            return false;
        }
        self.fin = offset;
        true
    }

    /// Where the stream ends; the largest offset there is where not known.
    pub(super) fn fin(&self) -> u64 {
        self.fin
    }

    /// Moves on over bytes that were handed out.
    pub(super) fn advance(&mut self, len: u64) {
        self.next = self.next.saturating_add(len);
        self.deadline = Moment::NEVER;
        self.fin_missed = false;
    }

    /// There is no more of it.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.deadline = Moment::NEVER;
        self.store.clear();
    }

    /// Whether what a sender says to have received up to `need` was handed out, as far as it
    /// ever will be.
    pub(super) fn has_reached(&self, need: u64) -> bool {
        let missed = u64::from(self.fin_missed);
        self.ended || !self.seen || need <= self.next.saturating_add(missed)
    }

    /// Whether the next byte, or the end, is here.
    pub(super) fn is_ready(&self) -> bool {
        self.store.first().is_some_and(|(at, _)| at == self.next)
    }

    /// The hole at the front, if there is one.
    pub(super) fn hole(&self) -> Option<Hole> {
        if self.ended || !self.seen {
            return None;
        }
        let acked_to = self.acked.min(self.fin);
        let acked = acked_to > self.next;
        match self.store.first() {
            Some((at, _)) if at <= self.next => None,
            Some((at, held)) => Some(Hole {
                end: if acked { at.min(acked_to) } else { at },
                acked,
                since: Some(held.at),
            }),
            None if !acked || self.fin_missed => None,
            None => Some(Hole {
                end: acked_to,
                acked,
                since: None,
            }),
        }
    }

    /// The hole is given up. Returns the bytes that are lost; 0 where the one byte missing at the
    /// end, acknowledged and with nothing behind it, is rather a FIN than data.
    pub(super) fn give_up(&mut self, hole: Hole) -> u64 {
        let len = hole.end.saturating_sub(self.next);
        if hole.since.is_none() && len == 1 {
            self.fin_missed = true;
            self.deadline = Moment::NEVER;
            return 0;
        }
        self.advance(len);
        len
    }

    /// Sets the deadline of the hole at the front: never later than it was for the same hole.
    pub(super) fn refresh_deadline(&mut self, now: Now, limits: &Limits) {
        let Some(hole) = self.hole() else {
            self.deadline = Moment::NEVER;
            return;
        };
        let patience = match hole.acked {
            true => limits.acked_hole,
            false => limits.open_hole,
        };
        // A hole that comes to the front is as old as the bytes behind it.
        let age = match hole.since {
            Some(since) if self.deadline == Moment::NEVER => now.at.since(since),
            _ => Duration::ZERO,
        };
        let deadline = now.clock.plus(patience.saturating_sub(age));
        self.deadline = self.deadline.min(deadline);
    }
}

/// Sequence number of the first byte of the payload; the SYN takes one of its own.
pub(super) fn first_byte(segment: &Segment<'_>) -> u32 {
    segment.seq.wrapping_add(u32::from(segment.flags.syn))
}
