//! What the request itself says: what it carries, what it lacks, and what is odd about it.

mod agent;
mod attack;
mod body;
mod client;
pub(super) mod credential;
pub(super) mod csrf;
mod jwt;
mod origin;
mod path;
mod signature;

use super::note::Notes;
use super::{Gatherer, Scene, Site};
use crate::model::Evidence;

/// Looks at the request of a hop.
pub(super) const GATHERER: Gatherer = Gatherer {
    topic: "request",
    gather,
};

fn gather(scene: &Scene<'_>, site: &Site<'_>, evidence: &mut Vec<Evidence>) {
    let Some(parts) = &site.parts else {
        return;
    };
    let notes = &mut Notes::new(site.at, evidence);
    let credentials = credential::all(parts);
    credential::gather(parts, &credentials, notes);
    jwt::gather(parts, &credentials, notes);
    signature::gather(parts, notes);
    csrf::gather(parts, notes);
    origin::gather(scene, site, parts, notes);
    agent::gather(parts, notes);
    attack::gather(parts, notes);
    body::gather(parts, notes);
    path::gather(parts, notes);
    client::gather(parts, notes);
}

#[cfg(test)]
mod tests;
