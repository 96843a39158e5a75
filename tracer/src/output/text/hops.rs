//! The way of the request as a line of boxes, with what each server asked beside below it.

use std::fmt::{self, Write};

use super::style::Styles;
use super::{LONGEST_NAME, ends, verdict};
use crate::model::{
    Asked, Case, Endpoint, Exchange, Handling, Hop, Link, LinkRule, OwnerQuality, Proves, Strength,
};
use crate::output::escape;

/// Side calls of a hop that are shown.
const MOST_SIDE_CALLS: usize = 8;

/// The boxes; then, for each hop, side calls, peers that were not read, and a doubtful link.
pub(super) fn write(out: &mut String, case: &Case, styles: &Styles) -> fmt::Result {
    let Styles { strong, warn, .. } = styles;
    let outermost = case.chain.hop(0).map(|hop| &hop.exchange);
    write!(out, "    [{}]", outermost.map(client).unwrap_or_default())?;
    for (at, hop) in case.chain.hops().enumerate() {
        let made = case.verdict.issuer.hop == Some(at);
        let style = if made { *strong } else { Default::default() };
        let status = status(&hop.exchange);
        write!(out, " → {style}[{}", server(case, at, hop))?;
        if let Some(word) = handling(case, at) {
            write!(out, " {word}")?;
        }
        write!(out, " {status}]{style:#}")?;
    }
    let last = case.chain.hops().last().map(|hop| &hop.asked);
    if matches!(last, Some(Asked::Unread(_) | Asked::Lost(_))) {
        write!(out, " → {warn}?{warn:#}")?;
    }
    out.push('\n');
    if case.chain.reported_at() > 0 {
        let reported = case.chain.reported_at() + 1;
        writeln!(
            out,
            "      the filter let pass hop {reported}; nearer to the client it did not"
        )?;
    }
    for (at, hop) in case.chain.hops().enumerate() {
        below(out, case, at, hop, styles)?;
    }
    Ok(())
}

/// The server of a hop: its process, else its product, else its address; with its port where
/// another hop has the same name. Escaped.
pub(super) fn name(case: &Case, at: usize) -> String {
    let Some(hop) = case.chain.hop(at) else {
        return "an unknown hop".to_owned();
    };
    let Some(name) = known_name(case, at, hop) else {
        return hop.exchange.server.addr.to_string();
    };
    let guess = match hop
        .server()
        .map(|owner| ends::guess(owner.quality).trim_end())
    {
        None | Some("") => String::new(),
        Some(guess) => format!(" ({guess})"),
    };
    let mut others = case.chain.hops().enumerate().filter(|(i, _)| *i != at);
    if others.any(|(i, other)| known_name(case, i, other).as_ref() == Some(&name)) {
        return format!("{name} :{}{guess}", hop.exchange.server.addr.port());
    }
    name + &guess
}

fn known_name(case: &Case, at: usize, hop: &Hop) -> Option<String> {
    let issuer = &case.verdict.issuer;
    let product = issuer.product.as_ref().filter(|_| issuer.hop == Some(at));
    let marks = || {
        let marks = case.evidence.iter().filter(|e| e.hop == at);
        let mut products = marks.filter_map(|e| e.product.as_ref());
        let is_there = |p: &Proves| matches!(p, Proves::Generated | Proves::PassedThrough);
        let (_, product) = products.find(|(proves, _)| is_there(proves))?;
        Some(product)
    };
    let name = match hop.server() {
        Some(owner) => owner.comm.as_bytes(),
        None => product.or_else(marks)?.name.as_bytes(),
    };
    Some(escape::line(name, LONGEST_NAME).to_string())
}

fn client(exchange: &Exchange) -> String {
    let ip = exchange.client.addr.ip().to_canonical();
    match process(&exchange.client) {
        Some(process) => format!("{process} {ip}"),
        None => ip.to_string(),
    }
}

fn process(end: &Endpoint) -> Option<String> {
    let owner = end.owner.as_ref()?;
    let name = escape::line(owner.comm.as_bytes(), LONGEST_NAME);
    Some(format!("{name}{}", doubtful(end)))
}

