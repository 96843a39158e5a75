//! Which slot a connection has: found without a call into the kernel, which costs more than all that
//! is done here.
//!
//! A connection belongs to one [`Set`] of [`WAYS`] slots, by a hash of its [`Ends`](super::Ends) under
//! keys of this session. The set has a tag of the connection in each slot; the slot says whose it
//! really is. Slots come into sets one after the other, so that those in use lie together: of memory
//! that is spread, the machine has to look up each page.

use super::word::{equal_to, first_lane_of, opaque};

/// Slots of a set.
pub const WAYS: u32 = 8;

/// Which connections the slots of a set are of. All zeros: none.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Set {
    /// A tag for each slot; 0 where it is of none.
    tags: [u64; 2],
    /// Their numbers.
    slots: [u32; WAYS as usize],
    /// How many slots it has by now.
    filled: u32,
    /// How many are about to change it.
    pub busy: u32,
    /// Up to a line of memory.
    padding: u64,
}

impl Set {
    /// The first slot with this tag.
    #[inline(always)]
    pub fn find(&self, tag: u16) -> Option<u32> {
        let found = self
            .tags
            .map(|tags| equal_to::<16>(u64::from_le(tags), tag.into()));
        first_lane_of::<16>(found)
    }

    /// The number of one of its slots.
    #[inline(always)]
    pub fn slot(&self, way: u32) -> u32 {
        let slots = (&raw const self.slots).cast::<u32>();
        // SAFETY: one of the eight.
        unsafe { slots.add((way & (WAYS - 1)) as usize).read() }
    }

    /// Which of its slots a new connection gets: the next one that is in no set yet, or else, where it
    /// has all it can have, the one of the least age. An age is below 2^62. `None` where there is no
    /// such slot, and where another connection of the set has the same tag.
    #[inline(always)]
    pub fn choose(
        &mut self,
        tag: u16,
        next: impl FnOnce() -> Option<u32>,
        age: impl Fn(u32) -> Option<u64>,
    ) -> Option<u32> {
        if self.find(tag).is_some() {
            return None;
        }
        let filled = self.filled;
        if filled < WAYS {
            let slots = (&raw mut self.slots).cast::<u32>();
            // SAFETY: one of the eight.
            unsafe { slots.add((filled & (WAYS - 1)) as usize).write(next()?) };
            self.filled = filled + 1;
            return Some(filled);
        }
        let mut oldest = Oldest::NONE;
        for way in 0..WAYS {
            oldest.look(way, age(self.slot(way))?);
        }
        Some(oldest.way)
    }

    /// Files a slot under a tag, or under none (0). A number beyond the slots wraps.
    #[inline(always)]
    pub fn put(&mut self, way: u32, tag: u16) {
        let way = (way & (WAYS - 1)) as usize;
        let tags = (&raw mut self.tags).cast::<u16>();
        // SAFETY: one of the eight. Volatile, as others read it meanwhile.
        unsafe { tags.add(way).write_volatile(tag.to_le()) };
    }
}

/// The search for the slot of the least age.
struct Oldest {
    /// Which one, so far.
    way: u32,
    age: u64,
}

impl Oldest {
    /// None was looked at.
    const NONE: Self = Self {
        way: 0,
        age: 1 << 62,
    };

