//! Which address the client is said to have.

use super::super::client::{judged, named};
use super::super::note::Notes;
use super::super::parts::Parts;
use crate::model::{ClientSource, Strength};

/// Tells the address, where somebody gives another one than the peer's.
pub(super) fn gather(parts: &Parts<'_>, notes: &mut Notes<'_>) {
    let exchange = parts.exchange;
    let Some((source, address)) = judged(exchange) else {
        return;
    };
    if source == ClientSource::SocketPeer {
        return;
    }
    notes.add(
        "request.forwarded_for",
        Strength::Weak,
        None,
        None,
        format!(
            "The client is said to be {address}, by {}; the peer is {}.",
            named(source),
            exchange.client.addr.ip().to_canonical()
        ),
    );
}
