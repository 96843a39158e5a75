//! Both directions of a connection, and the order between them.
//!
//! A segment says by its acknowledgement number what its sender had received. So its bytes are
//! handed out only after those of the other direction, and an answer never overtakes its request,
//! however the packets were captured.

use std::ops::Range;

use crate::decode::Segment;
use crate::limits::Limits;
use crate::model::{Direction, GapKind, Timestamp};

use super::clock::{Moment, Now};
use super::store::{Content, Held, Part};
use super::stream::{Hole, NEAR, Opening, Stream, first_byte};
use super::{Chunk, Connection, EndKind, Event, Piece, Stats};

const BOTH: [Direction; 2] = [Direction::ClientToServer, Direction::ServerToClient];

/// Both directions of a connection.
#[derive(Debug, Default)]
pub(super) struct Duplex {
    to_server: Stream,
    to_client: Stream,
    /// Which way the RST went that ended it, and its sequence number.
    reset: Option<(Direction, u32)>,
    /// How many records of any connection had been lost before its last packet that said what is
    /// settled.
    lost: u32,
    /// Something was lost, and since then nothing from the server said what was settled.
    is_doubted: bool,
}

/// Where chunks go.
pub(super) struct Outlet<'a, F> {
    pub(super) info: &'a mut Connection,
    pub(super) flow: &'a mut F,
    pub(super) stats: &'a mut Stats,
    pub(super) sink: &'a mut dyn FnMut(&Connection, &mut F, Event<'_>),
}

/// What a segment was to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A sign of life.
    Alive,
    /// Its numbers make no sense here.
    Implausible,
}

impl Duplex {
    /// How a SYN relates to what is known of its direction and of the other one.
    pub(super) fn opening(&self, dir: Direction, syn: &Segment<'_>) -> Opening {
        let (mine, other) = (self.stream(dir), self.stream(dir.reverse()));
        match mine.opening(syn) {
            Opening::Unknown if other.is_fresh() => Opening::Same,
            Opening::Unknown if syn.flags.ack => match other.offset(syn.ack) {
                Some(0..=0xffff) => Opening::Same,
                _ => Opening::Other,
            },
            Opening::Unknown => Opening::Other,
            known => known,
        }
    }

    /// Whether nothing was handed out.
    pub(super) fn is_silent(&self) -> bool {
        self.to_server.is_silent() && self.to_client.is_silent()
    }

    /// Whether nothing was handed out, or waits.
    pub(super) fn is_fresh(&self) -> bool {
        self.to_server.is_fresh() && self.to_client.is_fresh()
    }

    /// Whether any segment was captured on its way to the server, and to the client.
    pub(super) fn seen(&self) -> (bool, bool) {
        (self.to_server.seen, self.to_client.seen)
    }

    /// Whether a segment of this direction is the next one by its numbers, or was the last one.
    pub(super) fn stands_at(&self, dir: Direction, segment: &Segment<'_>) -> bool {
        let (mine, other) = (self.stream(dir), self.stream(dir.reverse()));
        let len = segment.payload.len() as u32 + segment.cut;
        mine.stands_at(first_byte(segment), len) && other.stands_at(segment.ack, 0)
    }

    /// Takes in what is known of the same connection under other addresses.
    pub(super) fn join(&mut self, other: Self) {
        self.to_server.join(other.to_server);
        self.to_client.join(other.to_client);
    }

