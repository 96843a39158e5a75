//! When something was lost, so that a case can say whether any were while it was under way.

use std::collections::VecDeque;

use crate::model::{LossPlace, Timestamp, Told};

/// Reports of losses, oldest first.
#[derive(Debug, Default)]
pub(super) struct Losses {
    reports: VecDeque<Report>,
    holes: u64,
    hole_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Report {
    at: Timestamp,
    count: u64,
    place: LossPlace,
}

/// Reports kept. They come a few times a second at most, so this is more than the longest time
/// that an exchange can be under way; past it the two oldest become one.
const KEPT: usize = 4096;

impl Losses {
    /// Takes in a report.
    pub(super) fn add(&mut self, at: Timestamp, count: u64, place: LossPlace) {
        if self.reports.len() == KEPT
            && let Some(oldest) = self.reports.pop_front()
            && let Some(next) = self.reports.front_mut()
        {
            next.count = next.count.saturating_add(oldest.count);
        }
        self.reports.push_back(Report { at, count, place });
    }

    /// So many holes were found so far, in whatever arrived: more than before means a new one.
    pub(super) fn holes(&mut self, at: Timestamp, count: u64) {
        if count > self.holes {
            self.holes = count;
            self.hole_at = self.hole_at.max(Some(at));
        }
    }

    /// Whether everything since `from` is there, as far as is known by now.
    pub(super) fn is_whole_since(&self, from: Timestamp) -> bool {
        self.since(from) == 0 && self.hole_at.is_none_or(|at| at < from)
    }

    /// The reports since `from`, for a file.
    pub(super) fn told_since(&self, from: Timestamp) -> impl Iterator<Item = Told> {
        self.reports_since(from).map(|report| Told::Lost {
            at: report.at,
            count: report.count,
            place: report.place,
        })
    }

    /// Records lost since `from`, as far as they are reported by now. A live source reports them
    /// well within [`Limits::settle`](crate::limits::Limits::settle).
    pub(super) fn since(&self, from: Timestamp) -> u64 {
        self.reports_since(from)
            .fold(0, |sum, report| sum.saturating_add(report.count))
    }

    fn reports_since(&self, from: Timestamp) -> impl Iterator<Item = &Report> {
        // Files put one behind the other may step back in time: the order says nothing.
        self.reports.iter().filter(move |report| report.at >= from)
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
    fn it_is_whole_from_the_last_loss_on() {
        let mut losses = Losses::default();
        assert!(losses.is_whole_since(at(1)));
        losses.holes(at(5), 1);
        losses.holes(at(9), 1);
        assert!(!losses.is_whole_since(at(5)) && losses.is_whole_since(at(6)));
        losses.add(at(7), 1, LossPlace::RingPacket);
        assert!(!losses.is_whole_since(at(6)) && losses.is_whole_since(at(8)));
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
