//! Who refused it, why, and what to do next: three lines.

use std::fmt::{self, Write};

use super::style::Styles;
use super::{LONGEST_NAME, LONGEST_SENTENCE, count, ends, hops};
use crate::model::{Asked, Case, Confidence, Exchange, Handling, Product, Unread, UnreadPeer};
use crate::output::{escape, words};

/// The lines of a verdict.
pub(super) fn write(out: &mut String, case: &Case, styles: &Styles) -> fmt::Result {
    let verdict = &case.verdict;
    let refused = words::is_refused(case.exchange());
    let by = if refused { "refused by" } else { "answered by" };
    if is_unknown(case) {
        row(out, by, &not_known(case), None, styles)?;
    } else {
        let issuer = issuer(case) + &handling(case);
        row(out, by, &issuer, Some(verdict.issuer.confidence), styles)?;
    }
    match verdict.cause() {
        Some(cause) => {
            let because = words::because(cause.cause).unwrap_or(cause.cause.name());
            row(out, "because", because, Some(cause.confidence), styles)?;
        }
        None if refused && !is_unknown(case) => {
            row(out, "because", &not_known(case), None, styles)?;
        }
        None => {}
    }
    if !verdict.next_step.is_empty() {
        let step = escape::line(verdict.next_step.as_bytes(), LONGEST_SENTENCE);
        row(out, "next", &step.to_string(), None, styles)?;
    }
    Ok(())
}

/// Whether the first of the verdict's limits is told in these lines.
pub(super) fn tells_first_limit(case: &Case) -> bool {
    is_unknown(case) || (case.verdict.cause().is_none() && words::is_refused(case.exchange()))
}

/// How sure a conclusion is, in its colour.
pub(super) fn confidence(confidence: Confidence, styles: &Styles) -> String {
    let style = match confidence {
        Confidence::Proven => styles.sure,
        Confidence::Likely => styles.good,
        Confidence::Possible => styles.warn,
        Confidence::Unknown => styles.bad,
    };
    format!("{style}{}{style:#}", confidence.name())
}

/// Whom the server of a hop asked, as a sentence about it; `None` where it asked the next hop.
pub(super) fn asked(asked: &Asked, name: &str) -> Option<String> {
    Some(match asked {
        Asked::NextHop => return None,
        Asked::Nobody => format!("{name} asked nobody while it served the request"),
        Asked::Unread(peers) => {
            let peers: Vec<String> = peers.iter().take(MOST_PEERS).map(peer).collect();
            format!("{name} asked {}", peers.join("; "))
        }
        Asked::Unknown => format!("whether {name} asked anybody cannot be told"),
        Asked::Ambiguous(calls) => format!(
            "{name} served several requests at once: {} may have been for this one",
            count((*calls).into(), "call")
        ),
        Asked::ServerNotSeen => {
            format!(
                "whom {name} asked was not seen: it is on another host, or its process is not known"
            )
        }
        Asked::Lost(lost) => format!(
            "{} were lost meanwhile: {name} may have asked somebody",
            count(*lost, "record")
        ),
        Asked::OtherPortsNotSeen => {
            format!("the capture does not say whom {name} asked on other ports")
        }
    })
}

/// Peers that are listed in one line.
const MOST_PEERS: usize = 8;

fn row(
    out: &mut String,
    label: &str,
    text: &str,
    sure: Option<Confidence>,
    styles: &Styles,
) -> fmt::Result {
    let Styles { strong, .. } = styles;
    write!(out, "    {strong}{label:11}{strong:#} {text}")?;
    if let Some(sure) = sure {
        write!(out, " — {}", confidence(sure, styles))?;
    }
    out.push('\n');
    Ok(())
}

/// Whether nothing at all is known of who made the answer.
fn is_unknown(case: &Case) -> bool {
    let issuer = &case.verdict.issuer;
    issuer.hop.is_none() && issuer.product.is_none() && case.verdict.handling == Handling::Unknown
}

