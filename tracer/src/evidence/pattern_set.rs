//! PatternSet that are all looked for in a text, in any letter case.

use std::sync::OnceLock;

use regex::bytes::{Match, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// Some patterns, by place.
pub(super) struct PatternSet {
    /// `None` where they do not compile, which no input decides.
    set: Option<RegexSet>,
    each: Vec<Each>,
}

/// A pattern on its own, to find where it matches: compiled where it is first needed, as few are.
struct Each {
    pattern: String,
    compiled: OnceLock<Option<Regex>>,
}

impl PatternSet {
    pub(super) fn new(patterns: impl Iterator<Item = impl Into<String>>) -> Self {
        let each: Vec<_> = patterns
            .map(|pattern| Each {
                pattern: pattern.into(),
                compiled: OnceLock::new(),
            })
            .collect();
        let set = RegexSetBuilder::new(each.iter().map(|each| &each.pattern))
            .case_insensitive(true)
            .unicode(false)
            .build()
            .ok();
        Self { set, each }
    }

    /// The places of those that are in a text, in order.
    pub(super) fn all_in(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        all_in(self.set.as_ref(), text)
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

/// The places of the patterns of a set that are in a text, in order; none without a set.
pub(super) fn all_in(set: Option<&RegexSet>, text: &[u8]) -> impl Iterator<Item = usize> {
    // Most texts have none, which is told much sooner than which of them.
    let set = set.filter(|set| set.is_match(text));
    set.map(|set| set.matches(text)).into_iter().flatten()
}
