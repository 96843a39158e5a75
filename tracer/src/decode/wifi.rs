//! IEEE 802.11 data frames that are not encrypted.

use super::layer::{Found, Layer};
use super::link;

/// Radiotap: the header says how long it is.
pub(super) fn radiotap(layer: Layer<'_>) -> Option<Found<'_>> {
    let &[_, _, low, high] = layer.data.first_chunk()?;
    frame(layer.after(usize::from(u16::from_le_bytes([low, high])))?)
}

/// A frame (IEEE 802.11-2020 section 9.2.3). Frames that hold several packets are not taken apart.
pub(super) fn frame(layer: Layer<'_>) -> Option<Found<'_>> {
    let &[kind, flags] = layer.data.first_chunk()?;
    let is_data = kind & 0x0c == 0x08 && kind & 0x40 == 0;
    let is_encrypted = flags & 0x40 != 0;
    if !is_data || is_encrypted {
        return Some(Found::NotTcp);
    }
    let four_addresses = flags & 0x03 == 0x03;
    let quality_of_service = kind & 0x80 != 0;
    let throughput_control = quality_of_service && flags & 0x80 != 0;
    let header = 24
        + if four_addresses { 6 } else { 0 }
        + if quality_of_service { 2 } else { 0 }
        + if throughput_control { 4 } else { 0 };
    let body = layer.after(header)?;
    if body.data.starts_with(&[0xaa, 0xaa, 0x03]) {
        return link::llc(body);
    }
    // Some drivers align what follows the header.
    link::llc(layer.after(header.next_multiple_of(4))?)
}
