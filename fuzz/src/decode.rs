//! Frames.

use tracer403::decode::{Decoded, Decoder};
use tracer403::model::Timestamp;
use tracer403::source::{Frame, Vantage};

/// Frames one after the other through one decoder, so that fragments meet. Each is the link type
/// (2 bytes), how much longer it was on the wire (1 byte), its length (2 bytes), all in
/// little-endian order, and its bytes; the last may be shorter than it says.
pub fn decode(data: &[u8]) {
    let mut decoder = Decoder::new();
    let mut rest = data;
    let mut nanos = 0;
    while let Some(([a, b, more, c, d], after)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes([*c, *d])).min(after.len());
        let (bytes, after) = after.split_at(len);
        rest = after;
        nanos += 1_000_000;
        check(
            &mut decoder,
            &Frame {
                at: Timestamp::from_nanos(nanos),
                link_type: u16::from_le_bytes([*a, *b]),
                wire_len: len as u32 + u32::from(*more),
                data: bytes,
                vantage: Vantage::default(),
            },
        );
    }
}

fn check(decoder: &mut Decoder, frame: &Frame<'_>) {
    let Decoded::Tcp(segment) = decoder.decode(frame) else {
        return;
    };
    assert_eq!(segment.at, frame.at);
    assert_eq!(segment.src.is_ipv4(), segment.dst.is_ipv4());
    let frame = frame.data.as_ptr_range();
    let payload = segment.payload.as_ptr_range();
    let is_borrowed = frame.start <= payload.start && payload.end <= frame.end;
    assert!(is_borrowed || segment.payload.len() <= 65_535);
}
