//! What was made of texts, of which some come again and again.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

/// Longest text of which something is remembered, in bytes.
const LONGEST: usize = 16 << 10;
/// Bytes of all texts of which something is remembered: past it, all are forgotten.
const BYTES: usize = 256 << 10;
/// Most of them.
const COUNT: usize = 4096;
/// Texts that came once are marked in so many places; a later one takes the place of an earlier.
const MARKS: usize = 1024;

/// What a function makes of texts, which is given nothing else to make it of.
#[derive(Debug)]
pub(crate) struct Texts<V> {
    made: HashTable<(Box<[u8]>, V)>,
    /// Bytes of their texts.
    bytes: usize,
    /// Hashes of texts that came once. Most come no second time: those cost no more than a mark.
    once: Box<[u64]>,
    hasher: DefaultHashBuilder,
}

impl<V> Default for Texts<V> {
    fn default() -> Self {
        Self {
            made: HashTable::new(),
            bytes: 0,
            once: vec![0; MARKS].into(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl<V: Clone> Texts<V> {
    /// What `make` makes, or made, of this text.
    pub(crate) fn of(&mut self, text: &[u8], make: impl FnOnce(&[u8]) -> V) -> V {
        if text.len() > LONGEST {
            return make(text);
        }
        let hash = self.hasher.hash_one(text);
        let is_it = |(known, _): &(Box<[u8]>, V)| **known == *text;
        if let Some((_, made)) = self.made.find(hash, is_it) {
            return made.clone();
        }
        let made = make(text);
        if self.came_before(hash) {
            self.remember(hash, text, made.clone());
        }
        made
    }

    /// Whether the text with this hash is still marked, as it is from now on.
    fn came_before(&mut self, hash: u64) -> bool {
        let place = (hash >> 32) as usize % MARKS;
        let mark = self.once.get_mut(place);
        mark.is_some_and(|mark| std::mem::replace(mark, hash) == hash)
    }

    fn remember(&mut self, hash: u64, text: &[u8], made: V) {
        if self.made.len() >= COUNT || self.bytes + text.len() > BYTES {
            self.made.clear();
            self.bytes = 0;
        }
        self.bytes += text.len();
        let hash_of = |(known, _): &(Box<[u8]>, V)| self.hasher.hash_one(&**known);
        self.made.insert_unique(hash, (text.into(), made), hash_of);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_comes_twice_is_remembered() {
        let (mut texts, mut made) = (Texts::default(), 0);
        for _ in 0..4 {
            for text in [&b"a"[..], b"", b"a\0"] {
                let len = texts.of(text, |text| {
                    made += 1;
                    text.len()
                });
                assert_eq!(len, text.len());
            }
        }
        assert_eq!(made, 6);
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let mut texts = Texts::default();
        let mut ask = |text: &[u8]| {
            for _ in 0..2 {
                assert_eq!(texts.of(text, |text| text.to_vec()), text);
            }
            assert!(texts.made.len() <= COUNT);
            let kept: usize = texts.made.iter().map(|(text, _)| text.len()).sum();
            assert!(kept == texts.bytes && kept <= BYTES);
            texts.made.len()
        };
        for n in 0..=COUNT {
            ask(n.to_string().as_bytes());
        }
        for n in 0..=2 * BYTES / LONGEST {
            ask(&vec![n as u8; LONGEST - n]);
        }
        let before = ask(b"short");
        assert_eq!(ask(&[0; LONGEST + 1]), before);
    }

    proptest! {
        #[test]
        fn what_is_remembered_is_what_would_be_made(
            texts in prop::collection::vec(prop::collection::vec(0..3_u8, 0..4), 0..200),
        ) {
            let mut known = Texts::default();
            for text in &texts {
                let made = known.of(text, |text| [text, b"!"].concat());
                prop_assert_eq!(made, [text, &b"!"[..]].concat());
            }
        }
    }
}
