//! What a capture began with.

use std::fmt;

use crate::model::MissingProbe;

/// What attached where, and what could not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// What is attached.
    pub attached: Vec<Attached>,
    /// What is not, why, and what it costs.
    pub missing: Vec<MissingProbe>,
}

/// A probe and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its name, as in the table of probes.
    pub probe: &'static str,
    /// A cgroup's path, an interface's name or a tracepoint's name.
    pub to: String,
}

impl Started {
    /// Whether the host tells to whom the processes that serve traced ports send: that takes one
    /// probe to know the processes, and two to see them send, or try to. They see every process of
    /// the host, wherever packets are looked at.
    pub(super) fn is_watching(&self) -> bool {
        ["owner_received", "owner_sent", "connecting"]
            .iter()
            .all(|probe| self.attached.iter().any(|a| a.probe == *probe))
    }
}

impl fmt::Display for Started {
    /// A line for each place with its probes, then one for each probe that is missing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut places: Vec<(&str, Vec<&str>)> = Vec::new();
        for Attached { probe, to } in &self.attached {
            match places.iter_mut().find(|(place, _)| place == to) {
                Some((_, probes)) => probes.push(probe),
                None => places.push((to, vec![probe])),
            }
        }
        let attached = places
            .iter()
            .map(|(place, probes)| format!("attached to {place}: {}", probes.join(", ")));
        let missing = self
            .missing
            .iter()
            .map(|MissingProbe { probe, why, costs }| format!("missing: {probe} ({why}); {costs}"));
        let lines: Vec<String> = attached.chain(missing).collect();
        f.write_str(&lines.join("\n"))
    }
}
