//! Link layers: from a frame to the packet in it.

use super::layer::{Found, Layer};
use super::{ip, tunnel, wifi};

/// VLAN tags and the like around one packet.
const TAGS: usize = 4;

/// A frame of the given link type (a LINKTYPE_ number of the pcap registry).
pub(super) fn frame(link_type: u16, layer: Layer<'_>) -> Option<Found<'_>> {
    match link_type {
        0 | 108 => loopback(layer),
        1 => ethernet(layer),
        9 | 166 => ppp(layer),
        // PPP in HDLC-like framing; Cisco's HDLC shares the number.
        50 => match layer.byte(0)? {
            0x0f | 0x8f => ether_type(layer.be16(2)?, layer.after(4)?),
            _ => ppp(layer),
        },
        51 => ppp(layer.after(6)?),
        12 | 14 | 101 => ip::any(layer),
        100 | 106 => llc(layer),
        104 => ether_type(layer.be16(2)?, layer.after(4)?),
        105 => wifi::frame(layer),
        113 => ether_type(layer.be16(14)?, layer.after(16)?),
        127 => wifi::radiotap(layer),
        // The header says how long it is, and what it is the header of.
        192 => {
            let [_, _, low, high, inner @ ..] = *layer.data.first_chunk::<8>()?;
            let inner = u16::try_from(u32::from_le_bytes(inner)).ok()?;
            let layer = layer.after(usize::from(u16::from_le_bytes([low, high])))?;
            frame(inner, layer.nested()?)
        }
        228 => ip::v4(layer),
        229 => ip::v6(layer),
        239 => nflog(layer),
        276 => ether_type(layer.be16(0)?, layer.after(20)?),
        _ => Some(Found::NotTcp),
    }
}

/// Ethernet II and IEEE 802.3.
pub(super) fn ethernet(layer: Layer<'_>) -> Option<Found<'_>> {
    ether_type(layer.be16(12)?, layer.after(14)?)
}

/// What an EtherType announces; below 1536 it is a length (IEEE 802.3 section 3.2.6).
pub(super) fn ether_type(first: u16, layer: Layer<'_>) -> Option<Found<'_>> {
    let (mut kind, mut layer) = (first, layer);
    for _ in 0..=TAGS {
        match kind {
            0x0800 => return ip::v4(layer),
            0x86dd => return ip::v6(layer),
            // VLAN, as IEEE 802.1Q has it and as switches had it before.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                kind = layer.be16(2)?;
                layer = layer.after(4)?;
            }
            // VN-tag.
            0x8926 => {
                kind = layer.be16(4)?;
                layer = layer.after(6)?;
            }
            // PPPoE session (RFC 2516): the header has a length, and the frame may have padding.
            0x8864 => {
                let len = usize::from(layer.be16(4)?);
                return ppp(layer.after(6)?.of_len(len));
            }
            0x8847 | 0x8848 => return tunnel::mpls(layer),
            0x6558 => return ethernet(layer.nested()?),
            // Linux cooked: an 802.2 frame, and one without even that.
            0x0004 => return llc(layer),
            0x0001 => return Some(Found::NotTcp),
            0..=1500 => return llc(layer.of_len(usize::from(kind))),
            _ => return Some(Found::NotTcp),
        }
    }
    None
}

/// IEEE 802.2, with SNAP (RFC 1042).
pub(super) fn llc(layer: Layer<'_>) -> Option<Found<'_>> {
    match *layer.data {
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, high, low, ..] => {
            ether_type_only(u16::from_be_bytes([high, low]), layer.after(8)?)
        }
        [0x06, 0x06, 0x03, ..] => ip::v4(layer.after(3)?),
        _ => Some(Found::NotTcp),
    }
}

/// As [`ether_type`], where a length makes no sense.
fn ether_type_only(kind: u16, layer: Layer<'_>) -> Option<Found<'_>> {
    match kind {
        0..1536 => Some(Found::NotTcp),
        _ => ether_type(kind, layer),
    }
}

/// PPP (RFC 1661), address and control field and the protocol's first byte maybe left out.
pub(super) fn ppp(layer: Layer<'_>) -> Option<Found<'_>> {
    let layer = match *layer.data {
        // The direction stands in the address's place in what pppd captures.
        [0xff | 0x00 | 0x01, 0x03, ..] => layer.after(2)?,
        _ => layer,
    };
    let short = layer.byte(0)?;
    let (protocol, layer) = if short & 1 == 1 {
        (u16::from(short), layer.after(1)?)
    } else {
        (layer.be16(0)?, layer.after(2)?)
    };
    match protocol {
        0x0021 => ip::v4(layer),
        0x0057 => ip::v6(layer),
        0x0281 => tunnel::mpls(layer),
        _ => Some(Found::NotTcp),
    }
}

/// BSD loopback: an address family in the byte order of the host, or of the network.
fn loopback(layer: Layer<'_>) -> Option<Found<'_>> {
    let family = *layer.data.first_chunk::<4>()?;
    let layer = layer.after(4)?;
    match u32::from_le_bytes(family).min(u32::from_be_bytes(family)) {
        2 => ip::v4(layer),
        // The BSDs and Linux never agreed on IPv6.
        10 | 23 | 24 | 28 | 30 => ip::v6(layer),
        _ => Some(Found::NotTcp),
    }
}

/// Netfilter's log: attributes in the byte order of the host, one of them the packet.
fn nflog(layer: Layer<'_>) -> Option<Found<'_>> {
    const PAYLOAD: u16 = 9;
    let mut rest = layer.after(4)?;
    while let Some(&[a, b, c, d]) = rest.data.first_chunk() {
        let little = usize::from(u16::from_le_bytes([a, b]));
        let (len, kind) = if (4..=rest.wire_len()).contains(&little) {
            (little, u16::from_le_bytes([c, d]))
        } else {
            let big = usize::from(u16::from_be_bytes([a, b]));
            (big, u16::from_be_bytes([c, d]))
        };
        if kind & 0x7fff == PAYLOAD {
            return ip::any(rest.of_len(len).after(4)?);
        }
        if len < 4 {
            return None;
        }
        rest = rest.after(len.next_multiple_of(4))?;
    }
    Some(Found::NotTcp)
}