    /// Whether both directions have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.to_server.ended && self.to_client.ended
    }

    /// Exchanges the directions: the client turned out to be the server.
    pub(super) fn flip(&mut self) {
        std::mem::swap(&mut self.to_server, &mut self.to_client);
    }

    /// Bytes of memory that wait.
    pub(super) fn memory(&self) -> usize {
        let (a, b) = (&self.to_server.store, &self.to_client.store);
        a.memory().saturating_add(b.memory())
    }

    /// When [`Duplex::expire`] is due.
    pub(super) fn deadline(&self) -> Moment {
        self.to_server.deadline.min(self.to_client.deadline)
    }

    /// Whether a segment is close enough to the end of its direction to be a straggler.
    pub(super) fn is_near(&self, dir: Direction, segment: &Segment<'_>) -> bool {
        self.stream(dir).is_near(first_byte(segment))
    }

    /// Whether a segment shows that the RST was not the end: its sender goes on behind it, so
    /// somebody else made the RST up, or the peer refused it (RFC 5961 section 3, RFC 2385).
    pub(super) fn outlives_reset(&self, dir: Direction, segment: &Segment<'_>) -> bool {
        let Some((_, seq)) = self.reset.filter(|(by, _)| *by == dir) else {
            return false;
        };
        match segment.flags.syn {
            true => self.stream(dir).opening(segment) == Opening::Unknown,
            false => segment.seq.wrapping_sub(seq) <= u32::MAX / 2,
        }
    }

    /// Where a segment is what nearly every one is, the next bytes of its direction or none, from an
    /// end that had received only what was handed out of the other one: up to what offset.
    #[inline]
    pub(super) fn received_before_next(
        &self,
        dir: Direction,
        segment: &Segment<'_>,
    ) -> Option<u64> {
        let flags = segment.flags;
        let is_plain = flags.ack && !flags.syn && !flags.fin && !flags.rst;
        let is_next = is_plain
            && segment.cut == 0
            && segment.vantage.settled.is_none()
            && self.stream(dir).even_at()? == segment.seq;
        if !is_next {
            return None;
        }
        let other = self.stream(dir.reverse());
        let behind = u64::from(other.even_at()?.wrapping_sub(segment.ack));
        (behind <= NEAR).then(|| other.next.checked_sub(behind))?
    }

    /// Takes in a segment that comes next, from an end that has received the other direction
    /// [up to](Self::received_before_next) this offset.
    #[inline]
    pub(super) fn push_next<F>(
        &mut self,
        dir: Direction,
        segment: &Segment<'_>,
        received: u64,
        out: &mut Outlet<'_, F>,
    ) {
        let (mine, other) = self.split(dir);
        other.acknowledge_to(received);
        if segment.payload.is_empty() {
            return;
        }
        let offset = mine.next;
        mine.advance(segment.payload.len() as u64);
        out.chunk(segment.at, dir, offset, Piece::Data(segment.payload));
    }

    /// Takes in a segment, whatever it is, and hands out what became ready.
    pub(super) fn push<F>(
        &mut self,
        dir: Direction,
        segment: &Segment<'_>,
        now: Now,
        limits: &Limits,
        out: &mut Outlet<'_, F>,
    ) -> Taken {
        let (mine, other) = self.split(dir);
        let is_syn_again = segment.flags.syn && mine.is_opened_by(segment);
        out.stats.duplicates += u64::from(is_syn_again && segment.payload.is_empty());
        if segment.flags.rst {
            if !mine.is_near(segment.seq) {
                return Taken::Implausible;
            }
            self.reset = Some((dir, segment.seq));
            self.conclude(EndKind::Reset, now, out);
            return Taken::Alive;
        }
        mine.begin(segment);
        let Some(span) = mine.span(segment) else {
            return Taken::Implausible;
        };
        let is_first = !mine.seen && !other.seen;
        mine.seen = true;
        let settled = segment.vantage.settled;
        let need = match segment.flags.ack {
            true => other.acknowledge(segment.ack),
            false => 0,
        };
        let lost = segment.vantage.lost;
        let is_sure = self.lost == lost || is_first;
        // One that does not say what is settled leaves the loss to the next one.
        if settled.is_some() || is_first {
            self.lost = lost;
        }
        if let Some(settled) = settled {
            let ends = [(dir.reverse(), settled.peer), (dir, settled.own)];
            for (dir, seq) in ends {
                self.is_doubted |= self.settle(dir, seq, is_sure, segment.at, out);
            }
            let may_tell = dir == Direction::ServerToClient && !self.to_server.ended;
            if self.is_doubted && may_tell {
                self.is_doubted = false;
                let offset = self.to_server.next;
                let dir = Direction::ClientToServer;
                out.chunk(segment.at, dir, offset, Piece::LastWaits);
            }
        }
        let (mine, other) = self.split(dir);
        take(mine, other, dir, segment, span, need, out);
        if !mine.store.is_empty() || !other.store.is_empty() {
            self.pump(out);
            self.bound(dir, now, limits, out);
        }
        self.refresh_deadlines(now, limits);
        Taken::Alive
    }

    /// Gives up the holes that were open for too long.
    pub(super) fn expire<F>(&mut self, now: Now, limits: &Limits, out: &mut Outlet<'_, F>) {
        while self.deadline() <= now.clock {
            for dir in BOTH {
                let (stream, _) = self.split(dir);
                match stream.hole() {
                    Some(hole) if stream.deadline <= now.clock => {
                        give_up(stream, dir, hole, now, out);
                    }
                    _ => {}
                }
            }
            self.pump(out);
            self.refresh_deadlines(now, limits);
        }
    }

    /// Hands out what waits, with gaps where something is missing, and ends both directions.
    pub(super) fn conclude<F>(&mut self, kind: EndKind, now: Now, out: &mut Outlet<'_, F>) {
        loop {
            self.pump(out);
            let holes = BOTH.map(|dir| self.stream(dir).hole().map(|hole| (dir, hole)));
            // The one that is open longest; one with nothing behind it comes last.
            let oldest = holes
                .into_iter()
                .flatten()
                .min_by_key(|(_, hole)| (hole.since.is_none(), hole.since));
            let Some((dir, hole)) = oldest else { break };
            let (stream, _) = self.split(dir);
            give_up(stream, dir, hole, now, out);
        }
        for dir in BOTH {
            let (stream, _) = self.split(dir);
            if !stream.ended {
                let offset = stream.next;
                stream.end();
                out.chunk(now.at, dir, offset, Piece::End(kind));
            }
        }
    }

    /// Nothing more will come before this sequence number: what is missing was left out, or it was
    /// lost where that is not sure. Returns whether any was lost.
    fn settle<F>(
        &mut self,
        dir: Direction,
        seq: u32,
        is_sure: bool,
        at: Timestamp,
        out: &mut Outlet<'_, F>,
    ) -> bool {
        let Some(end) = self.stream(dir).offset(seq) else {
            return false;
        };
        let end = u64::try_from(end).unwrap_or(0);
        let mut is_lost = false;
        loop {
            self.pump(out);
            let (stream, _) = self.split(dir);
            let held = stream.store.first().map_or(u64::MAX, |(at, _)| at);
            let until = end.min(held).min(stream.fin());
            if stream.ended || until <= stream.next {
                return is_lost;
            }
            let (offset, len) = (stream.next, until - stream.next);
            stream.advance(len);
            if is_sure {
                out.chunk(at, dir, offset, Piece::LeftOut { len });
            } else {
                out.gap(at, dir, offset, len);
                is_lost = true;
            }
        }
    }

    /// Hands out everything that is ready and whose sender had received nothing that was not
    /// handed out before.
    fn pump<F>(&mut self, out: &mut Outlet<'_, F>) {
        loop {
            let mut moved = false;
            for dir in BOTH {
                let (mine, other) = self.split(dir);
                while mine.is_ready()
                    && mine
                        .store
                        .first()
                        .is_some_and(|(_, held)| other.has_reached(held.need))
                {
                    release(mine, dir, out);
                    moved = true;
                }
            }
            if moved {
                continue;
            }
            // Each waits for the other: only retransmissions were captured, or somebody lies.
            if !(self.to_server.is_ready() && self.to_client.is_ready()) {
                return;
            }
            let at = |stream: &Stream| stream.store.first().map(|(_, held)| held.at);
            let dir = match at(&self.to_server) <= at(&self.to_client) {
                true => Direction::ClientToServer,
                false => Direction::ServerToClient,
            };
            let (mine, _) = self.split(dir);
            release(mine, dir, out);
        }
    }

    /// Gives up holes until what waits in a direction is within its bound.
    fn bound<F>(&mut self, dir: Direction, now: Now, limits: &Limits, out: &mut Outlet<'_, F>) {
        while self.stream(dir).store.memory() > limits.out_of_order {
            // Where its own next byte is here, it waits for the other direction.
            let dir = match self.stream(dir).is_ready() {
                true => dir.reverse(),
                false => dir,
            };
            let (stream, _) = self.split(dir);
            let Some(hole) = stream.hole() else { return };
            out.stats.evicted_bytes += give_up(stream, dir, hole, now, out);
            self.pump(out);
        }
    }

    fn refresh_deadlines(&mut self, now: Now, limits: &Limits) {
        self.to_server.refresh_deadline(now, limits);
        self.to_client.refresh_deadline(now, limits);
    }

    fn stream(&self, dir: Direction) -> &Stream {
        match dir {
            Direction::ClientToServer => &self.to_server,
            Direction::ServerToClient => &self.to_client,
        }
    }

    fn split(&mut self, dir: Direction) -> (&mut Stream, &mut Stream) {
        match dir {
            Direction::ClientToServer => (&mut self.to_server, &mut self.to_client),
            Direction::ServerToClient => (&mut self.to_client, &mut self.to_server),
        }
    }
}

