//! Tunnels: packets in packets.

use super::layer::{Found, Layer};
use super::{ip, link, wifi};

/// UDP; all that matters of it is which tunnel it carries.
pub(super) fn udp(layer: Layer<'_>) -> Option<Found<'_>> {
    let port = layer.be16(2)?;
    let Some(inner) = layer.after(8) else {
        return Some(Found::NotTcp);
    };
    let found = match port {
        // Assigned, and what Linux used before.
        4789 | 8472 => vxlan(inner),
        6081 => geneve(inner),
        2152 => gtp_user(inner),
        // GRE in UDP (RFC 8086).
        4754 => gre(inner),
        6635 => mpls(inner),
        _ => return Some(Found::NotTcp),
    };
    // Anybody may use these ports for something else.
    found.or(Some(Found::NotTcp))
}

/// VXLAN (RFC 7348 section 5).
fn vxlan(layer: Layer<'_>) -> Option<Found<'_>> {
    let has_network = layer.byte(0)? & 0x08 != 0;
    if !has_network {
        return Some(Found::NotTcp);
    }
    link::ethernet(layer.after(8)?.nested()?)
}

/// Geneve (RFC 8926 section 3.4).
fn geneve(layer: Layer<'_>) -> Option<Found<'_>> {
    let options = usize::from(layer.byte(0)? & 0x3f) * 4;
    let kind = layer.be16(2)?;
    link::ether_type(kind, layer.after(8 + options)?.nested()?)
}

/// GTP-U (3GPP TS 29.281 section 5).
fn gtp_user(layer: Layer<'_>) -> Option<Found<'_>> {
    let &[flags, 0xff, ..] = layer.data.first_chunk::<8>()? else {
        return Some(Found::NotTcp);
    };
    if flags & 0xf0 != 0x30 {
        return Some(Found::NotTcp);
    }
    let mut inner = layer.after(8)?;
    if flags & 0x07 != 0 {
        let mut extension = inner.byte(3)?;
        inner = inner.after(4)?;
        // Each is at least 4 bytes long, so this ends.
        while extension != 0 && flags & 0x04 != 0 {
            let len = usize::from(inner.byte(0)?) * 4;
            extension = inner.byte(len.checked_sub(1)?)?;
            inner = inner.after(len)?;
        }
    }
    ip::any(inner.nested()?)
}

/// GRE (RFC 2784, RFC 2890; version 1 is PPTP's, RFC 2637).
pub(super) fn gre(layer: Layer<'_>) -> Option<Found<'_>> {
    let &[high, low, ..] = layer.data.first_chunk::<4>()?;
    let kind = layer.be16(2)?;
    let has = |bit: u8| usize::from(high & bit != 0) * 4;
    let (checksum, key, sequence) = (has(0x80), has(0x20), has(0x10));
    if high & 0x40 != 0 {
        // Source routing, which nobody uses.
        return Some(Found::NotTcp);
    }
    let acknowledgement = if low & 0x80 != 0 { 4 } else { 0 };
    if low & 0x07 == 1 {
        let inner = layer
            .after(4 + key + sequence + acknowledgement)?
            .nested()?;
        return if inner.data.is_empty() {
            Some(Found::NotTcp)
        } else {
            link::ppp(inner)
        };
    }
    let inner = layer.after(4 + checksum + key + sequence)?.nested()?;
    match kind {
        // ERSPAN type I has no header and no sequence number; type II has both.
        0x88be if sequence == 0 => link::ethernet(inner),
        0x88be => link::ethernet(inner.after(8)?),
        0x22eb => {
            let platform = if inner.byte(11)? & 1 != 0 { 8 } else { 0 };
            link::ethernet(inner.after(12 + platform)?)
        }
        // Aruba access points to their controller.
        0x8200..=0x8210 => wifi::frame(inner),
        0..1536 => Some(Found::NotTcp),
        _ => link::ether_type(kind, inner),
    }
}

/// MPLS (RFC 3032): what is under the last label only the packet itself tells.
pub(super) fn mpls(layer: Layer<'_>) -> Option<Found<'_>> {
    const LABELS: usize = 16;
    let mut inner = layer;
    for _ in 0..LABELS {
        let is_last = inner.byte(2)? & 1 != 0;
        inner = inner.after(4)?;
        if !is_last {
            continue;
        }
        let inner = inner.nested()?;
        return match inner.byte(0)? >> 4 {
            4 => ip::v4(inner),
            6 => ip::v6(inner),
            // The control word of a pseudowire (RFC 4385).
            0 => link::ethernet(inner.after(4)?),
            _ => Some(Found::NotTcp),
        };
    }
    None
}
