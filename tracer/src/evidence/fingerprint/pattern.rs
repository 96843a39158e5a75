//! Patterns of conditions, alone and many at once.

use std::sync::{Arc, OnceLock};

use regex::bytes::{Match, Regex, RegexBuilder};
use regex_automata::hybrid::BuildError;
use regex_automata::util::syntax;

use super::super::pattern_set::Automaton;
use crate::limits;

/// A regular expression over bytes.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    /// Compiled where it is first needed: of the own table, few are in a session. `None` where it
    /// cannot be, which tests rule out for the own table, and the reader for others.
    compiled: OnceLock<Option<Regex>>,
    /// Speaks of the end of the value, so it takes the whole value to tell.
    pub(super) to_the_end: bool,
}

/// Some patterns. Compiled where they are first needed: in many captures there is nothing to match.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    patterns: Vec<String>,
    /// `None` where a bound is reached, which tests rule out for the own table, and
    /// [`check`](Self::check) for others.
    compiled: OnceLock<Option<Arc<Automaton>>>,
}

impl Pattern {
    /// A pattern that was not tried yet; see [`fault`](Self::fault).
    pub(super) fn new(text: String) -> Self {
        Self {
            to_the_end: text.ends_with(r"\z") || text.ends_with('$'),
            text,
            compiled: OnceLock::new(),
        }
    }

    /// Why it cannot be compiled: it is no pattern, or a bound is reached.
    pub(super) fn fault(&self) -> Option<regex::Error> {
        compile(&self.text).err()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn is_in(&self, value: &[u8]) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(value))
    }

    pub(super) fn find<'v>(&self, value: &'v [u8]) -> Option<Match<'v>> {
        self.regex()?.find(value)
    }

    fn regex(&self) -> Option<&Regex> {
        let compiled = self.compiled.get_or_init(|| compile(&self.text).ok());
        compiled.as_ref()
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(limits::FINGERPRINT_COMPILED)
        .dfa_size_limit(limits::FINGERPRINT_COMPILED)
        .build()
}

impl Set {
    /// The place of a pattern, which it takes in where it is new.
    pub(super) fn place_of(&mut self, pattern: &Pattern) -> usize {
        let known = self.patterns.iter().position(|text| *text == pattern.text);
        known.unwrap_or_else(|| {
            self.patterns.push(pattern.text.clone());
            self.patterns.len() - 1
        })
    }

    /// Compiles them, where there are several: the reader tries each by itself.
    ///
    /// # Errors
    /// Where the bound on all of them together is reached.
    pub(super) fn check(&self) -> Result<(), Box<BuildError>> {
        if self.patterns.len() > 1 {
            let compiled = self.compile()?;
            self.compiled.get_or_init(|| Some(compiled));
        }
        Ok(())
    }

    /// The places of those that a value has.
    pub(super) fn matches(&self, value: &[u8]) -> Vec<usize> {
        if self.patterns.is_empty() {
            return Vec::new();
        }
        let compiled = self.compiled.get_or_init(|| self.compile().ok());
        let found = compiled.as_ref().map(|compiled| compiled.all_in(value));
        found.unwrap_or_default()
    }

    /// With the settings of a pattern alone.
    fn compile(&self) -> Result<Arc<Automaton>, Box<BuildError>> {
        let settings = syntax::Config::new().dot_matches_new_line(true);
        let compiled = Automaton::new(&self.patterns, settings, limits::FINGERPRINT_SET)?;
        Ok(Arc::new(compiled))
    }
}
