//! Tokens against forged requests: whether they are there, and fit together.

use std::borrow::Cow;

use super::super::names::Kind;
use super::super::note::{Notes, asked};
use super::super::parts::{Media, Parts};
use super::super::text::{lower, percent_decode};
use crate::model::{CauseId, Part, Strength};

/// Fields of a form, members of a JSON object and parameters that carry the token.
const FIELDS: &[&str] = &[
    "__requestverificationtoken",
    "_csrf",
    "_csrf_token",
    "_csrftoken",
    "_token",
    "_wpnonce",
    "_xsrf",
    "authenticity_token",
    "csrf",
    "csrf-token",
    "csrf_token",
    "csrfmiddlewaretoken",
    "csrfp_token",
    "csrftoken",
    "form_token",
    "gorilla.csrf.token",
    "jenkins-crumb",
    "xsrf_token",
    "yii_csrf_token",
];

/// Header fields that carry it.
const HEADERS: &[&str] = &[
    "anti-csrf-token",
    "csrf-token",
    "jenkins-crumb",
    "requestverificationtoken",
    "x-csrf",
    "x-csrf-token",
    "x-csrfprotection",
    "x-csrftoken",
    "x-wp-nonce",
    "x-xsrf-token",
    "x-xsrftoken",
    "xsrf-token",
];

/// Cookies and fields that frameworks compare as they are, or after a mask is taken off.
const DOUBLES: &[(&str, &[&str])] = &[
    ("csrftoken", &["x-csrftoken", "csrfmiddlewaretoken"]),
    ("xsrf-token", &["x-xsrf-token"]),
    ("csrf_token", &["x-csrf-token", "csrf_token"]),
    ("_xsrf", &["x-xsrftoken", "_xsrf"]),
];

/// A token of a request. Its value never leaves the gatherers.
pub(in crate::evidence) struct Token<'a> {
    /// What its field is called, in lower case.
    pub(in crate::evidence) name: Cow<'a, str>,
    /// What it is.
    pub(in crate::evidence) value: &'a [u8],
    /// Where it was read.
    pub(in crate::evidence) part: Part,
}

/// Looks for the token and the cookie that belongs to it, where a request may change something.
pub(super) fn gather(parts: &Parts<'_>, notes: &mut Notes<'_>) {
    if !parts.is_unsafe() {
        return;
    }
    let tokens = tokens(parts);
    let Some(token) = tokens.first() else {
        return missing(parts, notes);
    };
    let cookie = parts
        .cookies
        .iter()
        .find(|c| c.is(Kind::CsrfCookie))
        .or_else(|| {
            let mut cookies = parts.cookies.iter();
            // A token may be kept in a session.
            cookies.find(|c| c.is(Kind::SessionCookie))
        });
    let Some(cookie) = cookie else {
        notes.add(
            "request.csrf_cookie_missing",
            Strength::Weak,
            CauseId::CsrfToken,
            asked(token.part),
            format!(
                "The request has a CSRF token in {}, but no cookie that it could belong to.",
                token.name
            ),
        );
        return;
    };
    if let Some((cookie, token)) = mismatch(parts, &tokens) {
        notes.add(
            "request.csrf_mismatch",
            Strength::Fair,
            CauseId::CsrfToken,
            asked(token.part),
            format!(
                "The CSRF token in {} differs from the one in the cookie {cookie}.",
                token.name
            ),
        );
        return;
    }
    notes.add(
        "request.csrf_present",
        Strength::Weak,
        None,
        asked(token.part),
        format!(
            "The request has a CSRF token in {} and the cookie {}.",
            token.name,
            lower(&cookie.name, 64)
        ),
    );
}

