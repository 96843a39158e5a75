//! Facts of a case that speak for or against a cause, each with the place it was read from.
//!
//! A gatherer looks at one topic and appends what it finds; it draws no conclusion. That is
//! [`diagnose`](crate::diagnose)'s business.

mod client;
pub mod fingerprint;
mod hops;
mod names;
mod note;
mod pace;
mod parts;
mod pattern_set;
mod request;
mod response;
pub mod sibling;
mod text;
mod time;
mod timing;

use std::sync::Arc;

use crate::model::{Chain, Evidence, Hop, Pace, Preflight};
use fingerprint::Fingerprints;
use parts::Parts;
use sibling::Sibling;

/// Every gatherer, in the order in which their evidence is told.
pub const GATHERERS: &[Gatherer] = &[
    fingerprint::GATHERER,
    hops::GATHERER,
    request::GATHERER,
    response::GATHERER,
    timing::GATHERER,
    sibling::GATHERER,
    pace::GATHERER,
];

/// What gatherers look at.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The marks that are looked for.
    pub fingerprints: &'a Fingerprints,
    /// The hops of the request.
    pub chain: &'a Chain,
    /// Exchanges of the same method and route that were not refused, the most alike first.
    pub siblings: &'a [Arc<Sibling>],
    /// What the same client asked for just before.
    pub pace: Pace,
    /// What is known of the preflight of the reported hop, or of what followed it where it is one.
    pub preflight: Preflight,
}

/// Looks at one topic of one hop.
#[derive(Clone, Copy, Debug)]
pub struct Gatherer {
    /// What the ids of its evidence begin with: `request` of `request.csrf_missing`.
    pub topic: &'static str,
    /// Appends what it finds about this hop.
    pub gather: fn(&Scene<'_>, &Site<'_>, &mut Vec<Evidence>),
}

/// A hop, with its request taken apart for all topics.
pub struct Site<'a> {
    /// Its place in the chain.
    at: usize,
    hop: &'a Hop,
    /// `None` where the request was not seen.
    parts: Option<Parts<'a>>,
}

/// Pieces of evidence of most cases.
const USUAL: usize = 16;

/// Everything there is to say of every hop.
pub fn gather(scene: &Scene<'_>) -> Vec<Evidence> {
    let mut evidence = Vec::with_capacity(USUAL);
    for (at, hop) in scene.chain.hops().enumerate() {
        let site = Site::of(at, hop);
        for gatherer in GATHERERS {
            (gatherer.gather)(scene, &site, &mut evidence);
        }
    }
    evidence
}

impl Scene<'_> {
    /// Whether it is the reported hop.
    fn is_reported(&self, site: &Site<'_>) -> bool {
        site.at == self.chain.reported_at()
    }
}

impl<'a> Site<'a> {
    fn of(at: usize, hop: &'a Hop) -> Self {
        Self {
            at,
            hop,
            parts: Parts::of(&hop.exchange),
        }
    }
}

#[cfg(test)]
mod tests;
