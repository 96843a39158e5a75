//! Why the verdict is what it is: the evidence, with the places where it was read, and what could
//! not be seen.

use std::fmt::{self, Write};

use super::style::Styles;
use super::{LONGEST_NAME, LONGEST_SENTENCE, verdict};
use crate::model::{Case, Evidence, Finding, Part, Side};
use crate::output::{escape, words};

/// Findings that are shown with their evidence, and pieces of evidence shown for each side.
const MOST_FINDINGS: usize = 3;
const MOST_EVIDENCE: usize = 8;

/// Reasons for the issuer, then each finding with what speaks for and against it.
pub(super) fn write(out: &mut String, case: &Case, styles: &Styles) -> fmt::Result {
    let verdict = &case.verdict;
    let Styles { strong, .. } = styles;
    // The cause alone is in the lines of the verdict.
    let findings = match verdict.findings.as_slice() {
        [only] if only.supports.is_empty() && only.against.is_empty() => &[],
        findings => findings,
    };
    if !verdict.reasons.is_empty() || !findings.is_empty() {
        writeln!(out, "    {strong}why{strong:#}")?;
    }
    for reason in &verdict.reasons {
        writeln!(out, "      {}", sentence(reason))?;
    }
    for finding in findings.iter().take(MOST_FINDINGS) {
        write_finding(out, case, finding, styles)?;
    }
    if let Some(more @ 1..) = findings.len().checked_sub(MOST_FINDINGS) {
        writeln!(out, "      … and {more} more that it may be")?;
    }
    Ok(())
}

/// Evidence that no finding counts: all of it, or only what became of a preflight's request, which
/// no other line says.
pub(super) fn beside(out: &mut String, case: &Case, all: bool, styles: &Styles) -> fmt::Result {
    let Styles { strong, .. } = styles;
    let findings = &case.verdict.findings;
    let is_counted = |i: &usize| {
        let counts = |f: &Finding| f.supports.contains(i) || f.against.contains(i);
        findings.iter().any(counts)
    };
    let evidence = case.evidence.iter().enumerate();
    let is_wanted = |e: &Evidence| all || e.id.starts_with("request.preflight_");
    let mut rest = evidence
        .filter(|(i, e)| !is_counted(i) && is_wanted(e))
        .peekable();
    if rest.peek().is_some() {
        writeln!(out, "    {strong}seen beside{strong:#}")?;
    }
    for (_, evidence) in rest {
        let place = place(case, evidence);
        writeln!(out, "      {}{place}", sentence(&evidence.fact))?;
    }
    Ok(())
}

/// What could not be seen.
pub(super) fn limits(out: &mut String, case: &Case, styles: &Styles) -> fmt::Result {
    let Styles { warn, .. } = styles;
    let told = usize::from(verdict::tells_first_limit(case));
    for limit in case.verdict.limits.iter().skip(told) {
        writeln!(out, "    {warn}not seen:{warn:#} {}", sentence(limit))?;
    }
    Ok(())
}

fn write_finding(out: &mut String, case: &Case, finding: &Finding, styles: &Styles) -> fmt::Result {
    let because = words::because(finding.cause);
    let because = because.map_or(String::new(), |because| format!(": {because}"));
    writeln!(
        out,
        "      {}{because} — {}",
        finding.cause.name(),
        verdict::confidence(finding.confidence, styles)
    )?;
    let sides = [
        ('+', &finding.supports, styles.good),
        ('-', &finding.against, styles.warn),
    ];
    for (mark, indices, style) in sides {
        let there = indices.iter().filter_map(|i| case.evidence.get(*i));
        for evidence in there.take(MOST_EVIDENCE) {
            let fact = sentence(&evidence.fact);
            let place = place(case, evidence);
            writeln!(out, "        {style}{mark}{style:#} {fact}{place}")?;
        }
        if let Some(more @ 1..) = indices.len().checked_sub(MOST_EVIDENCE) {
            writeln!(out, "        {style}{mark}{style:#} … and {more} more")?;
        }
    }
    let step = &finding.next_step;
    if !step.is_empty() && *step != case.verdict.next_step {
        writeln!(out, "        next: {}", sentence(step))?;
    }
    Ok(())
}

/// ` (hop 2, answer, body bytes 10-42)`.
fn place(case: &Case, evidence: &Evidence) -> String {
    let mut parts = Vec::new();
    if case.chain.len() > 1 {
        parts.push(format!("hop {}", evidence.hop.saturating_add(1)));
    }
    if let Some(span) = evidence.span {
        let message = match span.message {
            Side::Request => "request",
            Side::Response => "answer",
        };
        parts.push(match span.part {
            Part::StartLine => format!("{message} line"),
            Part::Field(index) => {
                let exchange = case.chain.hop(evidence.hop).map(|hop| &hop.exchange);
                match exchange.and_then(|exchange| words::span_field(exchange, span)) {
                    Some(field) => {
                        format!("{message}, {}", escape::line(field.name, LONGEST_NAME))
                    }
                    None => format!("{message}, field {index}"),
                }
            }
            Part::Body(from, to) => format!("{message}, body bytes {from}-{to}"),
        });
    }
    if parts.is_empty() {
        return String::new();
    }
    format!(" ({})", parts.join(", "))
}

fn sentence(text: &str) -> impl fmt::Display {
    escape::line(text.as_bytes(), LONGEST_SENTENCE)
}