fn not_known(case: &Case) -> String {
    let limit = case.verdict.limits.first();
    let last = case.chain.len().saturating_sub(1);
    if let Some(limit) = limit {
        let limit = escape::line(limit.as_bytes(), LONGEST_SENTENCE);
        return format!("not known. {limit}");
    }
    let last_asked = case.chain.hop(last).map(|hop| &hop.asked);
    match last_asked.and_then(|it| asked(it, &hops::name(case, last))) {
        Some(why) => format!("not known: {why}"),
        None => "not known".to_owned(),
    }
}

fn issuer(case: &Case) -> String {
    let issuer = &case.verdict.issuer;
    let hop = issuer.hop.and_then(|at| case.chain.hop(at));
    match (hop, &issuer.product) {
        (Some(hop), product) => server(&hop.exchange, product.as_ref()),
        (None, Some(product)) => {
            let name = escape::line(product.name.as_bytes(), LONGEST_NAME);
            format!("{name}, beyond what was seen")
        }
        (None, None) => {
            let last = case.chain.len().saturating_sub(1);
            format!("somebody behind {}, not seen", hops::name(case, last))
        }
    }
}

/// The server of an exchange: product, process and address, as far as they are known.
fn server(exchange: &Exchange, product: Option<&Product>) -> String {
    let at = exchange.server.addr;
    let product = product.map(|p| escape::line(p.name.as_bytes(), LONGEST_NAME).to_string());
    let Some(owner) = &exchange.server.owner else {
        return format!("{} at {at}", product.as_deref().unwrap_or("the server"));
    };
    let guess = ends::guess(owner.quality);
    let process = escape::line(owner.comm.as_bytes(), LONGEST_NAME).to_string();
    let pid = owner.pid;
    match product {
        Some(product) if product.eq_ignore_ascii_case(&process) => {
            format!("{product} ({guess}pid {pid}) at {at}")
        }
        Some(product) => format!("{product} ({guess}{process}, pid {pid}) at {at}"),
        None => format!("{guess}{process} (pid {pid}) at {at}"),
    }
}

/// How the refusal came to the client, as what follows the name of who made it.
fn handling(case: &Case) -> String {
    let verdict = &case.verdict;
    let outermost = || hops::name(case, 0);
    match verdict.handling {
        Handling::Issued | Handling::Unknown => String::new(),
        Handling::Relayed => format!(", relayed by {}", outermost()),
        Handling::Replaced => format!(", its answer replaced by {}", outermost()),
        Handling::Delegated => match verdict.delegate.and_then(|at| delegate(case, at)) {
            Some(delegate) => {
                let from = verdict.delegate.map(|(hop, _)| hop);
                let by = match from.filter(|_| from != verdict.issuer.hop) {
                    Some(hop) => hops::name(case, hop),
                    None => "which".to_owned(),
                };
                format!(", {by} delegated the decision to {delegate}")
            }
            None => ", the decision was delegated to somebody that was not seen".to_owned(),
        },
    }
}

fn delegate(case: &Case, (hop, call): (usize, usize)) -> Option<String> {
    let call = case.chain.hop(hop)?.side_calls.get(call)?;
    Some(server(&call.exchange, None))
}

fn peer(peer: &UnreadPeer) -> String {
    let why = match peer.why {
        Unread::PortNotTraced => "which is not among the traced ports",
        Unread::UnixSocket => "which has no packets",
        Unread::Tls => "in TLS, which is not read",
        Unread::Http2 => "in HTTP/2, which is not read",
        Unread::NotHttp => "in something that is not HTTP",
        Unread::Unrecognised => "in a protocol that is not recognised (FastCGI, for one)",
        Unread::LeftOut => "whose answer was no refusal and was left out (--capture hold)",
    };
    match (peer.addr, &peer.path) {
        (Some(addr), _) => format!("{addr}, {why}"),
        (None, Some(path)) => {
            let path = escape::line(path.as_bytes(), LONGEST_SENTENCE);
            format!("the Unix socket {path}, {why}")
        }
        (None, None) => format!("a Unix socket, {why}"),
    }
}
