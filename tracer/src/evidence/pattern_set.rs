//! Patterns that are all looked for in a text, in any letter case.

mod automaton;

use std::sync::OnceLock;

use regex::bytes::{Match, Regex, RegexBuilder};
use regex_automata::util::syntax;

pub(super) use automaton::Automaton;

/// Some patterns, by place.
pub(super) struct PatternSet {
    /// `None` where they do not compile, which no input decides.
    together: Option<Automaton>,
    each: Vec<Each>,
}

/// A pattern on its own, to find where it matches: compiled where it is first needed, as few are.
struct Each {
    pattern: String,
    compiled: OnceLock<Option<Regex>>,
}

/// Most bytes of the patterns together, compiled: as the regex library has it by default.
const COMPILED: usize = 10 << 20;

impl PatternSet {
    pub(super) fn new(patterns: impl Iterator<Item = impl Into<String>>) -> Self {
        let each: Vec<_> = patterns
            .map(|pattern| Each {
                pattern: pattern.into(),
                compiled: OnceLock::new(),
            })
            .collect();
        let patterns: Vec<_> = each.iter().map(|each| each.pattern.as_str()).collect();
        let in_any_case = syntax::Config::new().case_insensitive(true);
        let together = Automaton::new(&patterns, in_any_case, COMPILED).ok();
        Self { together, each }
    }

    /// The places of those that are in a text, in order.
    pub(super) fn all_in(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let found = self.together.as_ref().map(|together| together.all_in(text));
        found.unwrap_or_default().into_iter()
    }

    /// Where in a text the one at this place is first.
    pub(super) fn find<'t>(&self, place: usize, text: &'t [u8]) -> Option<Match<'t>> {
        let Each { pattern, compiled } = self.each.get(place)?;
        let compile = || {
            RegexBuilder::new(pattern)
                .case_insensitive(true)
                .unicode(false)
                .build()
                .ok()
        };
        compiled.get_or_init(compile).as_ref()?.find(text)
    }
}
