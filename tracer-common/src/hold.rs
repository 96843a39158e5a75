//! Holding requests back until their answer is known: the state of one connection, and what a
//! packet does to it.
//!
//! The same code runs in the kernel and in the tests of the host, so it is written over [`World`].
//! A request is held from its first byte; the status line of its answer decides whether both are
//! shipped or let go. What cannot be followed is shipped whole from then on: pipelined requests,
//! segments out of order, chunked requests, heads longer than the room, whatever is not HTTP/1.
//!
//! Two CPUs can work on both directions of a connection at once. Each direction writes its own half
//! of the slot only, and says of a packet, or of a held request, that it is shipped when it is: what
//! the other direction ships would else come first, and say that nothing lies before it. What one
//! misses of the other is at most that more is shipped, or that bytes of a request are left out which
//! come at the very moment of its answer, and so were no reason for it.

mod ends;
mod halves;
pub mod method;
mod room;
mod sample;
mod scan;
mod set;
mod word;
mod world;

use crate::{PacketRecord, SETTLED_BOTH, counter};
pub use ends::{ENDS_WORDS, Ends, Home};
use halves::{BODY, Client, FRESH, HEAD, Server, WHOLE, read, through, write};
pub use room::Room;
pub use sample::Bucket;
pub use scan::status;
use scan::{End, Scan};
pub use set::{Set, WAYS};
pub use world::{Fate, Segment, Settled, World};

/// Bytes that are copied at once behind the first packet's.
pub const PIECE_MAX: u32 = 512;
/// Bytes of payload that are shipped of each direction of an exchange from its answer on, in bytes.
/// Of what follows only the headers are shipped.
pub const STREAM_MAX: u32 = 256 << 10;
/// The same of an exchange that is shipped as a sample only.
pub const SAMPLE_MAX: u32 = 16 << 10;
/// Bytes of headers in front of the payload that are held.
const HEADERS_MAX: u32 = 256;

/// Bytes of the rest of a body that is left out at once: half of the sequence numbers that the tool
/// can tell from earlier ones.
const BODY_MAX: u64 = 1 << 29;

/// One connection. All zeros is one of which nothing is known. Its [`Room`] is behind it.
#[repr(C)]
pub struct Slot {
    ends: Ends,
    server: Server,
    client: Client,
    /// The record of the held request. Its bytes follow, so that both are shipped in one go.
    record: PacketRecord,
}

/// What a packet was to its direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// It is what comes next.
    Followed,
    /// It was seen before.
    Old,
    /// It cannot be followed.
    Lost,
}

/// What became of a packet of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// It is held, or cut, and the head goes on in it.
    Head,
    /// The head was complete before.
    Rest,
    /// It cannot be followed.
    Lost,
}

const _: () = assert!(size_of::<Slot>() == 176 + size_of::<PacketRecord>());

impl Slot {
    /// Bytes of a slot with so many of room.
    pub const fn bytes_with(room: u32) -> usize {
        size_of::<Self>() + (room + PIECE_MAX) as usize
    }

    /// One of which nothing is known.
    ///
    /// # Safety
    ///
    /// It is put in front of its room: [`World::hold_bytes`], and [`PIECE_MAX`] more.
    pub const unsafe fn new() -> Self {
        Self {
            ends: Ends::NONE,
            server: Server::new(),
            client: Client::new(),
            record: PacketRecord::new(),
        }
    }

    /// The record of the held request.
    pub fn record(&self) -> &PacketRecord {
        &self.record
    }

    /// The room in which its bytes are.
    #[inline(always)]
    pub fn room<W: World>(&self, world: &W) -> Room {
        let first = core::ptr::from_ref(self).wrapping_add(1).cast_mut();
        // SAFETY: both who made the slot and who made the world say so.
        unsafe { Room::new(first.cast(), world.hold_bytes()) }
    }

