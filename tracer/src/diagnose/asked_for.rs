//! Which causes ask for a piece of evidence, by its id: read from [`CAUSES`] once.

use std::sync::LazyLock;

use hashbrown::HashMap;

use super::CAUSES;
use crate::model::CauseId;

/// Some causes, a bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Causes(u32);

const _: () = assert!(CAUSES.len() <= u32::BITS as usize, "a bit for each");

/// The causes that ask for an id of evidence.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AskedFor {
    /// As a difference that singles them out.
    pub(super) contrast: Causes,
    /// As what must be there for a difference to do so.
    contrast_needs: Causes,
    /// As what goes well with them.
    pub(super) fits: Causes,
}

/// By the id: no other ids are asked for.
static BY_ID: LazyLock<HashMap<&str, AskedFor>> = LazyLock::new(|| {
    let mut by_id: HashMap<&str, AskedFor> = HashMap::new();
    for cause in CAUSES {
        for id in cause.contrast {
            by_id.entry(id).or_default().contrast.add(cause.id);
        }
        for id in cause.contrast_needs {
            by_id.entry(id).or_default().contrast_needs.add(cause.id);
        }
        for id in cause.fits {
            by_id.entry(id).or_default().fits.add(cause.id);
        }
    }
    by_id
});

impl AskedFor {
    pub(super) fn of(id: &str) -> Self {
        BY_ID.get(id).copied().unwrap_or_default()
    }

    /// The causes that evidence of this id may speak for, where it speaks for `cause` by itself.
    pub(super) fn concerns(self, cause: Option<CauseId>) -> Causes {
        let mut causes = Causes(self.contrast.0 | self.fits.0);
        if let Some(cause) = cause {
            causes.add(cause);
        }
        causes
    }
}

impl Causes {
    /// The causes for which a difference counts, given for what the evidence is asked.
    pub(super) fn comparing(evidence: impl Iterator<Item = AskedFor>) -> Self {
        let mut causes = Self::default();
        for cause in CAUSES.iter().filter(|c| c.contrast_needs.is_empty()) {
            causes.add(cause.id);
        }
        for asked_for in evidence {
            causes.0 |= asked_for.contrast_needs.0;
        }
        causes
    }

    pub(super) const fn has(self, cause: CauseId) -> bool {
        self.0 >> cause as u32 & 1 == 1
    }

    fn add(&mut self, cause: CauseId) {
        self.0 |= 1 << cause as u32;
    }
}
