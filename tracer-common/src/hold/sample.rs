//! Which of the exchanges that nobody asked for are shipped all the same: some of each route.

use super::word::equal_to;
use super::{Room, Slot};

/// How much of something is let through in a time: so many at once, then one each interval.
///
/// It is one number, so that it fits into a map of the kernel: the time from which on nothing counts
/// against it any longer, in nanoseconds (the generic cell rate algorithm, ITU-T I.371). All zeros
/// is one of which nothing was taken. Where two CPUs take from it at once, one of them may be
/// forgotten.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    even_at: u64,
}

impl Bucket {
    /// Takes one at a time, if there is one: `at_once` can be taken at once, and one comes back
    /// `every` so many nanoseconds.
    #[inline(always)]
    pub fn take(&mut self, now: u64, every: u64, at_once: u64) -> bool {
        let from = self.even_at.max(now);
        let is_there = from - now <= every * (at_once - 1);
        if is_there {
            self.even_at = from + every;
        }
        is_there
    }
}

impl Slot {
    /// The first eight bytes of the held request: see [`method`](super::method).
    #[inline(always)]
    pub fn start(&self, room: Room) -> u64 {
        room.word(self.client.payload_at)
    }

    /// What tells the held request's route from others: its method and the beginning of its target,
    /// up to the query, as a hash. Not for keeping things apart that somebody wants to collide.
    #[inline(always)]
    pub fn route(&self, room: Room) -> u64 {
        let mut hash = 0u64;
        let mut is_behind_method = false;
        for step in 0..ROUTE_WORDS {
            let word = room.word(self.client.payload_at + 8 * step);
            let mut spaces = equal_to::<8>(word, b' '.into());
            if spaces != 0 && !is_behind_method {
                is_behind_method = true;
                spaces &= spaces - 1;
            }
            let ends =
                spaces | equal_to::<8>(word, b'?'.into()) | equal_to::<8>(word, b'\r'.into());
            // The bytes before the first end; all where there is none.
            let before = (ends & ends.wrapping_neg()).wrapping_sub(1) >> 7;
            let kept = if ends == 0 { word } else { word & before };
            hash = (hash.rotate_left(5) ^ kept).wrapping_mul(FACTOR);
            if ends != 0 {
                break;
            }
        }
        hash
    }
}

/// Words of eight bytes that are looked at of a request's first line.
const ROUTE_WORDS: u32 = 8;
/// As in FxHash: the golden ratio's bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn some_at_once_and_then_one_each_interval() {
        let mut bucket = Bucket::default();
        let mut taken = |now| bucket.take(now, 10, 3);
        assert_eq!(
            [100, 100, 101, 102].map(&mut taken),
            [true, true, true, false]
        );
        assert_eq!(
            [110, 111, 119, 120].map(&mut taken),
            [true, false, false, true]
        );
        assert_eq!([500; 4].map(&mut taken), [true, true, true, false]);
    }
}
