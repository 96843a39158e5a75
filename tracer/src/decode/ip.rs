//! IPv4, IPv6 and TCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::fragments::Datagram;
use super::layer::{Found, Fragment, Key, Layer};
use super::{Flags, Segment, tunnel};
use crate::model::Timestamp;
use crate::source::Vantage;

/// Extension headers of a packet; real ones have one or two.
const EXTENSIONS: usize = 16;

/// A packet whose version only it tells.
pub(super) fn any(layer: Layer<'_>) -> Option<Found<'_>> {
    match layer.byte(0)? >> 4 {
        4 => v4(layer),
        6 => v6(layer),
        _ => None,
    }
}

/// IPv4 (RFC 791).
pub(super) fn v4(layer: Layer<'_>) -> Option<Found<'_>> {
    let header = layer.data.first_chunk::<20>()?;
    let header_len = usize::from(header[0] & 0xf) * 4;
    if header[0] >> 4 != 4 || header_len < 20 {
        return None;
    }
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let packet = match total {
        // Handed to a network card that cuts it, so larger than the field can say.
        0 => layer,
        _ if total < header_len => return None,
        // More than was on the wire: true where a mirror port or a tunnel cut the packet before it
        // was captured, else damage.
        _ if total > layer.wire_len() && !is_sound(layer.data.get(..header_len)?) => layer,
        _ => layer.of_len(total),
    };
    let payload = packet.after(header_len)?;
    let src = Ipv4Addr::from([header[12], header[13], header[14], header[15]]).into();
    let dst = Ipv4Addr::from([header[16], header[17], header[18], header[19]]).into();
    let protocol = header[9];
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    if fragment & 0x3fff == 0 {
        return transport(protocol, src, dst, payload);
    }
    Some(Found::Fragment(Fragment {
        key: Key {
            src,
            dst,
            id: u32::from(u16::from_be_bytes([header[4], header[5]])),
            protocol,
        },
        protocol,
        offset: usize::from(fragment & 0x1fff) * 8,
        last: fragment & 0x2000 == 0,
        layer: payload,
    }))
}

/// Whether the checksum of an IPv4 header is right (RFC 1071).
fn is_sound(header: &[u8]) -> bool {
    let words = header.as_chunks::<2>().0;
    let sum: u32 = words
        .iter()
        .map(|w| u32::from(u16::from_be_bytes(*w)))
        .sum();
    (sum & 0xffff) + (sum >> 16) == 0xffff
}

/// IPv6 (RFC 8200).
pub(super) fn v6(layer: Layer<'_>) -> Option<Found<'_>> {
    let (header, rest) = layer.data.split_first_chunk::<40>()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let (src, rest_of_header) = header.get(8..)?.split_first_chunk::<16>()?;
    let src = Ipv6Addr::from(*src).into();
    let dst = Ipv6Addr::from(*rest_of_header.first_chunk::<16>()?).into();
    let whole = Layer {
        data: rest,
        ..layer
    };
    let mut payload = match usize::from(u16::from_be_bytes([header[4], header[5]])) {
        // A jumbogram (RFC 2675), or handed to a network card that cuts it.
        0 => whole,
        len => whole.of_len(len),
    };
    let mut next = header[6];
    for _ in 0..EXTENSIONS {
        let len = match next {
            // Hop-by-hop options, routing, destination options, mobility, HIP, shim6.
            0 | 43 | 60 | 135 | 139 | 140 => (usize::from(payload.byte(1)?) + 1) * 8,
            // Authentication (RFC 4302).
            51 => (usize::from(payload.byte(1)?) + 2) * 4,
            44 => {
                let [following, _, high, low, id @ ..] = *payload.data.first_chunk::<8>()?;
                let place = u16::from_be_bytes([high, low]);
                if place & 0xfff9 != 0 {
                    return Some(Found::Fragment(Fragment {
                        key: Key {
                            src,
                            dst,
                            id: u32::from_be_bytes(id),
                            protocol: 0,
                        },
                        protocol: following,
                        offset: usize::from(place & 0xfff8),
                        last: place & 1 == 0,
                        layer: payload.after(8)?,
                    }));
                }
                8
            }
            _ => return transport(next, src, dst, payload),
        };
        next = payload.byte(0)?;
        payload = payload.after(len)?;
    }
    None
}

/// A datagram that was put together from fragments. Its first header may be one of IPv6's
/// extension headers, which stand behind the fragment header.
pub(super) fn datagram(whole: &Datagram) -> Option<Found<'_>> {
    let mut layer = Layer {
        data: &whole.bytes,
        beyond: 0,
        depth: whole.depth,
    }
    .nested()?;
    let mut next = whole.protocol;
    for _ in 0..EXTENSIONS {
        let len = match next {
            0 | 43 | 60 | 135 | 139 | 140 => (usize::from(layer.byte(1)?) + 1) * 8,
            51 => (usize::from(layer.byte(1)?) + 2) * 4,
            _ => break,
        };
        next = layer.byte(0)?;
        layer = layer.after(len)?;
    }
    transport(next, whole.src, whole.dst, layer)
}

/// What an IP packet carries.
fn transport(protocol: u8, src: IpAddr, dst: IpAddr, layer: Layer<'_>) -> Option<Found<'_>> {
    match protocol {
        6 => tcp(src, dst, layer),
        4 => v4(layer.nested()?),
        41 => v6(layer.nested()?),
        17 => tunnel::udp(layer),
        47 => tunnel::gre(layer),
        137 => tunnel::mpls(layer),
        _ => Some(Found::NotTcp),
    }
}

/// TCP (RFC 9293 section 3.1).
fn tcp(src: IpAddr, dst: IpAddr, layer: Layer<'_>) -> Option<Found<'_>> {
    let header = layer.data.first_chunk::<20>()?;
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < 20 {
        return None;
    }
    let (payload, cut) = match layer.data.get(header_len..) {
        Some(payload) => (payload, layer.beyond),
        None => {
            let missing = u32::try_from(header_len - layer.data.len()).ok()?;
            (&[][..], layer.beyond.checked_sub(missing)?)
        }
    };
    Some(Found::Tcp(Segment {
        at: Timestamp::default(),
        src: SocketAddr::new(src, u16::from_be_bytes([header[0], header[1]])),
        dst: SocketAddr::new(dst, u16::from_be_bytes([header[2], header[3]])),
        seq: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        ack: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags: Flags::of(header[13]),
        payload,
        cut,
        vantage: Vantage::default(),
    }))
}
