//! Repetitions of secrets that were found.

use std::borrow::Cow;

use memchr::memmem;
use wide::u8x16;

use super::mask::{Known, SHORTEST_SWEPT};
use crate::bytes::places;

/// Replaces repetitions of secrets. Made once for all the texts of a case, as there are many, few
/// of which repeat one.
pub(super) struct Sweeper<'a> {
    /// The longest first: one secret may be part of another.
    sought: Vec<Sought<'a>>,
}

/// A secret, and what is looked for first: its last bytes. Tokens of one kind begin alike: it is at
/// their ends that they differ.
struct Sought<'a> {
    known: &'a Known,
    tail: [u8; SHORTEST_SWEPT],
    /// The last two bytes, each sixteen times.
    end: [u8x16; 2],
}

impl<'a> Sweeper<'a> {
    pub(super) fn new(secrets: impl Iterator<Item = &'a Known>) -> Self {
        let sought = secrets.filter_map(|known| {
            let tail: [u8; SHORTEST_SWEPT] = *known.secret.last_chunk()?;
            let [.., first, last] = tail;
            let end = [first, last].map(|byte| u8x16::new([byte; 16]));
            Some(Sought { known, tail, end })
        });
        let mut sought: Vec<_> = sought.collect();
        sought.sort_by_key(|s| std::cmp::Reverse(s.known.secret.len()));
        Self { sought }
    }

    /// Whether there may be a repetition: where not, there is none.
    pub(super) fn may_find(&self, text: &[u8]) -> bool {
        holds_tail(text, &self.sought)
    }

    /// Replaces every repetition; borrowed where there is none.
    pub(super) fn sweep<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        if self.may_find(text) {
            self.replace(text)
        } else {
            Cow::Borrowed(text)
        }
    }

    fn replace<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut bytes = Cow::Borrowed(text);
        for one in &self.sought {
            if !holds_tail(&bytes, std::slice::from_ref(one)) {
                continue;
            }
            let Known { secret, mask } = one.known;
            let mut swept = Vec::new();
            let mut from = 0;
            for at in memmem::find_iter(&bytes, secret) {
                swept.extend_from_slice(bytes.get(from..at).unwrap_or_default());
                swept.extend_from_slice(mask);
                from = at + secret.len();
            }
            if from > 0 {
                swept.extend_from_slice(bytes.get(from..).unwrap_or_default());
                bytes = Cow::Owned(swept);
            }
        }
        bytes
    }
}

/// Whether the last bytes of any of these are in the text: one look for all, which takes no longer
/// for long secrets, nor where text and secrets repeat themselves.
fn holds_tail(text: &[u8], sought: &[Sought<'_>]) -> bool {
    let none = u8x16::new([0; 16]);
    let ends = places(text, |byte, next| {
        let is = |[first, last]: &[u8x16; 2]| byte.cmp_eq(*first) & next.cmp_eq(*last);
        sought.iter().fold(none, |any, one| any | is(&one.end))
    });
    let mut tails = ends.filter_map(|at| text.get(..at + 2)?.last_chunk());
    !sought.is_empty() && tails.any(|tail| sought.iter().any(|one| one.tail == *tail))
}
