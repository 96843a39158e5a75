//! Two hundred ordinary answers that came through a CDN or a gateway's edge, with its headers and
//! cookies on them: none of them may be blamed on the edge.

#![allow(clippy::unwrap_used, reason = "a test and its helpers")]

use std::path::Path;

use serde::Deserialize;
use tracer403::diagnose;
use tracer403::evidence::fingerprint::{Fingerprints, raw};
use tracer403::evidence::{self, Scene};
use tracer403::model::{Chain, Kind, Pace, Preflight, Verdict};

/// One answer: a line of `stages/ordinary.jsonl`.
#[derive(Deserialize)]
struct Fixture {
    name: String,
    /// What it came through.
    edge: String,
    head: String,
    body: String,
}

#[test]
fn no_edge_is_blamed_for_what_it_passed_on() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("stages/ordinary.jsonl");
    let text = std::fs::read_to_string(file).unwrap();
    let fingerprints = Fingerprints::built_in().unwrap();
    let (mut count, mut blamed) = (0, Vec::new());
    for line in text.lines() {
        let fixture: Fixture = serde_json::from_str(line).unwrap();
        count += 1;
        let verdict = verdict(&fixture, &fingerprints);
        if let Some(product) = &verdict.issuer.product {
            let vendor = fixture.edge.split(' ').next().unwrap_or_default();
            let is_edge = matches!(product.kind, Kind::CdnWaf | Kind::BotManager);
            if is_edge || product.name.starts_with(vendor) {
                blamed.push(format!("{}: {} is blamed", fixture.name, product.name));
            }
        }
    }
    assert!(count >= 200, "only {count} fixtures");
    assert!(blamed.is_empty(), "{}", blamed.join("\n"));
}

/// As the client of a server on another host sees it.
fn verdict(fixture: &Fixture, fingerprints: &Fingerprints) -> Verdict {
    let request = "POST /orders HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    let text = format!("{request}\n---\n{}{}", fixture.head, fixture.body);
    let exchange = raw::exchange(text.as_bytes()).unwrap();
    assert!(exchange.response.is_some(), "{}", fixture.name);
    let chain = Chain::of(exchange);
    let evidence = evidence::gather(&Scene {
        fingerprints,
        chain: &chain,
        siblings: &[],
        pace: Pace::default(),
        preflight: Preflight::default(),
    });
    diagnose::verdict(&chain, &evidence)
}