    /// The connection that has it.
    #[inline(always)]
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// When it was last used for a request, or given to its connection, in nanoseconds below 2^62:
    /// the less, the sooner it may go to another one. One that holds a request comes last.
    #[inline(always)]
    pub fn age(&self) -> u64 {
        const PENDING: u64 = 1 << 61;
        let is_over = self.server.answered == self.client.begun || self.client.state == WHOLE;
        let pending = if is_over { 0 } else { PENDING };
        self.record.at_ns & (PENDING - 1) | pending
    }

    /// Gives it to another connection.
    #[inline(always)]
    pub fn give(&mut self, ends: &Ends, at_ns: u64) {
        self.ends = *ends;
        self.record.at_ns = at_ns;
        self.reset();
    }

    /// A new connection has the same ends.
    #[inline(always)]
    pub fn reset(&mut self) {
        self.client = Client::new();
        self.server = Server::new();
    }

    /// Whether nothing of its client was taken in yet.
    #[inline(always)]
    pub fn is_fresh(&self) -> bool {
        self.client.state == FRESH
    }

    /// What is settled, in the eyes of the client.
    #[inline(always)]
    pub fn settled_to_server(&self) -> Settled {
        if self.client.state == FRESH || self.is_whole() {
            return Settled::UNKNOWN;
        }
        let is_out = read(&self.server.is_out) != 0;
        Settled {
            own: self.client.next,
            peer: if is_out {
                read(&self.server.out)
            } else {
                self.client.acked
            },
            says: SETTLED_BOTH,
        }
    }

    /// What is settled, in the eyes of the server.
    #[inline(always)]
    pub fn settled_to_client(&self) -> Settled {
        if self.client.state == FRESH || self.is_whole() {
            return Settled::UNKNOWN;
        }
        Settled {
            own: self.server_next(),
            peer: read(&self.client.out),
            says: SETTLED_BOTH,
        }
    }

    /// The packet that was taken in last is shipped by now, or is not to be. Only then may the other
    /// direction say that nothing more comes before its end.
    #[inline(always)]
    pub fn is_out(&mut self, is_from_server: bool) {
        if !is_from_server {
            write(&mut self.client.out, self.client.next);
        } else if self.server.is_seen != 0 {
            write(&mut self.server.out, self.server.next);
            write(&mut self.server.is_out, 1);
        }
    }

    /// Takes in a packet of the client with payload.
    #[inline(always)]
    pub fn from_client<W: World>(&mut self, segment: &Segment, world: &mut W) {
        let segment = &through(&mut self.client.in_hand, *segment);
        if self.is_whole() {
            return world.ship(u32::MAX, Settled::UNKNOWN);
        }
        match self.follow_client(segment, world) {
            Taken::Old => return,
            // Behind the end nothing brings what is still held.
            Taken::Followed if !segment.closes || self.client.state == WHOLE => return,
            Taken::Followed | Taken::Lost => self.client_is_lost(world),
        }
        // The first packets came in another order.
        if !is_before(self.client.first, segment.seq) {
            world.ship(u32::MAX, Settled::UNKNOWN);
        }
    }

    /// Takes in a packet of the server with payload.
    #[inline(always)]
    pub fn from_server<W: World>(&mut self, segment: &Segment, world: &mut W) {
        let segment = &through(&mut self.server.in_hand, *segment);
        if self.is_whole() {
            return world.ship(u32::MAX, Settled::UNKNOWN);
        }
        match self.follow_server(segment, world) {
            Taken::Old | Taken::Followed => {}
            Taken::Lost => self.server_is_lost(world),
        }
    }

    /// The connection ends with a packet that carries nothing, in either direction.
    #[inline(always)]
    pub fn close<W: World>(&mut self, is_from_server: bool, world: &mut W) {
        // A request without an answer is for the tool to judge.
        if is_from_server {
            let settled = self.settled_to_client();
            self.ship_pending(world);
            self.server.is_whole = 1;
            world.ship(u32::MAX, settled);
        } else {
            let settled = self.settled_to_server();
            self.ship_pending(world);
            self.client.state = WHOLE;
            world.ship(u32::MAX, settled);
        }
    }

