//! What may be in texts that many cases ask of: siblings, in which the secrets of each are sought.

use super::SHORTEST_SWEPT;

/// Most words of 64 bits that are kept of some texts.
const WORDS_MAX: usize = 2048;
/// Fewest.
const WORDS_MIN: usize = 16;

/// Which runs of bytes, as long as the shortest secret, are in some texts: a bit for each, which
/// others may share.
#[derive(Debug)]
pub(in crate::output::redact) struct Runs(Vec<u64>);

impl Runs {
    /// The runs of these texts.
    pub(in crate::output::redact) fn of<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Self {
        let texts: Vec<_> = texts.collect();
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        // Eight bits for each run: few of the others share one.
        let words = (bytes / 8).next_power_of_two().clamp(WORDS_MIN, WORDS_MAX);
        let mut runs = Self(vec![0; words]);
        let all = texts.iter().flat_map(|text| text.windows(SHORTEST_SWEPT));
        for run in all.filter_map(|run| run.first_chunk()) {
            let (word, bit) = runs.place(*run);
            if let Some(word) = runs.0.get_mut(word) {
                *word |= bit;
            }
        }
        runs
    }

    /// Whether this run may be in one of the texts: where not, it is in none.
    pub(super) fn may_hold(&self, run: [u8; SHORTEST_SWEPT]) -> bool {
        let (word, bit) = self.place(run);
        self.0.get(word).is_none_or(|word| word & bit != 0)
    }

    fn place(&self, run: [u8; SHORTEST_SWEPT]) -> (usize, u64) {
        // Multiplied by the golden ratio, the uppermost bits depend on all: eleven for `WORDS_MAX`,
        // and six.
        let mixed = u64::from_le_bytes(run).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 47;
        let word = (mixed >> 6) as usize & (self.0.len() - 1);
        (word, 1 << (mixed & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_of_a_text_may_be_in_it_and_few_others() {
        let texts = [
            &b"POST /orders?source=web HTTP/1.1"[..],
            b"",
            b"short",
            b"a1b2c3d4",
        ];
        let runs = Runs::of(texts.into_iter());
        for run in texts.iter().flat_map(|text| text.windows(8)) {
            assert!(runs.may_hold(*run.first_chunk().unwrap()));
        }
        for shift in [0, 20, 40, 54] {
            let others = (0..1000_u64).map(|n| (n << shift) ^ u64::from_le_bytes(*b"00000000"));
            let found = others.filter(|run| runs.may_hold(run.to_le_bytes()));
            assert!(found.count() < 100, "{shift}");
        }
        assert!(!Runs::of(std::iter::empty()).may_hold(*b"a1b2c3d4"));
    }

    #[test]
    fn they_take_bounded_room() {
        let text: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let runs = Runs::of(std::iter::once(&text[..]));
        assert_eq!(runs.0.len(), WORDS_MAX);
        assert!(runs.may_hold(*text.last_chunk().unwrap()));
    }
}
