//! What is made of a shared value, kept for the next time: cases of one route share their siblings.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

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
}
