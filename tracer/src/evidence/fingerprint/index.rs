//! Which rows an exchange can match at all. Each row is filed under one thing that it asks for: of
//! hundreds, those that are filed under what an exchange has are a handful.

use std::cmp::Reverse;

use regex_automata::hybrid::BuildError;

use super::condition::{Condition, Names, Place};
use super::facts::{Facts, cookies};
use super::pattern::{Pattern, Set};
use crate::model::Head;

/// Rows, by their place in the table. One that asks for what nobody sees is not among them.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    bodies: Shelf,
    cookies: Shelf,
    processes: Shelf,
    request: Fields,
    response: Fields,
    /// Rows that ask for nothing of this.
    others: Vec<usize>,
}

/// Rows that ask for a value in the same place.
#[derive(Clone, Debug, Default)]
struct Shelf {
    /// Those that take any value.
    any: Vec<usize>,
    /// What the others ask for.
    patterns: Set,
    /// They, by the place of their pattern in the set.
    matching: Vec<Vec<usize>>,
}

/// Rows that ask for header fields of a message.
#[derive(Clone, Debug, Default)]
struct Fields {
    shelves: Vec<(Names, Shelf)>,
    /// The shelves that a name of this shape may be found at.
    by_shape: Vec<Vec<usize>>,
}

/// Kinds of names that are told apart at a glance.
const SHAPES: usize = 64;

impl Index {
    /// The index of a table whose rows have these conditions.
    pub(super) fn of<'a>(rows: impl Iterator<Item = &'a [Condition]>) -> Self {
        let mut index = Self::default();
        for (row, conditions) in rows.enumerate() {
            if conditions.iter().all(|c| c.place != Place::ErrorLog) {
                index.file(row, conditions);
            }
        }
        index
    }

    /// Files a row under the longest pattern, as fewest exchanges have that.
    fn file(&mut self, row: usize, conditions: &[Condition]) {
        let mut asking: Vec<_> = conditions.iter().filter(|c| c.asks()).collect();
        let length = |c: &Condition| c.is.as_ref().map(|is| is.as_str().len());
        asking.sort_by_key(|c| Reverse(length(c)));
        for condition in asking {
            if let Some(shelf) = self.shelf(&condition.place) {
                return shelf.file(row, condition.is.as_ref());
            }
        }
        self.others.push(row);
    }

    fn shelf(&mut self, place: &Place) -> Option<&mut Shelf> {
        match place {
            Place::ResponseBody => Some(&mut self.bodies),
            Place::ResponseCookie => Some(&mut self.cookies),
            Place::Process => Some(&mut self.processes),
            Place::RequestHeader(names) => self.request.shelf(names),
            Place::ResponseHeader(names) => self.response.shelf(names),
            _ => None,
        }
    }

    /// Compiles the patterns that are looked for together.
    ///
    /// # Errors
    /// Where the bound on them is reached.
    pub(super) fn check(&self) -> Result<(), Box<BuildError>> {
        let fields = self.request.shelves.iter().chain(&self.response.shelves);
        let shelves = fields.map(|(_, shelf)| shelf);
        shelves
            .chain([&self.bodies, &self.cookies, &self.processes])
            .try_for_each(|shelf| shelf.patterns.check())
    }

    /// The rows that may match, in the order of the table.
    pub(super) fn rows(&self, facts: &Facts<'_>) -> Vec<usize> {
        let mut rows = self.others.clone();
        if let Some(request) = facts.request {
            self.request.look(&request.message.head, &mut rows);
        }
        if let Some(response) = facts.response {
            let head = &response.message.head;
            self.response.look(head, &mut rows);
            for (name, _) in cookies(head) {
                self.cookies.look(name, &mut rows);
            }
            self.bodies.look(facts.body, &mut rows);
        }
        if let Some(process) = facts.process {
            self.processes.look(process.as_bytes(), &mut rows);
        }
        rows.sort_unstable();
        rows.dedup();
        rows
    }
}

impl Shelf {
    fn file(&mut self, row: usize, pattern: Option<&Pattern>) {
        let Some(pattern) = pattern else {
            self.any.push(row);
            return;
        };
        let place = self.patterns.place_of(pattern);
        if self.matching.len() <= place {
            self.matching.resize(place + 1, Vec::new());
        }
        if let Some(rows) = self.matching.get_mut(place) {
            rows.push(row);
        }
    }

    /// Appends the rows that may match where this is the value.
    fn look(&self, value: &[u8], rows: &mut Vec<usize>) {
        rows.extend(&self.any);
        for place in self.patterns.matches(value) {
            rows.extend(self.matching.get(place).into_iter().flatten());
        }
    }
}

impl Fields {
    fn shelf(&mut self, names: &Names) -> Option<&mut Shelf> {
        let known = self.shelves.iter().position(|(known, _)| known == names);
        let at = known.unwrap_or(self.shelves.len());
        if known.is_none() {
            self.shelves.push((names.clone(), Shelf::default()));
            self.by_shape.resize(SHAPES, Vec::new());
            for (shape, shelves) in self.by_shape.iter_mut().enumerate() {
                if names
                    .whole()
                    .any(|name| name.is_none_or(|name| shape_of(name) == shape))
                {
                    shelves.push(at);
                }
            }
        }
        self.shelves.get_mut(at).map(|(_, shelf)| shelf)
    }

    /// Appends the rows that may match where this is the head.
    fn look(&self, head: &Head, rows: &mut Vec<usize>) {
        for field in head.fields() {
            let shelves = self
                .by_shape
                .get(shape_of(field.name))
                .into_iter()
                .flatten();
            for (names, shelf) in shelves.filter_map(|at| self.shelves.get(*at)) {
                if names.contain(field.name) {
                    shelf.look(field.value, rows);
                }
            }
        }
    }
}

/// Of a name, in any letter case: names of different shapes are different.
fn shape_of(name: &[u8]) -> usize {
    let first = name.first().map_or(0, u8::to_ascii_lowercase);
    (usize::from(first) * 7 + name.len()) % SHAPES
}
