//! The connections, by their addresses and by their age.

use std::fmt;
use std::hash::BuildHasher;
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

impl<F> Default for Table<F> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            vacant: Vec::new(),
            index: HashTable::new(),
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
    pub(super) fn find(&self, segment: &Segment<'_>) -> Option<u32> {
        let netns = namespace(segment);
        let hash = self.hash(segment.src, segment.dst, netns);
        let belongs = |slot: &u32| {
            self.get(*slot).is_some_and(|slot| {
                let ends = (slot.info.client, slot.info.server);
                // The port first: it alone tells nearly all others.
                let same = |a: SocketAddr, b: SocketAddr| a.port() == b.port() && a == b;
                let are = |client, server| same(ends.0, client) && same(ends.1, server);
                slot.netns == netns
                    && (are(segment.src, segment.dst) || are(segment.dst, segment.src))
            })
        };
        self.index.find(hash, belongs).copied()
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
        let hash = self.hash_of(&new);
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
            other.map_or(0, |other| {
                hash_ends(hasher, other.info.client, other.info.server, other.netns)
            })
        });
        slot
    }

    /// Takes a connection out.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Slot<F>> {
        let old = self.slots.get_mut(slot as usize)?.take()?;
        match &old.info.sights {
            None => self.unlist(slot, self.hash_of(&old)),
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
            self.unlist(elder, self.hash_of(slot));
        }
        self.translations.add(elder, &sights);
        self.get_mut(elder)?.join(gone, swapped, sights);
        Some(joined)
    }

    /// Its addresses lead to a connection no longer.
    fn unlist(&mut self, slot: u32, hash: u64) {
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

    fn hash_of(&self, slot: &Slot<F>) -> u64 {
        self.hash(slot.info.client, slot.info.server, slot.netns)
    }

    fn hash(&self, a: SocketAddr, b: SocketAddr, netns: u64) -> u64 {
        hash_ends(&self.hasher, a, b, netns)
    }
}

/// The same for both directions.
fn hash_ends(hasher: &DefaultHashBuilder, a: SocketAddr, b: SocketAddr, netns: u64) -> u64 {
    match (a, b) {
        // As two numbers, which is several times quicker than field by field.
        (SocketAddr::V4(a), SocketAddr::V4(b)) => {
            let number =
                |end: SocketAddrV4| u64::from(end.ip().to_bits()) << 16 | u64::from(end.port());
            let (a, b) = (number(a), number(b));
            hasher.hash_one((a.min(b), a.max(b), netns))
        }
        _ => hasher.hash_one((a.min(b), a.max(b), netns)),
    }
}

impl<F> fmt::Debug for Table<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("open", &self.open.len())
            .field("closed", &self.closed.len())
            .finish_non_exhaustive()
    }
}
