//! What was measured, for people and for programs.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::Part;
use super::machine::Machine;
use crate::exec;

/// All that one part of the benchmark found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) part: Part,
    pub(super) tables: Vec<Table>,
    pub(super) bars: Vec<Bar>,
    /// Every single measurement.
    pub(super) data: Value,
}

/// A table with what has to be said of it.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    pub(super) title: String,
    /// The first is text, the others are numbers.
    pub(super) columns: &'static [&'static str],
    pub(super) rows: Vec<Vec<String>>,
    /// Sentences below it.
    pub(super) notes: Vec<String>,
}

/// A bound that is to be kept.
#[derive(Debug, Serialize)]
pub(super) struct Bar {
    /// What is bounded, with its unit.
    pub(super) what: &'static str,
    pub(super) bound: Bound,
    /// `None` where it could not be measured.
    pub(super) measured: Option<f64>,
}

/// Which way a bound holds.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bar {
    pub(super) fn holds(&self) -> bool {
        self.measured.is_some_and(|measured| match self.bound {
            Bound::AtMost(most) => measured <= most,
            Bound::AtLeast(least) => measured >= least,
        })
    }

    fn row(&self) -> Vec<String> {
        let (word, number) = match self.bound {
            Bound::AtMost(most) => ("at most", most),
            Bound::AtLeast(least) => ("at least", least),
        };
        vec![
            self.what.to_owned(),
            format!("{word} {number}"),
            self.measured.map_or("not measured".to_owned(), shown),
            if self.holds() { "holds" } else { "**missed**" }.to_owned(),
        ]
    }
}

/// Three digits that say something, and all digits before the point.
fn shown(number: f64) -> String {
    match number.abs() {
        0.0..10.0 => format!("{number:.3}"),
        10.0..1000.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

impl Report {
    /// The whole report in Markdown.
    pub(super) fn markdown(&self) -> String {
        let mut tables: Vec<String> = self.tables.iter().map(Table::markdown).collect();
        if !self.bars.is_empty() {
            let bars = Table {
                title: "Bounds".to_owned(),
                columns: &["what", "bound", "measured", ""],
                rows: self.bars.iter().map(Bar::row).collect(),
                notes: Vec::new(),
            };
            tables.push(bars.markdown());
        }
        tables.join("\n")
    }

    /// Writes it as JSON, with the machine it was measured on.
    pub(super) fn write(&self, machine: &Machine, directory: &Path) -> Result<()> {
        #[derive(Serialize)]
        struct Measured<'a> {
            machine: &'a Machine,
            #[serde(flatten)]
            report: &'a Report,
        }
        let file = directory.join(format!("{}.json", self.part.name()));
        let measured = Measured {
            machine,
            report: self,
        };
        std::fs::write(&file, serde_json::to_vec_pretty(&measured)?)
            .with_context(|| file.display().to_string())?;
        exec::say(&format!("bench: also in {}\n", file.display()))
    }
}

impl Table {
    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let columns: Vec<String> = self.columns.iter().map(|c| (*c).to_owned()).collect();
        let rule: Vec<String> = (0..self.columns.len())
            .map(|at| if at == 0 { "---" } else { "---:" }.to_owned())
            .collect();
        let mut text = format!("**{}**\n\n{}{}", self.title, line(&columns), line(&rule));
        text.extend(self.rows.iter().map(|row| line(row)));
        for note in &self.notes {
            text.push_str(&format!("\n{note}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::{Bar, Bound, Report, Table};
    use crate::bench::Part;

    #[test]
    fn a_bound_that_was_not_measured_is_missed() {
        let bar = |bound, measured| Bar {
            what: "ratio",
            bound,
            measured,
        };
        assert!(bar(Bound::AtMost(0.5), Some(0.5)).holds());
        assert!(!bar(Bound::AtMost(0.5), Some(0.51)).holds());
        assert!(bar(Bound::AtLeast(0.97), Some(1.0)).holds());
        assert!(!bar(Bound::AtLeast(0.97), Some(f64::NAN)).holds());
        assert!(!bar(Bound::AtMost(0.5), None).holds());
    }

    #[test]
    fn tables_are_markdown() {
        let report = Report {
            part: Part::Read,
            tables: vec![Table {
                title: "Reading".to_owned(),
                columns: &["program", "time s"],
                rows: vec![vec!["it".to_owned(), "1.00".to_owned()]],
                notes: vec!["Noted.".to_owned()],
            }],
            bars: vec![Bar {
                what: "peak MB",
                bound: Bound::AtMost(150.0),
                measured: Some(200.0),
            }],
            data: Value::Null,
        };
        assert_eq!(
            report.markdown(),
            "**Reading**\n\n| program | time s |\n| --- | ---: |\n| it | 1.00 |\n\nNoted.\n\n\
             **Bounds**\n\n| what | bound | measured |  |\n| --- | ---: | ---: | ---: |\n\
             | peak MB | at most 150 | 200.0 | **missed** |\n"
        );
    }
}
