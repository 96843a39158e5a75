//! Where the page that made the request comes from: `Origin`, `Referer`, `Sec-Fetch-Site`.

use std::borrow::Cow;

use super::super::note::{Notes, asked, quote};
use super::super::parts::Parts;
use super::super::text::{authority, comparable_host, holds};
use super::super::{Scene, Site};
use crate::limits::PREFLIGHT_WAIT;
use crate::model::{CauseId, Hop, Part, Preflight, Strength};

/// Compares what the browser says with the host that this hop was asked for.
pub(super) fn gather(scene: &Scene<'_>, site: &Site<'_>, parts: &Parts<'_>, notes: &mut Notes<'_>) {
    let outer = || outer_hosts(scene, site.at);
    origin(parts, outer, notes);
    referer(parts, outer, notes);
    if let Some((at, site)) = parts.field("sec-fetch-site")
        && matches!(site, b"cross-site" | b"same-site")
    {
        notes.add(
            "request.cross_site",
            Strength::Weak,
            None,
            asked(Part::Field(at)),
            format!(
                "The browser calls it a {} request.",
                String::from_utf8_lossy(site)
            ),
        );
    }
    if let Some((at, method)) = parts.field("access-control-request-method")
        && parts.request.method() == b"OPTIONS"
    {
        notes.add(
            "request.preflight",
            Strength::Fair,
            CauseId::CorsPolicy,
            asked(Part::Field(at)),
            format!(
                "It is a browser's question whether {} is allowed.",
                quote(method)
            ),
        );
    }
    if scene.is_reported(site) {
        preflight(scene.preflight, parts, notes);
    }
}

/// The preflight of this request, or the request that this preflight asks for.
fn preflight(known: Preflight, parts: &Parts<'_>, notes: &mut Notes<'_>) {
    let it = || {
        let method = parts.field("access-control-request-method");
        method.map_or_else(|| "request".to_owned(), |(_, method)| quote(method))
    };
    let seconds = PREFLIGHT_WAIT.as_secs();
    let open = |why: &str| {
        let it = it();
        let untold = format!("Whether the {it} that it asks for came all the same cannot be told");
        ("request.preflight_open", format!("{untold}: {why}."))
    };
    let (id, fact) = match known {
        Preflight::NotSeen => return,
        Preflight::Followed => (
            "request.preflight_followed",
            format!(
                "The {} that it asks for came all the same, from the same sender: no browser sends \
                 it after a refusal.",
                it()
            ),
        ),
        Preflight::Unfollowed => (
            "request.preflight_unfollowed",
            format!(
                "The {} that it asks for never came here: not within {seconds} s, and nothing is \
                 known to be lost. A browser gives up where its question is refused.",
                it()
            ),
        ),
        Preflight::Ended => open(&format!("it was not watched for {seconds} s after")),
        Preflight::Lost => open("something was lost, or could not be read, meanwhile"),
        Preflight::Partial => open("the capture holds only some of the requests"),
        Preflight::Refused => (
            "request.preflight_refused",
            "The preflight for it was refused just before: no browser sends it then.".to_owned(),
        ),
        Preflight::Allowed => (
            "request.preflight_allowed",
            "The preflight for it was allowed just before, for this Origin.".to_owned(),
        ),
    };
    notes.add(id, Strength::Weak, None, None, fact);
}

