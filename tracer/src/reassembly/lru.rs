//! A list of slot numbers in the order in which they were last touched, O(1) in everything.

/// No slot.
const NONE: u32 = u32::MAX;

/// Slot numbers, the least recently touched in front.
#[derive(Debug)]
pub(super) struct Lru {
    links: Vec<Link>,
    front: u32,
    back: u32,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
    listed: bool,
}

impl Default for Lru {
    fn default() -> Self {
        Self {
            links: Vec::new(),
            front: NONE,
            back: NONE,
            len: 0,
        }
    }
}

impl Lru {
    /// The slot that was touched longest ago.
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.front != NONE).then_some(self.front)
    }

    /// How many slots are listed.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts a slot at the end, from wherever it was.
    pub(super) fn touch(&mut self, slot: u32) {
        if self.back == slot && slot != NONE {
            return;
        }
        self.remove(slot);
        let index = slot as usize;
        if index >= self.links.len() {
            self.links.resize(index.saturating_add(1), UNLISTED);
        }
        let before = self.back;
        self.set(slot, |link| {
            *link = Link {
                before,
                after: NONE,
                listed: true,
            }
        });
        match before {
            NONE => self.front = slot,
            _ => self.set(before, |link| link.after = slot),
        }
        self.back = slot;
        self.len = self.len.saturating_add(1);
    }

    /// Takes a slot off the list, if it is there.
    pub(super) fn remove(&mut self, slot: u32) {
        let Some(&link) = self.links.get(slot as usize).filter(|link| link.listed) else {
            return;
        };
        match link.before {
            NONE => self.front = link.after,
            before => self.set(before, |l| l.after = link.after),
        }
        match link.after {
            NONE => self.back = link.before,
            after => self.set(after, |l| l.before = link.before),
        }
        self.set(slot, |l| *l = UNLISTED);
        self.len = self.len.saturating_sub(1);
    }

    fn set(&mut self, slot: u32, change: impl FnOnce(&mut Link)) {
        if let Some(link) = self.links.get_mut(slot as usize) {
            change(link);
        }
    }
}

const UNLISTED: Link = Link {
    before: NONE,
    after: NONE,
    listed: false,
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_queue_without_repetitions(steps in prop::collection::vec((0u32..8, any::<bool>()), 0..200)) {
            let (mut lru, mut model) = (Lru::default(), Vec::new());
            for (slot, touched) in steps {
                model.retain(|s| *s != slot);
                if touched {
                    model.push(slot);
                    lru.touch(slot);
                } else {
                    lru.remove(slot);
                }
                prop_assert_eq!(lru.len(), model.len());
                prop_assert_eq!(lru.oldest(), model.first().copied());
            }
            for slot in model {
                prop_assert_eq!(lru.oldest(), Some(slot));
                lru.remove(slot);
            }
            prop_assert_eq!(lru.oldest(), None);
        }
    }
}
