//! Segments become [`Chunk`]s in order, or a gap; the connection table.
//!
//! **Order.** Each direction is handed out byte by byte, in order, each byte once; of two copies
//! the first wins. Between the directions the order is causal: what a segment carries is handed
//! out after everything that its sender had received, which its acknowledgement number tells. So
//! an answer never overtakes its request, though packets may be captured out of order or at
//! several places. Nothing waits for a direction that was never seen.
//!
//! **Gaps.** A hole is given up, and what waits behind it handed out, when it is open for longer
//! than `limits.acked_hole` after the receiver acknowledged bytes behind it, or for longer than
//! `limits.open_hole` in any case; when what waits is over `limits.out_of_order`; and when the
//! connection ends. Bytes that were left out of the capture are a gap of another kind at once, and
//! so is what a packet says to be settled ([`Settled`](crate::model::Settled)) and is not there.
//!
//! **Under several addresses** a connection is seen where addresses are translated. Its sequence
//! numbers tell, in `sights.rs`, and it is one connection.
//!
//! **Which end is the client** is told in `orient.rs`. A connection whose handshake was not seen
//! starts with its first segment that carries bytes.

mod clock;
mod duplex;
mod event;
mod lru;
mod orient;
mod sights;
mod slot;
mod store;
mod stream;
mod table;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::decode::Segment;
use crate::limits::Limits;
use crate::model::{ConnId, Direction, Timestamp};

use self::clock::{Clock, Moment, Now};
use self::duplex::{Outlet, Taken};
pub use self::event::{Chunk, Connection, EndKind, Event, Flow, Piece, Stats};
use self::lru::Lru;
pub use self::sights::Sights;
use self::slot::Slot;
use self::stream::Opening;
use self::table::Table;

/// The connection table.
#[derive(Debug)]
pub struct Reassembler<F> {
    limits: Limits,
    clock: Clock,
    table: Table<F>,
    /// When which connection has a hole to give up. Entries that are out of date stay until
    /// their time comes.
    deadlines: BinaryHeap<Reverse<(Moment, ConnId, u32)>>,
    /// Before this, nothing is given up: no later than the first of the deadlines, and than the
    /// time at which the connection that is silent for longest has been so for too long.
    due: Moment,
    /// Bytes that directions and flows hold.
    memory: usize,
    stats: Stats,
}

/// How long a closed connection is remembered, so that its stragglers do not open a new one.
const LINGER: Duration = Duration::from_secs(10);