fn origin<'a>(parts: &Parts<'_>, outer: impl Fn() -> Vec<Cow<'a, str>>, notes: &mut Notes<'_>) {
    let Some((field, origin)) = parts.field("origin") else {
        return;
    };
    let at = asked(Part::Field(field));
    if origin == b"null" {
        let fact = "The Origin is null: a sandboxed page, a file, or a redirect across sites.";
        notes.add("request.origin_null", Strength::Weak, None, at, fact);
        return;
    }
    let hosts = hosts(parts);
    let Some((from, first)) = authority(origin).zip(hosts.first()) else {
        return;
    };
    let host = comparable_host(from);
    if !hosts.contains(&host) {
        let (cause, why) = if outer().contains(&host) {
            // The client was right: a proxy changed the host on the way.
            (CauseId::CsrfToken, ": a proxy in front changed the Host")
        } else {
            (CauseId::CorsPolicy, "")
        };
        notes.add(
            "request.origin_foreign",
            Strength::Weak,
            cause,
            at,
            format!(
                "The Origin is of the host {}, but the request is for {}{why}.",
                quote(from),
                quote(first.as_bytes())
            ),
        );
    } else if origin
        .get(..8)
        .is_some_and(|s| s.eq_ignore_ascii_case(b"https://"))
        && !said_to_be_https(parts)
    {
        notes.add(
            "request.origin_scheme",
            Strength::Fair,
            CauseId::CsrfToken,
            at,
            "The Origin says https, but this hop got plain http and no X-Forwarded-Proto: https; \
             the proxy in front does not say that it ended TLS.",
        );
    }
}

fn referer<'a>(parts: &Parts<'_>, outer: impl Fn() -> Vec<Cow<'a, str>>, notes: &mut Notes<'_>) {
    let Some((field, referer)) = parts.field("referer") else {
        let fact = "The request has no Referer.";
        notes.add("request.referer_missing", Strength::Weak, None, None, fact);
        return;
    };
    let Some(from) = authority(referer) else {
        return;
    };
    let host = comparable_host(from);
    let hosts = hosts(parts);
    if !hosts.is_empty() && !hosts.contains(&host) && !outer().contains(&host) {
        notes.add(
            "request.referer_foreign",
            Strength::Weak,
            CauseId::HotlinkReferer,
            asked(Part::Field(field)),
            format!("The Referer is a page of another host, {}.", quote(from)),
        );
    }
}

/// The hosts that the request was made for, as far as this hop is told.
fn hosts<'a>(parts: &Parts<'a>) -> Vec<Cow<'a, str>> {
    let forwarded = parts
        .values("x-forwarded-host")
        .chain(parts.values("x-original-host"))
        .flat_map(|value| value.split(|b| *b == b','));
    let parameters = parts.values("forwarded").flat_map(|value| {
        value
            .split(|b| matches!(b, b',' | b';'))
            .map(<[u8]>::trim_ascii)
            .filter_map(|p| p.split_at_checked(5))
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"host="))
            .map(|(_, host)| host.trim_ascii())
            .map(|host| {
                let host = host.strip_prefix(b"\"").unwrap_or(host);
                host.strip_suffix(b"\"").unwrap_or(host)
            })
    });
    parts
        .request
        .host()
        .into_iter()
        .chain(forwarded)
        .chain(parameters)
        .take(8)
        .map(comparable_host)
        .filter(|host| !host.is_empty())
        .collect()
}

/// The hosts that the hops nearer to the client were asked for.
fn outer_hosts<'a>(scene: &Scene<'a>, index: usize) -> Vec<Cow<'a, str>> {
    let host = |hop: &'a Hop| {
        let request = hop.exchange.request.as_deref()?;
        request.host().map(comparable_host)
    };
    scene.chain.hops().take(index).filter_map(host).collect()
}

/// Whether a proxy in front says that the client came by TLS.
fn said_to_be_https(parts: &Parts<'_>) -> bool {
    let says = |name: &str, word: &str| parts.values(name).any(|value| holds(value, word));
    says("x-forwarded-proto", "https")
        || says("x-forwarded-protocol", "https")
        || says("x-forwarded-scheme", "https")
        || says("x-scheme", "https")
        || says("x-url-scheme", "https")
        || says("cloudfront-forwarded-proto", "https")
        || says("cf-visitor", "https")
        || says("x-forwarded-ssl", "on")
        || says("front-end-https", "on")
        || says("forwarded", "proto=https")
        || says("forwarded", "proto=\"https")
}
