//! From evidence to a verdict: who made the refusal, and why.
//!
//! `issuer` finds the hop that made it. Then each cause is weighed by the evidence there
//! (`weigh`), and the best finding is the cause. Confidence has written rules:
//!
//! - *proven*: the answer says so in its maker's own words, and the comparison with a request that
//!   passed shows the one difference that fits. Neither alone proves anything.
//! - *likely*: the maker's own words, or the one difference to a request that passed, or a weaker
//!   mark with a fitting request.
//! - *possible*: it fits, and so may something else.
//! - *unknown*: nothing speaks for any cause.
//!
//! Every rule asks for evidence that is there, none for evidence that is missing: so what a capture
//! lost can make a verdict less sure, never surer.

mod api_key_invalid;
mod api_key_missing;
mod api_key_scope;
mod app_authorization;
mod approval_required;
mod asked_for;
mod client_certificate;
mod cors_policy;
mod csrf_token;
mod file_ownership;
mod file_permission;
mod gateway_policy;
mod gateway_routing;
mod hotlink_referer;
mod htaccess_deny;
mod ip_restriction;
mod issuer;
mod malformed_payload;
mod missing_index;
mod nginx_deny;
mod rate_limit;
mod unseen;
mod user_agent_block;
mod waf_block;
mod weigh;
mod words;

use crate::model::{CauseId, Chain, Evidence, Hop, Verdict};

/// The verdict on a chain, by the evidence about its hops.
pub fn verdict(chain: &Chain, evidence: &[Evidence]) -> Verdict {
    let found = issuer::find(chain, evidence);
    let clues = Clues::new(chain, found.at, evidence);
    let findings = weigh::findings(&clues, &found);
    let limits = unseen::limits(chain, found.at);
    let next_step = unseen::next_step(chain, found.at)
        .or_else(|| findings.first().map(|f| f.next_step.clone()))
        .unwrap_or_else(|| {
            "Look into the error log of the server that made it, at the time of the request.".into()
        });
    Verdict {
        issuer: found.issuer,
        handling: found.handling,
        delegate: found.delegate,
        findings,
        limits,
        reasons: found.reasons,
        next_step,
    }
}

/// Every cause, in the order of [`CauseId::ALL`].
pub const CAUSES: &[Cause] = &[
    file_permission::CAUSE,
    file_ownership::CAUSE,
    htaccess_deny::CAUSE,
    nginx_deny::CAUSE,
    missing_index::CAUSE,
    waf_block::CAUSE,
    ip_restriction::CAUSE,
    api_key_missing::CAUSE,
    api_key_invalid::CAUSE,
    api_key_scope::CAUSE,
    cors_policy::CAUSE,
    csrf_token::CAUSE,
    malformed_payload::CAUSE,
    app_authorization::CAUSE,
    gateway_policy::CAUSE,
    gateway_routing::CAUSE,
    rate_limit::CAUSE,
    approval_required::CAUSE,
    hotlink_referer::CAUSE,
    user_agent_block::CAUSE,
    client_certificate::CAUSE,
];

/// A cause: how it is recognised, and what to say of it.
///
/// Its confidence comes from three kinds of evidence .
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// Which one.
    pub id: CauseId,
    /// What it is, in a few words that complete "It was refused because …".
    pub because: &'static str,
    /// Ids of evidence from the comparison with exchanges that passed (`sibling.…`) that single
    /// this cause out.
    pub contrast: &'static [&'static str],
    /// Ids of evidence of which one must be there for the comparison to single this cause out;
    /// none where the difference alone does.
    pub contrast_needs: &'static [&'static str],
    /// Ids of evidence that must be there if this is the cause, or that goes well with it.
    pub fits: &'static [&'static str],
    /// One thing to do next, given what was seen.
    pub next_step: fn(&Clues<'_>) -> String,
    /// For `tracer403 explain`.
    pub explain: Explain,
}

/// What `tracer403 explain CAUSE` prints.
#[derive(Clone, Copy, Debug)]
pub struct Explain {
    /// What it is.
    pub what: &'static str,
    /// How it is recognised.
    pub recognised: &'static str,
    /// What looks like it and is not, and what hides it.
    pub misleads: &'static str,
    /// How to mend it.
    pub mend: &'static str,
}

/// What a cause is judged by: the hop that made the refusal, and the evidence.
#[derive(Clone, Debug)]
pub struct Clues<'a> {
    /// The hops.
    pub chain: &'a Chain,
    /// Place of the hop whose server made the refusal, or of the last that was seen on the way
    /// there.
    pub at: usize,
    /// All evidence of the case.
    pub evidence: &'a [Evidence],
    common: words::Common<'a>,
}

impl<'a> Clues<'a> {
    /// What there is at the hop at this place of the chain.
    pub fn new(chain: &'a Chain, at: usize, evidence: &'a [Evidence]) -> Self {
        Self {
            chain,
            at,
            evidence,
            common: words::Common::of(chain, at, evidence),
        }
    }

    /// The hop that made the refusal.
    pub fn hop(&self) -> Option<&'a Hop> {
        self.chain.hop(self.at)
    }

    /// The evidence about that hop, with its index.
    pub fn here(&self) -> impl Iterator<Item = (usize, &'a Evidence)> {
        let at = self.at;
        self.evidence
            .iter()
            .enumerate()
            .filter(move |(_, e)| e.hop == at)
    }

    /// The first evidence about that hop with this id.
    pub fn find(&self, id: &str) -> Option<&'a Evidence> {
        self.here().map(|(_, e)| e).find(|e| e.id == id)
    }
}

#[cfg(test)]
mod tests;
