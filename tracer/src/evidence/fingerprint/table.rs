//! The table's text becomes rows. Errors name the row, and say what is wanted there.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt;

use regex_automata::hybrid::BuildError;
use serde::Deserialize;

use super::Fingerprint;
use super::condition::{Condition, Names, Place};
use super::pattern::Pattern;
use crate::limits;
use crate::model::{CauseId, Kind, Product, Proves, Strength};

/// Why a table of fingerprints cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TableError(String);

impl TableError {
    /// The patterns for one place are good one by one, but not all at once.
    pub(super) fn together(error: &BuildError) -> Self {
        let why = error
            .source()
            .map_or(error.to_string(), |why| why.to_string());
        Self(format!(
            "the fingerprints have too many patterns for one place: {why}; remove some rows"
        ))
    }
}

/// Whether the patterns of a table are tried while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patterns {
    /// They are known to be good.
    Trusted,
    /// They come from a user.
    Tried,
}

/// The rows of a table.
///
/// # Errors
/// Where the text, which errors call `name`, is no table.
pub(super) fn parse(
    name: &str,
    text: &str,
    patterns: Patterns,
) -> Result<Vec<Fingerprint>, TableError> {
    let fault = |what: String| TableError(format!("{name}: {what}"));
    if text.len() > limits::FINGERPRINT_TABLE {
        let most = limits::FINGERPRINT_TABLE;
        return Err(fault(format!(
            "larger than {most} bytes; use a smaller table"
        )));
    }
    let table: TableText = toml::from_str(text).map_err(|e| fault(e.to_string()))?;
    if table.fingerprint.len() > limits::FINGERPRINT_ROWS {
        let most = limits::FINGERPRINT_ROWS;
        return Err(fault(format!("more than {most} rows; use a smaller table")));
    }
    let mut seen = BTreeSet::new();
    let mut rows = Vec::with_capacity(table.fingerprint.len());
    for row in table.fingerprint {
        let id = row.id.clone();
        if !seen.insert(id.clone()) {
            return Err(fault(format!("two rows have the id `{id}`; rename one")));
        }
        rows.push(
            row.read(patterns)
                .map_err(|e| fault(format!("row `{id}`: {e}")))?,
        );
    }
    Ok(rows)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableText {
    #[serde(default)]
    fingerprint: Vec<RowText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowText {
    id: String,
    product: String,
    kind: String,
    proves: String,
    cause: Option<String>,
    strength: String,
    means: String,
    source: String,
    when: Vec<ConditionText>,
    #[serde(default)]
    example: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionText {
    #[serde(rename = "in")]
    place: String,
    name: Option<String>,
    is: Option<String>,
    not: Option<String>,
    #[serde(default)]
    absent: bool,
}

impl RowText {
    fn read(self, patterns: Patterns) -> Result<Fingerprint, String> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.id.is_empty() || !self.id.bytes().all(plain) {
            return Err("an id has lower-case letters, digits and `-` only".to_owned());
        }
        let most = limits::FINGERPRINT_CONDITIONS;
        if self.when.is_empty() || self.when.len() > most {
            return Err(format!("`when` takes 1 to {most} conditions"));
        }
        let cause = self.cause.map(|name| {
            let names = CauseId::ALL.map(CauseId::name);
            one_of("cause", &name, CauseId::from_name(&name), &names)
        });
        Ok(Fingerprint {
            product: Product {
                kind: one_of(
                    "kind",
                    &self.kind,
                    Kind::from_name(&self.kind),
                    &Kind::ALL.map(Kind::name),
                )?,
                name: self.product,
            },
            proves: one_of(
                "proves",
                &self.proves,
                Proves::from_name(&self.proves),
                &Proves::ALL.map(Proves::name),
            )?,
            cause: cause.transpose()?,
            strength: one_of(
                "strength",
                &self.strength,
                Strength::from_name(&self.strength),
                &Strength::ALL.map(Strength::name),
            )?,
            id: self.id,
            means: self.means,
            source: self.source,
            when: self
                .when
                .into_iter()
                .map(|condition| condition.read(patterns))
                .collect::<Result<_, _>>()?,
            example: self.example,
        })
    }
}

impl ConditionText {
    fn read(self, patterns: Patterns) -> Result<Condition, String> {
        let place = place(&self.place, self.name)?;
        if self.absent && (self.is.is_some() || self.not.is_some()) {
            return Err("a condition is either `absent` or has `is` and `not`".to_owned());
        }
        let pattern = |text: Option<String>| text.map(|text| pattern(text, patterns)).transpose();
        Ok(Condition {
            place,
            is: pattern(self.is)?,
            not: pattern(self.not)?,
            absent: self.absent,
        })
    }
}

/// The places that need no name.
const PLACES: [Place; 9] = [
    Place::Status,
    Place::Reason,
    Place::ResponseCookie,
    Place::ResponseBody,
    Place::ResponseLength,
    Place::RequestMethod,
    Place::RequestTarget,
    Place::Process,
    Place::ErrorLog,
];

fn place(place: &str, name: Option<String>) -> Result<Place, String> {
    match (place, name) {
        ("response-header", Some(name)) => Ok(Place::ResponseHeader(Names::new(&name))),
        ("request-header", Some(name)) => Ok(Place::RequestHeader(Names::new(&name))),
        ("response-header" | "request-header", None) => {
            Err(format!("`in = \"{place}\"` needs a `name`"))
        }
        (_, None) => {
            let mut names: Vec<_> = PLACES.iter().map(Place::name).collect();
            names.extend(["response-header", "request-header"]);
            let known = PLACES.into_iter().find(|known| known.name() == place);
            one_of("in", place, known, &names)
        }
        (_, Some(_)) => Err(format!("`in = \"{place}\"` takes no `name`")),
    }
}

fn pattern(text: String, patterns: Patterns) -> Result<Pattern, String> {
    let most = limits::FINGERPRINT_PATTERN;
    if text.len() > most {
        return Err(format!("a pattern is longer than {most} bytes; cut it"));
    }
    let pattern = Pattern::new(text);
    if patterns == Patterns::Trusted {
        return Ok(pattern);
    }
    let text = pattern.as_str();
    match pattern.fault() {
        None => Ok(pattern),
        Some(regex::Error::CompiledTooBig(_)) => Err(format!(
            "the pattern {text:?} is too large once compiled; use smaller repetitions"
        )),
        Some(error) => Err(format!("the pattern {text:?} cannot be read: {error}")),
    }
}

fn one_of<T>(key: &str, given: &str, known: Option<T>, names: &[&str]) -> Result<T, String> {
    known.ok_or_else(|| {
        format!(
            "`{key}` cannot be {given:?}; it is one of {}",
            names.join(", ")
        )
    })
}

impl fmt::Display for Fingerprint {
    /// As a table has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text: &str| toml::Value::from(text).to_string();
        writeln!(f, "[[fingerprint]]")?;
        writeln!(f, "id = {}", text(&self.id))?;
        writeln!(f, "product = {}", text(&self.product.name))?;
        writeln!(f, "kind = {}", text(self.product.kind.name()))?;
        writeln!(f, "proves = {}", text(self.proves.name()))?;
        if let Some(cause) = self.cause {
            writeln!(f, "cause = {}", text(cause.name()))?;
        }
        writeln!(f, "strength = {}", text(self.strength.name()))?;
        writeln!(f, "means = {}", text(&self.means))?;
        writeln!(f, "source = {}", text(&self.source))?;
        writeln!(f, "when = [")?;
        for condition in &self.when {
            writeln!(f, "    {condition},")?;
        }
        writeln!(f, "]")?;
        if !self.example.is_empty() {
            let example = &self.example;
            let literal = !example.contains("'''") && !example.contains('\r');
            if literal && !example.ends_with('\'') {
                writeln!(f, "example = '''\n{example}'''")?;
            } else {
                writeln!(f, "example = {}", text(example))?;
            }
        }
        Ok(())
    }
}
