//! When the answer came, beside the body of the request.

use std::time::Duration;

use super::note::Notes;
use super::{Gatherer, Scene, Site};
use crate::model::{Evidence, Exchange, MessageEnd, Request, Response, Strength};

/// Looks at the times of a hop.
pub(super) const GATHERER: Gatherer = Gatherer {
    topic: "timing",
    gather,
};

fn gather(_: &Scene<'_>, site: &Site<'_>, evidence: &mut Vec<Evidence>) {
    let exchange = &site.hop.exchange;
    let (Some(request), Some(response)) = (&exchange.request, &exchange.response) else {
        return;
    };
    let notes = &mut Notes::new(site.at, evidence);
    if let Some(fact) = before_body(exchange, request) {
        notes.add("timing.before_body", Strength::Fair, None, None, fact);
    } else if let Some(wait) = after_body(request, response) {
        let fact = format!(
            "The answer came {:.1} ms after the last byte of the body, which had come after the head.",
            wait.as_secs_f64() * 1000.0
        );
        notes.add("timing.after_body", Strength::Weak, None, None, fact);
    }
}

/// Whether the answer came before the body was in: what was refused is in the head, then.
fn before_body(exchange: &Exchange, request: &Request) -> Option<&'static str> {
    let head = &request.message.head;
    let expects = head
        .values("expect")
        .any(|value| value.eq_ignore_ascii_case(b"100-continue"));
    let continued = exchange.interim.iter().any(|r| r.status == 100);
    // Nothing of the body was ever sent; bytes that the capture lost count as sent.
    let withheld = expects && !continued && request.message.body.wire_len() == 0;
    // Where the capture has a hole, the end of the body may be in it.
    let whole = !matches!(request.message.end, MessageEnd::Gap(_));
    let early = (exchange.answered_early() == Some(true) && whole) || withheld;
    if !early || !is_awaited(request) {
        None
    } else if withheld {
        Some("The answer came instead of 100 Continue, before the body was sent.")
    } else {
        Some("The answer came before the body of the request was in.")
    }
}

/// Whether the head announces a body.
fn is_awaited(request: &Request) -> bool {
    use crate::model::Framing::{Chunked, Length};
    match request.message.body.framing {
        Length(length) => length > 0,
        Chunked => true,
        _ => false,
    }
}

/// How long the answer took after the last byte of a body that came on its own.
fn after_body(request: &Request, response: &Response) -> Option<Duration> {
    let message = &request.message;
    let end = message.ended_at?;
    let own = end > message.head_at && message.body.seen > 0;
    let after = response.message.started_at > end;
    (own && after).then(|| response.message.started_at.since(end))
}

#[cfg(test)]
mod tests {
    use super::super::tests::trial::{gathered, post};
    use super::*;
    use crate::model::{Anomaly, Chain, Framing};
    use crate::testing::{START, response, with_anomaly};

    fn ids(exchange: Exchange) -> Vec<String> {
        let evidence = gathered(GATHERER, &Chain::of(exchange), &[]);
        evidence.into_iter().map(|e| e.id.into_owned()).collect()
    }

    #[test]
    fn after_a_body_that_came_on_its_own() {
        assert_eq!(ids(post("", b"a=1")), ["timing.after_body"]);
        let mut at_once = post("", b"a=1");
        let message = &mut at_once.request.as_mut().unwrap().message;
        message.ended_at = Some(message.head_at);
        assert!(ids(at_once).is_empty());
        assert!(ids(post("", b"")).is_empty());
    }

    #[test]
    fn before_the_body_was_in() {
        let early = with_anomaly(post("", b"a=1"), Anomaly::EarlyResponse);
        assert_eq!(ids(early), ["timing.before_body"]);
        // Odd, but nothing was awaited.
        let bodiless = with_anomaly(post("", b""), Anomaly::EarlyResponse);
        assert!(ids(bodiless).is_empty());
    }

    #[test]
    fn what_the_capture_lost_is_not_early() {
        let mut exchange = post("", b"a=1");
        let message = &mut exchange.request.as_mut().unwrap().message;
        (message.body.lost, message.body.seen) = (3, 0);
        message.ended_at = None;
        assert!(ids(exchange.clone()).is_empty());
        let message = &mut exchange.request.as_mut().unwrap().message;
        message.end = MessageEnd::Gap(crate::model::GapKind::Lost);
        assert!(ids(with_anomaly(exchange, Anomaly::EarlyResponse)).is_empty());
    }

    #[test]
    fn instead_of_100_continue() {
        let mut exchange = post("Expect: 100-Continue\r\n", b"");
        let message = &mut exchange.request.as_mut().unwrap().message;
        message.body.framing = Framing::Length(100);
        message.ended_at = None;
        let evidence = gathered(GATHERER, &Chain::of(exchange.clone()), &[]);
        assert!(evidence[0].fact.contains("instead of 100 Continue"));
        let mut interim = response("HTTP/1.1 100 Continue\r\n\r\n", b"");
        interim.message.started_at = START;
        exchange.interim.push(interim);
        assert!(ids(exchange.clone()).is_empty());
        let mut exchange = with_anomaly(exchange, Anomaly::EarlyResponse);
        exchange.request.as_mut().unwrap().message.body.seen = 10;
        let evidence = gathered(GATHERER, &Chain::of(exchange), &[]);
        assert!(!evidence[0].fact.contains("instead"));
    }
}