/// Puts what a segment carries in its place in the stream.
fn take<F>(
    mine: &mut Stream,
    other: &Stream,
    dir: Direction,
    segment: &Segment<'_>,
    span: Range<i64>,
    need: u64,
    out: &mut Outlet<'_, F>,
) {
    let is_empty = span.is_empty();
    let end = u64::try_from(span.end).unwrap_or(0);
    // Only what lies between the bytes handed out and the FIN counts.
    let within = |offset: u64| {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        u64::try_from(offset.saturating_sub(span.start)).unwrap_or(0)
    };
    let (first, last) = (within(mine.next), within(end.min(mine.fin())));
    let parts = [
        Part::Bytes(segment.payload),
        Part::Skipped(u64::from(segment.cut)),
    ];
    let mut is_new = false;
    let mut passed = 0;
    for part in parts {
        let begin = passed;
        passed += part.len();
        let (from, until) = (first.max(begin), last.min(passed));
        if from < until && !mine.ended {
            let offset = end - (within(end) - from);
            let part = part.slice(from - begin, until - begin);
            is_new |= place(mine, other, dir, offset, part, segment.at, need, out);
        }
    }
    let mut is_copy = !is_new && !is_empty;
    if segment.flags.fin {
        let is_known = mine.ended || mine.fin() == end;
        if !is_known && mine.note_fin(end) {
            is_copy = false;
            if mine.next == end && other.has_reached(need) {
                mine.end();
                out.chunk(segment.at, dir, end, Piece::End(EndKind::Fin));
            } else {
                mine.store.insert_fin(end, segment.at, need);
            }
        }
        is_copy |= is_known && !is_new;
    } else if is_empty && !segment.flags.syn {
        // A keep-alive probe repeats the last byte, or only its number.
        is_copy = span.end >= 0 && end.checked_add(1) == Some(mine.next);
    }
    out.stats.duplicates += u64::from(is_copy);
}

