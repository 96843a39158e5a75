//! A clock made of capture time that never runs backwards and never stands still.

use std::time::Duration;

use crate::model::Timestamp;

/// How far a capture may step back before that counts as another stretch of time: packets of
/// several queues or interfaces are milliseconds out of order, files put one behind the other
/// with no regard to time are hours apart.
const STEP_BACK: u64 = 5_000_000_000;

/// How far the clock moves at most for one record: longer than every timeout, so a broken time
/// stamp centuries ahead costs no more than a pause of the capture would.
const LEAP: u64 = 24 * 3_600 * 1_000_000_000;

/// A time on this clock: nanoseconds of capture time since the first record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    /// A deadline that is not set; the clock never gets there.
    pub(super) const NEVER: Self = Self(u64::MAX);

    /// This moment and `by` more.
    pub(super) fn plus(self, by: Duration) -> Self {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// The time of one record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Now {
    /// As the capture has it.
    pub(super) at: Timestamp,
    /// As timeouts count it.
    pub(super) clock: Moment,
}

/// Turns the times of records into [`Now`].
#[derive(Debug, Default)]
pub(super) struct Clock {
    now: Option<Now>,
    /// The latest capture time of this stretch.
    latest: u64,
}

impl Clock {
    /// Moves on to the time of a record.
    pub(super) fn advance(&mut self, at: Timestamp) -> Now {
        let nanos = at.as_nanos();
        let clock = self.now.map_or(Moment::default(), |now| now.clock);
        let ahead = nanos.saturating_sub(self.latest).min(LEAP);
        let clock = match self.now {
            None => clock,
            Some(_) => Moment(clock.0.saturating_add(ahead).min(Moment::NEVER.0 - 1)),
        };
        if self.latest < nanos || self.latest - nanos > STEP_BACK {
            self.latest = nanos;
        }
        *self.now.insert(Now { at, clock })
    }

    /// The time of the last record.
    pub(super) fn now(&self) -> Now {
        self.now.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_steps_back_wait_and_large_ones_count_on() {
        assert_eq!(clocks(&[10, 11, 9, 12]), [0, 1, 1, 2]);
        assert_eq!(clocks(&[100, 10, 11, 13]), [0, 0, 1, 3]);
        assert_eq!(clocks(&[100, 10, 20, 5, 6]), [0, 0, 10, 10, 11]);
        assert_eq!(
            clocks(&[1, 18_000_000_000, 2, 3]),
            [0, 86_400, 86_400, 86_401]
        );
    }

    #[test]
    fn never_is_never() {
        let mut clock = Clock::default();
        for _ in 0..300_000 {
            clock.advance(Timestamp::from_nanos(0));
            clock.advance(Timestamp::from_nanos(u64::MAX));
        }
        assert!(clock.now().clock < Moment::NEVER);
    }

    fn clocks(seconds: &[u64]) -> Vec<u64> {
        let mut clock = Clock::default();
        seconds
            .iter()
            .map(|s| {
                let at = Timestamp::from_nanos(s * 1_000_000_000);
                clock.advance(at).clock.0 / 1_000_000_000
            })
            .collect()
    }
}
