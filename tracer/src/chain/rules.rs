//! The rules by which an exchange is known to have been made for another.

use crate::model::{Exchange, Link, LinkRule, Owner, OwnerQuality, Strength};

use super::likeness::{Likeness, REQUEST_ID, TRACEPARENT};

/// One way to know that two exchanges belong together.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Which one.
    pub rule: LinkRule,
    /// What it says, for people.
    pub says: &'static str,
    /// How sure it is by itself, where it holds.
    holds: fn(&Exchange, &Exchange, &Likeness) -> Option<Strength>,
}

/// The rules; the first that holds counts.
pub const RULES: &[Rule] = &[
    Rule {
        rule: LinkRule::SameProcess,
        says: "the process that served the one made the other meanwhile",
        holds: same_process,
    },
    Rule {
        rule: LinkRule::RequestId,
        says: "both carry the same request id or trace id",
        holds: |_, _, like| like.same_id.then_some(Strength::Strong),
    },
    Rule {
        rule: LinkRule::SameContent,
        says: "both have the same method, path and content, one within the other",
        holds: same_content,
    },
    Rule {
        rule: LinkRule::ForwardedFor,
        says: "the inner one names the outer one's client",
        holds: |_, _, like| (like.names_client && like.score >= 6).then_some(Strength::Fair),
    },
];

/// Whether times and processes allow `inner` to be a part of `outer`: what costs least to ask, and
/// rules out most.
pub(super) fn allow(outer: &Exchange, inner: &Exchange) -> bool {
    nested(outer, inner) && may_be_same_process(outer, inner)
}

/// The rule that makes `inner` a part of `outer`, where they [`allow`] it, and how sure it is.
pub(super) fn judge(
    outer: &Exchange,
    inner: &Exchange,
    like: &Likeness,
) -> Option<(LinkRule, Strength)> {
    RULES
        .iter()
        .find_map(|rule| Some((rule.rule, (rule.holds)(outer, inner, like)?)))
}

/// Whether the inner request began after the outer one, and was answered before it was.
///
/// Strictly so, as both are stamped by one clock, and so that no two can each be within the other:
/// where the capture's clock is too coarse, the connection that was seen first is the outer one.
fn nested(outer: &Exchange, inner: &Exchange) -> bool {
    let (Some(a), Some(b)) = (&outer.request, &inner.request) else {
        return false;
    };
    let began = (a.message.started_at, outer.conn) < (b.message.started_at, inner.conn);
    let ended = match (&outer.response, &inner.response) {
        (Some(a), Some(b)) => b.message.started_at <= a.message.started_at,
        // Never answered: it must have been asked before the outer answer.
        (Some(a), None) => b.message.started_at <= a.message.started_at,
        (None, _) => true,
    };
    began && ended
}

/// What is left of a strength where so many other requests could as well have been the cause.
pub fn weakened(strength: Strength, rivals: u32) -> Strength {
    match rivals {
        0 => strength,
        1..=3 => strength.min(Strength::Fair),
        _ => strength.min(Strength::Weak),
    }
}

/// Exchanges were left out of the capture meanwhile: one of them may be what the inner one was made
/// for, unless the two carry the same id.
pub fn doubt(link: &mut Link) {
    let has_id = |word: &&str| matches!(*word, REQUEST_ID | TRACEPARENT);
    if !link.agree.iter().any(has_id) {
        link.ambiguous_with = link.ambiguous_with.max(1);
        link.strength = weakened(link.strength, link.ambiguous_with);
    }
}

/// The process that serves the outer exchange and the one that asks in the inner one are the same,
/// where both are known.
///
/// Else two requests to the same server are two requests, however alike: a client sent the second one
/// before the first was answered.
fn may_be_same_process(outer: &Exchange, inner: &Exchange) -> bool {
    match (&outer.server.owner, &inner.client.owner) {
        (Some(server), Some(client)) => is_same(server, client),
        _ if outer.server.addr == inner.server.addr => false,
        _ => {
            outer.server.addr.ip().is_loopback() == inner.client.addr.ip().is_loopback()
                || outer.server.owner.is_none()
        }
    }
}

/// Whether the same process makes both, as far as is known.
pub(super) fn same_client(a: &Exchange, b: &Exchange) -> bool {
    match (&a.client.owner, &b.client.owner) {
        (Some(a), Some(b)) => is_same(a, b),
        _ => a.client.addr.ip() == b.client.addr.ip(),
    }
}

fn same_process(outer: &Exchange, inner: &Exchange, like: &Likeness) -> Option<Strength> {
    let server = outer.server.owner.as_ref()?;
    let client = inner.client.owner.as_ref()?;
    if !is_same(server, client) {
        return None;
    }
    let is_exact = |o: &Owner| o.quality == OwnerQuality::Exact;
    Some(match is_exact(server) && is_exact(client) {
        true => Strength::Strong,
        false if like.score >= 4 => Strength::Strong,
        false => Strength::Fair,
    })
}

fn same_content(_: &Exchange, _: &Exchange, like: &Likeness) -> Option<Strength> {
    let has_path = like.agree.iter().any(|word| word.ends_with("path"));
    (like.same_body && has_path && like.score >= 8).then_some(Strength::Fair)
}

fn is_same(a: &Owner, b: &Owner) -> bool {
    a.pid == b.pid
        && (a.started_at == b.started_at || a.started_at.is_none() || b.started_at.is_none())
}
