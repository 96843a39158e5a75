//! What the refusal itself says: its words, its challenge, its limits, and whom to ask about it.

pub(super) mod reference;
mod words;

use super::names::{Kind, Kinds};
use super::note::{Notes, answered};
use super::parts::field;
use super::text::{holds, lower};
use super::{Gatherer, Scene, Site};
use crate::model::{CauseId, Evidence, Exchange, MessageEnd, Part, Response, Strength};

/// The field with a time to wait.
const RETRY_AFTER: &str = "retry-after";

/// Looks at the refusal of a hop.
pub(super) const GATHERER: Gatherer = Gatherer {
    topic: "response",
    gather,
};

fn gather(_: &Scene<'_>, site: &Site<'_>, evidence: &mut Vec<Evidence>) {
    let exchange = &site.hop.exchange;
    let Some(response) = exchange.response.as_deref().filter(|r| r.status >= 400) else {
        return;
    };
    let notes = &mut Notes::new(site.at, evidence);
    challenge(response, notes);
    rate(response, notes);
    emptiness(response, notes);
    no_cors(exchange, response, notes);
    words::gather(response, notes);
    reference::gather(response, notes);
}

/// `WWW-Authenticate` (RFC 9110 section 11.6.1), with the errors of RFC 6750 section 3.1.
fn challenge(response: &Response, notes: &mut Notes<'_>) {
    let Some((at, value)) = field(&response.message.head, "www-authenticate") else {
        return;
    };
    let value: Vec<u8> = value
        .iter()
        .filter(|b| !matches!(b, b'"' | b' ' | b'\t'))
        .copied()
        .collect();
    let (id, strength, cause, says) = if holds(&value, "error=insufficient_scope") {
        (
            "response.challenge_scope",
            Strength::Strong,
            CauseId::ApiKeyScope,
            "that the token's scope does not suffice",
        )
    } else if holds(&value, "error=invalid_token") {
        (
            "response.challenge_token",
            Strength::Strong,
            CauseId::ApiKeyInvalid,
            "that the token is not valid",
        )
    } else {
        (
            "response.challenge",
            Strength::Fair,
            CauseId::ApiKeyMissing,
            "how to authenticate",
        )
    };
    let at = answered(Part::Field(at));
    notes.add(
        id,
        strength,
        cause,
        at,
        format!("WWW-Authenticate says {says}."),
    );
}

/// Whether a field of this name, in lower case, tells of a limit of requests.
pub(in crate::evidence) fn is_limit(name: &str) -> bool {
    name == RETRY_AFTER || name.contains("ratelimit") || name.contains("rate-limit")
}

/// A time to wait, or an allowance that is used up.
fn rate(response: &Response, notes: &mut Notes<'_>) {
    let fields = response.message.head.fields().enumerate();
    let mut limits = fields.filter(|(_, f)| Kinds::of(f.name).has(Kind::LimitHeader));
    let limit = limits.find_map(|(index, f)| {
        let name = lower(f.name, 64);
        let says = if name == RETRY_AFTER {
            // Some edges write 0 on every page that they make themselves.
            !f.value.is_empty() && f.value != b"0"
        } else if name.contains("remaining") {
            leading_number(f.value) == Some(0)
        } else {
            // `RateLimit: "default";r=0;t=30`, and the older `limit=10, remaining=0, reset=3`.
            parameter(f.value, &["r", "remaining"]) == Some(0)
        };
        says.then_some((index, name))
    });
    if let Some((index, name)) = limit {
        let says = if name == RETRY_AFTER {
            "tells when to try again"
        } else {
            "says that nothing remains of the allowance"
        };
        notes.add(
            "response.rate_headers",
            Strength::Strong,
            CauseId::RateLimit,
            answered(Part::Field(index)),
            format!("The field {name} {says}."),
        );
    }
}

fn emptiness(response: &Response, notes: &mut Notes<'_>) {
    let message = &response.message;
    if message.body.wire_len() == 0 && message.end == MessageEnd::Complete {
        notes.add(
            "response.empty",
            Strength::Weak,
            None,
            None,
            "The refusal has no content.",
        );
    }
}

fn no_cors(exchange: &Exchange, response: &Response, notes: &mut Notes<'_>) {
    let asked = exchange
        .request
        .as_ref()
        .is_some_and(|r| r.message.head.value("origin").is_some());
    let head = &response.message.head;
    if asked && head.value("access-control-allow-origin").is_none() {
        notes.add(
            "response.no_cors",
            Strength::Weak,
            None,
            None,
            "The request has an Origin, and the answer no Access-Control-Allow-Origin: a browser \
             keeps it from the page.",
        );
    }
}

/// The number that a value begins with.
fn leading_number(value: &[u8]) -> Option<u64> {
    let digits = value.iter().take_while(|b| b.is_ascii_digit()).count();
    let digits = value.get(..digits)?;
    // `0.5` of a token bucket is still something.
    let fraction = value.get(digits.len()) == Some(&b'.');
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (!fraction).then_some(number)
}

/// The number of the first parameter with one of these names.
fn parameter(value: &[u8], names: &[&str]) -> Option<u64> {
    value
        .split(|b| matches!(b, b';' | b','))
        .map(<[u8]>::trim_ascii)
        .find_map(|pair| {
            let at = pair.iter().position(|b| *b == b'=')?;
            let (name, number) = pair.split_at_checked(at)?;
            let named = names
                .iter()
                .any(|n| name.eq_ignore_ascii_case(n.as_bytes()));
            named.then(|| leading_number(number.get(1..)?.trim_ascii()))?
        })
}

#[cfg(test)]
mod tests;
