//! The document of differences: its table is read, so what it says is what is checked.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::corpora::Outcome;
use crate::corpora::compare::Difference;
use crate::corpora::index::Capture;

/// The rows of the table.
#[derive(Debug, Default)]
pub(crate) struct Known {
    rows: BTreeSet<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    file: String,
    field: String,
    theirs: String,
    ours: String,
}

impl Known {
    /// Reads the table `| file | field | tshark | tracer403 | right | why |`.
    ///
    /// # Errors
    /// Where a row does not say who is right or why. A file that is not there has no rows.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let mut rows = BTreeSet::new();
        for line in text.lines().filter(|line| line.starts_with('|')) {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [file, field, theirs, ours, right, why] = cells.as_slice() else {
                continue;
            };
            if *file == "file" || file.starts_with("--") {
                continue;
            }
            if right.is_empty() || why.is_empty() {
                bail!("{file}, {field}: the row does not say who is right and why");
            }
            rows.insert(Row {
                file: (*file).trim_matches('`').to_owned(),
                field: (*field).to_owned(),
                theirs: (*theirs).to_owned(),
                ours: (*ours).to_owned(),
            });
        }
        Ok(Self { rows })
    }

    /// Whether there is a row with these very values.
    pub(crate) fn explains(&self, file: &str, difference: &Difference) -> bool {
        self.rows.contains(&Row::of(file, difference))
    }

    /// Rows that explain nothing any more, for files that were compared.
    pub(crate) fn unused(&self, captures: &[Capture], outcomes: &[Outcome]) -> Vec<String> {
        let seen: BTreeSet<Row> = captures
            .iter()
            .zip(outcomes)
            .flat_map(|(capture, outcome)| {
                let differences = outcome.iter().flatten();
                differences.map(|difference| Row::of(&capture.name, difference))
            })
            .collect();
        let compared: BTreeSet<&str> = captures.iter().map(|c| c.name.as_str()).collect();
        self.rows
            .difference(&seen)
            .filter(|row| compared.contains(row.file.as_str()))
            .map(|row| format!("{}, {}", row.file, row.field))
            .collect()
    }
}

impl Row {
    fn of(file: &str, difference: &Difference) -> Self {
        Self {
            file: file.to_owned(),
            field: difference.field.to_owned(),
            // A method may hold any byte; in a table the bar is taken.
            theirs: difference.theirs.replace('|', "/"),
            ours: difference.ours.replace('|', "/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Known;
    use crate::corpora::compare::Difference;

    const TABLE: &str = "\
# Differences

| file | field | tshark | tracer403 | right | why |
| --- | --- | --- | --- | --- | --- |
| a/b.pcap | requests | 1 | 2 | tracer403 | HTTP/0.9 |
";

    fn difference(ours: &str) -> Difference {
        Difference {
            field: "requests",
            theirs: "1".to_owned(),
            ours: ours.to_owned(),
        }
    }

    #[test]
    fn only_the_very_numbers_are_explained() {
        let known = Known::parse(TABLE).unwrap();
        assert!(known.explains("a/b.pcap", &difference("2")));
        assert!(!known.explains("a/b.pcap", &difference("3")));
        assert!(!known.explains("b.pcap", &difference("2")));
    }

    #[test]
    fn a_row_without_a_reason_is_refused() {
        assert!(Known::parse("| a | requests | 1 | 2 | tracer403 | |\n").is_err());
    }
}