    #[inline(always)]
    fn look(&mut self, way: u32, age: u64) {
        // Without a branch, as above: all ones where it is less.
        let is_less = (opaque(age.wrapping_sub(self.age)) >> 63).wrapping_neg();
        self.age = self.age & !is_less | age & is_less;
        self.way = self.way & !(is_less as u32) | way & is_less as u32;
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    extern crate std;

    use super::super::ends::tests::{KEYS, ends};
    use super::super::{Ends, Home};
    use super::*;

    #[test]
    fn a_slot_is_found_under_its_tag_only() {
        let mut set = Set::default();
        let tags = [1, 0x8001, 3, 0xffff, 0x7fff, 0x0101, 5, 0x8000];
        for (way, tag) in (0..).zip(tags) {
            assert_eq!(set.find(tag), None);
            set.put(way, tag);
            assert_eq!(set.find(tag), Some(way));
        }
        for tag in 1..=u16::MAX {
            let at = tags.iter().position(|known| *known == tag);
            assert_eq!(set.find(tag), at.map(|at| at as u32), "{tag:#x}");
        }
        set.put(3, 0);
        assert_eq!(set.find(0xffff), None);
    }

    #[test]
    fn of_two_with_one_tag_the_first_is_found() {
        let mut set = Set::default();
        set.put(6, 9);
        set.put(2, 9);
        assert_eq!(set.find(9), Some(2));
    }

    #[test]
    fn the_oldest_goes() {
        let oldest = |ages: [u64; WAYS as usize]| {
            let mut oldest = Oldest::NONE;
            for (way, age) in (0..).zip(ages) {
                oldest.look(way, age);
            }
            oldest.way
        };
        assert_eq!(oldest([9, 8, 7, 6, 5, 6, 7, 8]), 4);
        assert_eq!(oldest([1, 1, 0, 0, 1, 1, 1, 1]), 2);
        assert_eq!(oldest([(1 << 62) - 1; 8]), 0);
    }

    /// What the kernel's side does, with slots that know whose they are and when they were used.
    struct Table {
        sets: [Set; 3],
        slots: std::vec::Vec<(Ends, u64)>,
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "what is out of bounds fails the test"
    )]
    impl Table {
        fn home(ends: &Ends) -> Home {
            ends.home(|at| KEYS[at], 3)
        }

        fn find(&self, ends: &Ends) -> Option<usize> {
            let home = Self::home(ends);
            let set = &self.sets[home.set as usize];
            let slot = set.slot(set.find(home.tag)?) as usize;
            self.slots[slot].0.are(ends).then_some(slot)
        }

        fn give(&mut self, ends: &Ends, now: u64) -> Option<usize> {
            let Self { sets, slots } = self;
            let home = Self::home(ends);
            let set = &mut sets[home.set as usize];
            let next = slots.len() as u32;
            let age = |slot: u32| Some(slots[slot as usize].1);
            let way = set.choose(home.tag, || Some(next), age)?;
            let slot = set.slot(way) as usize;
            slots.resize(slots.len().max(slot + 1), (Ends::NONE, 0));
            slots[slot] = (*ends, now);
            set.put(way, home.tag);
            Some(slot)
        }
    }

    #[test]
    fn a_connection_has_its_slot_until_it_is_the_oldest_of_a_full_set() {
        let mut table = Table {
            sets: Default::default(),
            slots: std::vec::Vec::new(),
        };
        let mut random = 1_u64;
        let (mut found, mut given) = (0, 0);
        for now in 1..20_000 {
            random = random.wrapping_mul(KEYS[1]).wrapping_add(KEYS[2]);
            // Some connections are busier than others.
            let n = (random >> 40) as u32 % if now % 2 == 0 { 10 } else { 60 };
            let ends = ends(n);
            if let Some(slot) = table.find(&ends) {
                table.slots[slot].1 = now;
                found += 1;
                continue;
            }
            let before = table.slots.clone();
            let home = Table::home(&ends);
            let slot = table.give(&ends, now).expect("no two have one tag here");
            given += 1;
            assert_eq!(table.find(&ends), Some(slot));
            let Some((lost, age)) = before.get(slot) else {
                continue;
            };
            assert_eq!(table.find(lost), None);
            let of_set = |(other, _): &&(Ends, u64)| Table::home(other).set == home.set;
            let ages = before.iter().filter(of_set).map(|(_, age)| age);
            assert_eq!(ages.min(), Some(age));
        }
        assert_eq!(table.slots.len(), 3 * WAYS as usize);
        assert!(found > 5000 && given > 1000, "{found} {given}");
    }
}
