//! The framing of pcapng: blocks and options, always in little-endian byte order.

use crate::model::Settled;

/// Appends a block: type, length, what `body` writes, padding, and the length again.
pub(super) fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    // A block is far smaller than 4 GiB: a packet, or a handful of options of at most 64 KiB.
    let len = u32::try_from(out.len() - start + 4)
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    if let Some(place) = out.get_mut(start + 4..start + 8) {
        place.copy_from_slice(&len);
    }
    out.extend_from_slice(&len);
}

/// Private enterprise number of the custom blocks: the one for documentation (RFC 5612), as this
/// tool has none of its own. So the data begins with the tool's name.
const ENTERPRISE: u32 = 32_473;

/// Appends a custom block, of the kind that other programs may copy, with a line of text. What is
/// behind the text up to the next multiple of four is zeros.
pub(super) fn custom(out: &mut Vec<u8>, text: &str) {
    block(out, 0x0000_0bad, |out| {
        out.extend_from_slice(&ENTERPRISE.to_le_bytes());
        padded(out, text.as_bytes());
    });
}

/// The value of a custom option that says up to where a packet's connection is settled: the
/// enterprise number, the tool's name, and both sequence numbers.
pub(super) fn settled(settled: Settled) -> Vec<u8> {
    let mut value = ENTERPRISE.to_le_bytes().to_vec();
    value.extend_from_slice(b"tracer403 settled ");
    value.extend_from_slice(&settled.own.to_le_bytes());
    value.extend_from_slice(&settled.peer.to_le_bytes());
    value
}

/// The value of a custom option that says how many records had been lost before a packet.
pub(super) fn lost(count: u32) -> Vec<u8> {
    let mut value = ENTERPRISE.to_le_bytes().to_vec();
    value.extend_from_slice(b"tracer403 lost ");
    value.extend_from_slice(&count.to_le_bytes());
    value
}

/// Appends an option; nothing where the value is longer than an option can be.
pub(super) fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let Ok(len) = u16::try_from(value.len()) else {
        return;
    };
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    padded(out, value);
}

/// Appends `bytes`, and zeros up to a multiple of four.
pub(super) fn padded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    let padding = bytes.len().next_multiple_of(4) - bytes.len();
    out.extend(std::iter::repeat_n(0, padding));
}
