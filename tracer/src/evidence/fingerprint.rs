//! Marks of products: who makes which refusal, and what passes it on.
//!
//! The table is data, `fingerprints.toml`. A row matches an exchange where all its conditions hold.
//! Where an answer carries a mark, the row says what that proves: that the product made the answer,
//! that the answer merely went through it, or that something else made it.

mod condition;
mod facts;
mod index;
mod pattern;
pub mod raw;
mod table;

use std::collections::BTreeMap;

use super::Gatherer;
pub use condition::{Condition, Place};
pub use table::TableError;

use crate::model::{CauseId, Evidence, Exchange, Part, Product, Proves, Span, Strength};
use condition::Found;
use facts::Facts;
use index::Index;
use table::Patterns;

/// The table that comes with the tool.
const BUILT_IN: &str = include_str!("fingerprints.toml");
/// What errors call it.
const BUILT_IN_NAME: &str = "fingerprints.toml (built in)";
/// The product of rows that hold whoever answers.
const ANY_PRODUCT: &str = "any";

/// The marks of an answer.
pub(super) const GATHERER: Gatherer = Gatherer {
    topic: "fingerprint",
    gather: |scene, site, out| {
        let exchange = &site.hop.exchange;
        scene.fingerprints.gather(exchange, site.at, out);
    },
};

/// A table of fingerprints, ready to be matched; the default has no rows.
#[derive(Clone, Debug, Default)]
pub struct Fingerprints {
    rows: Vec<Fingerprint>,
    index: Index,
}

/// One mark.
#[derive(Clone, Debug)]
pub struct Fingerprint {
    /// Unique; begins with the product's name.
    pub id: String,
    /// Whose mark it is.
    pub product: Product,
    /// What it says of that product.
    pub proves: Proves,
    /// The cause that it goes with. Of a [trap](Proves::Trap), the cause that it seems to show.
    pub cause: Option<CauseId>,
    /// How much it says.
    pub strength: Strength,
    /// What it means, in a sentence.
    pub means: String,
    /// Where this is known from.
    pub source: String,
    /// What must hold, all of it.
    pub when: Vec<Condition>,
    /// A message that has it, for readers and for tests; empty where only a log can have it.
    pub example: String,
}

/// A fingerprint that an exchange has.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// Which.
    pub fingerprint: &'a Fingerprint,
    /// Where; `None` where it is in no byte, such as the name of a process.
    pub span: Option<Span>,
}

impl Fingerprints {
    /// The table that comes with the tool.
    ///
    /// # Errors
    /// Where it is no table, which the tests rule out.
    pub fn built_in() -> Result<Self, TableError> {
        let rows = table::parse(BUILT_IN_NAME, BUILT_IN, Patterns::Trusted)?;
        Ok(Self::of(rows))
    }

    /// The same with the rows of a user's table, called `name` in errors: they come on top, or in
    /// place of rows with the same id.
    ///
    /// # Errors
    /// Where it is no table, or goes over a bound. The error names the row.
    pub fn with_user_file(self, name: &str, text: &str) -> Result<Self, TableError> {
        let mut rows = self.rows;
        let places: BTreeMap<String, usize> = rows
            .iter()
            .enumerate()
            .map(|(place, row)| (row.id.clone(), place))
            .collect();
        for row in table::parse(name, text, Patterns::Tried)? {
            match places.get(&row.id).and_then(|place| rows.get_mut(*place)) {
                Some(old) => *old = row,
                None => rows.push(row),
            }
        }
        let table = Self::of(rows);
        table
            .index
            .check()
            .map_err(|error| TableError::together(&error))?;
        Ok(table)
    }

    /// The rows, in the order of the table.
    pub fn rows(&self) -> &[Fingerprint] {
        &self.rows
    }

    /// The rows that this exchange matches, in the order of the table. Looks at no more than
    /// [`FINGERPRINT_BODY`](crate::limits::FINGERPRINT_BODY) bytes of the body.
    pub fn matches<'a>(&'a self, exchange: &Exchange) -> impl Iterator<Item = Match<'a>> {
        let facts = Facts::of(exchange);
        let rows = self.index.rows(&facts).into_iter();
        rows.filter_map(move |row| {
            let fingerprint = self.rows.get(row)?;
            let span = fingerprint.found_in(&facts)?;
            Some(Match { fingerprint, span })
        })
    }

    /// Appends what the marks of this exchange say. `hop` is its place in the chain.
    pub fn gather(&self, exchange: &Exchange, hop: usize, out: &mut Vec<Evidence>) {
        out.extend(self.matches(exchange).map(|found| found.evidence(hop)));
    }

    fn of(rows: Vec<Fingerprint>) -> Self {
        let index = Index::of(rows.iter().map(|row| row.when.as_slice()));
        Self { rows, index }
    }
}

impl Fingerprint {
    /// Whether it can be seen on the wire or at the socket; some marks are in logs only.
    pub fn is_visible(&self) -> bool {
        self.when.iter().all(|c| c.place != Place::ErrorLog)
    }

    /// The span that tells most, where every condition holds.
    fn found_in(&self, facts: &Facts<'_>) -> Option<Option<Span>> {
        let mut best: Option<Span> = None;
        // Bodies are searched only where everything else holds.
        for bodies in [false, true] {
            let is_due = |c: &&Condition| (c.place == Place::ResponseBody) == bodies;
            for condition in self.when.iter().filter(is_due) {
                let Found(span) = condition.holds(facts)?;
                if rank(span) > rank(best) {
                    best = span;
                }
            }
        }
        Some(best)
    }
}

impl Match<'_> {
    fn evidence(self, hop: usize) -> Evidence {
        let row = self.fingerprint;
        let anybody = row.product.name == ANY_PRODUCT;
        let fact = if anybody {
            row.means.clone()
        } else {
            [&*row.product.name, ": ", &*row.means].concat()
        };
        Evidence {
            id: ["fingerprint.", &*row.id].concat().into(),
            hop,
            fact,
            strength: row.strength,
            // A trap only looks as if it showed its cause.
            cause: row.cause.filter(|_| row.proves != Proves::Trap),
            product: (!anybody).then(|| (row.proves, row.product.clone())),
            span: self.span,
        }
    }
}

/// A page says more than a field, and a field more than the status.
fn rank(span: Option<Span>) -> u8 {
    match span.map(|span| span.part) {
        None => 0,
        Some(Part::StartLine) => 1,
        Some(Part::Field(_)) => 2,
        Some(Part::Body(..)) => 3,
    }
}

#[cfg(test)]
mod tests;
