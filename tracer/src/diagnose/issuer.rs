//! Which hop made the refusal, how it came to the client, and what product that is.
//!
//! Rules, in this order, from the reported hop inwards:
//!
//! 1. The next hop gave the same answer: it was relayed; go on with the next hop.
//! 2. The next hop refused with another body: this hop replaced it; go on with the next hop.
//! 3. The next hop answered with another status: this hop made the refusal.
//! 4. A side call was refused, or failed: this hop made the refusal, and had asked somebody.
//! 5. The process asked nobody, or nobody who refused: this hop made the refusal.
//! 6. Else only what the answer itself says of its maker is left ([`by_marks`]).
//!
//! The confidence is that of the weakest link on the way. Only what both sides of a hop show can
//! be proven: headers alone never are. Where a link is so weak that the marks of an answer nearer
//! the client say more, those count.

use crate::model::{
    Chain, Confidence, Evidence, Handling, Issuer, Kind, Product, Proves, Strength,
};

/// Who made it, and how it came to the client.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) issuer: Issuer,
    pub(super) handling: Handling,
    pub(super) delegate: Option<(usize, usize)>,
    /// The last hop that was looked at: the one that made the refusal, or the last one seen.
    pub(super) at: usize,
    pub(super) reasons: Vec<String>,
}

/// Looks for the maker of the refusal.
pub(super) fn find(chain: &Chain, evidence: &[Evidence]) -> Found {
    let first = chain.reported_at();
    let mut weakest = Strength::Proof;
    let mut handling = None;
    let mut reasons: Vec<String> = Vec::new();
    let mut best = Found {
        at: first,
        ..Found::default()
    };
    let mut at = first;
    loop {
        let marked = by_marks(chain, evidence, at, weakest);
        let marked = Found {
            handling: handling.unwrap_or(marked.handling),
            reasons: [reasons.as_slice(), &marked.reasons].concat(),
            ..marked
        };
        if marked.issuer.confidence >= best.issuer.confidence {
            best = marked;
        }
        let Some((how, step, fact)) = by_both_sides(evidence, at) else {
            return best;
        };
        weakest = weakest.min(fact.strength);
        reasons.push(fact.fact.clone());
        let handling = *handling.get_or_insert(how);
        if step == Step::Inwards {
            at += 1;
            continue;
        }
        let found = Found {
            issuer: Issuer {
                hop: Some(at),
                product: product_here(evidence, at),
                confidence: match weakest {
                    Strength::Proof | Strength::Strong => Confidence::Proven,
                    Strength::Fair => Confidence::Likely,
                    Strength::Weak => Confidence::Possible,
                },
            },
            handling,
            delegate: (how == Handling::Delegated)
                .then(|| delegate(chain, at))
                .flatten(),
            at,
            reasons,
        };
        return match found.issuer.confidence >= best.issuer.confidence {
            true => found,
            false => best,
        };
    }
}

/// What a hop did, as both of its sides show.
fn by_both_sides(evidence: &[Evidence], at: usize) -> Option<(Handling, Step, &Evidence)> {
    let rules = [
        ("chain.relayed", Handling::Relayed, Step::Inwards),
        ("chain.replaced_body", Handling::Replaced, Step::Inwards),
        ("chain.replaced_status", Handling::Replaced, Step::Here),
        ("chain.side_call_refused", Handling::Delegated, Step::Here),
        ("chain.side_call_failed", Handling::Delegated, Step::Here),
        ("chain.asked_nobody", Handling::Issued, Step::Here),
        ("chain.not_refused_elsewhere", Handling::Issued, Step::Here),
    ];
    rules.into_iter().find_map(|(id, handling, step)| {
        let fact = evidence.iter().find(|e| e.hop == at && e.id == id)?;
        Some((handling, step, fact))
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Inwards,
    Here,
}

fn delegate(chain: &Chain, at: usize) -> Option<(usize, usize)> {
    let calls = &chain.hop(at)?.side_calls;
    let status = |i: &usize| calls.get(*i).and_then(|c| c.exchange.response.as_ref());
    let refused = (0..calls.len())
        .rev()
        .find(|i| status(i).is_some_and(|r| matches!(r.status, 401 | 403)));
    let failed = (0..calls.len())
        .rev()
        .find(|i| status(i).is_none_or(|r| r.status >= 500));
    refused.or(failed).map(|i| (at, i))
}

/// What the answer itself says of its maker, where the other side of the hop is not looked at.
fn by_marks(chain: &Chain, evidence: &[Evidence], at: usize, weakest: Strength) -> Found {
    let mut found = Found {
        at,
        ..Found::default()
    };
    let Some(hop) = chain.hop(at) else {
        return found;
    };
    let marks = Marks::of(evidence, at);
    let sure = |mark: &Mark<'_>| match (weakest, mark.strength) {
        (Strength::Weak, _) | (_, Strength::Weak | Strength::Fair) => Confidence::Possible,
        _ => Confidence::Likely,
    };
    let of = |hop, mark: &Mark<'_>| Issuer {
        hop,
        product: Some(mark.product.clone()),
        confidence: sure(mark),
    };
    if hop.server().is_some() {
        // The process is known, so the mark of another product came from behind it.
        let Some(maker) = marks.maker_behind_process() else {
            return found;
        };
        found.issuer = of(None, maker);
        found.handling = Handling::Relayed;
        found.reasons.push(maker.evidence.fact.clone());
        return found;
    }
    let Some(maker) = marks.maker() else {
        if marks.not_generated {
            found.handling = Handling::Relayed;
        }
        return found;
    };
    found.reasons.push(maker.evidence.fact.clone());
    if marks.is_beyond(maker) {
        found.issuer = of(None, maker);
        found.handling = Handling::Relayed;
        return found;
    }
    found.issuer = of(Some(at), maker);
    if matches!(maker.product.kind, Kind::WebServer | Kind::Framework) {
        // The page would look the same had it come from a next hop.
        found.issuer.confidence = found.issuer.confidence.min(Confidence::Possible);
    }
    // A plain proxy leaves no mark: only who sits at an edge, or is a service of its own, is taken
    // for the first.
    if is_edge(maker.product.kind) || maker.product.kind == Kind::AppPlatform {
        found.handling = Handling::Issued;
    }
    found
}

