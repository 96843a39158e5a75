//! Which hop made the refusal, how it came to the client, and what product that is.
//!
//! Rules, in this order, from the reported hop inwards:
//!
//! 1. The next hop gave the same answer: it was relayed; go on with the next hop.
//! 2. The next hop refused with another body: this hop replaced it; go on with the next hop.
//! 3. The next hop answered with another status: this hop made the refusal.
//! 4. A side call was refused, or failed: this hop made the refusal, and had asked somebody.
//! 5. The process asked nobody: this hop made the refusal.
//! 6. Else only what the answer itself says of its maker is left ([`by_marks`]).
//!
//! The confidence is that of the weakest link on the way. Only what both sides of a hop show can
//! be proven: headers alone never are.

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
    let mut found = Found {
        at: first,
        ..Found::default()
    };
    let mut weakest = Strength::Proof;
    loop {
        let at = found.at;
        let here = |id: &str| evidence.iter().find(|e| e.hop == at && e.id == id);
        let is_first = at == first;
        let (handling, step, fact) = if let Some(e) = here("chain.relayed") {
            (Handling::Relayed, Step::Inwards, e)
        } else if let Some(e) = here("chain.replaced_body") {
            (Handling::Replaced, Step::Inwards, e)
        } else if let Some(e) = here("chain.replaced_status") {
            (Handling::Replaced, Step::Here, e)
        } else if let Some(e) =
            here("chain.side_call_refused").or_else(|| here("chain.side_call_failed"))
        {
            found.delegate = delegate(chain, at);
            (Handling::Delegated, Step::Here, e)
        } else if let Some(e) = here("chain.asked_nobody") {
            (Handling::Issued, Step::Here, e)
        } else {
            by_marks(chain, evidence, weakest, is_first, &mut found);
            return found;
        };
        weakest = weakest.min(fact.strength);
        found.reasons.push(fact.fact.clone());
        if is_first {
            found.handling = handling;
        }
        match step {
            Step::Inwards => found.at += 1,
            Step::Here => {
                found.issuer = Issuer {
                    hop: Some(at),
                    product: product_here(chain, evidence, at),
                    confidence: match weakest {
                        Strength::Proof | Strength::Strong => Confidence::Proven,
                        Strength::Fair => Confidence::Likely,
                        Strength::Weak => Confidence::Possible,
                    },
                };
                return found;
            }
        }
    }
}

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

/// What the answer itself says of its maker, where the other side of the last hop was not seen.
fn by_marks(
    chain: &Chain,
    evidence: &[Evidence],
    weakest: Strength,
    is_first: bool,
    found: &mut Found,
) {
    let at = found.at;
    let Some(hop) = chain.hop(at) else { return };
    let marks = Marks::of(evidence, at);
    let is_here = hop.server().is_some();
    let cap = if weakest <= Strength::Weak {
        Confidence::Possible
    } else {
        Confidence::Likely
    };
    let strong = |m: &Mark<'_>| m.strength >= Strength::Strong;
    let (issuer, handling) = match marks.maker() {
        // This process is known, so the mark of another product came from behind it.
        Some(maker) if is_here && strong(maker) && !is_of_process(&marks, maker.product) => (
            Issuer {
                hop: None,
                product: Some(maker.product.clone()),
                confidence: cap,
            },
            Handling::Relayed,
        ),
        Some(_) if is_here => (Issuer::default(), Handling::Unknown),
        Some(maker) if marks.is_beyond(maker) => (
            Issuer {
                hop: None,
                product: Some(maker.product.clone()),
                confidence: if strong(maker) {
                    cap
                } else {
                    Confidence::Possible
                },
            },
            Handling::Relayed,
        ),
        Some(maker) => (
            Issuer {
                hop: Some(at),
                product: Some(maker.product.clone()),
                confidence: if strong(maker) {
                    cap
                } else {
                    Confidence::Possible
                },
            },
            // A plain proxy leaves no mark: only who sits at an edge is known to be first.
            if is_edge(maker.product.kind) && strong(maker) {
                Handling::Issued
            } else {
                Handling::Unknown
            },
        ),
        None if !is_here && marks.not_generated => (Issuer::default(), Handling::Relayed),
        None => (Issuer::default(), Handling::Unknown),
    };
    if let Some(maker) = marks.maker() {
        found.reasons.push(maker.evidence.fact.clone());
    }
    found.issuer = issuer;
    if is_first {
        found.handling = handling;
    }
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

fn is_of_process(marks: &Marks<'_>, product: &Product) -> bool {
    marks
        .process
        .is_none_or(|process| is_runtime(process) || process.name == product.name)
}

/// A process that runs applications: what it is called says nothing of the product.
fn is_runtime(product: &Product) -> bool {
    matches!(product.kind, Kind::AppPlatform | Kind::Framework)
}

/// The product at a hop that is known to have made the answer.
fn product_here(chain: &Chain, evidence: &[Evidence], at: usize) -> Option<Product> {
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
        (Some(_), _) => Some(application()),
        (None, _) => chain.hop(at)?.server().map(|_| application()),
    }
}

fn application() -> Product {
    Product {
        name: "application".to_owned(),
        kind: Kind::AppPlatform,
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
                Proves::Hint if evidence.id.starts_with("fingerprint.process-") => {
                    marks.process = Some(product);
                }
                Proves::Hint | Proves::Trap => {}
            }
        }
        marks
    }

    /// The product that the strongest mark names; among equals the outermost kind.
    fn maker(&self) -> Option<&Mark<'a>> {
        self.generated
            .iter()
            .max_by_key(|m| (m.strength, std::cmp::Reverse(m.product.kind)))
    }

    /// Whether the answer went through another product after it was made.
    fn is_beyond(&self, maker: &Mark<'_>) -> bool {
        self.passed.iter().any(|p| p.name != maker.product.name)
    }
}
