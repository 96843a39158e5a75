//! What sets the refused request apart from those of its kind that passed.

mod compare;
mod traits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use compare::{Difference, differences};
use traits::Traits;

use super::note::{Notes, asked};
use super::parts::Parts;
use super::time::span;
use super::{Gatherer, Scene};
use crate::model::{Evidence, Exchange, Strength};

/// Most siblings that are looked at.
const LOOKED_AT: usize = 8;
/// Most differences that are told, where there are several.
pub(super) const TOLD_MAX: usize = 6;

/// An exchange that passed, with what is compared of it.
#[derive(Debug)]
pub struct Sibling {
    exchange: Arc<Exchange>,
    /// `None` where its request was not seen.
    traits: Option<Traits>,
}

impl Sibling {
    /// Reads what is compared, for all cases that it is a sibling of.
    pub fn of(exchange: Arc<Exchange>) -> Self {
        let traits = Parts::of(&exchange).as_ref().map(Traits::of);
        Self { exchange, traits }
    }

    /// The exchange.
    pub const fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }
}

/// Compares the reported hop with its siblings.
pub(super) const GATHERER: Gatherer = Gatherer {
    topic: "sibling",
    gather,
};

fn gather(scene: &Scene<'_>, index: usize, evidence: &mut Vec<Evidence>) {
    if index != scene.chain.reported_at() {
        return;
    }
    let refused = &scene.chain.reported.exchange;
    let siblings = scene.siblings.get(..LOOKED_AT).unwrap_or(scene.siblings);
    let (Some(parts), Some(first)) = (Parts::of(refused), siblings.first()) else {
        return;
    };
    let this = &Traits::of(&parts);
    let passed: Vec<&Traits> = siblings.iter().filter_map(|s| s.traits.as_ref()).collect();
    let notes = &mut Notes::new(index, evidence);
    found(refused, &first.exchange, siblings.len(), notes);

    let each = passed.iter().map(|p| differences(this, p, Some(&parts)));
    let each: Vec<_> = each.collect();
    if each.iter().any(BTreeMap::is_empty) {
        notes.add(
            "sibling.same",
            Strength::Fair,
            None,
            None,
            "It differs from one that passed in nothing that is looked at.",
        );
        return;
    }
    let apart = set_apart(each, &passed);
    let number = passed.len();
    let those = if number == 1 {
        "the one that passed".to_owned()
    } else {
        format!("{number} that passed")
    };
    if let [(topic, difference)] = apart.as_slice() {
        notes.add(
            format!("sibling.only_{topic}"),
            // Another credential may be wrong, too weak, or that of somebody who may not.
            if matches!(topic.as_ref(), "credential_other" | "cookie_other") {
                Strength::Fair
            } else {
                Strength::Strong
            },
            None,
            difference.part.map(asked),
            format!(
                "Compared with {those}, only one thing differs: {}.",
                difference.says
            ),
        );
        return;
    }
    for (topic, difference) in apart.into_iter().take(TOLD_MAX) {
        notes.add(
            format!("sibling.differs_{topic}"),
            Strength::Weak,
            None,
            difference.part.map(asked),
            format!(
                "Compared with {those}, among other things {}.",
                difference.says
            ),
        );
    }
}

fn found(refused: &Exchange, first: &Exchange, number: usize, notes: &mut Notes<'_>) {
    let (this, other) = (refused.started_at(), first.started_at());
    let (apart, way) = if other <= this {
        (this.since(other), "before")
    } else {
        (other.since(this), "after")
    };
    let status = first.response.as_ref().map_or_else(
        || "no answer that was seen".to_owned(),
        |r| format!("status {}", r.status),
    );
    notes.add(
        "sibling.found",
        Strength::Fair,
        None,
        None,
        format!(
            "A request of the same method and route passed {} {way}, with {status}{}.",
            span(apart.as_secs()),
            if number > 1 {
                format!("; {number} were compared")
            } else {
                String::new()
            }
        ),
    );
}

/// The differences from every sibling. Those in which the siblings differ among themselves do not
/// matter, unless there are no others.
fn set_apart(
    mut each: Vec<BTreeMap<String, Difference>>,
    passed: &[&Traits],
) -> Vec<(String, Difference)> {
    let Some(mut common) = (!each.is_empty()).then(|| each.swap_remove(0)) else {
        return Vec::new();
    };
    common.retain(|topic, _| each.iter().all(|other| other.contains_key(topic)));
    let varied: BTreeSet<String> = passed
        .split_first()
        .into_iter()
        .flat_map(|(first, rest)| rest.iter().map(move |other| (first, other)))
        .flat_map(|(first, other)| {
            [
                differences(first, other, None),
                differences(other, first, None),
            ]
        })
        .flat_map(BTreeMap::into_keys)
        .collect();
    if common.keys().any(|topic| !varied.contains(topic)) {
        common.retain(|topic, _| !varied.contains(topic));
    }
    common.into_iter().collect()
}

#[cfg(test)]
mod tests;
