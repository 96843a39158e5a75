//! What each hop did with the request and the answer, as seen on both sides of it.

use super::{Gatherer, Scene, Site};
use crate::model::{
    Asked, Body, CauseId, Evidence, Exchange, Hop, Message, Part, Side, SideCall, Span, Strength,
};

/// Whom the server of a hop asked, and what became of the answer.
pub(super) const GATHERER: Gatherer = Gatherer {
    topic: "chain",
    gather,
};

fn gather(scene: &Scene<'_>, site: &Site<'_>, out: &mut Vec<Evidence>) {
    let Site { at, hop, .. } = *site;
    let name = || hop.server_name();
    let mut add = |id: &'static str, strength, span, cause, fact| {
        out.push(Evidence {
            id: id.into(),
            hop: at,
            fact,
            strength,
            cause,
            product: None,
            span,
        });
    };
    if let Some(next) = scene.chain.hop(at + 1) {
        let (id, fact) = relation(hop, next);
        let strength = next
            .link
            .as_ref()
            .map_or(Strength::Weak, |link| link.strength);
        add(id, strength, Some(STATUS), None, fact);
        return;
    }
    let judged = |call: &&SideCall| matches!(status(&call.exchange), Some(401 | 403));
    if let Some(call) = hop.side_calls.iter().rfind(judged) {
        let fact = format!(
            "{} asked {} meanwhile ({}), which answered {}.",
            name(),
            call.exchange.server.addr,
            line(&call.exchange),
            status(&call.exchange).unwrap_or_default()
        );
        let cause = Some(CauseId::GatewayPolicy);
        add(
            "chain.side_call_refused",
            call.link.strength,
            None,
            cause,
            fact,
        );
        return;
    }
    let failed = |call: &&SideCall| status(&call.exchange).is_none_or(|s| s >= 500);
    if let Some(call) = hop.side_calls.iter().rfind(failed) {
        let how = status(&call.exchange).map_or_else(
            || "gave no answer".to_owned(),
            |status| format!("answered {status}"),
        );
        let fact = format!(
            "{} asked {} meanwhile ({}), which {how}.",
            name(),
            call.exchange.server.addr,
            line(&call.exchange)
        );
        add(
            "chain.side_call_failed",
            call.link.strength.min(Strength::Fair),
            None,
            Some(CauseId::GatewayPolicy),
            fact,
        );
        return;
    }
    if hop.asked == Asked::Nobody {
        let (id, whom) = match hop.side_calls.len() {
            0 => ("chain.asked_nobody", "asked nobody".to_owned()),
            1 => (
                "chain.not_refused_elsewhere",
                "asked one that did not refuse, and nobody else,".to_owned(),
            ),
            n => (
                "chain.not_refused_elsewhere",
                format!("made {n} calls that were not refused, and no others,"),
            ),
        };
        let fact = format!(
            "{} {whom} between this request and its answer: its process was watched all the time, \
             and nothing was lost.",
            name()
        );
        add(id, Strength::Strong, None, None, fact);
    }
}

const STATUS: Span = Span {
    message: Side::Response,
    part: Part::StartLine,
};

fn relation(hop: &Hop, next: &Hop) -> (&'static str, String) {
    let (here, there) = (hop.status(), next.status());
    let (name, peer) = (hop.server_name(), next.exchange.server.addr);
    let Some(there) = there else {
        return (
            "chain.no_answer",
            format!("{name} passed the request on to {peer}, which gave no answer."),
        );
    };
    if here != Some(there) {
        return (
            "chain.replaced_status",
            format!("{name} passed the request on to {peer}, which answered {there}."),
        );
    }
    if same_content(&hop.exchange, &next.exchange) {
        return (
            "chain.relayed",
            format!("{name} passed the request on to {peer}, which gave the same answer."),
        );
    }
    (
        "chain.replaced_body",
        format!(
            "{name} passed the request on to {peer}, which answered {there} with another body."
        ),
    )
}

fn same_content(a: &Exchange, b: &Exchange) -> bool {
    let (Some(a), Some(b)) = (&a.response, &b.response) else {
        return false;
    };
    let (x, y) = (content(&a.message), content(&b.message));
    // Only the beginning may have been kept, and a hop may have been cut earlier than the other.
    let common = x.len().min(y.len());
    let whole = |m: &Message| m.body.lost == 0 && m.body.skipped == 0;
    let lengths_agree = x.len() == y.len() || !whole(&a.message) || !whole(&b.message);
    lengths_agree && x.get(..common) == y.get(..common)
}

fn content(message: &Message) -> &[u8] {
    let Body { kept, decoded, .. } = &message.body;
    decoded.as_ref().map_or(kept, |d| &d.bytes)
}

fn status(exchange: &Exchange) -> Option<u16> {
    exchange.response.as_ref().map(|r| r.status)
}

fn line(exchange: &Exchange) -> String {
    exchange.request.as_ref().map_or_else(String::new, |r| {
        format!(
            "{} {}",
            String::from_utf8_lossy(r.method()),
            String::from_utf8_lossy(r.target())
        )
    })
}
