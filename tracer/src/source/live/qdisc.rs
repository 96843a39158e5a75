//! The `clsact` queueing discipline, under which tc probes hang on kernels before 6.6; and the bit
//! of rtnetlink that it takes to remove it.

use std::io;

use aya::programs::tc::{self, TcError};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::interfaces::Interface;

/// A qdisc that was made here, and is removed when this is dropped.
pub(super) struct Clsact {
    ifindex: i32,
}

/// Makes sure that an interface has the qdisc; `None` where it was there before, and so is left
/// there in the end.
pub(super) fn add_clsact(interface: &Interface) -> Result<Option<Clsact>, TcError> {
    match tc::qdisc_add_clsact(&interface.name) {
        Ok(()) => Ok(Some(Clsact {
            ifindex: interface.index,
        })),
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Drop for Clsact {
    fn drop(&mut self) {
        /// `tcm_parent` and `tcm_handle` of the only clsact of an interface.
        const PARENT: u32 = 0xffff_fff1;
        const HANDLE: u32 = 0xffff_0000;
        // struct tcmsg: family and padding, interface, handle, parent, info.
        let mut message = vec![0; 4];
        message.extend(self.ifindex.to_ne_bytes());
        message.extend(HANDLE.to_ne_bytes());
        message.extend(PARENT.to_ne_bytes());
        message.extend([0; 4]);
        if let Err(error) = request(libc::RTM_DELQDISC, libc::NLM_F_ACK, &message) {
            tracing::debug!("the clsact of interface {} is gone: {error}", self.ifindex);
        }
    }
}

/// Sends a message of rtnetlink(7) and collects the bodies of the answers.
pub(super) fn request(kind: u16, flags: i32, body: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let flags = u16::try_from(flags | libc::NLM_F_REQUEST).unwrap_or_default();
    let len = u32::try_from(HEADER + body.len()).unwrap_or_default();
    let mut message = len.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]); // Sequence number and port: one request a socket, so any will do.
    message.extend(body);
    socket.send(&message, 0)?;

    let mut answers = Vec::new();
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while let Some((kind, body, next)) = split(rest) {
            match i32::from(kind) {
                libc::NLMSG_DONE => return Ok(answers),
                libc::NLMSG_ERROR => return acknowledged(body).map(|()| answers),
                _ => answers.push(body.to_vec()),
            }
            rest = next;
        }
    }
}

/// Length of struct nlmsghdr.
const HEADER: usize = 16;

/// The first message of a datagram: its type, its body, and what follows it.
fn split(datagram: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = usize::try_from(u32::from_ne_bytes(*datagram.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes(*datagram.get(4..)?.first_chunk()?);
    let body = datagram.get(HEADER..len)?;
    Some((
        kind,
        body,
        datagram.get(len.next_multiple_of(4)..).unwrap_or_default(),
    ))
}

/// struct nlmsgerr begins with a negative error number, or 0.
fn acknowledged(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
