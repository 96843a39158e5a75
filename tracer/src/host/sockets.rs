//! The connections that are open already, from the kernel's socket tables (`sock_diag(7)`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags,
};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use super::holders::holders;
use super::namespaces;
use super::processes::{ProcessTable, canonical};
use crate::model::{Owner, OwnerQuality, Timestamp};
use crate::ports::Ports;
use crate::source::{SocketKey, SocketOwner, SocketUse};

/// Every TCP connection of this host that is open now with a port in `ports` on either end, in all
/// network namespaces, and the process that holds it.
///
/// One holder is [`OwnerQuality::Relaxed`]: it holds the socket, whether it uses it or not. Of
/// several, the one that started last is the [`OwnerQuality::Guess`]: where a master accepts and a
/// child works, the child is the younger one. Connections that no process holds (not accepted yet,
/// or closed and still sending) are left out, and so is what may not be looked at.
pub fn existing_sockets(
    ports: &Ports,
    table: &mut ProcessTable,
    at: Timestamp,
) -> Vec<SocketOwner> {
    let open = namespaces::in_each(|| connections(ports));
    let wanted: BTreeSet<u64> = open.iter().map(|c| c.inode).collect();
    let holders = holders(&wanted);
    let mut owners = BTreeMap::new();
    let mut owner = |pid| {
        let owner = owners.entry(pid).or_insert_with(|| table.holder(pid));
        owner.clone()
    };
    let owned = open.iter().filter_map(|connection| {
        let pids = holders.get(&connection.inode)?;
        let youngest = pids
            .iter()
            .filter_map(|&pid| owner(pid))
            .max_by_key(|owner| (owner.started_at, owner.pid))?;
        let quality = match pids.len() {
            1 => OwnerQuality::Relaxed,
            _ => OwnerQuality::Guess,
        };
        Some(SocketOwner {
            at,
            socket: connection.key,
            used: SocketUse::Held,
            owner: Owner {
                quality,
                ..youngest
            },
        })
    });
    owned.collect()
}

#[derive(Debug)]
struct Connection {
    key: SocketKey,
    inode: u64,
}

/// Connections taken from one namespace: as many as owners of sockets are remembered.
const CONNECTIONS: usize = 262_144;

/// The kernel sends at most this much at once.
const RECEIVE_BYTES: usize = 64 << 10;

/// The connections of the network namespace that this thread is in.
fn connections(ports: &Ports) -> Vec<Connection> {
    let mut found = Vec::new();
    for (family, id) in [
        (AF_INET, SocketId::new_v4()),
        (AF_INET6, SocketId::new_v6()),
    ] {
        let taken = dump(family, id, &mut |socket| {
            if found.len() < CONNECTIONS {
                found.extend(connection(socket, ports));
            }
        });
        if let Err(error) = taken {
            tracing::debug!(%error, family, "cannot read the kernel's socket table");
        }
    }
    found
}

fn connection(socket: &InetResponseHeader, ports: &Ports) -> Option<Connection> {
    let id = &socket.socket_id;
    let wanted = ports.contains(id.source_port) || ports.contains(id.destination_port);
    // Without an inode number no process has it open.
    if !wanted || socket.inode == 0 {
        return None;
    }
    Some(Connection {
        key: SocketKey {
            // Two 32-bit halves, the lower one first, each in the machine's byte order.
            cookie: cookie(id.cookie),
            local: Some(canonical(SocketAddr::new(
                id.source_address,
                id.source_port,
            ))),
            remote: Some(canonical(SocketAddr::new(
                id.destination_address,
                id.destination_port,
            ))),
        },
        inode: socket.inode.into(),
    })
}

fn cookie([a, b, c, d, e, f, g, h]: [u8; 8]) -> u64 {
    let lower = u32::from_ne_bytes([a, b, c, d]);
    let upper = u32::from_ne_bytes([e, f, g, h]);
    u64::from(upper) << 32 | u64::from(lower)
}

/// Hands every connected TCP socket of an address family to `sink`.
fn dump(family: u8, id: SocketId, sink: &mut dyn FnMut(&InetResponseHeader)) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&netlink_sys::SocketAddr::new(0, 0))?;
    socket.send(&request(family, id), 0)?;

    let mut buffer = Vec::with_capacity(RECEIVE_BYTES);
    loop {
        buffer.clear();
        if socket.recv(&mut buffer, 0)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut rest = buffer.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    sink(&response.header);
                }
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
            let length = (message.header.length as usize).max(1).next_multiple_of(4);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

fn request(family: u8, socket_id: SocketId) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let states = StateFlags::ESTABLISHED
        | StateFlags::FIN_WAIT1
        | StateFlags::FIN_WAIT2
        | StateFlags::CLOSE_WAIT
        | StateFlags::CLOSING
        | StateFlags::LAST_ACK;
    let request = SockDiagMessage::InetRequest(InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states,
        socket_id,
    });
    let mut message = NetlinkMessage::new(header, request.into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests;
