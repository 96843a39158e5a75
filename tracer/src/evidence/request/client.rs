//! Which address the client has, and is said to have.

use super::super::client::{judged, named};
use super::super::note::Notes;
use super::super::parts::Parts;
use crate::model::{ClientSource, Strength};

/// Tells the client's own address, where the server sees another one; and the address that somebody
/// gives, where it is another one than the peer's.
pub(super) fn gather(parts: &Parts<'_>, notes: &mut Notes<'_>) {
    let exchange = parts.exchange;
    if exchange.client.translated.is_some() {
        notes.add(
            "request.client_translated",
            Strength::Weak,
            None,
            None,
            format!(
                "The client's address is translated on the way: it is {}, and the server sees {}.",
                exchange.client.addr.ip().to_canonical(),
                exchange.client.seen_as().ip().to_canonical()
            ),
        );
    }
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
            exchange.client.seen_as().ip().to_canonical()
        ),
    );
}
