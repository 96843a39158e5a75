//! What was made of something, kept for the next time: cases of one route share their siblings, all
//! requests have the same few names, and in an incident refusals are alike to the byte.

mod texts;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

pub(crate) use texts::Texts;

/// Values of which something is remembered. Bounds the memory: each may be an exchange.
const REMEMBERED: usize = 64;

/// What was made of the values that were asked for last.
#[derive(Debug)]
pub(crate) struct Memo<K, V> {
    /// By the address of the value, which is held so that no other gets it. Looked up only.
    made: HashMap<usize, (Arc<K>, Arc<V>)>,
    /// The oldest first.
    order: VecDeque<usize>,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self {
            made: HashMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K, V> Memo<K, V> {
    /// What `make` makes, or made, of this value.
    pub(crate) fn of(&mut self, value: &Arc<K>, make: impl FnOnce(&Arc<K>) -> V) -> Arc<V> {
        let address = Arc::as_ptr(value).addr();
        if let Some((_, made)) = self.made.get(&address) {
            return Arc::clone(made);
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.made.remove(&oldest);
        }
        let made = Arc::new(make(value));
        self.order.push_back(address);
        let entry = (Arc::clone(value), Arc::clone(&made));
        self.made.insert(address, entry);
        made
    }
}

/// Names of which something is remembered. Bounds the memory: where somebody makes up ever more, all
/// are forgotten.
const NAMES_MAX: usize = 1024;

/// What was made of names, each a short one.
#[derive(Debug)]
pub(crate) struct Names<V>(RefCell<hashbrown::HashMap<Box<[u8]>, V>>);

impl<V> Default for Names<V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<V: Copy> Names<V> {
    /// What `make` makes, or made, of this name. It may not ask for another one.
    pub(crate) fn of(&self, name: &[u8], make: impl FnOnce(&[u8]) -> V) -> V {
        let mut made = self.0.borrow_mut();
        if let Some(value) = made.get(name) {
            return *value;
        }
        if made.len() >= NAMES_MAX {
            made.clear();
        }
        let value = make(name);
        made.insert(name.into(), value);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_forgotten_in_time() {
        let mut memo = Memo::default();
        let mut made = Vec::new();
        let first = Arc::new(0);
        let others = (1..=REMEMBERED).map(Arc::new);
        let values = std::iter::once(Arc::clone(&first)).chain(others);
        let mut ask = |value: &Arc<usize>| {
            let twice = memo.of(value, |v| {
                made.push(**v);
                **v * 2
            });
            assert_eq!(*twice, **value * 2);
        };
        for value in values.take(REMEMBERED) {
            // An equal value is another one.
            ask(&value);
            ask(&value);
        }
        ask(&first);
        ask(&Arc::new(7));
        ask(&first);
        let expected: Vec<_> = (0..REMEMBERED).chain([7, 0]).collect();
        assert_eq!(made, expected);
        assert_eq!(memo.made.len(), memo.order.len());
    }

    #[test]
    fn names_are_remembered_within_a_bound() {
        let names = Names::default();
        let mut made = 0;
        for round in 0..2 {
            for n in 0..=NAMES_MAX {
                let name = n.to_string();
                let len = names.of(name.as_bytes(), |name| {
                    made += 1;
                    name.len()
                });
                assert_eq!(len, name.len(), "round {round}");
                assert!(names.0.borrow().len() <= NAMES_MAX);
            }
        }
        names.of(b"new", |_| 9);
        assert_eq!(names.of(b"new", |_| 8), 9);
        assert!(made > NAMES_MAX);
    }
}