    #[inline(always)]
    fn follow_client<W: World>(&mut self, segment: &Segment, world: &mut W) -> Taken {
        let is_fresh = self.client.state == FRESH;
        if is_fresh {
            self.client.next = segment.seq;
            self.client.first = segment.seq;
            self.client.out = segment.seq;
        } else if segment.seq != self.client.next {
            let end = segment.seq.wrapping_add(segment.len);
            let is_old =
                is_before(self.client.first, segment.seq) && is_before(end, self.client.next);
            return match is_old {
                true => seen_before(segment, self.settled_to_server(), world),
                false => Taken::Lost,
            };
        }
        let is_between = self.client.state != HEAD && self.client.left == 0;
        let held = match is_fresh || is_between {
            true => self.begin(segment, world),
            false => self.go_on(segment, world),
        };
        match held {
            Held::Head => self.scan(world),
            Held::Rest => Taken::Followed,
            Held::Lost => Taken::Lost,
        }
    }

    #[inline(always)]
    fn follow_server<W: World>(&mut self, segment: &Segment, world: &mut W) -> Taken {
        if self.client.state == FRESH {
            return Taken::Lost;
        }
        let end = segment.seq.wrapping_add(segment.len);
        let expected = self.server_next();
        if is_before(end, expected) {
            return seen_before(segment, self.settled_to_client(), world);
        }
        if self.server.answered == self.client.begun {
            let is_shipped = self.server.shipping == self.client.begun;
            if is_shipped && segment.seq != expected {
                return Taken::Lost;
            }
            let settled = self.settled_to_client();
            self.server.next = end;
            self.server.is_seen = 1;
            if is_shipped {
                let payload = self.server.stream.min(segment.len);
                self.server.stream -= payload;
                world.ship(segment.up_to(payload), settled);
            } else if segment.closes {
                world.ship(segment.up_to(0), self.settled_to_client());
            }
            return Taken::Followed;
        }
        match status(world.start(segment.payload_at)) {
            Some(status) if status != 101 && segment.seq == expected => {
                self.answer(status, segment, world);
                Taken::Followed
            }
            _ => Taken::Lost,
        }
    }

    /// The status of an answer, in order.
    #[inline(always)]
    fn answer<W: World>(&mut self, status: u32, segment: &Segment, world: &mut W) {
        let request = self.client.begun;
        let is_interim = status < 200;
        let was_shipped = self.server.shipping == request;
        let (stream, is_followed) = if is_interim || was_shipped {
            (STREAM_MAX, true)
        } else {
            match world.fate(self, status) {
                Fate::Whole => (STREAM_MAX, true),
                Fate::LetGo => (0, false),
                Fate::Sample => (SAMPLE_MAX, false),
                Fate::Part => (SAMPLE_MAX, true),
            }
        };
        let is_shipped = stream > 0;
        if is_shipped && !was_shipped {
            self.ship_request(world);
            if stream == SAMPLE_MAX {
                world.count(counter::SAMPLED);
            }
        }
        if is_followed {
            // The client's side looks at these, on another CPU perhaps, and in the other order.
            write(&mut self.server.shipping, request);
        }
        let settled = self.settled_to_client();
        self.server.next = segment.seq.wrapping_add(segment.len);
        self.server.is_seen = 1;
        self.server.stream = stream;
        if !is_interim {
            write(&mut self.server.answered, request);
        }
        if is_shipped {
            world.ship(segment.up_to(stream), settled);
        } else {
            world.count(counter::LET_GO);
            if segment.closes {
                world.ship(segment.up_to(0), self.settled_to_client());
            }
        }
    }