/// Products that sit where a request comes in.
fn is_edge(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::CdnWaf
            | Kind::WafModule
            | Kind::BotManager
            | Kind::RateLimiter
            | Kind::ApiGateway
            | Kind::ReverseProxy
            | Kind::ObjectStore
    )
}

/// A process that runs applications: what it is called says nothing of the product.
fn is_runtime(product: &Product) -> bool {
    matches!(product.kind, Kind::AppPlatform | Kind::Framework)
}

/// The product at a hop that is known to have made the answer.
fn product_here(evidence: &[Evidence], at: usize) -> Option<Product> {
    let marks = Marks::of(evidence, at);
    let maker = marks.maker();
    let inside = |kind| {
        matches!(
            kind,
            Kind::WafModule
                | Kind::BotManager
                | Kind::RateLimiter
                | Kind::ApiGateway
                | Kind::CdnWaf
        )
    };
    match (marks.process, maker) {
        (Some(process), maker) if !is_runtime(process) => match maker {
            // A module or a gateway built on the server.
            Some(m) if inside(m.product.kind) && m.strength >= Strength::Strong => {
                Some(m.product.clone())
            }
            _ => Some(process.clone()),
        },
        (_, Some(m)) if m.strength >= Strength::Fair => Some(m.product.clone()),
        // It is known that this process made it: then what stands under its name runs in it.
        _ => marks
            .passed
            .iter()
            .find(|p| p.kind == Kind::Framework)
            .map(|p| (*p).clone()),
    }
}

/// What the fingerprints say of one answer.
struct Marks<'a> {
    generated: Vec<Mark<'a>>,
    passed: Vec<&'a Product>,
    not_generated: bool,
    process: Option<&'a Product>,
}

struct Mark<'a> {
    evidence: &'a Evidence,
    product: &'a Product,
    strength: Strength,
}

impl<'a> Marks<'a> {
    fn of(evidence: &'a [Evidence], at: usize) -> Self {
        let mut marks = Self {
            generated: Vec::new(),
            passed: Vec::new(),
            not_generated: false,
            process: None,
        };
        for evidence in evidence.iter().filter(|e| e.hop == at) {
            let Some((proves, product)) = &evidence.product else {
                continue;
            };
            match proves {
                Proves::Generated => marks.generated.push(Mark {
                    evidence,
                    product,
                    strength: evidence.strength,
                }),
                Proves::PassedThrough => marks.passed.push(product),
                Proves::NotGenerated => {
                    marks.not_generated = true;
                    marks.passed.push(product);
                }
                Proves::Hint if evidence.id.ends_with("-process") => {
                    marks.process = Some(product);
                }
                Proves::Hint | Proves::Trap => {}
            }
        }
        marks
    }

    /// The product that the strongest mark names. Among equals an edge, which hides what is
    /// behind it; else the innermost, as an application stands on a framework and on a server.
    fn maker(&self) -> Option<&Mark<'a>> {
        self.generated
            .iter()
            .max_by_key(|m| (m.strength, is_edge(m.product.kind), m.product.kind))
    }

    /// The strongest mark of a product that is not the one of the process, where that is known to
    /// be a server and no application.
    fn maker_behind_process(&self) -> Option<&Mark<'a>> {
        let process = self.process.filter(|p| !is_runtime(p))?;
        self.generated
            .iter()
            .filter(|m| m.product.name != process.name && m.strength >= Strength::Strong)
            .max_by_key(|m| (m.strength, is_edge(m.product.kind), m.product.kind))
    }

    /// Whether the answer went through another product after it was made.
    fn is_beyond(&self, maker: &Mark<'_>) -> bool {
        let vendor = |name: &str| name.split(' ').next().map(str::to_owned);
        self.passed
            .iter()
            .any(|p| vendor(&p.name) != vendor(&maker.product.name))
    }
}