impl<F: Flow> Reassembler<F> {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            clock: Clock::default(),
            table: Table::default(),
            deadlines: BinaryHeap::new(),
            due: Moment::NEVER,
            memory: 0,
            stats: Stats::default(),
        }
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Bytes that directions and flows hold now; at most `limits.memory` between two calls.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Takes in a segment and hands what became ready to `sink`: of this connection, and of those
    /// that had to go for it. Returns the connection it belongs to and the way it went; `None`
    /// where it belongs to none that is open.
    pub fn push(
        &mut self,
        segment: &Segment<'_>,
        sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>),
    ) -> Option<(ConnId, Direction)> {
        let now = self.clock.advance(segment.at);
        self.expire(now, sink);
        let captured = segment;
        let mut index = self.table.find(captured);
        let mut translated = None;
        if index.is_none() {
            (index, translated) = self.table.translate(captured).unzip();
        }
        let segment = translated.as_ref().unwrap_or(captured);
        if let Some(index) = index
            && let Some(place) = self.push_next(index, segment, now, sink)
        {
            return Some(place);
        }
        let (mut index, mut segment) = match index {
            Some(index) => match self.relation(index, segment)? {
                Relation::Own => (index, segment),
                Relation::Straggler => {
                    let flags = segment.flags;
                    let carries = !segment.payload.is_empty() || flags.syn || flags.fin;
                    self.stats.duplicates += u64::from(carries);
                    return None;
                }
                Relation::Successor => {
                    self.drop_connection(index, EndKind::Idle, now, sink);
                    (self.open(captured, now, sink), captured)
                }
            },
            None if opens(captured) => (self.open(captured, now, sink), captured),
            None => return None,
        };
        let joined;
        if self.join(index, segment, now, sink) {
            (index, joined) = self.table.translate(captured)?;
            segment = &joined;
        }
        let slot = self.table.get_mut(index)?;
        slot.orient(segment);
        slot.learn_cookies(segment);
        let (id, dir) = (slot.info.id, slot.direction(segment));
        let mut out = Outlet {
            info: &mut slot.info,
            flow: &mut slot.flow,
            stats: &mut self.stats,
            sink,
        };
        match slot.duplex.push(dir, segment, now, &self.limits, &mut out) {
            Taken::Alive => {
                slot.touched = now.clock;
                self.table.open.touch(index);
            }
            Taken::Implausible => self.stats.implausible += 1,
        }
        self.settle(index, now, sink);
        self.bound_memory(now, sink);
        Some((id, dir))
    }

    /// Takes in a segment that [is next](duplex::Duplex::received_before_next) on a connection that
    /// was seen to begin, as nearly every one is; `None` where it is another one, and nothing
    /// happened.
    fn push_next(
        &mut self,
        index: u32,
        segment: &Segment<'_>,
        now: Now,
        sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>),
    ) -> Option<(ConnId, Direction)> {
        let slot = self.table.get_mut(index)?;
        if !slot.has_begun || !slot.is_oriented() {
            return None;
        }
        let (id, dir) = (slot.info.id, slot.direction(segment));
        let received = slot.duplex.received_before_next(dir, segment)?;
        slot.learn_cookies(segment);
        slot.touched = now.clock;
        let mut out = Outlet {
            info: &mut slot.info,
            flow: &mut slot.flow,
            stats: &mut self.stats,
            sink,
        };
        slot.duplex.push_next(dir, segment, received, &mut out);
        self.table.open.touch(index);
        self.account(index, now);
        self.bound_memory(now, sink);
        Some((id, dir))
    }

    /// Lets time pass without packets: holes that were open too long become gaps, silent
    /// connections end.
    pub fn tick(&mut self, now: Timestamp, sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>)) {
        let now = self.clock.advance(now);
        self.expire(now, sink);
        self.bound_memory(now, sink);
    }

    /// The capture is over: hands out what waits behind holes and ends every connection, in the
    /// order of their numbers.
    pub fn finish(&mut self, sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>)) {
        let now = self.clock.now();
        for (_, index) in self.table.open_by_id() {
            self.drop_connection(index, EndKind::Idle, now, sink);
        }
    }

    fn relation(&self, index: u32, segment: &Segment<'_>) -> Option<Relation> {
        let slot = self.table.get(index)?;
        let dir = slot.direction(segment);
        let relation = if segment.flags.syn {
            match slot.duplex.opening(dir, segment) {
                Opening::Other => Relation::Successor,
                _ if slot.duplex.outlives_reset(dir, segment) => Relation::Successor,
                Opening::Same | Opening::Unknown if slot.is_closed => Relation::Straggler,
                Opening::Same | Opening::Unknown => Relation::Own,
            }
        } else if !slot.is_closed {
            Relation::Own
        } else if opens(segment)
            && (!slot.duplex.is_near(dir, segment) || slot.duplex.outlives_reset(dir, segment))
        {
            Relation::Successor
        } else {
            Relation::Straggler
        };
        Some(relation)
    }

    /// Joins a connection with another one, where the first segment with the numbers of both ends
    /// shows that they are the same.
    fn join(
        &mut self,
        index: u32,
        segment: &Segment<'_>,
        now: Now,
        sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>),
    ) -> bool {
        let Some(slot) = self.table.get_mut(index) else {
            return false;
        };
        if !segment.flags.ack || std::mem::replace(&mut slot.has_begun, true) {
            return false;
        }
        let (id, dir, is_fresh) = (
            slot.info.id,
            slot.direction(segment),
            slot.duplex.is_fresh(),
        );
        let translations = &mut self.table.translations;
        let Some((other_index, other_id)) = translations.begin(segment, index, id, now.clock)
        else {
            return false;
        };
        let other = self
            .table
            .get(other_index)
            .filter(|slot| slot.info.id == other_id);
        let Some(other) = other else {
            return false;
        };
        let swapped = !other.duplex.stands_at(dir, segment);
        if swapped && !other.duplex.stands_at(dir.reverse(), segment) {
            return false;
        }
        // The younger one has nothing to hand over.
        if other.is_closed || !is_fresh || other.info.id > id && !other.duplex.is_fresh() {
            return false;
        }
        let (elder, younger) = match other.info.id < id {
            true => (other_index, index),
            false => (index, other_index),
        };
        let Some(joined) = self.table.join(elder, younger, swapped) else {
            return false;
        };
        self.stats.joined += 1;
        self.stats.started_in_middle -= u64::from(joined.started_in_middle);
        self.memory = self.memory.saturating_sub(joined.held);
        if let Some(slot) = self.table.get_mut(elder) {
            let other = joined.id;
            sink(&slot.info, &mut slot.flow, Event::Joined { other });
        }
        true
    }

    /// Makes room for a connection and adds it.
    fn open(
        &mut self,
        segment: &Segment<'_>,
        now: Now,
        sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>),
    ) -> u32 {
        let most = self.limits.connections.max(1);
        while self.table.open.len() + self.table.closed.len() >= most {
            if let Some(index) = self.table.closed.oldest() {
                self.drop_connection(index, EndKind::Evicted, now, sink);
            } else if let Some(index) = self.table.open.oldest() {
                self.stats.evicted_connections += 1;
                self.drop_connection(index, EndKind::Evicted, now, sink);
            }
        }
        self.stats.connections += 1;
        self.stats.started_in_middle += u64::from(!segment.flags.syn);
        let slot = Slot::new(ConnId(self.stats.connections), segment, now);
        let index = self.table.insert(slot);
        self.table.open.touch(index);
        self.due = self.due.min(now.clock.plus(self.limits.idle));
        index
    }

    /// Gives up what was waited for too long.
    #[inline]
    fn expire(&mut self, now: Now, sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>)) {
        if now.clock >= self.due {
            self.give_up(now, sink);
        }
    }

    fn give_up(&mut self, now: Now, sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>)) {
        while let Some(Reverse((due, id, index))) = self.deadlines.peek().copied() {
            if due > now.clock {
                break;
            }
            self.deadlines.pop();
            let Some(slot) = self.table.get_mut(index) else {
                continue;
            };
            if slot.info.id != id || slot.scheduled != due {
                continue;
            }
            slot.scheduled = Moment::NEVER;
            if slot.wakes <= now.clock {
                slot.wakes = Moment::NEVER;
                sink(&slot.info, &mut slot.flow, Event::Woken { at: now.at });
            }
            let mut out = Outlet {
                info: &mut slot.info,
                flow: &mut slot.flow,
                stats: &mut self.stats,
                sink,
            };
            slot.duplex.expire(now, &self.limits, &mut out);
            self.settle(index, now, sink);
        }
        let idle = self.limits.idle;
        while let Some((index, due)) = self.oldest(&self.table.open, idle) {
            if due > now.clock {
                break;
            }
            self.drop_connection(index, EndKind::Idle, now, sink);
        }
        while let Some((index, due)) = self.oldest(&self.table.closed, LINGER) {
            if due > now.clock {
                break;
            }
            self.drop_connection(index, EndKind::Idle, now, sink);
        }
        let deadline = self.deadlines.peek().map(|Reverse((due, ..))| *due);
        let open = self.oldest(&self.table.open, idle);
        let closed = self.oldest(&self.table.closed, LINGER);
        let silent = [open, closed].into_iter().flatten().map(|(_, due)| due);
        self.due = deadline
            .into_iter()
            .chain(silent)
            .min()
            .unwrap_or(Moment::NEVER);
    }

    /// The connection of a list that is silent for longest, and when it has been so for longer than
    /// `patience`.
    fn oldest(&self, list: &Lru, patience: Duration) -> Option<(u32, Moment)> {
        let index = list.oldest()?;
        let touched = self.table.get(index)?.touched;
        Some((index, touched.plus(patience).plus(Duration::from_nanos(1))))
    }

    /// Brings the books up to date after a connection was worked on.
    fn settle(
        &mut self,
        index: u32,
        now: Now,
        sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>),
    ) {
        let Some(slot) = self.table.get_mut(index) else {
            return;
        };
        if slot.duplex.has_ended() && !slot.is_closed {
            let closed = Event::Closed { at: now.at };
            sink(&slot.info, &mut slot.flow, closed);
            slot.flow = F::default();
            slot.is_closed = true;
            slot.touched = now.clock;
            self.table.open.remove(index);
            self.table.closed.touch(index);
            self.due = self.due.min(now.clock.plus(LINGER));
        }
        self.account(index, now);
    }

    /// Notes when a connection is next worked on by itself, and what it holds.
    fn account(&mut self, index: u32, now: Now) {
        let Some(slot) = self.table.get_mut(index) else {
            return;
        };
        slot.wakes = match slot.flow.wakes_at() {
            None => Moment::NEVER,
            Some(at) => now.clock.plus(at.since(now.at)),
        };
        let deadline = slot.duplex.deadline().min(slot.wakes);
        if deadline < slot.scheduled {
            slot.scheduled = deadline;
            self.due = self.due.min(deadline);
            self.deadlines
                .push(Reverse((deadline, slot.info.id, index)));
        }
        let held = slot.duplex.memory().saturating_add(slot.flow.memory());
        let before = std::mem::replace(&mut slot.held, held);
        self.memory = self.memory.saturating_sub(before).saturating_add(held);
        match (before, held) {
            (0, 0) => {}
            (_, 0) => self.table.holding.remove(index),
            _ => self.table.holding.touch(index),
        }
    }

    fn bound_memory(&mut self, now: Now, sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>)) {
        while self.memory > self.limits.memory {
            let Some(index) = self.table.holding.oldest() else {
                break;
            };
            self.stats.evicted_memory += 1;
            self.drop_connection(index, EndKind::Evicted, now, sink);
        }
    }

    /// Ends a connection, if it has not ended, and forgets it.
    fn drop_connection(
        &mut self,
        index: u32,
        kind: EndKind,
        now: Now,
        sink: &mut dyn FnMut(&Connection, &mut F, Event<'_>),
    ) {
        let Some(mut slot) = self.table.remove(index) else {
            return;
        };
        self.memory = self.memory.saturating_sub(slot.held);
        if slot.is_closed {
            return;
        }
        let mut out = Outlet {
            info: &mut slot.info,
            flow: &mut slot.flow,
            stats: &mut self.stats,
            sink,
        };
        slot.duplex.conclude(kind, now, &mut out);
        sink(&slot.info, &mut slot.flow, Event::Closed { at: now.at });
    }
}

/// What a segment is to the connection with its addresses.
enum Relation {
    /// A part of it.
    Own,
    /// Late, of a connection that is over.
    Straggler,
    /// The first of another one.
    Successor,
}

/// Whether a segment can be the first of a connection.
fn opens(segment: &Segment<'_>) -> bool {
    let carries = segment.flags.syn || !segment.payload.is_empty() || segment.cut > 0;
    carries && !segment.flags.rst
}