/// The mark in a box of a process that is not known for sure.
fn doubtful(end: &Endpoint) -> &'static str {
    match end.owner.as_ref().map(|owner| owner.quality) {
        Some(OwnerQuality::Relaxed | OwnerQuality::Guess) => "?",
        Some(OwnerQuality::Exact) | None => "",
    }
}

/// `nginx :8080`; the whole address where its process is not known.
fn server(case: &Case, at: usize, hop: &Hop) -> String {
    let addr = hop.exchange.server.addr;
    match known_name(case, at, hop) {
        Some(name) if hop.server().is_some() => {
            let doubtful = doubtful(&hop.exchange.server);
            format!("{name}{doubtful} :{}", addr.port())
        }
        Some(name) => format!("{name} {addr}"),
        None => addr.to_string(),
    }
}

fn status(exchange: &Exchange) -> String {
    match &exchange.response {
        Some(response) => response.status.to_string(),
        None => "no answer".to_owned(),
    }
}

/// What a hop did about the refusal, where the verdict says it of this hop.
fn handling(case: &Case, at: usize) -> Option<&'static str> {
    let verdict = &case.verdict;
    let word = verdict.handling.name();
    match verdict.handling {
        Handling::Unknown => None,
        Handling::Delegated => {
            let by = verdict.delegate.map_or(0, |(hop, _)| hop);
            (by == at).then_some(word)
        }
        _ if verdict.issuer.hop == Some(at) => Some(Handling::Issued.name()),
        Handling::Relayed | Handling::Replaced if at == 0 => Some(word),
        _ => None,
    }
}

fn below(out: &mut String, case: &Case, at: usize, hop: &Hop, styles: &Styles) -> fmt::Result {
    let Styles { bad, warn, .. } = styles;
    let name = name(case, at);
    for (i, call) in hop.side_calls.iter().take(MOST_SIDE_CALLS).enumerate() {
        let said_no = case.verdict.delegate == Some((at, i));
        let style = if said_no { *bad } else { Default::default() };
        let addr = call.exchange.server.addr;
        let process = process(&call.exchange.server).map(|process| process + " ");
        write!(
            out,
            "      └ {name} asked [{}{addr} {style}{}{style:#}]",
            process.unwrap_or_default(),
            status(&call.exchange),
        )?;
        doubt(out, &call.link, styles)?;
        out.push('\n');
    }
    if let Some(more @ 1..) = hop.side_calls.len().checked_sub(MOST_SIDE_CALLS) {
        writeln!(out, "      └ and {more} more")?;
    }
    if let asked @ (Asked::Unread(_) | Asked::Lost(_)) = &hop.asked {
        let sentence = verdict::asked(asked, &name).unwrap_or_default();
        writeln!(out, "      └ {warn}{sentence}{warn:#}")?;
    }
    if let Some(link) = hop.link.as_ref().filter(|link| is_doubtful(link)) {
        write!(out, "      └ hop {} is of this request", at + 1)?;
        doubt(out, link, styles)?;
        out.push('\n');
    }
    Ok(())
}

fn is_doubtful(link: &Link) -> bool {
    link.strength < Strength::Strong || link.ambiguous_with > 0
}

/// What speaks against a link, if anything does.
fn doubt(out: &mut String, link: &Link, styles: &Styles) -> fmt::Result {
    if !is_doubtful(link) {
        return Ok(());
    }
    let Styles { warn, .. } = styles;
    let rule = match link.rule {
        LinkRule::SameProcess => "the same process",
        LinkRule::RequestId => "the same request id",
        LinkRule::SameContent => "the same method and body",
        LinkRule::ForwardedFor => "the forwarded address",
    };
    write!(out, " {warn}({} link, by {rule}", link.strength.name())?;
    if link.ambiguous_with > 0 {
        let others = link.ambiguous_with;
        write!(out, "; {others} more under way could have caused it")?;
    }
    write!(out, "){warn:#}")
}
