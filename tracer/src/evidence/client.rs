//! The client's address as it is mostly judged.

use std::net::IpAddr;

use crate::model::{ClientSource, Exchange};

/// In this order, as whoever gives them is more or less near to the client.
const SOURCES: &[ClientSource] = &[
    ClientSource::CfConnectingIp,
    ClientSource::TrueClientIp,
    ClientSource::XForwardedFor,
    ClientSource::Forwarded,
    ClientSource::XRealIp,
    ClientSource::ProxyProtocol,
    ClientSource::SocketPeer,
];

/// The address that is nearest to the client, and who gives it.
pub(super) fn judged(exchange: &Exchange) -> Option<(ClientSource, IpAddr)> {
    let rows = &exchange.client_addresses;
    let from = |source| {
        let row = rows.iter().find(|r| r.source == source && r.addr.is_some());
        row.and_then(|row| Some((source, row.addr?)))
    };
    SOURCES.iter().copied().find_map(from)
}

/// What gives it, in words.
pub(super) const fn named(source: ClientSource) -> &'static str {
    match source {
        ClientSource::SocketPeer => "the socket",
        ClientSource::BeforeTranslation => "its own socket",
        ClientSource::ProxyProtocol => "the PROXY protocol",
        ClientSource::XForwardedFor => "X-Forwarded-For",
        ClientSource::XRealIp => "X-Real-IP",
        ClientSource::Forwarded => "Forwarded",
        ClientSource::CfConnectingIp => "CF-Connecting-IP",
        ClientSource::TrueClientIp => "True-Client-IP",
    }
}
