//! How sure each cause is, by the evidence about the hop that made the refusal.

use crate::model::{CauseId, Confidence, Evidence, Finding, Handling, Kind, Proves, Strength};

use super::issuer::Found;
use super::{CAUSES, Cause, Clues};

/// The causes that the evidence supports, best first.
pub(super) fn findings(clues: &Clues<'_>, found: &Found) -> Vec<Finding> {
    let mut weighed: Vec<(Weight, Finding)> = CAUSES
        .iter()
        .filter_map(|cause| weigh(cause, clues, found))
        .collect();
    // The order of the table decides between equals: the sort is stable.
    weighed.sort_by(|(a, _), (b, _)| b.cmp(a));
    weighed.truncate(KEPT);
    let mut findings: Vec<Finding> = weighed.into_iter().map(|(_, finding)| finding).collect();
    for finding in &mut findings {
        finding.against = against(finding, clues);
    }
    findings
}

/// What the maker of the answer says for another cause. It takes nothing from the confidence: a
/// finding has it by what speaks for it, and the reader sees both.
fn against(finding: &Finding, clues: &Clues<'_>) -> Vec<usize> {
    let speaks_for_another = |(_, evidence): &(usize, &Evidence)| {
        evidence.cause.is_some_and(|cause| cause != finding.cause)
            && evidence.strength >= Strength::Fair
            && is_of_maker(evidence)
    };
    clues
        .here()
        .filter(speaks_for_another)
        .map(|(index, _)| index)
        .collect()
}

/// Findings that a verdict names.
const KEPT: usize = 5;

/// By this findings are put in order: confidence, then the sum of what speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weight(Confidence, u32);

/// What speaks for a cause, by where it comes from.
#[derive(Debug, Default)]
struct Support {
    /// The answer's own words, or marks of its maker.
    answer: Option<Strength>,
    /// The comparison with requests that passed.
    contrast: Option<Strength>,
    /// What the request lacks or has.
    request: Option<Strength>,
    /// Facts that go well with it.
    fits: u32,
    supports: Vec<usize>,
    points: u32,
}

fn weigh(cause: &Cause, clues: &Clues<'_>, found: &Found) -> Option<(Weight, Finding)> {
    let mut support = Support::default();
    let compares =
        cause.contrast_needs.is_empty() || cause.contrast_needs.iter().any(|id| clues.is_there(id));
    for (index, evidence) in clues.evidence.iter().enumerate() {
        support.take_in(cause, compares, clues, index, evidence);
    }
    let confidence = support.confidence().max(usual(cause.id, &support, found));
    // Why somebody refused is not surer than who it was, by more than the words of the answer.
    let most = match found.issuer.confidence {
        Confidence::Likely | Confidence::Proven => Confidence::Proven,
        Confidence::Unknown | Confidence::Possible => Confidence::Likely,
    };
    let confidence = confidence?.min(most);
    let finding = Finding {
        cause: cause.id,
        confidence,
        supports: support.supports,
        against: Vec::new(),
        next_step: (cause.next_step)(clues),
    };
    Some((Weight(confidence, support.points), finding))
}

impl Support {
    fn take_in(
        &mut self,
        cause: &Cause,
        compares: bool,
        clues: &Clues<'_>,
        index: usize,
        evidence: &Evidence,
    ) {
        let id = evidence.id.as_ref();
        let here = evidence.hop == clues.at;
        let strength = evidence.strength;
        let is_reported = evidence.hop == clues.chain.reported_at();
        let place = if cause.contrast.contains(&id) && is_reported {
            if !compares {
                return;
            }
            &mut self.contrast
        } else if evidence.cause == Some(cause.id) && id.starts_with("request.") {
            if !here && !is_reported {
                return;
            }
            &mut self.request
        } else if evidence.cause == Some(cause.id) && here && is_of_maker(evidence) {
            &mut self.answer
        } else if cause.fits.contains(&id) && (here || is_reported) {
            self.fits += 1;
            self.supports.push(index);
            self.points += 1;
            return;
        } else {
            return;
        };
        *place = (*place).max(Some(strength));
        self.supports.push(index);
        self.points += match strength {
            Strength::Weak => 2,
            Strength::Fair => 4,
            Strength::Strong => 8,
            Strength::Proof => 12,
        };
    }

    /// The rules of [`super`].
    fn confidence(&self) -> Option<Confidence> {
        let says = self.answer;
        let singled_out = self.contrast >= Some(Strength::Strong);
        let goes_with = self.request.is_some() || self.contrast.is_some() || self.fits > 0;
        let by_words = match says {
            Some(Strength::Strong | Strength::Proof) if singled_out => Some(Confidence::Proven),
            Some(Strength::Strong | Strength::Proof) => Some(Confidence::Likely),
            Some(Strength::Fair) if goes_with => Some(Confidence::Likely),
            Some(Strength::Fair | Strength::Weak) => Some(Confidence::Possible),
            None => None,
        };
        let by_comparison = match self.contrast {
            Some(_) if singled_out => Some(Confidence::Likely),
            Some(_) => Some(Confidence::Possible),
            None => None,
        };
        let by_request = match self.request {
            Some(Strength::Strong | Strength::Proof) => Some(Confidence::Likely),
            Some(Strength::Fair) => Some(Confidence::Possible),
            // Most requests have some of these.
            Some(Strength::Weak) | None => None,
        };
        // More evidence of one kind must not hide what another kind shows.
        by_words.max(by_comparison).max(by_request)
    }
}

/// Whether a mark speaks for its cause: what only passed through, and what is known to mislead,
/// does not.
fn is_of_maker(evidence: &Evidence) -> bool {
    evidence
        .product
        .as_ref()
        .is_none_or(|(proves, _)| matches!(proves, Proves::Generated | Proves::Hint))
}

/// What is left where nothing else speaks: what this kind of product refuses for as a rule, and
/// what the request makes thinkable.
fn usual(cause: CauseId, support: &Support, found: &Found) -> Option<Confidence> {
    if found.issuer.confidence == Confidence::Unknown && found.handling != Handling::Relayed {
        return None;
    }
    let fits_request = support.request.is_some();
    let is_usual = match (found.issuer.product.as_ref().map(|p| p.kind), cause) {
        (Some(Kind::WebServer), CauseId::FilePermission | CauseId::MissingIndex) => fits_request,
        (Some(Kind::WebServer), CauseId::NginxDeny) => true,
        (Some(Kind::ReverseProxy | Kind::ApiGateway), CauseId::GatewayPolicy) => true,
        (Some(Kind::CdnWaf | Kind::WafModule | Kind::BotManager), CauseId::WafBlock) => true,
        (Some(Kind::RateLimiter), CauseId::RateLimit) => true,
        (
            Some(Kind::Framework | Kind::AppPlatform | Kind::ObjectStore) | None,
            CauseId::AppAuthorization,
        ) => true,
        _ => false,
    };
    is_usual.then_some(Confidence::Possible)
}
