//! What the parts of the decoder hand to each other.

use std::net::IpAddr;

use super::Segment;
use crate::source::Frame;

/// Encapsulations that are followed before a packet counts as nonsense.
const DEPTH: u8 = 8;

/// The bytes of one layer, its header first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    /// Those that were captured.
    pub(super) data: &'a [u8],
    /// How many more of them there were on the wire.
    pub(super) beyond: u32,
    /// Encapsulations around it.
    pub(super) depth: u8,
}

/// What was found in a packet. Where its headers are cut or make no sense there is none.
#[derive(Clone, Debug)]
pub(super) enum Found<'a> {
    /// A segment, without its time and vantage.
    Tcp(Segment<'a>),
    /// A fragment of a datagram.
    Fragment(Fragment<'a>),
    /// Something else.
    NotTcp,
}

/// A fragment of an IP datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) key: Key,
    /// Protocol of the datagram.
    pub(super) protocol: u8,
    /// Where its bytes belong in the datagram.
    pub(super) offset: usize,
    /// Whether it is the last.
    pub(super) last: bool,
    pub(super) layer: Layer<'a>,
}

/// What the fragments of a datagram have in common (RFC 791 section 3.2, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) id: u32,
    /// The protocol for IPv4; 0 for IPv6, where it is no part of the key.
    pub(super) protocol: u8,
}

impl<'a> Layer<'a> {
    /// The outermost layer of a frame.
    pub(super) fn new(frame: &Frame<'a>) -> Self {
        let captured = u32::try_from(frame.data.len()).unwrap_or(u32::MAX);
        Self {
            data: frame.data,
            beyond: frame.wire_len.saturating_sub(captured),
            depth: 0,
        }
    }

    /// How many bytes of the layer there were on the wire.
    pub(super) fn wire_len(self) -> usize {
        self.data.len() + self.beyond as usize
    }

    /// What follows a header of `len` bytes.
    pub(super) fn after(self, len: usize) -> Option<Self> {
        Some(Self {
            data: self.data.get(len..)?,
            ..self
        })
    }

    /// The layer where its header says that it is `len` bytes long: what follows is padding, and
    /// what lacks was cut.
    pub(super) fn of_len(self, len: usize) -> Self {
        match self.data.get(..len) {
            Some(data) => Self {
                data,
                beyond: 0,
                ..self
            },
            None => Self {
                beyond: u32::try_from(len - self.data.len()).unwrap_or(u32::MAX),
                ..self
            },
        }
    }

    /// This layer as the content of another packet; `None` where that goes too deep.
    pub(super) fn nested(self) -> Option<Self> {
        let depth = self.depth + 1;
        (depth <= DEPTH).then_some(Self { depth, ..self })
    }

    /// The byte at `at`.
    pub(super) fn byte(self, at: usize) -> Option<u8> {
        self.data.get(at).copied()
    }

    /// The big-endian 16-bit number at `at`.
    pub(super) fn be16(self, at: usize) -> Option<u16> {
        self.data
            .get(at..)?
            .first_chunk()
            .map(|raw| u16::from_be_bytes(*raw))
    }
}
