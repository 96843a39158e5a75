//! Holds requests until their answer is known: the kernel's side of [`tracer_common::hold`].

use core::hint::black_box;

use aya_ebpf::helpers::generated::bpf_skb_load_bytes;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{LruHashMap, PerCpuArray};
use aya_ebpf::programs::sk_buff::SkBuff;
use tracer_common::hold::{Bucket, Fate, PIECE_MAX, Room, Settled, Slot, World, status};
use tracer_common::{HOOK_EGRESS, PacketRecord, counter};

use crate::ends;
use crate::headers::{self, Found, Headers};
use crate::packet::{self, Place, Socket};
use crate::settings::{HOLD_BYTES, is_traced, wants_method, wants_status};
use crate::{emit, owner, slots, talk};

/// How many requests were looked at for a sample: from clients, and from processes that serve.
#[map]
static LOOKS: PerCpuArray<[Bucket; 2]> = PerCpuArray::with_max_entries(1, 0);

/// How many requests of a route were shipped as a sample.
#[map]
static ROUTES: LruHashMap<u64, Bucket> = LruHashMap::with_max_entries(4096, 0);

/// So many requests are looked at at once, and one each interval, in nanoseconds, on each CPU: what
/// is neither refused nor failed costs no more than this, whatever somebody asks for.
const LOOKS_AT_ONCE: u64 = 64;
const LOOKS_EVERY: u64 = 1_000_000;
/// So many of a route are shipped at once, and one each interval. The tool keeps two of a route and
/// takes a new one five times a second; but all calls of a few requests should be there.
const ROUTE_AT_ONCE: u64 = 16;
const ROUTE_EVERY: u64 = 200_000_000;

/// How a packet is shipped.
pub struct Shipped {
    /// At most this many bytes of it.
    pub longest: u32,
    pub settled: Settled,
    /// Whom to tell when it is.
    slot: Option<&'static mut Slot>,
    is_from_server: bool,
}

const AS_IT_IS: Option<Shipped> = Some(Shipped {
    longest: u32::MAX,
    settled: Settled::UNKNOWN,
    slot: None,
    is_from_server: false,
});

impl Shipped {
    /// It is.
    #[inline(always)]
    pub fn is_out(self) {
        if let Some(slot) = self.slot {
            slot.is_out(self.is_from_server);
        }
    }
}

/// Takes in a packet, ships the held request where that is due, and says how the packet itself is
/// shipped, if at all. What is no plain TCP of one traced port is shipped as it is.
#[inline(always)]
pub fn take(skb: &SkBuff, hook: u32, link: u32, place: Place) -> Option<Shipped> {
    let headers = match headers::read(skb, link) {
        Found::Plain(headers) => headers,
        // For the tool.
        Found::Special if packet::is_special_traced(skb, link)? => return AS_IT_IS,
        Found::Special | Found::Short => return None,
    };
    let is_from_server = match (is_traced(headers.from), is_traced(headers.to)) {
        (false, false) => return None,
        (true, true) => return AS_IT_IS,
        (is_from_server, _) => is_from_server,
    };
    let Headers {
        syn, ack, segment, ..
    } = headers;
    // The tool knows a connection under several addresses by the numbers with which it begins under
    // each: where its answers show under others, by what ends the handshake.
    let is_bare = segment.len == 0 && !segment.closes && !syn;
    if is_bare && (is_from_server || !ends::may_differ(skb, &headers, hook, place)) {
        return None;
    }
    let ends = ends::of(skb, &headers, hook, place, is_from_server);
    let home = slots::home(&ends);
    let slot = slots::find(&ends, home);
    emit::count(counter::PACKETS);
    let mut hands = Hands {
        skb,
        hook,
        link,
        place,
        ships: false,
        longest: 0,
        settled: Settled::UNKNOWN,
    };
    let slot = match slot {
        Some(slot) => slot,
        None if syn || segment.len == 0 => return AS_IT_IS,
        None if is_from_server => {
            // Its request was not held.
            let is_wanted = |status| wants_status(status) || is_error(status);
            if !status(hands.start(segment.payload_at)).is_some_and(is_wanted) {
                return None;
            }
            emit::count(counter::UNHELD);
            return AS_IT_IS;
        }
        None => match slots::give(&ends, home) {
            Some(slot) => slot,
            None => {
                emit::count(counter::HOLD_FULL);
                return AS_IT_IS;
            }
        },
    };
    // SAFETY: map values stay mapped while a program runs. That another CPU works on the same one is
    // what the halves of a slot are made for.
    let slot = unsafe { &mut *slot.as_ptr() };
    if syn {
        if !ack {
            slot.reset();
        }
        return AS_IT_IS;
    }
    if is_bare {
        return if slot.is_fresh() { AS_IT_IS } else { None };
    }
    if segment.len == 0 {
        slot.close(is_from_server, &mut hands);
    } else if is_from_server {
        slot.from_server(&segment, &mut hands);
    } else {
        slot.from_client(&segment, &mut hands);
    }
    let Hands {
        ships,
        longest,
        settled,
        ..
    } = hands;
    if !ships {
        slot.is_out(is_from_server);
        return None;
    }
    Some(Shipped {
        longest,
        settled,
        slot: Some(slot),
        is_from_server,
    })
}

/// The packet in hand, and what is to be shipped.
struct Hands<'a> {
    skb: &'a SkBuff,
    hook: u32,
    link: u32,
    place: Place,
    ships: bool,
    longest: u32,
    settled: Settled,
}

