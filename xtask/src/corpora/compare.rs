//! What a program found in a capture, and how two such findings differ.

use std::collections::BTreeMap;
use std::fmt;

/// The messages of a capture, as one program sees them; order does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) methods: Bag,
    pub(crate) urls: Bag,
    /// Of final and interim responses.
    pub(crate) statuses: Bag,
    /// Method, URL and final status of each exchange.
    pub(crate) pairs: Bag,
}

/// Texts and how often each came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bag(BTreeMap<String, usize>);

/// A field in which two findings differ, with the value on each side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) field: &'static str,
    pub(crate) theirs: String,
    pub(crate) ours: String,
}

impl Found {
    /// The fields in which they differ.
    pub(crate) fn differences(theirs: &Self, ours: &Self) -> Vec<Difference> {
        let number = |a: &Bag, b: &Bag| (a.total().to_string(), b.total().to_string());
        let list = |a: &Bag, b: &Bag| (a.list(), b.list());
        // Too long to list: how many there are, and how many the other side lacks.
        let rest = |a: &Bag, b: &Bag| (a.account(b), b.account(a));
        let same = |a: &Bag, b: &Bag| a == b;
        let same_total = |a: &Bag, b: &Bag| a.total() == b.total();
        let (t, o) = (theirs, ours);
        [
            (
                "requests",
                same_total(&t.methods, &o.methods),
                number(&t.methods, &o.methods),
            ),
            (
                "responses",
                same_total(&t.statuses, &o.statuses),
                number(&t.statuses, &o.statuses),
            ),
            (
                "methods",
                same(&t.methods, &o.methods),
                list(&t.methods, &o.methods),
            ),
            (
                "statuses",
                same(&t.statuses, &o.statuses),
                list(&t.statuses, &o.statuses),
            ),
            ("urls", same(&t.urls, &o.urls), rest(&t.urls, &o.urls)),
            ("pairs", same(&t.pairs, &o.pairs), rest(&t.pairs, &o.pairs)),
        ]
        .into_iter()
        .filter(|(_, same, _)| !same)
        .map(|(field, _, (theirs, ours))| Difference {
            field,
            theirs,
            ours,
        })
        .collect()
    }
}

impl Bag {
    /// Puts one more in.
    pub(crate) fn add(&mut self, text: impl Into<String>) {
        *self.0.entry(text.into()).or_default() += 1;
    }

    fn total(&self) -> usize {
        self.0.values().sum()
    }

    fn list(&self) -> String {
        let each: Vec<_> = self
            .0
            .iter()
            .map(|(text, n)| format!("{n} {text}"))
            .collect();
        if each.is_empty() {
            "none".to_owned()
        } else {
            each.join(", ")
        }
    }

    fn account(&self, other: &Self) -> String {
        let alone: usize = self
            .0
            .iter()
            .map(|(text, n)| n.saturating_sub(other.0.get(text).copied().unwrap_or_default()))
            .sum();
        format!("{}, {alone} alone", self.total())
    }
}

impl Difference {
    /// A row for the document of differences, the reason left open.
    pub(crate) fn row(&self, file: &str) -> String {
        format!(
            "| {file} | {} | {} | {} | | |",
            self.field, self.theirs, self.ours
        )
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tshark {} tracer403 {}",
            self.field, self.theirs, self.ours
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Bag, Found};

    fn bag(texts: &[&str]) -> Bag {
        let mut bag = Bag::default();
        texts.iter().for_each(|t| bag.add(*t));
        bag
    }

    #[test]
    fn equal_findings_do_not_differ() {
        let found = Found {
            methods: bag(&["GET", "POST"]),
            ..Found::default()
        };
        assert_eq!(Found::differences(&found, &found.clone()), []);
    }

    #[test]
    fn each_field_tells_both_sides() {
        let theirs = Found {
            methods: bag(&["GET"]),
            urls: bag(&["/a"]),
            ..Found::default()
        };
        let ours = Found {
            methods: bag(&["GET", "M-SEARCH"]),
            urls: bag(&["/a", "/b"]),
            ..Found::default()
        };
        let told: Vec<_> = Found::differences(&theirs, &ours)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "requests tshark 1 tracer403 2",
                "methods tshark 1 GET tracer403 1 GET, 1 M-SEARCH",
                "urls tshark 1, 0 alone tracer403 2, 1 alone",
            ]
        );
    }

    #[test]
    fn the_same_number_of_other_things_is_a_difference() {
        let one = |method: &str| Found {
            methods: bag(&[method]),
            ..Found::default()
        };
        let told = Found::differences(&one("GET"), &one("PUT"));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].field, "methods");
    }
}
