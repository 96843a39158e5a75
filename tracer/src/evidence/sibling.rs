//! What sets the refused request apart from those of its kind that passed.

mod compare;
mod named;
pub(super) mod traits;

use std::borrow::Cow;
use std::sync::Arc;

use compare::{Difference, Topic, differences};
use traits::Traits;

use super::note::{Notes, asked};
use super::parts::Parts;
use super::time::span;
use super::{Gatherer, Scene, Site};
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
    traits: Option<Traits<'static>>,
}

impl Sibling {
    /// Reads what is compared, for all cases that it is a sibling of.
    pub fn of(exchange: Arc<Exchange>) -> Self {
        let parts = Parts::of(&exchange);
        let traits = parts.map(|parts| Traits::of(&parts).into_owned());
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

fn gather(scene: &Scene<'_>, site: &Site<'_>, evidence: &mut Vec<Evidence>) {
    if !scene.is_reported(site) {
        return;
    }
    let siblings = scene.siblings.get(..LOOKED_AT).unwrap_or(scene.siblings);
    let (Some(parts), Some(first)) = (&site.parts, siblings.first()) else {
        return;
    };
    let this = &Traits::of(parts);
    let passed: Vec<&Traits<'_>> = siblings.iter().filter_map(|s| s.traits.as_ref()).collect();
    let notes = &mut Notes::new(site.at, evidence);
    found(&site.hop.exchange, &first.exchange, siblings.len(), notes);

    let each: Vec<_> = passed.iter().map(|p| differences(this, p)).collect();
    if each.iter().any(Vec::is_empty) {
        notes.add(
            "sibling.same",
            Strength::Fair,
            None,
            None,
            "It differs from one that passed in nothing that is looked at.",
        );
        return;
    }
    let Some(other) = passed.first() else {
        return;
    };
    let apart = set_apart(each, &passed);
    let told = |topic| Difference::of(topic, (this, parts), other);
    let number = passed.len();
    let those = match number {
        1 => Cow::Borrowed("the one that passed"),
        number => Cow::Owned(format!("{number} that passed")),
    };
    if let [topic] = *apart {
        let difference = told(topic);
        notes.add(
            topic.id("sibling.only_"),
            // Another credential may be wrong, too weak, or that of somebody who may not.
            if matches!(topic, Topic::CredentialOther | Topic::CookieOther) {
                Strength::Fair
            } else {
                Strength::Strong
            },
            None,
            difference.part.map(asked),
            [
                "Compared with ",
                &*those,
                ", only one thing differs: ",
                &*difference.says,
                ".",
            ]
            .concat(),
        );
        return;
    }
    for topic in apart.into_iter().take(TOLD_MAX) {
        let difference = told(topic);
        notes.add(
            topic.id("sibling.differs_"),
            Strength::Weak,
            None,
            difference.part.map(asked),
            [
                "Compared with ",
                &*those,
                ", among other things ",
                &*difference.says,
                ".",
            ]
            .concat(),
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

/// The differences from every sibling, in order. Those in which the siblings differ among themselves
/// do not matter, unless there are no others.
fn set_apart<'a>(mut each: Vec<Vec<Topic<'a>>>, passed: &[&'a Traits<'_>]) -> Vec<Topic<'a>> {
    let Some(mut common) = (!each.is_empty()).then(|| each.swap_remove(0)) else {
        return Vec::new();
    };
    common.retain(|topic| each.iter().all(|other| other.contains(topic)));
    common.sort_unstable();
    let pairs = passed
        .split_first()
        .into_iter()
        .flat_map(|(first, rest)| rest.iter().map(move |other| (first, other)));
    let varied: Vec<_> = pairs
        .flat_map(|(first, other)| [differences(first, other), differences(other, first)])
        .flatten()
        .collect();
    if common.iter().any(|topic| !varied.contains(topic)) {
        common.retain(|topic| !varied.contains(topic));
    }
    common
}

#[cfg(test)]
mod tests;
