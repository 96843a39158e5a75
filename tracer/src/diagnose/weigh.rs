//! How sure each cause is, by the evidence about the hop that made the refusal.

use crate::model::{CauseId, Confidence, Evidence, Finding, Handling, Kind, Proves, Strength};

use super::asked_for::{AskedFor, Causes};
use super::issuer::Found;
use super::{CAUSES, Cause, Clues};

/// Findings that a verdict names.
const KEPT: usize = 5;

/// The causes that the evidence supports, best first.
pub(super) fn findings(clues: &Clues<'_>, found: &Found) -> Vec<Finding> {
    let facts = facts(clues);
    let comparing = Causes::comparing(facts.iter().map(|fact| fact.asked_for));
    let mut weighed: Vec<(Weight, &Cause)> = CAUSES
        .iter()
        .filter_map(|cause| Some((weigh(cause.id, &facts, comparing, found)?, cause)))
        .collect();
    // The order of the table decides between equals: the sort is stable.
    weighed.sort_by(|(a, _), (b, _)| b.cmp(a));
    weighed.truncate(KEPT);
    let findings = weighed.into_iter().map(|(weight, cause)| Finding {
        cause: cause.id,
        confidence: weight.0,
        supports: supports(cause.id, &facts, comparing),
        against: against(cause.id, clues),
        next_step: (cause.next_step)(clues),
    });
    findings.collect()
}

/// A piece of evidence about the hop that made the refusal, or about the reported one.
struct Fact<'a> {
    index: usize,
    evidence: &'a Evidence,
    asked_for: AskedFor,
    /// The causes that it may speak for.
    concerns: Causes,
    here: bool,
    is_reported: bool,
}

fn facts<'a>(clues: &Clues<'a>) -> Vec<Fact<'a>> {
    let reported = clues.chain.reported_at();
    let evidence = clues.evidence.iter().enumerate();
    let facts = evidence.map(|(index, evidence)| {
        let asked_for = AskedFor::of(&evidence.id);
        Fact {
            index,
            evidence,
            asked_for,
            concerns: asked_for.concerns(evidence.cause),
            here: evidence.hop == clues.at,
            is_reported: evidence.hop == reported,
        }
    });
    facts.filter(|fact| fact.here || fact.is_reported).collect()
}

/// What a piece of evidence is to a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The answer's own words, or marks of its maker.
    Answer,
    /// The comparison with requests that passed.
    Contrast,
    /// What the request lacks or has.
    Request,
    /// A fact that goes well with it.
    Fits,
}

impl Fact<'_> {
    /// What it is to a cause, if anything. What a comparison shows counts for those that are
    /// `comparing`.
    fn role(&self, cause: CauseId, comparing: Causes) -> Option<Role> {
        if !self.concerns.has(cause) {
            return None;
        }
        let speaks_for_it = self.evidence.cause == Some(cause);
        if self.is_reported && self.asked_for.contrast.has(cause) {
            comparing.has(cause).then_some(Role::Contrast)
        } else if speaks_for_it && self.evidence.id.starts_with("request.") {
            Some(Role::Request)
        } else if speaks_for_it && self.here && is_of_maker(self.evidence) {
            Some(Role::Answer)
        } else {
            let fits = self.asked_for.fits.has(cause);
            fits.then_some(Role::Fits)
        }
    }
}

/// The evidence that has a role for a cause.
fn supports(cause: CauseId, facts: &[Fact<'_>], comparing: Causes) -> Vec<usize> {
    let supporting = facts
        .iter()
        .filter(|fact| fact.role(cause, comparing).is_some());
    supporting.map(|fact| fact.index).collect()
}

/// What the maker of the answer says for another cause. It takes nothing from the confidence: a
/// finding has it by what speaks for it, and the reader sees both.
fn against(finding: CauseId, clues: &Clues<'_>) -> Vec<usize> {
    let speaks_for_another = |(_, evidence): &(usize, &Evidence)| {
        evidence.cause.is_some_and(|cause| cause != finding)
            && evidence.strength >= Strength::Fair
            && is_of_maker(evidence)
    };
    clues
        .here()
        .filter(speaks_for_another)
        .map(|(index, _)| index)
        .collect()
}

/// By this findings are put in order: confidence, then the sum of what speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weight(Confidence, u32);

/// What speaks for a cause, by its role.
#[derive(Debug, Default)]
struct Support {
    answer: Option<Strength>,
    contrast: Option<Strength>,
    request: Option<Strength>,
    fits: u32,
    points: u32,
}

fn weigh(cause: CauseId, facts: &[Fact<'_>], comparing: Causes, found: &Found) -> Option<Weight> {
    let mut support = Support::default();
    for fact in facts {
        if let Some(role) = fact.role(cause, comparing) {
            support.take_in(role, fact.evidence.strength);
        }
    }
    let confidence = support.confidence().max(usual(cause, &support, found));
    // Why somebody refused is not surer than who it was, by more than the words of the answer.
    let most = match found.issuer.confidence {
        Confidence::Likely | Confidence::Proven => Confidence::Proven,
        Confidence::Unknown | Confidence::Possible => Confidence::Likely,
    };
    Some(Weight(confidence?.min(most), support.points))
}

impl Support {
    fn take_in(&mut self, role: Role, strength: Strength) {
        let place = match role {
            Role::Answer => &mut self.answer,
            Role::Contrast => &mut self.contrast,
            Role::Request => &mut self.request,
            Role::Fits => {
                self.fits += 1;
                self.points += 1;
                return;
            }
        };
        *place = (*place).max(Some(strength));
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
