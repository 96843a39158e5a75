//! The groups of a session, for its summary: cases of the same shape.

use crate::model::{Case, Group};

/// Groups that are listed; a session has a handful, unless somebody makes them up.
const LISTED: usize = 64;

/// The groups seen so far, the oldest first.
#[derive(Debug)]
pub(super) struct Groups<L> {
    rows: Vec<Row<L>>,
    not_listed: u64,
}

/// A group, and what an output says of it.
#[derive(Debug)]
pub(super) struct Row<L> {
    /// Its numbers, as of its last case.
    pub(super) group: Group,
    /// What its first case that was seen looked like.
    pub(super) label: L,
}

impl<L> Default for Groups<L> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            not_listed: 0,
        }
    }
}

impl<L> Groups<L> {
    /// Counts a case; `label` is asked for its words where its group is new.
    pub(super) fn add(&mut self, case: &Case, label: impl FnOnce(&Case) -> L) {
        let group = case.group;
        if group.count == 0 {
            return;
        }
        let known = |row: &&mut Row<L>| row.group.first_case == group.first_case;
        if let Some(row) = self.rows.iter_mut().find(known) {
            row.group = group;
        } else if self.rows.len() < LISTED {
            self.rows.push(Row {
                group,
                label: label(case),
            });
        } else if group.count == 1 {
            self.not_listed = self.not_listed.saturating_add(1);
        }
    }

    /// The first groups.
    pub(super) fn rows(&self) -> &[Row<L>] {
        &self.rows
    }

    /// Groups that came when the list was full.
    pub(super) fn not_listed(&self) -> u64 {
        self.not_listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::cases;

    #[test]
    fn the_list_is_bounded_and_the_rest_counted() {
        let mut groups = Groups::default();
        let mut case = cases::in_group(cases::relayed(), 1);
        for first in 1..=100 {
            case.group.first_case = first;
            case.group.count = 1;
            groups.add(&case, |_| ());
            case.group.count = 2;
            groups.add(&case, |_| ());
        }
        assert_eq!(groups.rows().len(), LISTED);
        assert!(groups.rows().iter().all(|row| row.group.count == 2));
        assert_eq!(groups.not_listed(), 36);
    }

    #[test]
    fn a_case_of_no_group_is_none() {
        let mut groups = Groups::default();
        groups.add(&cases::relayed(), |_| ());
        assert!(groups.rows().is_empty());
    }
}
