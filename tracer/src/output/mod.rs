//! Cases go out: text for a terminal, JSON lines, pcapng.

pub mod pcapng;

use std::io;

use crate::model::{Case, Health};

/// A place where cases go.
pub trait Sink {
    /// Writes one case.
    ///
    /// # Errors
    /// Where it could not be written whole.
    fn case(&mut self, case: &Case) -> io::Result<()>;

    /// Writes the summary and closes the output; nothing may be written after it.
    ///
    /// # Errors
    /// Where it could not be written whole.
    fn finish(&mut self, health: &Health) -> io::Result<()>;
}
