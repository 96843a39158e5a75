//! Medians, and how far they can be trusted.

use serde::Serialize;

/// Resamples of a bootstrap: more of them move the interval by less than it is printed with.
const RESAMPLES: usize = 4_000;

/// The value in the middle; NaN where there are none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    median_of(&mut values)
}

fn median_of(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(below), Some(above)) if values.len().is_multiple_of(2) => (below + above) / 2.0,
        (_, Some(middle)) => *middle,
        _ => f64::NAN,
    }
}

/// A median with its interval of 95 % confidence.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Estimate {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Values that it was made from.
    pub(super) of: usize,
}

impl Estimate {
    /// By the percentile bootstrap: the medians of as many values drawn with replacement lie
    /// within it in 95 of 100 draws. The draws are the same each time.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut draws = Draws(0x9e37_79b9_7f4a_7c15);
        let mut sample = values.to_vec();
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                for drawn in &mut sample {
                    *drawn = draws.one_of(values);
                }
                median_of(&mut sample)
            })
            .collect();
        medians.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let place = (share * (RESAMPLES - 1) as f64).round() as usize;
            medians.get(place).copied().unwrap_or(f64::NAN)
        };
        Self {
            median: median(values),
            low: at(0.025),
            high: at(0.975),
            of: values.len(),
        }
    }

    /// `0.985 (0.981 to 0.990)`.
    pub(super) fn text(&self) -> String {
        format!("{:.3} ({:.3} to {:.3})", self.median, self.low, self.high)
    }
}

/// Numbers that look random (xorshift64*).
#[derive(Debug)]
pub(super) struct Draws(u64);

impl Draws {
    /// The same sequence for the same seed, which must not be 0.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One of the values; NaN where there are none.
    fn one_of(&mut self, values: &[f64]) -> f64 {
        // The upper half of the product is evenly spread over the places.
        let place = (u128::from(self.next()) * values.len() as u128) >> 64;
        values.get(place as usize).copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::{Estimate, median};

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_interval_holds_the_median_and_narrows_with_more_values() {
        let spread = |count: u32| -> Vec<f64> {
            (0..count)
                .map(|n| 1.0 + f64::from(n % 20) / 100.0)
                .collect()
        };
        let (few, many) = (Estimate::of(&spread(20)), Estimate::of(&spread(2000)));
        for estimate in [few, many] {
            assert!(estimate.low <= estimate.median && estimate.median <= estimate.high);
        }
        assert!(many.high - many.low < few.high - few.low);
        assert_eq!(Estimate::of(&spread(20)).low, few.low, "the same each time");
    }

    /// The median of 9 values lies between the 2nd and the 8th of them in 96 of 100 samples
    /// (binomial distribution), so the bootstrap must come near to that.
    #[test]
    fn the_interval_is_that_of_order_statistics() {
        let nine: Vec<f64> = (1..=9).map(f64::from).collect();
        let estimate = Estimate::of(&nine);
        assert!((2.0..=3.0).contains(&estimate.low), "{estimate:?}");
        assert!((7.0..=8.0).contains(&estimate.high), "{estimate:?}");
    }

    #[test]
    fn equal_values_leave_no_doubt() {
        let estimate = Estimate::of(&[0.97; 60]);
        assert_eq!(estimate.text(), "0.970 (0.970 to 0.970)");
        assert_eq!(estimate.of, 60);
    }
}
