//! What an exchange must have at least for a row to match. That most rows do not match is told by
//! this, for all of them, before any is looked at.

use super::condition::{Condition, Facts, Names, Place, SET_COOKIE};
use crate::model::Head;

/// What a row asks for; where it asks for nothing, a field is [`Shapes::ANY`], and others are `None`.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    /// A field of the request.
    request: Shapes,
    /// A field of the answer.
    response: Shapes,
    /// A pattern among those for statuses.
    status: Option<usize>,
    /// A pattern among those for bodies.
    body: Option<usize>,
    /// The name of a process.
    process: bool,
}

/// Which shapes some names of header fields have, one bit each: names without a shape in common
/// are different names. The last bit is that of a nameless one that every head has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shapes(u64);

impl Gate {
    /// The gate of a row with these conditions, which know their places in the sets.
    pub(super) fn of(conditions: &[Condition]) -> Self {
        let mut gate = Self {
            request: Shapes::ANY,
            response: Shapes::ANY,
            status: None,
            body: None,
            process: false,
        };
        for condition in conditions {
            let pattern = condition.is.as_ref().and_then(|is| is.in_set);
            // Where there must be nothing, nothing is asked for.
            let asks = condition.is.is_some() || !(condition.absent || condition.not.is_some());
            match &condition.place {
                Place::Status => gate.status = gate.status.or(pattern),
                Place::ResponseBody => gate.body = gate.body.or(pattern),
                Place::RequestHeader(names) if asks => gate.request = Shapes::of_any(names),
                Place::ResponseHeader(names) if asks => gate.response = Shapes::of_any(names),
                Place::ResponseCookie if asks => gate.response = Shapes::of(SET_COOKIE),
                Place::Process => gate.process = true,
                // Never seen.
                Place::ErrorLog => gate.response = Shapes::NONE,
                _ => {}
            }
        }
        gate
    }

    /// Whether the row may match.
    pub(super) fn lets(&self, facts: &Facts<'_>) -> bool {
        // Nearly all rows end here.
        self.response.meet(facts.response_names)
            && self.request.meet(facts.request_names)
            && (!self.process || facts.process.is_some())
            && self.status.is_none_or(|at| facts.has_status(at))
            && self.body.is_none_or(|at| facts.has_body(at))
    }
}

impl Shapes {
    /// Of no head.
    const NONE: Self = Self(0);
    /// Of every head.
    pub(super) const ANY: Self = Self(1 << 63);
    /// Of every name.
    const ALL: Self = Self(u64::MAX >> 1);

    /// Of a name: its first letter, in any case, and its length.
    fn of(name: &[u8]) -> Self {
        let first = name.first().map_or(0, u8::to_ascii_lowercase);
        Self(1 << ((usize::from(first) * 7 + name.len()) % 63))
    }

    fn of_any(names: &Names) -> Self {
        let shapes = names.whole().map(|name| name.map_or(Self::ALL, Self::of));
        shapes.fold(Self::NONE, Self::and)
    }

    /// Of the fields of a head.
    pub(super) fn in_head(head: &Head) -> Self {
        let shapes = head.fields().map(|field| Self::of(field.name));
        shapes.fold(Self::ANY, Self::and)
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}
