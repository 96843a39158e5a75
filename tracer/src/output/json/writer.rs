//! Values as a line of JSON that is safe to look at.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::model::Timestamp;
use crate::output::escape;

/// A value as one line, with its line feed.
pub(super) fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(4096);
    value.serialize(&mut Serializer::with_formatter(&mut out, Safe))?;
    out.push(b'\n');
    Ok(out)
}

/// RFC 3339 in UTC, with nine digits of the second.
pub(super) fn time(at: Timestamp) -> String {
    // Nanoseconds in 64 bits end in the year 2554, which jiff can hold.
    let at = jiff::Timestamp::from_nanosecond(at.as_nanos().into()).unwrap_or_default();
    format!("{at:.9}")
}

/// Whether there are only characters in it that can be seen, as in nearly every text. Looks at each
/// byte, which is quicker than to stop at the first.
fn is_printable(text: &str) -> bool {
    text.bytes()
        .fold(true, |all, b| all & matches!(b, b' '..=b'~'))
}

/// Writes compact JSON; characters that must not reach a terminal become escapes.
struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if is_printable(fragment) {
            return out.write_all(fragment.as_bytes());
        }
        let mut plain = 0;
        for (at, c) in fragment
            .char_indices()
            .filter(|(_, c)| escape::is_hidden(*c))
        {
            out.write_all(fragment.get(plain..at).unwrap_or_default().as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        out.write_all(fragment.get(plain..).unwrap_or_default().as_bytes())
    }
}
