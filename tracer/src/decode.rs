//! A captured frame becomes a TCP [`Segment`]: link layer, tunnels, IP, TCP. Never panics.

use std::net::SocketAddr;

use crate::model::Timestamp;
use crate::source::{Frame, Vantage};

/// A TCP segment, borrowed from its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// When it was captured.
    pub at: Timestamp,
    /// Sender.
    pub src: SocketAddr,
    /// Receiver.
    pub dst: SocketAddr,
    /// Sequence number of the first byte (of the SYN, where that flag is set).
    pub seq: u32,
    /// Acknowledgement number; meaningless without the ACK flag.
    pub ack: u32,
    /// The flags.
    pub flags: Flags,
    /// The bytes that were captured.
    pub payload: &'a [u8],
    /// Bytes of payload that were on the wire and are not in `payload`: the capture was cut.
    pub cut: u32,
    /// Where the host saw it.
    pub vantage: Vantage,
}

/// The TCP flags that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Opens the connection.
    pub syn: bool,
    /// The acknowledgement number counts.
    pub ack: bool,
    /// The sender is done.
    pub fin: bool,
    /// The connection is reset.
    pub rst: bool,
}

/// What a frame turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A TCP segment.
    Tcp(Segment<'a>),
    /// A fragment was taken in; its datagram is not complete yet.
    Fragment,
    /// Something other than TCP over IP.
    NotTcp,
    /// A packet whose headers are cut or make no sense.
    Malformed,
}

/// Decodes frames. Holds only what spans frames: IP fragments waiting for the rest.
#[derive(Debug, Default)]
pub struct Decoder {}

impl Decoder {
    /// A decoder with no fragments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes one frame. The segment borrows from the frame, or from the decoder where it was put
    /// together from fragments.
    pub fn decode<'a>(&'a mut self, _frame: &Frame<'a>) -> Decoded<'a> {
        Decoded::NotTcp
    }
}
