//! Bytes that are looked for, sixteen at a time: where many are looked at and few are meant.

use wide::u8x16;

/// Bytes that are looked at in one go; a bit for each fits into a word.
const BLOCK: usize = 64;

/// The places in `bytes`, in order, of which `tells` says so. It is given sixteen bytes and the
/// sixteen that stand one further, zero behind the last, and answers with 0xff or 0 for each.
pub(crate) fn places<F>(bytes: &[u8], tells: F) -> Places<'_, F>
where
    F: Fn(u8x16, u8x16) -> u8x16,
{
    Places {
        bytes,
        at: 0,
        next: 0,
        left: 0,
        tells,
    }
}

/// See [`places`].
pub(crate) struct Places<'a, F> {
    bytes: &'a [u8],
    /// Where the block in hand begins, and the next.
    at: usize,
    next: usize,
    /// A bit for each place in the block that was not handed out yet.
    left: u64,
    tells: F,
}

impl<F: Fn(u8x16, u8x16) -> u8x16> Iterator for Places<'_, F> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            let rest = self.bytes.get(self.next..).filter(|r| !r.is_empty())?;
            self.left = match rest.first_chunk() {
                Some(block) => self.look(block, BLOCK / 16),
                None => self.look_at_last(rest),
            };
            self.at = self.next;
            self.next += BLOCK;
        }
        let place = self.at + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(place)
    }
}

impl<F: Fn(u8x16, u8x16) -> u8x16> Places<'_, F> {
    /// Looks at the first `sixteens` of a block, and at the byte behind each.
    #[inline]
    fn look(&self, block: &[u8; BLOCK + 1], sixteens: usize) -> u64 {
        let ([these @ .., _], [_, next @ ..]) = (block, block);
        let (these, next) = (these.as_chunks().0, next.as_chunks().0);
        let pairs = these.iter().zip(next).take(sixteens);
        let told = pairs.enumerate().map(|(at, (now, next))| {
            let told = (self.tells)(u8x16::new(*now), u8x16::new(*next));
            (told.move_mask() as u64 & 0xffff) << (16 * at)
        });
        told.fold(0, |all, sixteen| all | sixteen)
    }

    /// Fewer bytes than a block and the one behind it, and at least one.
    fn look_at_last(&self, rest: &[u8]) -> u64 {
        let mut block = [0; BLOCK + 1];
        if let Some(block) = block.get_mut(..rest.len()) {
            block.copy_from_slice(rest);
        }
        let told = self.look(&block, rest.len().div_ceil(16));
        told & (u64::MAX >> BLOCK.saturating_sub(rest.len()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_those_that_a_walk_finds(
            bytes in prop::collection::vec(prop::sample::select(vec![0, b'a', b'b', b'c']), 0..300),
        ) {
            let [a, b, none] = [b'a', b'b', 0].map(|byte| u8x16::new([byte; 16]));
            let pairs = places(&bytes, |now, next| now.cmp_eq(a) & next.cmp_eq(b));
            let walked = bytes.windows(2).enumerate().filter(|(_, w)| *w == b"ab");
            prop_assert_eq!(pairs.collect::<Vec<_>>(), walked.map(|(at, _)| at).collect::<Vec<_>>());
            let zeros = places(&bytes, |now, _| now.cmp_eq(none));
            let walked = bytes.iter().enumerate().filter(|(_, b)| **b == 0);
            prop_assert_eq!(zeros.collect::<Vec<_>>(), walked.map(|(at, _)| at).collect::<Vec<_>>());
        }
    }
}
