//! Ids that a log can be asked for.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use super::super::names::{Kind, Kinds};
use super::super::note::{Notes, answered, quote};
use super::super::parts::content;
use super::super::text::lower;
use crate::model::{Part, Response, Strength};

/// How much of a body is read, in bytes.
const LOOKED_AT: usize = 16 << 10;
/// Longest id that is told, in bytes.
const ID_MAX: usize = 128;
/// Most ids that are told.
const TOLD_MAX: usize = 3;

/// Header fields with an id, and the log that has it.
const FIELDS: &[(&str, &str)] = &[
    ("cf-ray", "Cloudflare's security events"),
    ("x-amz-cf-id", "CloudFront's access log"),
    ("x-azure-ref", "Azure Front Door's access and WAF log"),
    ("x-akamai-request-id", "Akamai's log"),
    ("x-iinfo", "Imperva's security events"),
    ("x-sucuri-id", "Sucuri's audit log"),
    ("x-vercel-id", "Vercel's firewall log"),
    ("x-amz-request-id", "the access log of the bucket"),
    ("x-amzn-requestid", "the access log of the AWS service"),
    ("apigw-requestid", "the access log of the AWS API gateway"),
    ("x-amz-apigw-id", "the access log of the AWS API gateway"),
    ("x-ms-request-id", "the diagnostic log of the Azure service"),
    ("x-github-request-id", "GitHub's support"),
    ("x-goog-request-id", "Google's audit log"),
    ("x-kong-request-id", "Kong's error log"),
    (
        "x-request-id",
        "the logs of the servers that it went through",
    ),
    (
        "x-correlation-id",
        "the logs of the servers that it went through",
    ),
    ("request-id", "the logs of the servers that it went through"),
    ("x-trace-id", "the tracing system"),
];

/// An id in a page: the pattern with the id as its group, its name, and the log that has it.
const PAGES: &[(&str, &str, &str)] = &[
    (
        r"reference\s*(?:&#32;)?(?:#|&#35;)\s*([0-9a-f.]{6,80})",
        "reference number",
        "Akamai's security events",
    ),
    (
        r"\bray\s+id:?\s*(?:<[^>]{0,80}>\s*)*([0-9a-f]{16})\b",
        "ray id",
        "Cloudflare's security events",
    ),
    (
        r"\bsupport\s+id\s+is:?\s*(?:<[^>]{0,80}>\s*)*([0-9]{6,40})\b",
        "support id",
        "the event log of the firewall",
    ),
    (
        r"\bincident\s+id:?\s*(?:number\s*)?(?:<[^>]{0,80}>\s*)*([0-9a-z-]{6,80})",
        "incident id",
        "the security events of the firewall",
    ),
    (
        r"\bevent_?\s?id:?\s*(?:<[^>]{0,80}>\s*)*([0-9a-f]{16,64})\b",
        "event id",
        "the log of the firewall",
    ),
    (
        r"\bblock\s+id:?\s*(?:<[^>]{0,80}>\s*)*([0-9a-z]{4,40})\b",
        "block id",
        "the audit log of the firewall",
    ),
    (
        r#"\brequest[\s_-]?id["']?\s*[:>]\s*(?:<[^>]{0,80}>\s*)*["']?([0-9a-z+/=_-]{8,80})"#,
        "request id",
        "the log of whoever made the page",
    ),
];

static PATTERNS: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    let regex = |pattern: &str| {
        RegexBuilder::new(pattern)
            .case_insensitive(true)
            .unicode(false)
            .build()
            .ok()
    };
    PAGES.iter().map(|(pattern, ..)| regex(pattern)).collect()
});

/// Whether a field of this name, in lower case, has an id.
pub(in crate::evidence) fn is_header(name: &str) -> bool {
    FIELDS.iter().any(|(known, _)| *known == name)
}

/// Tells what can be asked for, and where.
pub(super) fn gather(response: &Response, notes: &mut Notes<'_>) {
    let mut told = 0;
    let (bytes, _) = content(&response.message.body);
    let bytes = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let worth = has_id(bytes);
    for ((_, name, log), regex) in PAGES.iter().zip(PATTERNS.iter()).filter(|_| worth) {
        let found = regex.as_ref().and_then(|regex| regex.captures(bytes));
        let Some(id) = found
            .and_then(|captures| captures.get(1))
            .filter(|_| told < TOLD_MAX)
        else {
            continue;
        };
        told += 1;
        notes.add(
            "response.reference",
            Strength::Weak,
            None,
            answered(Part::Body(id.start(), id.end())),
            format!(
                "The page has the {name} {}: ask {log} for it.",
                quote(id.as_bytes())
            ),
        );
    }
    let fields = response.message.head.fields().enumerate();
    for (index, field) in fields.filter(|(_, f)| Kinds::of(f.name).has(Kind::ReferenceHeader)) {
        let name = lower(field.name, 64);
        let known = FIELDS.iter().find(|(known, _)| *known == name);
        let is_id = (1..=ID_MAX).contains(&field.value.len());
        if let Some((_, log)) = known.filter(|_| is_id && told < TOLD_MAX) {
            told += 1;
            notes.add(
                "response.reference",
                Strength::Weak,
                None,
                answered(Part::Field(index)),
                format!(
                    "The answer has {name} {}: ask {log} for it.",
                    quote(field.value)
                ),
            );
        }
    }
}

/// Whether there may be an id at all: the words that all patterns need.
fn has_id(bytes: &[u8]) -> bool {
    static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        RegexBuilder::new(r"reference|\bid\b|_id\b|[a-z]id\b")
            .case_insensitive(true)
            .unicode(false)
            .build()
            .ok()
    });
    WORDS.as_ref().is_some_and(|words| words.is_match(bytes))
}
