//! What each server changed, and how requests that passed differ from the one that did not.

use std::fmt::{self, Write};

use jiff::tz::TimeZone;

use super::style::Styles;
use super::{LONGEST_NAME, duration, ends, hops, local_time};
use crate::model::{Case, Exchange, Field};
use crate::output::changes::{
    BodyChange, Changes, MessageChanges, RequestChanges, ResponseChanges, Rewritten,
};
use crate::output::escape;

/// Siblings that are shown, names in a list, and bytes of a value in one.
const MOST_SIBLINGS: usize = 3;
const MOST_NAMES: usize = 16;
const LONGEST_BRIEF: usize = 128;

/// What the server of each hop changed on the way to the next one.
pub(super) fn changes(out: &mut String, case: &Case, styles: &Styles) -> fmt::Result {
    let Styles { strong, .. } = styles;
    let inner = case.chain.hops().skip(1);
    for (at, (outer, inner)) in case.chain.hops().zip(inner).enumerate() {
        let changes = Changes::between(&outer.exchange, &inner.exchange);
        writeln!(
            out,
            "    {strong}changed by {}{strong:#}",
            hops::name(case, at)
        )?;
        let rows = [
            ("request", changes.request.as_ref().map(request)),
            ("answer", changes.response.as_ref().map(response)),
        ];
        for (label, row) in rows {
            let row = match &row {
                None => "not known: it was not seen at both sides",
                Some(row) if row.is_empty() => "nothing",
                Some(row) => row,
            };
            writeln!(out, "      {label:7}  {row}")?;
        }
        let told = ends::told(&inner.exchange);
        writeln!(out, "      client   hop {} was told {told}", at + 2)?;
    }
    Ok(())
}

/// Requests that passed, and what is different about them.
pub(super) fn siblings(
    out: &mut String,
    case: &Case,
    zone: &TimeZone,
    styles: &Styles,
) -> fmt::Result {
    let Styles { strong, .. } = styles;
    for sibling in case.siblings.iter().take(MOST_SIBLINGS) {
        let at = local_time(sibling.started_at(), zone);
        let status = sibling.response.as_ref().map(|r| r.status.to_string());
        writeln!(
            out,
            "    {strong}passed{strong:#}  {at}  from {} → {}",
            sibling.client.seen_as(),
            status.as_deref().unwrap_or("no answer seen")
        )?;
        writeln!(out, "      unlike this one: {}", unlike(case, sibling))?;
    }
    let pace = case.pace;
    if pace.passed > 0 || pace.refused > 0 {
        writeln!(
            out,
            "    {strong}pace{strong:#}    the client's requests for this route within {}: {} \
             refused, {} not",
            duration(pace.within),
            pace.refused,
            pace.passed
        )?;
    }
    Ok(())
}

fn unlike(case: &Case, sibling: &Exchange) -> String {
    let this = case.exchange();
    let mut parts = Vec::new();
    if this.client.seen_as().ip() != sibling.client.seen_as().ip() {
        parts.push("another client address".to_owned());
    }
    match RequestChanges::between(this, sibling) {
        None => parts.push("not known, a request was not seen".to_owned()),
        Some(changes) => {
            if let Some((_, method)) = changes.method {
                parts.push(format!("method {}", brief(method)));
            }
            if let Some((_, target)) = changes.target {
                parts.push(format!("target {}", brief(target)));
            }
            if let Some((_, host)) = changes.host {
                parts.push(format!("Host {}", brief(host)));
            }
            let message = &changes.message;
            parts.extend(listed("it had", message.added.iter().map(|f| f.name)));
            parts.extend(listed("it had no", message.dropped.iter().map(|f| f.name)));
            parts.extend(listed("another", message.rewritten.iter().map(|f| f.name)));
            if message.body == BodyChange::Changed {
                parts.push("another body".to_owned());
            }
        }
    }
    if parts.is_empty() {
        return "nothing that was compared".to_owned();
    }
    parts.join("; ")
}

fn request(changes: &RequestChanges<'_>) -> String {
    if changes.is_empty() {
        return unknown_body(&changes.message);
    }
    let rewrites = [
        ("method", changes.method),
        ("target", changes.target),
        ("Host", changes.host),
    ];
    let mut parts: Vec<String> = rewrites
        .into_iter()
        .filter_map(|(what, rewrite)| Some((what, rewrite?)))
        .map(|(what, (from, to))| format!("{what} {} → {}", brief(from), brief(to)))
        .collect();
    message(&changes.message, &mut parts);
    parts.join("; ")
}

fn response(changes: &ResponseChanges<'_>) -> String {
    if changes.is_empty() {
        return unknown_body(&changes.message);
    }
    let mut parts = Vec::new();
    if let Some((from, to)) = changes.status {
        parts.push(format!("status {from} → {to}"));
    }
    message(&changes.message, &mut parts);
    parts.join("; ")
}

fn message(changes: &MessageChanges<'_>, parts: &mut Vec<String>) {
    let added = changes.added.iter().map(field);
    let rewritten = changes.rewritten.iter().map(rewritten);
    parts.extend(joined("added", added));
    parts.extend(listed("dropped", changes.dropped.iter().map(|f| f.name)));
    parts.extend(joined("rewrote", rewritten));
    match changes.body {
        BodyChange::Same => {}
        BodyChange::Changed => parts.push("another body".to_owned()),
        BodyChange::Unknown => parts.push("body not known".to_owned()),
    }
}

fn unknown_body(changes: &MessageChanges<'_>) -> String {
    match changes.body {
        BodyChange::Unknown => "nothing but perhaps the body, which is not known".to_owned(),
        _ => String::new(),
    }
}

fn field(field: &Field<'_>) -> String {
    format!("{}: {}", brief(field.name), brief(field.value))
}

fn rewritten(field: &Rewritten<'_>) -> String {
    let values = |values: &[&[u8]]| {
        let values = values.iter().take(MOST_NAMES).map(|value| brief(value));
        values.collect::<Vec<_>>().join(", ")
    };
    format!(
        "{}: {} → {}",
        escape::line(field.name, LONGEST_NAME),
        values(&field.before),
        values(&field.after)
    )
}

fn listed<'a>(what: &str, names: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    joined(what, names.map(brief))
}

fn joined(what: &str, mut items: impl Iterator<Item = String>) -> Option<String> {
    let shown: Vec<String> = items.by_ref().take(MOST_NAMES).collect();
    if shown.is_empty() {
        return None;
    }
    let more = match items.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("{what} {}{more}", shown.join(", ")))
}

fn brief(bytes: &[u8]) -> String {
    match bytes {
        b"" => "nothing".to_owned(),
        bytes => escape::line(bytes, LONGEST_BRIEF).to_string(),
    }
}
