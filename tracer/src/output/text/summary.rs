//! What the session saw, and what it could not see.

use std::fmt::{self, Write};

use super::style::Styles;
use super::{count, duration};
use crate::model::{Health, LossPlace};
use crate::output::escape;

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