impl Hands<'_> {
    #[inline(always)]
    fn copy(&self, from: u32, to: *mut u8, but_one: u32) -> bool {
        // SAFETY: the callers see to it that there is room for one byte more than `but_one`.
        unsafe { bpf_skb_load_bytes(self.skb.skb.cast(), from, to.cast(), but_one + 1) == 0 }
    }
}

// SAFETY: the loader makes the slots as large as it says with `HOLD_BYTES`; the verifier would see an
// access beyond.
unsafe impl World for Hands<'_> {
    #[inline(always)]
    fn start(&self, at: u32) -> [u64; 2] {
        // A shorter one says nothing that is followed.
        let words: [u64; 2] = packet::load(self.skb, at).unwrap_or_default();
        words.map(u64::from_le)
    }

    #[inline(always)]
    fn hold_bytes(&self) -> u32 {
        HOLD_BYTES.load()
    }

    #[inline(always)]
    fn hold_first(&self, room: Room, len: u32) -> bool {
        // The verifier has to see at the call itself that the length is at least 1, and fits.
        let but_one = room.wrap(black_box(len.wrapping_sub(1)));
        self.copy(0, room.at(0), but_one)
    }

    #[inline(always)]
    fn hold_more(&self, from: u32, room: Room, to: u32, len: u32) -> bool {
        let but_one = black_box(len.wrapping_sub(1)) & (PIECE_MAX - 1);
        self.copy(from, room.at(black_box(to)), but_one)
    }

    #[inline(always)]
    fn record(&self, before: Option<&PacketRecord>) -> PacketRecord {
        let socket = match before {
            // One that was held at the other end was met at another socket.
            Some(before) if before.hook == self.hook && before.cookie != 0 => Socket {
                cookie: before.cookie,
                netns: before.netns,
            },
            _ => Socket::of(self.skb, self.place),
        };
        packet::record(self.skb, self.hook, self.link, socket)
    }

    #[inline(always)]
    fn fate(&mut self, slot: &Slot, status: u32) -> Fate {
        let is_named = wants_status(status);
        let is_comparable = wants_method(slot.start(slot.room(self)));
        if is_named && is_comparable {
            return Fate::Whole;
        }
        let caller = caller(slot.record());
        // Of what a server asked, by whatever method, it may be why that one refused.
        if (is_named || is_error(status)) && !matches!(caller, Caller::Client) {
            return Fate::Whole;
        }
        if is_error(status) {
            return Fate::LetGo;
        }
        if matches!(caller, Caller::Silent) {
            return Fate::Part;
        }
        if matches!(caller, Caller::Client) && !is_comparable {
            return Fate::LetGo;
        }
        let is_sample = is_sample(slot, slot.room(self), matches!(caller, Caller::Serves(_)));
        match caller {
            Caller::Serves(_) if is_sample => Fate::Part,
            Caller::Serves(thread) => {
                talk::left_out(slot, thread);
                Fate::LetGo
            }
            _ if is_sample => Fate::Sample,
            _ => Fate::LetGo,
        }
    }

    #[inline(always)]
    fn ship_held(&mut self, slot: &Slot) {
        emit::held(slot, slot.room(self));
    }

    #[inline(always)]
    fn ship(&mut self, longest: u32, settled: Settled) {
        self.ships = true;
        self.longest = longest;
        self.settled = settled;
    }

    #[inline(always)]
    fn count(&mut self, counter: u32) {
        emit::count(counter);
    }
}

/// Whether an answer of this status says that something failed or was refused.
#[inline(always)]
fn is_error(status: u32) -> bool {
    (400..600).contains(&status)
}

/// Who sent a request.
enum Caller {
    /// A process that serves a traced port: by thread group and thread.
    Serves(u64),
    /// Another one, or one on another host.
    Client,
    /// A process of this host, perhaps one that serves: that is known once it sent.
    Silent,
    /// That is not told here: at an interface, and where no process is known to serve.
    Untold,
}

#[inline(always)]
fn caller(record: &PacketRecord) -> Caller {
    if record.cookie == 0 || !talk::any_serves() {
        return Caller::Untold;
    }
    // Of what a process of this host sends, the copy that goes out is held.
    if record.hook != HOOK_EGRESS {
        return Caller::Client;
    }
    match owner::sender(record.cookie) {
        Some(thread) if talk::is_server(thread) => Caller::Serves(thread),
        Some(_) => Caller::Client,
        None => Caller::Silent,
    }
}

/// Whether the held request is one of the few of its route that are shipped whatever comes of them.
#[inline(always)]
fn is_sample(slot: &Slot, room: Room, is_call: bool) -> bool {
    let now = slot.record().at_ns;
    let Some(looks) = LOOKS.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: map values stay mapped while a program runs; this one is of this CPU, and what an
    // interrupt takes from it meanwhile may be forgotten.
    let looks = unsafe { &mut (*looks)[usize::from(is_call)] };
    if !looks.take(now, LOOKS_EVERY, LOOKS_AT_ONCE) {
        return false;
    }
    let route = slot.route(room) ^ u64::from(is_call);
    if let Some(bucket) = ROUTES.get_ptr_mut(&route) {
        // SAFETY: as above; what another CPU takes at once may be forgotten.
        return unsafe { (*bucket).take(now, ROUTE_EVERY, ROUTE_AT_ONCE) };
    }
    let mut bucket = Bucket::default();
    bucket.take(now, ROUTE_EVERY, ROUTE_AT_ONCE);
    // What cannot be remembered is shipped again, within the bound on looks.
    let _ = ROUTES.insert(&route, &bucket, 0);
    true
}
