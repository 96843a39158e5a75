//! JSON Lines: the specification of what `--json` and `-o` write.
//!
//! One JSON object a line, in UTF-8, each line written whole. The first is of type `start`, the
//! last of type `summary` (it is missing where the tool was killed or the disk was full), and
//! between them is one of type `case` for each request that the filter let pass at one of its hops,
//! in the order in which they were over. The structures of this module are the specification; `tracer403 schema`
//! prints it as a JSON Schema (draft 2020-12). What holds for all of them:
//!
//! - **Every line says its version**: `"schema": 1`. Within a version keys, and values of
//!   enumerations, are only ever added: a reader ignores those that it does not know. Anything else
//!   makes a new version.
//! - **A key is always there**; what is not known is `null`.
//! - **Text from the wire** is an object: `{"text": "…"}` where its bytes are UTF-8, else
//!   `{"base64": "…"}` with the bytes (RFC 4648 section 4). No byte is lost. What comes from this
//!   host (names of processes, paths) is a plain string.
//! - **Times** are strings: RFC 3339 in UTC, with nine digits of the second. **Durations** are whole
//!   nanoseconds, in keys that end in `_ns`. **Sizes** are bytes, in keys that end in `_bytes`.
//! - **Places** in lists (`reported`, `hop`, `supports`) count from 0.
//! - **Secrets** are replaced as [`redact`](super::redact) says, unless `start` says
//!   `"secrets_shown": true`.
//! - Characters that a terminal obeys, or that cannot be seen, are written as `\u` escapes, so that
//!   the lines can be looked at safely.

pub mod case;
pub mod chain;
pub mod message;
pub mod session;
pub mod time;
pub mod verdict;
mod writer;

use std::io::{self, Write};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;

use super::groups::Groups;
use super::redact::Secrets;
use super::{Session, Sink};
use crate::model::{Case, Health};

/// The version that every line names.
pub const SCHEMA: u32 = 1;

/// One line.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line<'a> {
    /// The first line: what is known before the first case.
    Start(session::Start<'a>),
    /// An exchange that the filter let pass.
    Case(Box<case::CaseLine<'a>>),
    /// The last line: what the session saw, and what it could not see.
    Summary(Box<session::Summary<'a>>),
}

/// The JSON Schema of a [`Line`].
pub fn schema() -> schemars::Schema {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Line<'_>>()
}

/// What [`JsonSink`] has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonOptions {
    /// Bytes of each body to write.
    pub body_bytes: usize,
    /// Bytes of each body that the session keeps (`limits.body_kept`).
    pub body_kept: usize,
    /// Whether the cases it gets still hold their secrets.
    pub secrets: Secrets,
}

/// Room that is kept for the next line, in bytes: most need less.
const LINE: usize = 64 << 10;

/// Writes JSON lines.
#[derive(Debug)]
pub struct JsonSink<W> {
    out: W,
    options: JsonOptions,
    groups: Groups<()>,
    /// The room of the last line, for the next.
    line: Vec<u8>,
}

impl<W: Write> JsonSink<W> {
    /// Writes to `out`, one `write_all` and one `flush` a line.
    pub fn new(out: W, options: JsonOptions) -> Self {
        Self {
            out,
            options,
            groups: Groups::default(),
            line: Vec::new(),
        }
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        self.line.clear();
        // One with long bodies does not bind its memory for the rest of the session.
        self.line.shrink_to(LINE);
        writer::line(line, &mut self.line)?;
        self.out.write_all(&self.line)?;
        self.out.flush()
    }
}

impl<W: Write + Send> Sink for JsonSink<W> {
    fn start(&mut self, session: &Session) -> io::Result<()> {
        let start = session::Start::new(session, self.options.secrets);
        self.line(&Line::Start(start))
    }

    fn case(&mut self, case: &Case) -> io::Result<()> {
        self.groups.add(case, |_| ());
        let case = case::CaseLine::new(case, &self.options);
        self.line(&Line::Case(Box::new(case)))
    }

    fn finish(&mut self, health: &Health) -> io::Result<()> {
        let summary = session::Summary::new(health, &self.groups);
        self.line(&Line::Summary(Box::new(summary)))
    }
}

#[cfg(test)]
mod tests;
