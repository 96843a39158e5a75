//! Repetitions of secrets that were found.

use std::borrow::Cow;
use std::cell::OnceCell;

use memchr::memmem::Finder;
use wide::u8x16;

use super::mask::{Known, SHORTEST_SWEPT};
use crate::bytes::places;

/// Replaces repetitions of secrets. Made once for all the texts of a case, as there are many, few
/// of which repeat one.
pub(super) struct Sweeper<'a> {
    /// The longest first: one secret may be part of another.
    secrets: Vec<&'a Known>,
    /// The last bytes of each, and the two at its very end, sixteen times. Tokens of one kind begin
    /// alike: it is at their ends that they differ.
    tails: Vec<Tail>,
    ends: Vec<[u8x16; 2]>,
    /// Made for the first text that needs them.
    finders: OnceCell<Vec<Finder<'a>>>,
}

type Tail = [u8; SHORTEST_SWEPT];

impl<'a> Sweeper<'a> {
    pub(super) fn new(secrets: impl Iterator<Item = &'a Known>) -> Self {
        let mut secrets: Vec<_> = secrets.collect();
        secrets.sort_by_key(|known| std::cmp::Reverse(known.secret.len()));
        let tails = secrets.iter().filter_map(|known| known.secret.last_chunk());
        let tails: Vec<Tail> = tails.copied().collect();
        let ends = tails.iter().map(|[.., first, last]| [*first, *last]);
        Self {
            ends: ends.map(|end| end.map(|b| u8x16::new([b; 16]))).collect(),
            tails,
            secrets,
            finders: OnceCell::new(),
        }
    }

    /// Whether there is a repetition.
    pub(super) fn finds(&self, text: &[u8]) -> bool {
        self.may_find(text) && self.finders().iter().any(|f| f.find(text).is_some())
    }

    /// Replaces every repetition; borrowed where there is none.
    pub(super) fn sweep<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut bytes = Cow::Borrowed(text);
        if !self.may_find(text) {
            return bytes;
        }
        for (finder, known) in self.finders().iter().zip(&self.secrets) {
            let mut swept = Vec::new();
            let mut from = 0;
            for at in finder.find_iter(&bytes) {
                swept.extend_from_slice(bytes.get(from..at).unwrap_or_default());
                swept.extend_from_slice(&known.mask);
                from = at + known.secret.len();
            }
            if from > 0 {
                swept.extend_from_slice(bytes.get(from..).unwrap_or_default());
                bytes = Cow::Owned(swept);
            }
        }
        bytes
    }

    /// Whether the last bytes of any secret are in the text: one look for all of them, which costs
    /// little, however long they are and whatever the text repeats.
    fn may_find(&self, text: &[u8]) -> bool {
        let none = u8x16::new([0; 16]);
        let ends = places(text, |byte, next| {
            let is = |[first, last]: &[u8x16; 2]| byte.cmp_eq(*first) & next.cmp_eq(*last);
            self.ends.iter().fold(none, |any, end| any | is(end))
        });
        let tails = ends.filter_map(|at| text.get(..at + 2)?.last_chunk());
        !self.tails.is_empty() && tails.into_iter().any(|tail| self.tails.contains(tail))
    }

    fn finders(&self) -> &[Finder<'a>] {
        let finders = || self.secrets.iter().map(|k| Finder::new(&k.secret));
        self.finders.get_or_init(|| finders().collect())
    }
}
