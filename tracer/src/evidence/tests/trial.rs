//! Builders for the tests of gatherers.

use std::sync::Arc;

use super::super::sibling::Sibling;
use super::super::{Gatherer, Scene, Site};
use crate::model::{Chain, Evidence, Exchange, Pace, Preflight};
use crate::testing::{exchange, request_bytes, response};

/// An answer without anything to tell.
pub(in crate::evidence) const ANSWER: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\n";

/// What a gatherer finds about the first hop of this chain.
pub(in crate::evidence) fn gathered(
    gatherer: Gatherer,
    chain: &Chain,
    siblings: &[Exchange],
) -> Vec<Evidence> {
    let siblings: Vec<_> = siblings.iter().cloned().map(sibling).collect();
    let scene = Scene {
        fingerprints: &crate::evidence::fingerprint::Fingerprints::default(),
        chain,
        siblings: &siblings,
        pace: Pace::default(),
        preflight: Preflight::default(),
    };
    let gather = || {
        let mut evidence = Vec::new();
        (gatherer.gather)(&scene, &site(chain, chain.reported_at()), &mut evidence);
        evidence
    };
    let evidence = gather();
    // What is remembered from the second time on is what was found.
    for _ in 0..2 {
        assert_eq!(gather(), evidence);
    }
    evidence
}

/// The hop at this place of a chain.
pub(in crate::evidence) fn site(chain: &Chain, at: usize) -> Site<'_> {
    Site::of(at, chain.hop(at).unwrap())
}

/// An exchange that passed.
pub(in crate::evidence) fn sibling(exchange: Exchange) -> Arc<Sibling> {
    Sibling::of(exchange.into()).into()
}

/// A refused POST to `/orders` with these header lines and this body.
pub(in crate::evidence) fn post(fields: &str, body: &[u8]) -> Exchange {
    to("/orders", fields, body)
}

/// As [`post`], to this target.
pub(in crate::evidence) fn to(target: &str, fields: &str, body: &[u8]) -> Exchange {
    let head = format!("POST {target} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n");
    exchange(
        request_bytes(head.as_bytes(), body),
        response(ANSWER, b"forbidden"),
    )
}

/// A POST answered with these header lines and this body.
pub(in crate::evidence) fn answer(fields: &str, body: &[u8]) -> Exchange {
    let head = format!("HTTP/1.1 403 Forbidden\r\n{fields}\r\n");
    exchange(
        request_bytes(b"POST /orders HTTP/1.1\r\nHost: shop.example\r\n\r\n", b""),
        crate::testing::response_bytes(head.as_bytes(), body),
    )
}

/// The evidence of this id, where there is some.
pub(in crate::evidence) fn of<'e>(evidence: &'e [Evidence], id: &str) -> Option<&'e Evidence> {
    evidence.iter().find(|e| e.id == id)
}