    /// A request begins here, or so it should be.
    #[inline(always)]
    fn begin<W: World>(&mut self, segment: &Segment, world: &mut W) -> Held {
        let is_pending = self.server.answered != self.client.begun;
        if is_pending || segment.payload_at > HEADERS_MAX {
            return Held::Lost;
        }
        let whole = segment.payload_at + segment.len;
        let room = self.room(world);
        let held = whole.min(room.bytes());
        if !world.hold_first(room, held) {
            world.count(counter::UNREADABLE);
            return Held::Lost;
        }
        room.close(held);
        // What the compiler knows of it, the verifier may not: the wrapping has to stay.
        let at = core::hint::black_box(segment.payload_at);
        if !scan::is_request(room.words(at)) {
            return Held::Lost;
        }
        // What lies before the first is not known to be left out.
        let is_first = self.client.state == FRESH;
        let peer = match read(&self.server.is_out) {
            0 => segment.ack,
            _ => read(&self.server.out),
        };
        // The first may have come to the socket that listens; the one before this is not the first.
        let is_own_socket = self.client.begun > 1;
        self.record = world.record(is_own_socket.then_some(&self.record));
        self.record.captured_len = held;
        self.record.wire_len = whole;
        self.record.length_at = segment.length_at;
        self.record.settled = if is_first { 0 } else { SETTLED_BOTH };
        self.record.settled_own = segment.seq;
        self.record.settled_peer = peer;
        world.count(counter::HELD);
        let client = &mut self.client;
        client.state = HEAD;
        client.acked = segment.ack;
        client.payload_at = segment.payload_at;
        client.scan_at = segment.payload_at;
        client.stream = STREAM_MAX;
        client.length_at = 0;
        client.before = 0;
        client.left = 0;
        client.next = segment.seq.wrapping_add(segment.len);
        client.begun = client.begun.wrapping_add(1);
        Held::Head
    }

    /// More of the request under way.
    #[inline(always)]
    fn go_on<W: World>(&mut self, segment: &Segment, world: &mut W) -> Held {
        // In this order: what is shipped is shipped before it is answered.
        let is_answered = read(&self.server.answered) == self.client.begun;
        let is_shipped = read(&self.server.shipping) == self.client.begun;
        let is_head = self.client.state == HEAD;
        let len = u64::from(segment.len);
        // Before the end of the head nobody can have understood what is asked.
        if (is_head && (is_answered || is_shipped)) || (!is_head && len > self.client.left) {
            return Held::Lost;
        }
        if !is_head {
            self.client.left -= len;
        }
        let settled = self.settled_to_server();
        self.client.next = segment.seq.wrapping_add(segment.len);
        if is_shipped {
            let payload = self.client.stream.min(segment.len);
            self.client.stream -= payload;
            world.ship(segment.up_to(payload), settled);
            return Held::Rest;
        }
        if is_answered {
            return Held::Rest;
        }
        self.client.before = self.record.wire_len;
        self.append(segment, world);
        self.record.wire_len = self.record.wire_len.saturating_add(segment.len);
        match is_head {
            true => Held::Head,
            false => Held::Rest,
        }
    }

    /// Copies what there is room for behind what is held.
    #[inline(always)]
    fn append<W: World>(&mut self, segment: &Segment, world: &W) {
        let mut copied = 0;
        let room = self.room(world);
        let held = self.record.captured_len;
        // One that was cut before has its end.
        if held != self.record.wire_len {
            return;
        }
        for _ in 0..room.bytes() / PIECE_MAX {
            let to = held + copied;
            let len = (segment.len - copied).min(PIECE_MAX);
            let len = len.min(room.bytes().saturating_sub(to));
            if len == 0 || !world.hold_more(segment.payload_at + copied, room, to, len) {
                break;
            }
            copied += len;
        }
        self.record.captured_len = held + copied;
        room.close(held + copied);
        // Its header no longer says how long it is: as with segmentation offload, nothing does.
        room.clear_length(u32::from(self.record.length_at));
    }

