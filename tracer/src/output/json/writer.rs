//! Values as a line of JSON that is safe to look at.

use std::fmt::Write;
use std::io;

use serde::Serialize;

use crate::output::escape;

/// Writes a value to `line`, which is empty, as one line of compact JSON, with its line feed;
/// characters that must not reach a terminal become escapes.
pub(super) fn line(value: &impl Serialize, line: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *line, value)?;
    if !is_printable(line) {
        let json = str::from_utf8(line).map_err(io::Error::other)?;
        *line = escaped(json).into_bytes();
    }
    line.push(b'\n');
    Ok(())
}

/// Whether there are only characters in it that can be seen, as in nearly every text. Looks at each
/// byte, which is quicker than to stop at the first.
fn is_printable(text: &[u8]) -> bool {
    text.iter()
        .fold(true, |all, b| all & matches!(b, b' '..=b'~'))
}

/// JSON with escapes for the characters that cannot be seen: there are none but in its strings.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 8);
    let mut plain = 0;
    for (at, c) in json.char_indices().filter(|(_, c)| escape::is_hidden(*c)) {
        out.push_str(json.get(plain..at).unwrap_or_default());
        for unit in c.encode_utf16(&mut [0; 2]) {
            // A string takes it all.
            let _ = write!(out, "\\u{unit:04x}");
        }
        plain = at + c.len_utf8();
    }
    out.push_str(json.get(plain..).unwrap_or_default());
    out
}
