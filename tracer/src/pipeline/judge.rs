//! The last step of a case: its evidence and its verdict.

use std::sync::Arc;

use crate::client;
use crate::diagnose;
use crate::evidence::{self, fingerprint::Fingerprints, sibling::Sibling};
use crate::http::body;
use crate::memo::Memo;
use crate::model::{Case, Exchange, Verdict};

use super::Options;
use super::groups::{Shape, Shapes};
use super::siblings::Route;

/// A case without its evidence and verdict.
#[derive(Debug)]
pub struct Unjudged {
    pub(super) case: Case,
    pub(super) route: Option<Route>,
}

/// A case with its evidence and verdict, and its shape.
#[derive(Debug)]
pub struct Judged {
    /// The case, which is in no group yet.
    pub case: Case,
    /// What tells its group.
    pub shape: Shape,
}

/// Judges cases, each by itself. It needs nothing of the pipeline but them, so several can work on
/// threads of their own, in any order.
#[derive(Debug, Default)]
pub struct Judge {
    fingerprints: Arc<Fingerprints>,
    no_verdict: bool,
    /// Bytes of a body that are kept of what its content coding hides.
    body_decoded: usize,
    shapes: Shapes,
    siblings: Memo<Exchange, Sibling>,
}

impl Judge {
    /// A judge that has seen no case.
    pub fn new(options: &Options) -> Self {
        Self {
            fingerprints: Arc::clone(&options.fingerprints),
            no_verdict: options.no_verdict,
            body_decoded: options.limits.body_decoded,
            shapes: Shapes::default(),
            siblings: Memo::default(),
        }
    }

    /// Another judge, who comes to the same verdicts.
    pub fn another(&self) -> Self {
        Self {
            fingerprints: Arc::clone(&self.fingerprints),
            no_verdict: self.no_verdict,
            body_decoded: self.body_decoded,
            shapes: self.shapes.clone(),
            siblings: Memo::default(),
        }
    }

    /// Gathers the evidence and comes to a verdict.
    pub fn judge(&mut self, Unjudged { mut case, route }: Unjudged) -> Judged {
        for hop in case.chain.hops_mut() {
            let calls = hop.side_calls.iter_mut().map(|call| &mut call.exchange);
            for exchange in std::iter::once(&mut hop.exchange).chain(calls) {
                prepare(exchange, self.body_decoded);
            }
        }
        if self.no_verdict {
            case.verdict = Verdict::not_asked_for();
        } else {
            self.weigh(&mut case);
        }
        let shape = self.shapes.of(&case, route);
        Judged { case, shape }
    }

    fn weigh(&mut self, case: &mut Case) {
        let siblings = case.siblings.iter_mut().map(|sibling| {
            let made = self.siblings.of(sibling, |passed| {
                let mut exchange = Exchange::clone(passed);
                prepare(&mut exchange, self.body_decoded);
                Sibling::of(Arc::new(exchange))
            });
            *sibling = Arc::clone(made.exchange());
            made
        });
        let siblings: Vec<_> = siblings.collect();
        let scene = evidence::Scene {
            fingerprints: &self.fingerprints,
            chain: &case.chain,
            siblings: &siblings,
            pace: case.pace,
            preflight: case.preflight,
        };
        case.evidence = evidence::gather(&scene);
        case.verdict = diagnose::verdict(&case.chain, &case.evidence);
    }
}

/// Reads what only a case needs to know of an exchange.
fn prepare(exchange: &mut Exchange, body_decoded: usize) {
    let Exchange {
        request,
        response,
        anomalies,
        ..
    } = exchange;
    let request = request.iter_mut().map(|r| &mut r.message);
    let response = response.iter_mut().map(|r| &mut r.message);
    for message in request.chain(response) {
        if let Some(anomaly) = body::decode_message(message, body_decoded)
            && !anomalies.contains(&anomaly)
        {
            anomalies.push(anomaly);
        }
    }
    exchange.client_addresses = client::addresses(exchange, exchange.proxy_client);
}