/// The tokens in headers, body and query, in this order.
pub(in crate::evidence) fn tokens<'p>(parts: &'p Parts<'_>) -> Vec<Token<'p>> {
    let headers = parts.fields.iter().enumerate();
    let headers = headers
        .filter(|(_, f)| f.is(Kind::CsrfHeader) && !f.value.is_empty())
        .map(|(index, f)| Token {
            name: lower(f.name, 64),
            value: f.value,
            part: Part::Field(index),
        });
    let pairs = parts.form.iter().chain(&parts.query);
    let pairs = pairs
        .filter(|pair| pair.is(Kind::CsrfField) && !pair.value.is_empty())
        .map(|pair| Token {
            name: lower(&pair.name, 64),
            value: &pair.value,
            part: pair.part,
        });
    headers.chain(pairs).collect()
}

/// Whether a header of this name, in lower case, carries such a token.
pub(in crate::evidence) fn is_header(name: &str) -> bool {
    HEADERS.contains(&name)
}

/// Whether a field or parameter of this name, in lower case, carries such a token.
pub(in crate::evidence) fn is_field(name: &str) -> bool {
    FIELDS.contains(&name)
}

/// Whether a cookie of this name, in lower case, carries such a token.
pub(in crate::evidence) fn is_cookie(name: &str) -> bool {
    name.contains("csrf") || name.contains("xsrf") || name.starts_with(".aspnetcore.antiforgery")
}

/// What it is that Django or Tornado mask anew in each form; others stay as they are.
pub(in crate::evidence) fn unmasked(value: &[u8]) -> Cow<'_, [u8]> {
    match value.split_at_checked(32) {
        Some((mask, masked)) if masked.len() == 32 => {
            unmask_django(mask, masked).map_or(Cow::Borrowed(value), Cow::Owned)
        }
        _ => Cow::Borrowed(value),
    }
}

/// No token where one would be expected. Where the end of the body was not seen, it may be there.
fn missing(parts: &Parts<'_>, notes: &mut Notes<'_>) {
    let form = matches!(parts.media, Media::Form | Media::Multipart);
    let has_fields = form || parts.media == Media::Json;
    let authorized = parts.field("authorization").is_some();
    let expected = !parts.cookies.is_empty() || (form && !authorized);
    if !expected || (has_fields && !parts.whole) {
        return;
    }
    let who = if parts.cookies.is_empty() {
        "form"
    } else {
        "request carries cookies and"
    };
    notes.add(
        "request.csrf_missing",
        Strength::Weak,
        CauseId::CsrfToken,
        None,
        format!("The {who} has no CSRF token in any header or field."),
    );
}

/// A cookie and a token that should be the same and are not.
fn mismatch<'t, 'p>(
    parts: &Parts<'_>,
    tokens: &'t [Token<'p>],
) -> Option<(&'static str, &'t Token<'p>)> {
    DOUBLES.iter().find_map(|(cookie, names)| {
        let held = parts
            .cookies
            .iter()
            .find(|c| lower(&c.name, 64) == *cookie)?;
        let sent = tokens.iter().find(|t| names.contains(&&*t.name))?;
        (!same(&held.value, sent.value)).then_some((*cookie, sent))
    })
}

/// Whether two tokens are the same, or cannot be compared.
fn same(held: &[u8], sent: &[u8]) -> bool {
    // Frameworks that hash or encrypt one of the two make it longer; Tornado masks both.
    let held = percent_decode(held, false);
    let sent = percent_decode(sent, false);
    let (held, sent) = (unmasked(&held), unmasked(&sent));
    held == sent || held.len() != sent.len() || held.starts_with(b"2|")
}

/// Takes the mask off a token of Django: each letter is moved by the mask's letter.
fn unmask_django(mask: &[u8], masked: &[u8]) -> Option<Vec<u8>> {
    const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let place = |letter: u8| LETTERS.iter().position(|l| *l == letter);
    let letters = masked.iter().zip(mask);
    letters
        .map(|(masked, mask)| {
            let moved = (place(*masked)? + LETTERS.len()).checked_sub(place(*mask)?)?;
            LETTERS.get(moved % LETTERS.len()).copied()
        })
        .collect()
}