    /// Looks for the end of the request in what is held of it.
    #[inline(always)]
    fn scan<W: World>(&mut self, world: &mut W) -> Taken {
        let room = self.room(world);
        let whole = read(&self.record.wire_len);
        let held = read(&self.record.captured_len);
        let mut scan = Scan {
            at: read(&self.client.scan_at),
            length_at: read(&self.client.length_at),
        };
        match scan.run(room, held) {
            End::Known { head_end, length } => {
                let seen = u64::from(whole - head_end.min(whole));
                if seen <= length {
                    self.client.state = BODY;
                    self.client.left = length - seen;
                    return Taken::Followed;
                }
            }
            End::More if whole <= room.bytes() => {
                self.client.scan_at = scan.at;
                self.client.length_at = scan.length_at;
                return Taken::Followed;
            }
            End::More | End::Unknown => {}
        }
        self.hand_over(world);
        Taken::Followed
    }

    /// What is held, the packet in hand with it, is shipped, and all that follows.
    #[inline(always)]
    fn hand_over<W: World>(&mut self, world: &mut W) {
        let held = self.record.captured_len;
        // Only the beginning of a long packet is held, and what is shipped first counts.
        if held != self.record.wire_len {
            self.record.wire_len = self.client.before.max(held);
            world.ship(u32::MAX, Settled::UNKNOWN);
        }
        if self.server.shipping != self.client.begun {
            self.ship_request(world);
        }
        self.client.state = WHOLE;
        world.count(counter::WHOLE);
    }

    /// The client's packet in hand cannot be followed.
    #[inline(always)]
    fn client_is_lost<W: World>(&mut self, world: &mut W) {
        let mut settled = self.settled_to_server();
        let is_answered = read(&self.server.answered) == self.client.begun;
        if is_answered && read(&self.server.shipping) != self.client.begun {
            // Without its head the rest of a body would be taken for anything.
            settled.own = settled
                .own
                .wrapping_add(self.client.left.min(BODY_MAX) as u32);
        }
        self.ship_pending(world);
        self.client.state = WHOLE;
        world.count(counter::WHOLE);
        world.ship(u32::MAX, settled);
    }

    /// The server's packet in hand cannot be followed.
    #[inline(always)]
    fn server_is_lost<W: World>(&mut self, world: &mut W) {
        let settled = self.settled_to_client();
        self.ship_pending(world);
        self.server.is_whole = 1;
        world.count(counter::WHOLE);
        world.ship(u32::MAX, settled);
    }

    #[inline(always)]
    fn ship_pending<W: World>(&mut self, world: &mut W) {
        let request = self.client.begun;
        let is_in_hand = self.client.state == HEAD || self.client.state == BODY;
        if is_in_hand && self.server.answered != request && self.server.shipping != request {
            self.ship_request(world);
        }
    }

    #[inline(always)]
    fn ship_request<W: World>(&self, world: &mut W) {
        world.ship_held(self);
        world.count(counter::HELD_SHIPPED);
    }

    #[inline(always)]
    fn is_whole(&self) -> bool {
        self.client.state == WHOLE || self.server.is_whole != 0
    }

    /// The server's next byte, as far as is known.
    #[inline(always)]
    fn server_next(&self) -> u32 {
        match self.server.is_seen {
            0 => self.client.acked,
            _ => self.server.next,
        }
    }
}

/// A retransmission: what it brings is known, but for the end of its direction.
#[inline(always)]
fn seen_before<W: World>(segment: &Segment, settled: Settled, world: &mut W) -> Taken {
    if segment.closes {
        world.ship(segment.up_to(0), settled);
    }
    Taken::Old
}

/// Whether a sequence number lies before another one, or is the same (RFC 9293 section 3.4).
#[inline(always)]
fn is_before(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) <= u32::MAX / 2
}
