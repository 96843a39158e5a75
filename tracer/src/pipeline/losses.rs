//! When records were lost, so that a case can say whether any were while it was under way.

use std::collections::VecDeque;

use crate::model::{LossPlace, Timestamp, Told};

/// Reports of losses, oldest first.
#[derive(Debug, Default)]
pub(super) struct Losses {
    reports: VecDeque<(Timestamp, u64)>,
    /// Those that no case has told of yet.
    untold: VecDeque<Told>,
}

/// Reports kept. They come a few times a second at most, so this is more than the longest time
/// that an exchange can be under way; past it the two oldest become one.
const KEPT: usize = 4096;

impl Losses {
    /// Takes in a report.
    pub(super) fn add(&mut self, at: Timestamp, count: u64, place: LossPlace) {
        if self.untold.len() == KEPT {
            self.untold.pop_front();
        }
        self.untold.push_back(Told::Lost { at, count, place });
        if self.reports.len() == KEPT
            && let Some((_, oldest)) = self.reports.pop_front()
            && let Some((_, next)) = self.reports.front_mut()
        {
            *next = next.saturating_add(oldest);
        }
        self.reports.push_back((at, count));
    }

    /// The reports since `from`, each once: in a file they stand once for all its cases.
    pub(super) fn take_since(&mut self, from: Timestamp) -> Vec<Told> {
        let is_meant = |told: &Told| told.at() >= from;
        let taken = self
            .untold
            .iter()
            .filter(|t| is_meant(t))
            .cloned()
            .collect();
        self.untold.retain(|told| !is_meant(told));
        taken
    }

    /// Records lost since `from`, as far as they are reported by now. A live source reports them
    /// well within [`Limits::settle`](crate::limits::Limits::settle).
    pub(super) fn since(&self, from: Timestamp) -> u64 {
        // Files put one behind the other may step back in time: the order says nothing.
        let meanwhile = |(at, _): &&(Timestamp, u64)| *at >= from;
        self.reports
            .iter()
            .filter(meanwhile)
            .fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_lost_meanwhile_counts() {
        let mut losses = Losses::default();
        for (second, count) in [(10, 1), (20, 2), (30, 4)] {
            losses.add(at(second), count, LossPlace::RingPacket);
        }
        assert_eq!(
            [5, 10, 11, 20, 30, 31].map(|s| losses.since(at(s))),
            [7, 7, 6, 6, 4, 0]
        );
    }

    #[test]
    fn old_reports_are_merged_not_forgotten() {
        let mut losses = Losses::default();
        for second in 0..KEPT as u64 + 10 {
            losses.add(at(second), 1, LossPlace::RingPacket);
        }
        assert_eq!(losses.reports.len(), KEPT);
        assert_eq!(losses.since(at(0)), KEPT as u64 + 10);
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::from_nanos(second * 1_000_000_000)
    }
}
