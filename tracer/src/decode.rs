//! A captured frame becomes a TCP [`Segment`]: link layer, tunnels, IP, TCP. Never panics.
//!
//! Checksums are not looked at: a host's network card fills them in after the capture point, so on
//! the sending host most of them are wrong.

mod fragments;
mod ip;
mod layer;
mod link;
mod plain;
#[cfg(test)]
mod tests;
mod tunnel;
mod wifi;

use std::net::SocketAddr;

use crate::model::Timestamp;
use crate::source::{Frame, Vantage};
use fragments::{Datagram, Fragments};
use layer::{Found, Fragment, Layer};

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

impl Flags {
    /// From the byte of the header that holds them (RFC 9293 section 3.1).
    fn of(byte: u8) -> Self {
        let flag = |bit: u8| byte & bit != 0;
        Self {
            syn: flag(0x02),
            ack: flag(0x10),
            fin: flag(0x01),
            rst: flag(0x04),
        }
    }
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

/// Decodes frames. Holds only what spans frames: IP fragments waiting for the rest (at most 256
/// datagrams, each for 30 s of capture time).
#[derive(Debug, Default)]
pub struct Decoder {
    fragments: Fragments,
    /// The datagram that the last fragment completed.
    datagram: Datagram,
}

impl Decoder {
    /// A decoder with no fragments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes one frame. The segment borrows from the frame, or from the decoder where it was put
    /// together from fragments.
    #[inline]
    pub fn decode<'a>(&'a mut self, frame: &Frame<'a>) -> Decoded<'a> {
        match plain::segment(frame) {
            Some(segment) => Decoded::Tcp(segment),
            None => self.take_apart(frame),
        }
    }

    /// Decodes one frame, layer by layer.
    fn take_apart<'a>(&'a mut self, frame: &Frame<'a>) -> Decoded<'a> {
        let found = match link::frame(frame.link_type, Layer::new(frame)) {
            Some(Found::Fragment(fragment)) => match self.put_together(frame.at, &fragment) {
                true => ip::datagram(&self.datagram),
                false => return Decoded::Fragment,
            },
            found => found,
        };
        match found {
            Some(Found::Tcp(segment)) => Decoded::Tcp(Segment {
                at: frame.at,
                vantage: frame.vantage,
                ..segment
            }),
            Some(Found::Fragment(_)) => Decoded::Fragment,
            Some(Found::NotTcp) => Decoded::NotTcp,
            None => Decoded::Malformed,
        }
    }

    /// Datagrams that were given up: incomplete for too long, too many at once, or contradicting
    /// themselves.
    pub fn dropped_datagrams(&self) -> u64 {
        self.fragments.dropped()
    }

    /// Takes in a fragment; whether it completed the datagram that is now in `self.datagram`.
    ///
    /// That may hold a fragment of another: a packet that was cut before it entered a tunnel that
    /// cuts too. It is nested one deeper than its own fragments, so this ends.
    fn put_together(&mut self, at: Timestamp, fragment: &Fragment<'_>) -> bool {
        let Some(whole) = self.fragments.add(at, fragment) else {
            return false;
        };
        self.datagram = whole;
        while let Some(Found::Fragment(inner)) = ip::datagram(&self.datagram) {
            let Some(whole) = self.fragments.add(at, &inner) else {
                return false;
            };
            self.datagram = whole;
        }
        true
    }
}
