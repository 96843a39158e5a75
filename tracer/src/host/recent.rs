//! A bounded map that keeps what was used last.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// A map in two generations: what was used since the last change of generations, and what was used
/// in the one before. When the young one is full the old one goes. It holds at least the
/// `capacity` entries that were used last and at most twice as many, in constant time each.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    capacity: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// The value of a key; finding it counts as a use.
    pub(super) fn get<Q>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.capacity && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_used_last_and_no_more_than_twice_that() {
        let mut map = Recent::new(10);
        for key in 0..1_000 {
            map.insert(key, key);
            assert_eq!(map.get(&0), Some(&mut 0), "used all the time");
            assert!(map.young.len() + map.old.len() <= 20);
        }
        for key in 992..1_000 {
            assert_eq!(map.get(&key), Some(&mut { key }));
        }
        assert_eq!(map.get(&500), None);
    }

    #[test]
    fn the_last_value_counts_in_either_generation() {
        let mut map = Recent::new(1);
        map.insert(1, "a");
        map.insert(2, "b");
        map.insert(1, "c");
        assert_eq!(map.get(&1), Some(&mut "c"));
        map.remove(&1);
        assert_eq!(map.get(&1), None);
    }
}
