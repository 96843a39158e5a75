//! Which of many patterns are in a text: one automaton for all of them.
//!
//! A set of the regex library makes more of them: to search backwards, to find groups, and literals
//! to search for first. Of many patterns in any letter case, that takes longer than to read a small
//! capture, and here it is for nothing.

use std::panic::{RefUnwindSafe, UnwindSafe};

use regex_automata::hybrid::BuildError;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::pool::Pool;
use regex_automata::util::syntax;
use regex_automata::{Input, MatchKind, PatternSet};

/// Bytes of states that are kept. They are made as texts need them; over it they are made anew.
const STATES: usize = 2 << 20;

/// Some patterns over bytes, by place.
pub(in crate::evidence) struct Automaton {
    dfa: DFA,
    /// One for each thread that searches at the same time.
    searches: Pool<Search, Box<dyn Fn() -> Search + Send + Sync + UnwindSafe + RefUnwindSafe>>,
}

/// What a search writes to.
struct Search {
    states: Cache,
    found: PatternSet,
}

impl std::fmt::Debug for Automaton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let patterns = self.dfa.pattern_len();
        f.debug_struct("Automaton")
            .field("patterns", &patterns)
            .finish_non_exhaustive()
    }
}

impl Automaton {
    /// # Errors
    /// Where one is no pattern, or all together take more than `most` bytes once compiled.
    pub(in crate::evidence) fn new(
        patterns: &[impl AsRef<str>],
        syntax: syntax::Config,
        most: usize,
    ) -> Result<Self, Box<BuildError>> {
        let lazily = DFA::config()
            .match_kind(MatchKind::All)
            .cache_capacity(STATES)
            // Where a single state is larger, that much.
            .skip_cache_capacity_check(true);
        let compiled = thompson::Config::new()
            .utf8(false)
            .nfa_size_limit(Some(most));
        let dfa = DFA::builder()
            .configure(lazily)
            .syntax(syntax.unicode(false).utf8(false))
            .thompson(compiled)
            .build_many(patterns)?;
        let searching = dfa.clone();
        let search = move || Search {
            states: searching.create_cache(),
            found: PatternSet::new(searching.pattern_len()),
        };
        Ok(Self {
            dfa,
            searches: Pool::new(Box::new(search)),
        })
    }

    /// The places of those that are in a text, in order.
    pub(in crate::evidence) fn all_in(&self, text: &[u8]) -> Vec<usize> {
        let mut search = self.searches.get();
        let Search { states, found } = &mut *search;
        let text = Input::new(text);
        // Most texts have none, which is told much sooner than which of them. Neither fails: that is
        // for bytes and limits that were not set.
        let first = text.clone().earliest(true);
        if !matches!(self.dfa.try_search_fwd(states, &first), Ok(Some(_))) {
            return Vec::new();
        }
        found.clear();
        let searched = self.dfa.try_which_overlapping_matches(states, &text, found);
        debug_assert!(searched.is_ok(), "{searched:?}");
        found.iter().map(|place| place.as_usize()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_are_in_a_text_are_found_wherever_they_are() {
        let patterns = [r"\bab", "b+c", "^x", r"z\z", "(?i)Q", "never"];
        let automaton = Automaton::new(&patterns, syntax::Config::new(), 1 << 20).unwrap();
        for (text, expected) in [
            (&b""[..], &[][..]),
            (b"nothing of it", &[]),
            (b"ab", &[0]),
            (b"cab", &[]),
            (b"ab abbc", &[0, 1]),
            (b"x q z", &[2, 3, 4]),
            (b"\xffbc\xffab", &[0, 1]),
            (b"zx", &[]),
        ] {
            assert_eq!(automaton.all_in(text), expected, "{text:?}");
        }
    }

    #[test]
    fn states_that_are_too_many_are_made_anew() {
        // In each place it is open which of the bytes before will count: ever new states.
        let patterns = ["a.{12}b", "c.{14}d"];
        let syntax = syntax::Config::new().dot_matches_new_line(true);
        let automaton = Automaton::new(&patterns, syntax, 1 << 20).unwrap();
        let mut text = Vec::new();
        let mut number = 1_u64;
        for _ in 0..200_000 {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text.push(b"acx"[(number >> 60) as usize % 3]);
        }
        assert!(automaton.all_in(&text).is_empty());
        assert!(automaton.searches.get().states.clear_count() > 0);
        text.extend(b"c------------b-d");
        assert_eq!(automaton.all_in(&text), [1]);
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let syntax = syntax::Config::new();
        assert!(Automaton::new(&["a{500}"], syntax, 1 << 10).is_err());
        assert!(Automaton::new(&["("], syntax, 1 << 20).is_err());
    }
}
