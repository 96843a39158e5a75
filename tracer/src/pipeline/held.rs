//! A whole request that is not read before its answer shows whether anybody wants to know of it.
//!
//! An exchange that is not reported, is no sample of its route and can be linked with none is
//! counted, and that is all. So the cost of reading follows the exchanges that matter.

use crate::http::brief;
use crate::limits::Limits;
use crate::model::{Direction, Timestamp};
use crate::reassembly::{Chunk, Connection, Piece};

use super::past::{Marks, Past};

/// The longest request that is held, in bytes. A longer one comes in several pieces anyway.
const BYTES_MAX: usize = 64 << 10;
/// Buffers that are kept for the next requests, and the largest of them, in bytes.
const SPARE: usize = 64;
const SPARE_BYTES: usize = 4 << 10;

/// A chunk that is a request and nothing else.
#[derive(Debug)]
pub(super) struct Held {
    at: Timestamp,
    offset: u64,
    bytes: Vec<u8>,
    pub(super) marks: Marks,
}

/// Buffers of requests that were let go.
#[derive(Debug, Default)]
pub(super) struct Spare(Vec<Vec<u8>>);

impl Held {
    /// Holds a chunk, where it is a whole request.
    pub(super) fn new(
        connection: &Connection,
        chunk: &Chunk<'_>,
        limits: &Limits,
        past: &mut Past,
        spare: &mut Spare,
    ) -> Option<Self> {
        let (Piece::Data(data), Direction::ClientToServer) = (chunk.piece, chunk.dir) else {
            return None;
        };
        if data.len() > BYTES_MAX {
            return None;
        }
        let request = brief::request(data, limits)?;
        let peer = connection.client.ip();
        past.preflights.brief(&request, peer, chunk.at);
        let mut bytes = spare.0.pop().unwrap_or_default();
        bytes.extend_from_slice(data);
        Some(Self {
            at: chunk.at,
            offset: chunk.offset,
            bytes,
            marks: past.marks(connection, &request),
        })
    }

    /// When it came.
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// The chunk that it was.
    pub(super) fn chunk(&self) -> Chunk<'_> {
        Chunk {
            at: self.at,
            dir: Direction::ClientToServer,
            offset: self.offset,
            piece: Piece::Data(&self.bytes),
        }
    }

    /// Nobody needs it any longer.
    pub(super) fn let_go(mut self, spare: &mut Spare) {
        if spare.0.len() < SPARE && self.bytes.capacity() <= SPARE_BYTES {
            self.bytes.clear();
            spare.0.push(self.bytes);
        }
    }
}
