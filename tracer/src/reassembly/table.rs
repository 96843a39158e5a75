//! The connections, by their addresses and by their age.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::{SocketAddr, SocketAddrV4};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::decode::Segment;
use crate::model::{ConnId, Direction};

use super::lru::Lru;
use super::sights::{Sights, Translations};
use super::slot::{Slot, namespace};

/// All connections, in slots; a segment's is found with one look-up.
pub(super) struct Table<F> {
    slots: Vec<Option<Slot<F>>>,
    vacant: Vec<u32>,
    index: HashTable<u32>,
    /// The connection that was found last.
    last: u32,
    hasher: DefaultHashBuilder,
    pub(super) translations: Translations,
    /// Connections under way, by their last segment.
    pub(super) open: Lru,
    /// Connections that are over, by their end: kept for a while for their stragglers.
    pub(super) closed: Lru,
    /// Connections that hold memory, by their last segment.
    pub(super) holding: Lru,
}

/// A connection that became a part of another one.
pub(super) struct Joined {
    pub(super) id: ConnId,
    pub(super) held: usize,
    pub(super) started_in_middle: bool,
}

/// What a connection is found by, the same for both directions: the addresses and ports of its ends
/// in the order of their numbers, and its network namespace where that tells it apart (else 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// As numbers, which is several times quicker than field by field.
    V4([u64; 3]),
    Other([SocketAddr; 2], u64),
}

impl<F> Default for Table<F> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            vacant: Vec::new(),
            index: HashTable::new(),
            last: 0,
            hasher: DefaultHashBuilder::default(),
            translations: Translations::default(),
            open: Lru::default(),
            closed: Lru::default(),
            holding: Lru::default(),
        }
    }
}

impl<F> Table<F> {
    /// The connection of a segment.
    pub(super) fn find(&mut self, segment: &Segment<'_>) -> Option<u32> {
        let ends = Ends::of(segment.src, segment.dst, namespace(segment));
        // One that has several pairs of addresses is found by none of them here.
        let is_known_by = |slot: &Slot<F>| slot.info.sights.is_none() && slot.is_between(ends);
        let belongs = |slot: &u32| self.get(*slot).is_some_and(is_known_by);
        // The packets of a connection often come one behind the other.
        if belongs(&self.last) {
            return Some(self.last);
        }
        let found = self
            .index
            .find(self.hasher.hash_one(ends), belongs)
            .copied()?;
        self.last = found;
        Some(found)
    }

    /// A connection.
    pub(super) fn get(&self, slot: u32) -> Option<&Slot<F>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// A connection.
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Slot<F>> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// Adds a connection, whose addresses must be new.
    pub(super) fn insert(&mut self, new: Slot<F>) -> u32 {
        let hash = self.hasher.hash_one(new.ends());
        let slot = match self.vacant.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                // `limits.connections` is far below this.
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(new);
        }
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, slot, |other| {
            let other = slots.get(*other as usize).and_then(Option::as_ref);
            other.map_or(0, |other| hasher.hash_one(other.ends()))
        });
        slot
    }

    /// Takes a connection out.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Slot<F>> {
        let old = self.slots.get_mut(slot as usize)?.take()?;
        match &old.info.sights {
            None => self.unlist(slot, old.ends()),
            Some(sights) => self.translations.remove(sights),
        }
        for list in [&mut self.open, &mut self.closed, &mut self.holding] {
            list.remove(slot);
        }
        self.vacant.push(slot);
        Some(old)
    }

    /// The connection of a segment that is seen under other addresses than it is known by, and the
    /// segment with those.
    pub(super) fn translate<'a>(&mut self, segment: &Segment<'a>) -> Option<(u32, Segment<'a>)> {
        let alias = self.translations.find(segment)?;
        let info = &mut self.get_mut(alias.slot)?.info;
        if info.sights.as_mut()?.see(alias.sight, alias.dir) {
            info.name_ends();
        }
        let (src, dst) = match alias.dir {
            Direction::ClientToServer => (info.client, info.server),
            Direction::ServerToClient => (info.server, info.client),
        };
        Some((
            alias.slot,
            Segment {
                src,
                dst,
                ..*segment
            },
        ))
    }

    /// Makes two connections one that is known by the addresses of both: `other` becomes a part of
    /// `elder`. Returns what it was.
    pub(super) fn join(&mut self, elder: u32, other: u32, swapped: bool) -> Option<Joined> {
        let sights = Box::new(Sights::of(self.get(elder)?, self.get(other)?, swapped)?);
        let gone = self.remove(other)?;
        let joined = Joined {
            id: gone.info.id,
            held: gone.held,
            started_in_middle: gone.info.started_in_middle,
        };
        let slot = self.get(elder)?;
        if slot.info.sights.is_none() {
            self.unlist(elder, slot.ends());
        }
        self.translations.add(elder, &sights);
        self.get_mut(elder)?.join(gone, swapped, sights);
        Some(joined)
    }

    /// Its addresses lead to a connection no longer.
    fn unlist(&mut self, slot: u32, ends: Ends) {
        let hash = self.hasher.hash_one(ends);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
    }

    /// The connections under way, oldest first, with their slots.
    pub(super) fn open_by_id(&self) -> Vec<(ConnId, u32)> {
        let slots = (0..).zip(&self.slots);
        let mut open: Vec<_> = slots
            .filter_map(|(index, slot)| Some((slot.as_ref()?, index)))
            .filter(|(slot, _)| !slot.is_closed)
            .map(|(slot, index)| (slot.info.id, index))
            .collect();
        open.sort_unstable();
        open
    }
}

impl Hash for Ends {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            // Number by number: as a slice it would be hashed byte by byte.
            Self::V4(numbers) => numbers.iter().for_each(|number| state.write_u64(*number)),
            Self::Other(ends, netns) => (ends, netns).hash(state),
        }
    }
}

impl Ends {
    /// Whether these are [those](Self::of) of the connections between `a` and `b`.
    #[inline]
    pub(super) fn are_of(self, a: SocketAddr, b: SocketAddr, netns: u64) -> bool {
        match (self, a, b) {
            (Self::V4([low, high, space]), SocketAddr::V4(a), SocketAddr::V4(b)) => {
                let ends = [number(a), number(b)];
                space == netns && (ends == [low, high] || ends == [high, low])
            }
            _ => self == Self::of(a, b, netns),
        }
    }

    /// Those of the connections between these two.
    pub(super) fn of(a: SocketAddr, b: SocketAddr, netns: u64) -> Self {
        match (a, b) {
            (SocketAddr::V4(a), SocketAddr::V4(b)) => {
                let (a, b) = (number(a), number(b));
                Self::V4([a.min(b), a.max(b), netns])
            }
            _ => Self::Other([a.min(b), a.max(b)], netns),
        }
    }
}

/// An address and a port.
fn number(end: SocketAddrV4) -> u64 {
    u64::from(end.ip().to_bits()) << 16 | u64::from(end.port())
}

impl<F> fmt::Debug for Table<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("open", &self.open.len())
            .field("closed", &self.closed.len())
            .finish_non_exhaustive()
    }
}
