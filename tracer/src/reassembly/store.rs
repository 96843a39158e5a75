//! What has arrived in one direction and cannot be handed out yet.

use std::collections::BTreeMap;

use crate::model::Timestamp;

/// What an entry costs beside its bytes: its share of a tree node that is at worst half empty,
/// and the allocator's header of the bytes. Without it a flood of one-byte segments would hold
/// a hundred times what the bound says.
const ENTRY: usize = 128;

/// Bytes waiting for others before them, by their offset in the stream; entries do not overlap.
#[derive(Debug, Default)]
pub(super) struct Store {
    entries: BTreeMap<u64, Held>,
    memory: usize,
}

/// One run of bytes, or what stands for it.
#[derive(Debug)]
pub(super) struct Held {
    /// When the segment was captured that brought it.
    pub(super) at: Timestamp,
    /// How much of the other direction its sender had received.
    pub(super) need: u64,
    /// What it is.
    pub(super) content: Content,
}

/// What is held.
#[derive(Debug)]
pub(super) enum Content {
    /// Bytes.
    Bytes(Box<[u8]>),
    /// So many bytes that were not captured.
    Skipped(u64),
    /// The end of the stream.
    Fin,
}

/// A part of a segment, borrowed from its frame.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// So many bytes that were not captured.
    Skipped(u64),
}

/// What came of an insertion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inserted {
    /// Some of it was new.
    pub(super) added: bool,
    /// Some of it differs from the copy that is held.
    pub(super) conflict: bool,
}

impl Store {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of memory that it takes, at most.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// What comes first, and its offset.
    pub(super) fn first(&self) -> Option<(u64, &Held)> {
        self.entries.first_key_value().map(|(at, held)| (*at, held))
    }

    /// The offset behind the last byte held.
    pub(super) fn end(&self) -> Option<u64> {
        let (at, held) = self.entries.last_key_value()?;
        Some(at.saturating_add(held.len()))
    }

    /// Takes what comes first.
    pub(super) fn pop_first(&mut self) -> Option<Held> {
        let (_, held) = self.entries.pop_first()?;
        self.memory = self.memory.saturating_sub(held.memory());
        Some(held)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Notes the end of the stream, which must not lie before [`Store::end`].
    pub(super) fn insert_fin(&mut self, offset: u64, at: Timestamp, need: u64) {
        let content = Content::Fin;
        self.put(offset, Held { at, need, content });
    }

    /// Copies those bytes of `part` that are not held yet: of two copies the first one wins.
    pub(super) fn insert(
        &mut self,
        offset: u64,
        part: Part<'_>,
        at: Timestamp,
        need: u64,
    ) -> Inserted {
        let end = offset.saturating_add(part.len());
        let mut outcome = Inserted::default();
        let mut from = offset;
        while from < end {
            let until;
            if let Some((start, held)) = self.covering(from) {
                until = end.min(start.saturating_add(held.len()));
                outcome.conflict |= held
                    .content
                    .differs(from - start, part.slice(from - offset, until - offset));
            } else {
                until = end.min(self.next_after(from));
                let content = part.slice(from - offset, until - offset).to_content();
                self.put(from, Held { at, need, content });
                outcome.added = true;
            }
            from = until;
        }
        outcome
    }

    fn covering(&self, offset: u64) -> Option<(u64, &Held)> {
        let (start, held) = self.entries.range(..=offset).next_back()?;
        (start.saturating_add(held.len()) > offset).then_some((*start, held))
    }

    fn next_after(&self, offset: u64) -> u64 {
        let mut after = self.entries.range(offset.saturating_add(1)..);
        after.next().map_or(u64::MAX, |(start, _)| *start)
    }

    fn put(&mut self, offset: u64, held: Held) {
        self.memory = self.memory.saturating_add(held.memory());
        if let Some(old) = self.entries.insert(offset, held) {
            self.memory = self.memory.saturating_sub(old.memory());
        }
    }
}

impl Held {
    fn len(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Skipped(len) => *len,
            Content::Fin => 0,
        }
    }

