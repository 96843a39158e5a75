//! Lines of `key=value`, as this tool writes them into comments and custom blocks.

use std::fmt::Write;

/// Bytes of an encoded value: longer ones (the longest path is 4096 bytes) are cut, so that all of
/// them fit into an option.
const VALUE: usize = 8_192;

/// `tracer403 what key=value …`: single spaces between, values percent-encoded.
pub(super) struct Line(String);

impl Line {
    /// A line that says what it is.
    pub(super) fn new(what: &str) -> Self {
        Self(format!("tracer403 {what}"))
    }

    /// A line of values alone.
    pub(super) fn of_values() -> Self {
        Self("tracer403".to_owned())
    }

    /// And this value.
    pub(super) fn with(mut self, key: &str, value: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(key);
        self.0.push('=');
        encode(&mut self.0, value);
        self
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Percent-encodes what is not printable ASCII, spaces and the percent sign.
fn encode(out: &mut String, value: &str) {
    let bound = out.len() + VALUE;
    for byte in value.bytes() {
        if out.len() + 3 > bound {
            return;
        }
        if byte.is_ascii_graphic() && byte != b'%' {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