/// Hands out what can be without copying it, and keeps the rest. Returns whether any was new.
#[expect(clippy::too_many_arguments, reason = "the parts of one segment")]
fn place<F>(
    mine: &mut Stream,
    other: &Stream,
    dir: Direction,
    offset: u64,
    part: Part<'_>,
    at: Timestamp,
    need: u64,
    out: &mut Outlet<'_, F>,
) -> bool {
    let held = mine.store.first().map_or(u64::MAX, |(held, _)| held);
    let ready = match offset == mine.next && other.has_reached(need) {
        true => part.len().min(held.saturating_sub(offset)),
        false => 0,
    };
    if ready > 0 {
        mine.advance(ready);
        let piece = match part.slice(0, ready) {
            Part::Bytes(bytes) => Piece::Data(bytes),
            Part::Skipped(len) => Piece::Gap {
                len,
                kind: GapKind::Skipped,
            },
        };
        out.chunk(at, dir, offset, piece);
    }
    if ready == part.len() {
        return true;
    }
    let rest = part.slice(ready, part.len());
    let inserted = mine.store.insert(offset + ready, rest, at, need);
    if inserted.conflict {
        out.info.conflict = true;
        out.stats.conflicts += 1;
    }
    inserted.added || ready > 0
}

/// Hands out what is first in the store, which must be what comes next.
fn release<F>(mine: &mut Stream, dir: Direction, out: &mut Outlet<'_, F>) {
    let Some(Held { at, content, .. }) = mine.store.pop_first() else {
        return;
    };
    let offset = mine.next;
    match content {
        Content::Bytes(bytes) => {
            mine.advance(bytes.len() as u64);
            out.chunk(at, dir, offset, Piece::Data(&bytes));
        }
        Content::Skipped(len) => {
            mine.advance(len);
            let kind = GapKind::Skipped;
            out.chunk(at, dir, offset, Piece::Gap { len, kind });
        }
        Content::Fin => {
            mine.end();
            out.chunk(at, dir, offset, Piece::End(EndKind::Fin));
        }
    }
}

/// Hands out a hole as lost. Returns its length in bytes.
fn give_up<F>(
    stream: &mut Stream,
    dir: Direction,
    hole: Hole,
    now: Now,
    out: &mut Outlet<'_, F>,
) -> u64 {
    let offset = stream.next;
    let len = stream.give_up(hole);
    if len > 0 {
        out.gap(now.at, dir, offset, len);
    }
    len
}

impl<F> Outlet<'_, F> {
    /// Hands out that so many bytes were lost.
    fn gap(&mut self, at: Timestamp, dir: Direction, offset: u64, len: u64) {
        self.stats.gaps += 1;
        self.stats.gap_bytes = self.stats.gap_bytes.saturating_add(len);
        let kind = GapKind::Lost;
        self.chunk(at, dir, offset, Piece::Gap { len, kind });
    }

    fn chunk(&mut self, at: Timestamp, dir: Direction, offset: u64, piece: Piece<'_>) {
        let chunk = Chunk {
            at,
            dir,
            offset,
            piece,
        };
        (self.sink)(self.info, self.flow, Event::Chunk(chunk));
    }
}
