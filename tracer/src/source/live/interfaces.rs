//! The interfaces of this thread's network namespace, asked of the kernel by rtnetlink (/sys and
//! /proc/net may show another namespace's).

use std::io;

use super::qdisc::request;

/// An interface. Equal to itself as long as it exists under the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    /// Its index in the namespace.
    pub(super) index: i32,
    /// Its name.
    pub(super) name: String,
    /// What its packets begin with.
    pub(super) link_layer: LinkLayer,
}

/// What packets begin with at an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkLayer {
    /// An Ethernet header.
    Ethernet,
    /// The IP header: tunnels.
    None,
    /// Something that carries no IP, or that is not known here.
    Other,
}

/// All interfaces.
pub(super) fn list() -> io::Result<Vec<Interface>> {
    // struct ifinfomsg: all of them.
    let everything = [0; 16];
    let replies = request(libc::RTM_GETLINK, libc::NLM_F_DUMP, &everything)?;
    Ok(replies
        .iter()
        .filter_map(|reply| interface(reply))
        .collect())
}

/// Reads a message of rtnetlink(7): struct ifinfomsg, then attributes.
fn interface(message: &[u8]) -> Option<Interface> {
    let (_family, rest) = message.split_at_checked(2)?;
    let (hardware, rest) = rest.split_first_chunk()?;
    let (index, rest) = rest.split_first_chunk()?;
    let (_flags_and_change, attributes) = rest.split_at_checked(8)?;
    Some(Interface {
        index: i32::from_ne_bytes(*index),
        name: name(attributes)?,
        link_layer: link_layer(u16::from_ne_bytes(*hardware)),
    })
}

fn name(mut attributes: &[u8]) -> Option<String> {
    loop {
        let (len, rest) = attributes.split_first_chunk()?;
        let (kind, _) = rest.split_first_chunk()?;
        let len = usize::from(u16::from_ne_bytes(*len));
        if u16::from_ne_bytes(*kind) == libc::IFLA_IFNAME {
            let text = attributes.get(4..len)?;
            let text = text.split(|&byte| byte == 0).next()?;
            return String::from_utf8(text.to_vec()).ok();
        }
        // Never less than its own header, so that the loop ends.
        attributes = attributes.get(len.max(4).next_multiple_of(4)..)?;
    }
}

/// By the type of hardware (`ARPHRD_*`).
fn link_layer(hardware: u16) -> LinkLayer {
    match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => LinkLayer::Ethernet,
        // tun and WireGuard, mobile modems, PPP, IP-in-IP of all sorts, GRE.
        libc::ARPHRD_NONE
        | ARPHRD_RAWIP
        | libc::ARPHRD_PPP
        | libc::ARPHRD_TUNNEL
        | libc::ARPHRD_TUNNEL6
        | libc::ARPHRD_SIT
        | libc::ARPHRD_IPGRE
        | ARPHRD_IP6GRE => LinkLayer::None,
        _ => LinkLayer::Other,
    }
}

const ARPHRD_RAWIP: u16 = 519;
const ARPHRD_IP6GRE: u16 = 823;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_namespace_has_loopback_with_ethernet_headers() {
        let lo = list()
            .unwrap()
            .into_iter()
            .find(|interface| interface.name == "lo")
            .unwrap();
        assert_eq!((lo.index, lo.link_layer), (1, LinkLayer::Ethernet));
    }

    #[test]
    fn damaged_messages_are_none() {
        let mut message = vec![0; 16];
        message.extend(6u16.to_ne_bytes());
        message.extend(libc::IFLA_IFNAME.to_ne_bytes());
        message.extend(b"l\0");
        assert_eq!(interface(&message).unwrap().name, "l");
        for cut in 0..message.len() {
            assert_eq!(interface(&message[..cut]), None, "cut at {cut}");
        }
        // An attribute of length 0 does not stop the reader for ever.
        message[16..20].copy_from_slice(&[0; 4]);
        assert_eq!(interface(&message), None);
    }
}
