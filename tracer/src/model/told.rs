//! What the host told beside packets and owners, as far as it concerns a case.

use super::{LossPlace, Talk, Timestamp};

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

impl Told {
    /// When.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Watching { at } | Self::Lost { at, .. } => *at,
            Self::Talk(talk) => talk.at,
        }
    }
}
