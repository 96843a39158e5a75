//! Bytes from the wire, made safe to look at.
//!
//! Whoever sent the traffic chose its bytes, and a terminal obeys some of them: escape sequences
//! can rewrite what was printed before, bidirectional overrides and invisible characters make text
//! read as something it is not. All of those are shown as what they are: `\xNN` for a byte,
//! `\u{…}` for a character beyond ASCII. A backslash from the wire stays a single one; where the
//! difference matters, the JSON output is exact.

use std::fmt::{self, Write as _};

/// Shows `bytes` on one line, at most the first `max` of them; what is cut is counted.
pub fn line(bytes: &[u8], max: usize) -> Escaped<'_> {
    Escaped {
        bytes,
        max,
        tab: "\\x09",
    }
}

/// As [`line()`], with a tab shown as four spaces: for a line of a body.
pub fn body_line(bytes: &[u8], max: usize) -> Escaped<'_> {
    Escaped {
        bytes,
        max,
        tab: "    ",
    }
}

/// Whether a character must not reach a terminal: it is a control character, it changes the order
/// in which text reads, it breaks the line, or it cannot be seen.
pub const fn is_hidden(c: char) -> bool {
    c.is_ascii_control()
        || matches!(c,
            '\u{80}'..='\u{9f}'               // C1 controls; 9b alone starts an escape sequence
            | '\u{ad}'                        // soft hyphen
            | '\u{34f}'                       // combining grapheme joiner
            | '\u{61c}'                       // Arabic letter mark
            | '\u{115f}' | '\u{1160}'         // Hangul fillers
            | '\u{17b4}' | '\u{17b5}'         // Khmer inherent vowels
            | '\u{180b}'..='\u{180f}'         // Mongolian selectors and vowel separator
            | '\u{200b}'..='\u{200f}'         // zero width, directional marks
            | '\u{2028}'..='\u{202e}'         // line and paragraph separators, overrides
            | '\u{2060}'..='\u{206f}'         // joiners, isolates, deprecated controls
            | '\u{3164}'                      // Hangul filler
            | '\u{fe00}'..='\u{fe0f}'         // variation selectors
            | '\u{feff}'                      // byte order mark
            | '\u{ffa0}'                      // halfwidth Hangul filler
            | '\u{fff0}'..='\u{fffb}'         // interlinear annotation
            | '\u{1bca0}'..='\u{1bca3}'       // shorthand format controls
            | '\u{1d173}'..='\u{1d17a}'       // musical format controls
            | '\u{e0000}'..='\u{e0fff}') // tags, more variation selectors
}

/// Bytes on their way to a terminal; see [`line()`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a> {
    bytes: &'a [u8],
    max: usize,
    tab: &'static str,
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.bytes.get(..self.max).unwrap_or(self.bytes);
        let shown = whole_characters(shown, self.bytes);
        for chunk in shown.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\t' => f.write_str(self.tab)?,
                    c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                    c if is_hidden(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                    c => f.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        match self.bytes.len().saturating_sub(shown.len()) {
            0 => Ok(()),
            cut => write!(f, "… (+{cut} bytes)"),
        }
    }
}

/// Takes off the end of `shown` a character that only the cut broke.
fn whole_characters<'a>(shown: &'a [u8], all: &[u8]) -> &'a [u8] {
    if shown.len() == all.len() {
        return shown;
    }
    let broken = shown
        .utf8_chunks()
        .last()
        .map_or(0, |chunk| chunk.invalid().len());
    let start = shown.len().saturating_sub(broken);
    let would_be_whole = all
        .get(start..)
        .and_then(|rest| rest.utf8_chunks().next())
        .is_some_and(|chunk| !chunk.valid().is_empty());
    if broken > 0 && would_be_whole {
        shown.get(..start).unwrap_or(shown)
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_instead() {
        for (bytes, shown) in [
            (&b"plain \xc3\xa9 \\x1b"[..], "plain é \\x1b"),
            (b"\x1b[31mred\x07", "\\x1b[31mred\\x07"),
            (b"a\tb\r\nc\x00\x7f", "a\\x09b\\x0d\\x0ac\\x00\\x7f"),
            ("\u{9b}31m".as_bytes(), "\\u{9b}31m"),
            ("moc\u{202e}elgoog".as_bytes(), "moc\\u{202e}elgoog"),
            (
                "a\u{200b}b\u{2066}c\u{2028}d\u{feff}".as_bytes(),
                "a\\u{200b}b\\u{2066}c\\u{2028}d\\u{feff}",
            ),
            (b"\xff\xc3(", "\\xff\\xc3("),
            ("\u{e0041}".as_bytes(), "\\u{e0041}"),
        ] {
            assert_eq!(line(bytes, 100).to_string(), shown);
        }
        assert_eq!(body_line(b"\ta", 9).to_string(), "    a");
    }

    #[test]
    fn a_cut_is_counted_and_breaks_no_character() {
        assert_eq!(line(b"abcdef", 4).to_string(), "abcd… (+2 bytes)");
        assert_eq!(line("aé".as_bytes(), 2).to_string(), "a… (+2 bytes)");
        assert_eq!(line(b"a\xff\xff", 2).to_string(), "a\\xff… (+1 bytes)");
        assert_eq!(line(b"ab", 2).to_string(), "ab");
        assert_eq!(line(b"ab", 0).to_string(), "… (+2 bytes)");
    }

    proptest! {
        #[test]
        fn nothing_hidden_gets_through(bytes: Vec<u8>, text: String, max in 0usize..40) {
            for bytes in [&bytes[..], text.as_bytes()] {
                let shown = line(bytes, max).to_string();
                prop_assert!(!shown.chars().any(is_hidden), "{shown:?}");
            }
        }
    }
}
