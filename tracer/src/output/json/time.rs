//! Times.

use std::borrow::Cow;
use std::cell::Cell;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use crate::model::Timestamp;

/// A string: RFC 3339 in UTC, with nine digits of the second.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Timestamp);

/// Its length, in bytes: nanoseconds in 64 bits end in the year 2554.
const LENGTH: usize = 30;
/// The beginning of them.
const EPOCH: [u8; LENGTH] = *b"1970-01-01T00:00:00.000000000Z";
const SECOND: u64 = 1_000_000_000;

thread_local! {
    /// The second that was told last, and its beginning as text: times of a case lie close together.
    static LAST: Cell<(u64, [u8; LENGTH])> = const { Cell::new((0, EPOCH)) };
}

impl Time {
    fn text(self) -> [u8; LENGTH] {
        let (second, fraction) = (self.0.as_nanos() / SECOND, self.0.as_nanos() % SECOND);
        let (last, mut text) = LAST.get();
        if last != second {
            text = beginning(second);
            LAST.set((second, text));
        }
        let digits = text.iter_mut().rev().skip(1).take(9);
        digits.fold(fraction, |left, digit| {
            *digit = b'0' + (left % 10) as u8;
            left / 10
        });
        text
    }
}

/// When a second begins.
fn beginning(second: u64) -> [u8; LENGTH] {
    let nanos = i128::from(second) * i128::from(SECOND);
    let at = jiff::Timestamp::from_nanosecond(nanos).unwrap_or_default();
    let text = format!("{at:.9}");
    *text.as_bytes().first_chunk().unwrap_or(&EPOCH)
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let day = 86_400 * SECOND;
        for nanos in [
            0,
            1,
            day - 1,
            day,
            59 * day,
            1_767_225_600 * SECOND + 50_000,
            7,
            u64::MAX,
        ] {
            let at = jiff::Timestamp::from_nanosecond(nanos.into()).unwrap();
            for _ in 0..2 {
                let text = Time(Timestamp::from_nanos(nanos)).text();
                assert_eq!(str::from_utf8(&text).unwrap(), format!("{at:.9}"));
            }
        }
    }
}
