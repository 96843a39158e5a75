//! Who owns each end of a connection.

use std::net::SocketAddr;

use crate::model::{Owner, Timestamp};
use crate::source::SocketOwner;

/// The owners of sockets, as the source told them; bounded, the oldest goes first.
#[derive(Debug, Default)]
pub struct Owners {}

impl Owners {
    /// A table for at most `capacity` sockets.
    pub fn new(_capacity: usize) -> Self {
        Self::default()
    }

    /// Takes in what the source says.
    pub fn learn(&mut self, _owner: SocketOwner) {}

    /// The process that sent on this socket at the time `from`, or between then and `until`.
    pub fn sender(
        &self,
        _cookie: u64,
        _local: SocketAddr,
        _remote: SocketAddr,
        _from: Timestamp,
        _until: Timestamp,
    ) -> Option<Owner> {
        None
    }
}
