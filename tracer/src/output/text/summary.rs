//! What the session saw, and what it could not see.

use std::fmt::{self, Write};

use jiff::tz::TimeZone;

use super::style::Styles;
use super::{LONGEST_NAME, count, duration, hops, moment, request_and_status, thousands};
use crate::model::{Case, Health, HeldCounts, LossPlace};
use crate::output::escape;
use crate::output::groups::{Groups, Row};

/// Bytes shown of a reason.
const LONGEST: usize = 1024;

pub(super) fn write(out: &mut String, health: &Health, styles: &Styles) -> fmt::Result {
    let Styles { strong, bad, .. } = styles;
    writeln!(out, "{strong}Seen{strong:#}")?;
    let span = match (health.first_at, health.last_at) {
        (Some(first), Some(last)) => format!(" in {}", duration(last.since(first))),
        _ => String::new(),
    };
    writeln!(
        out,
        "  {} ({}){span}, {}",
        count(health.packets, "packet"),
        count(health.bytes, "byte"),
        count(health.connections, "connection"),
    )?;
    writeln!(
        out,
        "  {}, {}, {}; {strong}{}{strong:#}",
        count(health.requests, "request"),
        count(health.responses, "response"),
        count(health.exchanges, "exchange"),
        count(health.cases, "case"),
    )?;
    if let Some(held) = &health.held {
        writeln!(out, "  in the kernel: {}", self::held(held))?;
    }
    let not_seen = not_seen(health);
    if not_seen.is_empty() {
        return writeln!(out, "Nothing is known to be missing.");
    }
    writeln!(out, "{bad}Not seen{bad:#}")?;
    for sentence in not_seen {
        writeln!(out, "  {sentence}")?;
    }
    Ok(())
}

/// The groups of more than one case.
pub(super) fn groups(
    out: &mut String,
    groups: &Groups<String>,
    zone: &TimeZone,
    styles: &Styles,
) -> fmt::Result {
    let Styles { strong, .. } = styles;
    let mut rows = groups.rows().iter().filter(|row| row.group.count > 1);
    let mut row = rows.next();
    if row.is_some() || groups.not_listed() > 0 {
        writeln!(out, "{strong}Cases alike{strong:#}")?;
    }
    while let Some(Row { group, label }) = row {
        writeln!(
            out,
            "  {} like #{}, {} to {}: {label}",
            thousands(group.count),
            group.first_case,
            moment(group.first_at, group.last_at, zone),
            moment(group.last_at, group.last_at, zone),
        )?;
        row = rows.next();
    }
    match groups.not_listed() {
        0 => Ok(()),
        more => writeln!(out, "  {} more not listed", count(more, "group")),
    }
}

/// What a group is called: request, status, issuer and cause of one of its cases.
pub(super) fn label(case: &Case) -> String {
    let mut label = request_and_status(case.exchange());
    let issuer = &case.verdict.issuer;
    if issuer.hop.is_some() || issuer.product.is_some() {
        label.push_str(" by ");
        match (&issuer.product, issuer.hop) {
            (Some(product), _) => {
                label.push_str(&escape::line(product.name.as_bytes(), LONGEST_NAME).to_string());
            }
            (None, hop) => label.push_str(&hops::name(case, hop.unwrap_or_default())),
        }
    }
    if let Some(cause) = case.verdict.cause() {
        label.push_str(", ");
        label.push_str(cause.cause.name());
    }
    label
}

/// A sentence for each thing that is known to be missing, the worst first.
fn not_seen(health: &Health) -> Vec<String> {
    let mut sentences: Vec<String> = health
        .lost
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(place, n)| lost(*place, *n))
        .collect();
    sentences.extend(health.missing.iter().map(|missing| {
        format!(
            "probe `{}` is missing, {} ({})",
            missing.probe,
            missing.costs,
            escape::line(missing.why.as_bytes(), LONGEST)
        )
    }));
    sentences.extend(health.held.iter().flat_map(not_held));
    let rows = [
        (health.gaps, "gap", " in connections"),
        (health.gap_bytes, "byte", " in these gaps"),
        (health.cut, "packet", " captured only in part"),
        (health.malformed, "packet", " that could not be decoded"),
        (
            health.started_in_middle,
            "connection",
            " that had begun before the capture",
        ),
        (
            health.evicted_connections,
            "connection",
            " dropped over --limit-connections",
        ),
        (
            health.evicted_memory,
            "connection",
            " dropped over --limit-memory",
        ),
        (
            health.evicted_bytes,
            "byte",
            " dropped that waited for a gap to fill",
        ),
        (
            health.evicted_packets,
            "packet",
            " left out of -w over --limit-packets",
        ),
        (health.http2, "connection", " of HTTP/2, which is not read"),
        (health.tls, "connection", " of TLS, which is not read"),
        (
            health.tunnels,
            "connection",
            " that became a tunnel (WebSocket, CONNECT)",
        ),
        (health.not_http, "connection", " without HTTP on it"),
        (health.not_tcp, "packet", " of something other than TCP"),
    ];
    sentences.extend(
        rows.into_iter()
            .filter(|(n, ..)| *n > 0)
            .map(|(n, noun, what)| count(n, noun) + what),
    );
    sentences
}

/// What came of the requests that were held in the kernel.
fn held(held: &HeldCounts) -> String {
    format!(
        "{} held, {} let go, {} shipped ({} of them as samples), {} shipped whole",
        count(held.requests, "request"),
        thousands(held.let_go),
        thousands(held.shipped),
        thousands(held.sampled),
        count(held.whole, "connection"),
    )
}

/// What holding requests in the kernel may have hidden.
fn not_held(held: &HeldCounts) -> impl Iterator<Item = String> {
    let rows = [
        (
            held.unanswered(),
            "refusal",
            " at most missed: so many requests had no answer yet, or were pushed out by others \
             (--hold-connections)",
        ),
        (
            held.unheld,
            "answer",
            " reported without the request: it was pushed out by others (--hold-connections), or \
             sent before the start",
        ),
        (
            held.no_room,
            "packet",
            " not followed in the kernel for want of room, and shipped",
        ),
    ];
    rows.into_iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, noun, what)| count(n, noun) + what)
}

fn lost(place: LossPlace, n: u64) -> String {
    match place {
        LossPlace::RingPacket => format!(
            "{} lost: the ring buffer was full (a larger --ring-size helps)",
            count(n, "packet")
        ),
        LossPlace::RingOwner => format!(
            "{} of processes lost: the ring buffer was full (a larger --ring-size helps)",
            count(n, "record")
        ),
        LossPlace::RingExec => format!(
            "{} of program starts lost: the ring buffer was full (a larger --ring-size helps)",
            count(n, "record")
        ),
        LossPlace::RingTalk => format!(
            "{} of talks with ports that are not traced lost: the ring buffer was full (a larger \
             --ring-size helps)",
            count(n, "record")
        ),
        LossPlace::PacketUnreadable => {
            format!(
                "{} lost: the kernel could not read them",
                count(n, "packet")
            )
        }
        LossPlace::CaptureFile => {
            format!("{} lost by whoever wrote the capture", count(n, "packet"))
        }
    }
}