    fn memory(&self) -> usize {
        let bytes = match &self.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::Skipped(_) | Content::Fin => 0,
        };
        bytes.saturating_add(ENTRY)
    }
}

impl Content {
    /// Whether another copy of the bytes from `from` on differs; what was not captured does not.
    fn differs(&self, from: u64, other: Part<'_>) -> bool {
        match (self, other) {
            (Self::Bytes(mine), Part::Bytes(other)) => mine
                .get(to_index(from)..to_index(from).saturating_add(other.len()))
                .is_some_and(|mine| mine != other),
            _ => false,
        }
    }
}

impl<'a> Part<'a> {
    /// Bytes of the stream that it takes up.
    pub(super) fn len(self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Skipped(len) => len,
        }
    }

    /// A range of it, which must lie within.
    pub(super) fn slice(self, from: u64, until: u64) -> Self {
        match self {
            Self::Bytes(bytes) => Self::Bytes(
                bytes
                    .get(to_index(from)..to_index(until))
                    .unwrap_or_default(),
            ),
            Self::Skipped(_) => Self::Skipped(until.saturating_sub(from)),
        }
    }

    fn to_content(self) -> Content {
        match self {
            Self::Bytes(bytes) => Content::Bytes(bytes.into()),
            Self::Skipped(len) => Content::Skipped(len),
        }
    }
}

fn to_index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_copy_wins() {
        for (inserts, held, conflict) in [
            ("3:def 0:abc", "0:abc 3:def", false),
            ("3:def 3:def", "3:def", false),
            ("3:def 3:deX", "3:def", true),
            ("3:def 1:bcdefgh", "1:bc 3:def 6:gh", false),
            ("3:def 1:bcXefgh", "1:bc 3:def 6:gh", true),
            ("2:c 4:e 0:abcdefg", "0:ab 2:c 3:d 4:e 5:fg", false),
            ("0:abcdef 2:cd", "0:abcdef", false),
            ("0:abcdef 4:eXg", "0:abcdef 6:g", true),
            ("0:~3 1:bcd", "0:~3 3:d", false),
            ("1:bc 0:~4", "0:~1 1:bc 3:~1", false),
        ] {
            let mut store = Store::default();
            let mut differed = false;
            for insert in inserts.split(' ') {
                let (offset, part) = parse(insert);
                let outcome = store.insert(offset, part, Timestamp::default(), 0);
                differed |= outcome.conflict;
            }
            assert_eq!(show(&mut store), held, "{inserts}");
            assert_eq!(differed, conflict, "{inserts}");
            assert_eq!(store.memory(), 0, "{inserts}");
        }
    }

    #[test]
    fn a_copy_adds_nothing() {
        let mut store = Store::default();
        let mut insert = |text| {
            let (offset, part) = parse(text);
            store.insert(offset, part, Timestamp::default(), 0).added
        };
        assert!(insert("3:abc") && insert("6:def"));
        assert!(!insert("3:abc") && !insert("4:bcde") && !insert("5:cde"));
        assert!(insert("5:cdefg"));
    }

    fn parse(text: &str) -> (u64, Part<'_>) {
        let (offset, bytes) = text.split_once(':').unwrap();
        let part = match bytes.strip_prefix('~') {
            Some(len) => Part::Skipped(len.parse().unwrap()),
            None => Part::Bytes(bytes.as_bytes()),
        };
        (offset.parse().unwrap(), part)
    }

    fn show(store: &mut Store) -> String {
        let mut shown = Vec::new();
        while let Some((offset, _)) = store.first() {
            shown.push(match store.pop_first().unwrap().content {
                Content::Bytes(bytes) => format!("{offset}:{}", String::from_utf8_lossy(&bytes)),
                Content::Skipped(len) => format!("{offset}:~{len}"),
                Content::Fin => format!("{offset}:fin"),
            });
        }
        shown.join(" ")
    }
}
