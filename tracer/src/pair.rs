//! Messages become exchanges: first in, first out on each connection.

use crate::http::Part;
use crate::limits::Limits;
use crate::model::{Direction, Exchange, Timestamp};
use crate::reassembly::Connection;

/// The exchanges under way on one connection.
#[derive(Debug, Default)]
pub struct Pairing {}

impl Pairing {
    /// Takes in a part and hands every exchange that is over to `sink`.
    pub fn push(
        &mut self,
        _conn: &Connection,
        _at: Timestamp,
        _dir: Direction,
        _part: Part<'_>,
        _limits: &Limits,
        _sink: &mut dyn FnMut(Exchange),
    ) {
    }

    /// The connection is over: hands out what was still under way.
    pub fn close(
        &mut self,
        _conn: &Connection,
        _at: Timestamp,
        _limits: &Limits,
        _sink: &mut dyn FnMut(Exchange),
    ) {
    }

    /// Bytes it holds.
    pub fn memory(&self) -> usize {
        0
    }
}
