//! Who is on either end of the connections of a case, and where in the file that is said.

use std::collections::BTreeMap;

use super::comment;
use crate::model::{Case, ConnId, Direction, Endpoint, Exchange, Packet, Timestamp};

/// The comments and the flags of a case's packets.
#[derive(Default)]
pub(super) struct Owners {
    /// By place of the packet.
    comments: BTreeMap<usize, Vec<String>>,
    /// Whether client and server of a connection are on this host.
    here: BTreeMap<ConnId, (bool, bool)>,
}

impl Owners {
    /// Of every exchange of the case: its hops and their side calls, and its siblings.
    ///
    /// An end is named on the first packet that it sent; one that sent nothing, on the first packet
    /// of the other. Where there are several exchanges of one connection, the later ones name an
    /// end that has changed, on the first packet from the start of its message on.
    pub(super) fn of(case: &Case) -> Self {
        let siblings = case.siblings.iter().map(AsRef::as_ref);
        let mut exchanges: Vec<_> = case.chain.exchanges().chain(siblings).collect();
        exchanges.sort_by_key(|exchange| (exchange.conn, exchange.index));
        let sent = Sent::by_connection(&case.packets);
        let mut owners = Self::default();
        for of_one in exchanges.chunk_by(|a, b| a.conn == b.conn) {
            let [first, ..] = of_one else { continue };
            let here = (is_here(&first.client), is_here(&first.server));
            owners.here.insert(first.conn, here);
            let Some(sent) = sent.get(&first.conn) else {
                continue;
            };
            for direction in [Direction::ClientToServer, Direction::ServerToClient] {
                owners.name_sender(case.number, direction, of_one, sent);
            }
        }
        owners
    }

    /// The comments of the packet at this place.
    pub(super) fn comments(&self, place: usize) -> &[String] {
        self.comments.get(&place).map_or(&[], Vec::as_slice)
    }

    /// Direction of a packet: 1 inbound, 2 outbound; 0 where both ends are here, or neither.
    pub(super) fn flags(&self, packet: &Packet) -> u32 {
        let here = self.here.get(&packet.conn).copied().unwrap_or_default();
        match (here, packet.direction) {
            ((true, false), Direction::ClientToServer)
            | ((false, true), Direction::ServerToClient) => 2,
            ((true, false), Direction::ServerToClient)
            | ((false, true), Direction::ClientToServer) => 1,
            _ => 0,
        }
    }

    /// Names who sent in this direction in each exchange of a connection.
    fn name_sender(
        &mut self,
        case: u64,
        direction: Direction,
        exchanges: &[&Exchange],
        sent: &Sent,
    ) {
        let mut latest = None;
        for exchange in exchanges {
            let text = comment(case, direction, exchange);
            if latest.as_ref() == Some(&text) {
                continue;
            }
            let from = latest.and(started_at(exchange, direction));
            if let Some(place) = sent.first(direction, from) {
                self.comments.entry(place).or_default().push(text.clone());
            }
            latest = Some(text);
        }
    }
}

/// The places of a connection's packets, by direction, with their times.
#[derive(Default)]
struct Sent {
    client: Vec<(usize, Timestamp)>,
    server: Vec<(usize, Timestamp)>,
}

impl Sent {
    fn by_connection(packets: &[Packet]) -> BTreeMap<ConnId, Self> {
        let mut all: BTreeMap<ConnId, Self> = BTreeMap::new();
        for (place, packet) in packets.iter().enumerate() {
            let sent = all.entry(packet.conn).or_default();
            match packet.direction {
                Direction::ClientToServer => sent.client.push((place, packet.at)),
                Direction::ServerToClient => sent.server.push((place, packet.at)),
            }
        }
        all
    }

    /// Place of the first packet of this direction, from this time on where there is such a one;
    /// without any, of the first of the other direction.
    fn first(&self, direction: Direction, from: Option<Timestamp>) -> Option<usize> {
        let (own, other) = match direction {
            Direction::ClientToServer => (&self.client, &self.server),
            Direction::ServerToClient => (&self.server, &self.client),
        };
        let later = own
            .iter()
            .find(|(_, at)| from.is_none_or(|from| *at >= from));
        let first = later.or_else(|| own.first()).or_else(|| other.first());
        first.map(|(place, _)| *place)
    }
}

fn comment(case: u64, direction: Direction, exchange: &Exchange) -> String {
    let Exchange { client, server, .. } = exchange;
    match direction {
        Direction::ClientToServer => comment::end(case, "client", client, server),
        Direction::ServerToClient => comment::end(case, "server", server, client),
    }
}

fn started_at(exchange: &Exchange, direction: Direction) -> Option<Timestamp> {
    match direction {
        Direction::ClientToServer => exchange.request.as_ref().map(|r| r.message.started_at),
        Direction::ServerToClient => exchange.response.as_ref().map(|r| r.message.started_at),
    }
}

fn is_here(end: &Endpoint) -> bool {
    end.owner.is_some() || end.cookie != 0
}
