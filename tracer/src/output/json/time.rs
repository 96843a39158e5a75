//! Times.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use crate::model::Timestamp;

/// A string: RFC 3339 in UTC, with nine digits of the second.
#[derive(Clone, Copy, Debug)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Nanoseconds in 64 bits end in the year 2554, which jiff can hold.
        let at = jiff::Timestamp::from_nanosecond(self.0.as_nanos().into()).unwrap_or_default();
        serializer.collect_str(&format_args!("{at:.9}"))
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
