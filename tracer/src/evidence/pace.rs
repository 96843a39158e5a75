//! How fast the client asked.

use super::note::Notes;
use super::{Gatherer, Scene, Site};
use crate::model::{CauseId, Evidence, Strength};

/// So many were let through before a refusal begins to look like a limit.
const PASSED_MIN: u32 = 2;
/// So many are no person who fills in a form.
const PASSED_MANY: u32 = 5;

/// Looks at the pace of the client at the reported hop.
pub(super) const GATHERER: Gatherer = Gatherer {
    topic: "pace",
    gather,
};

fn gather(scene: &Scene<'_>, site: &Site<'_>, evidence: &mut Vec<Evidence>) {
    let pace = scene.pace;
    if !scene.is_reported(site) || pace.passed < PASSED_MIN {
        return;
    }
    Notes::new(site.at, evidence).add(
        "pace.burst",
        if pace.passed >= PASSED_MANY {
            Strength::Fair
        } else {
            Strength::Weak
        },
        CauseId::RateLimit,
        None,
        format!(
            "The same client was let through {} times and refused {} times on this route within \
             {} s before.",
            pace.passed,
            pace.refused,
            pace.within.as_secs_f32().ceil()
        ),
    );
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::evidence::tests::trial::site;
    use crate::model::{Chain, Hop, Pace};
    use crate::testing::refused_post;

    #[test]
    fn a_burst_is_many_passed_and_then_some_refused() {
        let mut chain = Chain::of(refused_post());
        chain.after.push(Hop::new(refused_post()));
        for (passed, refused, index, expected) in
            [(2, 0, 0, 1), (1, 9, 0, 0), (9, 0, 0, 1), (9, 9, 1, 0)]
        {
            let scene = Scene {
                fingerprints: &crate::evidence::fingerprint::Fingerprints::default(),
                chain: &chain,
                siblings: &[],
                pace: Pace {
                    passed,
                    refused,
                    within: Duration::from_millis(9_500),
                },
                preflight: crate::model::Preflight::default(),
            };
            let mut evidence = Vec::new();
            gather(&scene, &site(&chain, index), &mut evidence);
            assert_eq!(evidence.len(), expected, "{passed} {refused} {index}");
            if let Some(burst) = evidence.first() {
                let counts = format!("{passed} times and refused {refused} times");
                assert!(burst.fact.contains(&counts), "{}", burst.fact);
            }
        }
    }
}
