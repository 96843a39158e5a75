//! What the host told beside packets and owners, as far as it concerns a case.

use std::net::SocketAddr;

use super::{LossPlace, Preflight, Talk, Timestamp};

/// A fact that the host told while a case was under way. Without these its packets alone do not
/// tell whom its servers asked, so they go into a capture file with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// From this time on it is told when a process that serves a traced port sends to a peer that
    /// is not traced.
    Watching {
        /// Since when.
        at: Timestamp,
    },
    /// One that serves this case did.
    Talk(Talk),
    /// What else was under way around an exchange of this case, whose packets are not kept.
    Around(Around),
    /// Records were lost.
    Lost {
        /// When that was noticed.
        at: Timestamp,
        /// How many.
        count: u64,
        /// Where.
        place: LossPlace,
    },
}

/// What else was under way around an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// When the exchange began; with its ends this names it.
    pub at: Timestamp,
    /// Its client.
    pub client: SocketAddr,
    /// Its server.
    pub server: SocketAddr,
    /// Requests of the same client for the same route that passed just before.
    pub passed: u32,
    /// Those that were refused.
    pub refused: u32,
    /// Other requests that could as well have caused this one.
    pub rivals: u32,
    /// Calls given to another request that could as well have been made for this one.
    pub perhaps: u32,
    /// Exchanges that its server began for it: the next hop and side calls.
    pub calls: u32,
    /// Whether there were more exchanges under way than could be looked at.
    pub forgotten: bool,
    /// What is known of its preflight, or of what followed it where it is one.
    pub preflight: Preflight,
}

impl Told {
    /// When.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Watching { at } | Self::Lost { at, .. } => *at,
            Self::Talk(talk) => talk.at,
            Self::Around(around) => around.at,
        }
    }
}
