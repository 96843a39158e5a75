//! The ends of a connection, by which the hold knows it.
//!
//! Where addresses are translated on this host, what a socket sends shows under other addresses than
//! what it receives: it is looked at behind the translation both times. So what counts is what the
//! socket knows. A packet that comes in was found to be the socket's by just that; of one that goes
//! out, the socket is asked. Its cookie would not do: the packet that ends a handshake comes to the
//! listening socket, and may bring the first request.

use aya_ebpf::programs::sk_buff::SkBuff;
use tracer_common::HOOK_EGRESS;
use tracer_common::hold::Ends;

use crate::headers::Headers;
use crate::packet::{self, Place};
use crate::settings::SKIP_LO_INGRESS;

/// One end.
#[derive(Clone, Copy)]
struct End {
    address: [u32; 4],
    port: u16,
}

/// Those of the connection of a packet.
#[inline(always)]
pub fn of(skb: &SkBuff, headers: &Headers, hook: u32, place: Place, is_from_server: bool) -> Ends {
    // Where what comes in over loopback is passed by, each end is seen by what it sends: the
    // server's socket knows the addresses that the client's packets show.
    let is_shown = hook != HOOK_EGRESS
        || place == Place::Interface
        || (SKIP_LO_INGRESS.load() != 0 && packet::is_over_loopback(skb) && !is_from_server);
    let shown = [
        End {
            address: headers.source,
            port: headers.from,
        },
        End {
            address: headers.target,
            port: headers.to,
        },
    ];
    let [sender, receiver] = match is_shown {
        true => shown,
        false => known(skb, headers.is_v4).unwrap_or(shown),
    };
    let [client, server] = match is_from_server {
        true => [receiver, sender],
        false => [sender, receiver],
    };
    // Only there can two connections have the same ends.
    let netns = match is_loopback(server.address, headers.is_v4) {
        true => packet::netns(skb, place),
        false => 0,
    };
    Ends {
        client: client.address,
        server: server.address,
        netns,
        client_port: client.port,
        server_port: server.port,
        padding: 0,
    }
}

/// Whether a packet of the client without payload may end a handshake after which packets of the
/// server show other addresses than those of the client.
#[inline(always)]
pub fn may_differ(skb: &SkBuff, headers: &Headers, hook: u32, place: Place) -> bool {
    if place == Place::Interface {
        return false;
    }
    if hook != HOOK_EGRESS {
        // To a listening socket: what the new one will show is not known yet.
        return packet::socket_ports(skb).1 == 0;
    }
    known(skb, headers.is_v4)
        .is_some_and(|[_, server]| server.port != headers.to || server.address != headers.target)
}

/// What the socket that sends knows: itself, and its peer. `None` where it has none, as one that
/// listens.
#[inline(always)]
fn known(skb: &SkBuff, is_v4: bool) -> Option<[End; 2]> {
    let (local_port, remote_port) = packet::socket_ports(skb);
    if remote_port == 0 {
        return None;
    }
    let skb = skb.skb;
    // SAFETY: the context is that of the running program, at a socket. Volatile, as the verifier
    // takes words of it only, and no two as one.
    let read = |word: *const u32| unsafe { word.read_volatile() };
    // SAFETY: as above.
    let addresses = unsafe {
        let (local, remote) = (&raw const (*skb).local_ip6, &raw const (*skb).remote_ip6);
        let words = |of: *const [u32; 4]| {
            let word = |at| read(of.cast::<u32>().add(at));
            [word(0), word(1), word(2), word(3)]
        };
        match is_v4 {
            true => [
                [read(&raw const (*skb).local_ip4), 0, 0, 0],
                [read(&raw const (*skb).remote_ip4), 0, 0, 0],
            ],
            false => [words(local), words(remote)],
        }
    };
    let [local, remote] = addresses;
    Some([
        End {
            address: local,
            port: local_port,
        },
        End {
            address: remote,
            port: remote_port,
        },
    ])
}

/// Whether this address is one that every network namespace has.
#[inline(always)]
fn is_loopback(address: [u32; 4], is_v4: bool) -> bool {
    let [first, second, third, last] = address;
    match is_v4 {
        true => u32::from_be(first) >> 24 == 127,
        false => first | second | third == 0 && u32::from_be(last) == 1,
    }
}
