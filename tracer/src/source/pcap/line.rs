//! Lines of `key=value`, as this tool writes them into comments and custom blocks
//! (`output/pcapng/line.rs`).
//!
//! A file may come from anybody, so nothing here is believed beyond what a line can be: values are
//! data, bounded by the length of a block.

use crate::model::Timestamp;

/// A line of this tool's form: `tracer403 `, a word that says what it is (none in comments), and
/// values, percent-encoded, in any order.
#[derive(Clone, Copy)]
pub(super) struct Line<'a>(&'a str);

impl<'a> Line<'a> {
    /// `None` where it is not of this tool.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        std::str::from_utf8(bytes)
            .ok()?
            .strip_prefix("tracer403 ")
            .map(Self)
    }

    /// What it is.
    pub(super) fn what(self) -> &'a str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// A value as it stands there.
    pub(super) fn value(self, name: &str) -> Option<&'a str> {
        self.0
            .split(' ')
            .filter_map(|field| field.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// A value, decoded.
    pub(super) fn text(self, name: &str) -> Option<String> {
        self.value(name).map(decode)
    }

    /// A value that is a number, an address or the like.
    pub(super) fn parsed<T: std::str::FromStr>(self, name: &str) -> Option<T> {
        self.value(name)?.parse().ok()
    }

    /// A time: seconds since the epoch, with nine digits after the point.
    pub(super) fn time(self, name: &str) -> Option<Timestamp> {
        let (whole, nanos) = self.value(name)?.split_once('.')?;
        if nanos.len() != 9 {
            return None;
        }
        let whole: u64 = whole.parse().ok()?;
        let nanos: u64 = nanos.parse().ok()?;
        Some(Timestamp::from_nanos(
            whole.checked_mul(1_000_000_000)?.checked_add(nanos)?,
        ))
    }
}

/// Removes percent-encoding; bytes that are not UTF-8 are replaced.
pub(super) fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, after @ ..] if byte == b'%' => hex(*high)
                .zip(hex(*low))
                .map(|(high, low)| (high << 4 | low, after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((byte, after));
        out.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}
