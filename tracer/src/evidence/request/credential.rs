//! Which credentials a request carries, by name.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::super::names::Kind;
use super::super::note::{Notes, asked};
use super::super::parts::Parts;
use crate::model::{CauseId, Part, Strength};

/// Most credentials that are named.
const NAMED_MAX: usize = 5;
/// Longest name that is looked at, in bytes.
const NAME_MAX: usize = 64;

/// A credential. Its value never leaves the gatherers.
pub(in crate::evidence) struct Credential<'a> {
    /// What it is called: a header, parameter, field or cookie.
    pub(in crate::evidence) name: Cow<'a, str>,
    /// Where it stands.
    pub(in crate::evidence) place: Place,
    /// What it is.
    pub(in crate::evidence) value: &'a [u8],
    /// Where it was read.
    pub(in crate::evidence) part: Part,
}

/// Where a credential stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::evidence) enum Place {
    /// A header field.
    Header,
    /// A parameter of the query.
    Query,
    /// A field of the body.
    Body,
    /// A cookie.
    Cookie,
}

/// Schemes of `Authorization`; what is none of them may be the secret itself.
const SCHEMES: &[&str] = &[
    "ApiKey",
    "AWS",
    "AWS4-ECDSA-P256-SHA256",
    "AWS4-HMAC-SHA256",
    "Basic",
    "Bearer",
    "Digest",
    "DPoP",
    "GenieKey",
    "GOOG1",
    "GOOG4-HMAC-SHA256",
    "GOOG4-RSA-SHA256",
    "Hawk",
    "HMAC",
    "HMAC-SHA256",
    "JWT",
    "Key",
    "Mutual",
    "Negotiate",
    "NTLM",
    "OAuth",
    "SharedAccessSignature",
    "SharedKey",
    "SharedKeyLite",
    "Signature",
    "SSWS",
    "Token",
];

/// Parameters of a query that are credentials.
const PARAMETERS: &[&str] = &[
    "access_key",
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "authtoken",
    "awsaccesskeyid",
    "code",
    "jwt",
    "key",
    "private_token",
    "sig",
    "sign",
    "signature",
    "subscription-key",
    "token",
    "x-amz-signature",
    "x-api-key",
    "x-goog-signature",
];

/// Fields of a body that are credentials.
const FIELDS: &[&str] = &[
    "access_token",
    "api_key",
    "apikey",
    "client_assertion",
    "client_secret",
    "passwd",
    "password",
    "refresh_token",
    "x-amz-signature",
];

/// Writes down which credentials there are, or that there are none.
pub(super) fn gather(parts: &Parts<'_>, credentials: &[Credential<'_>], notes: &mut Notes<'_>) {
    let Some(first) = credentials.first() else {
        if parts.is_unsafe() || parts.request.method() == b"GET" {
            notes.add(
                "request.no_credential",
                Strength::Weak,
                CauseId::ApiKeyMissing,
                None,
                "The request carries no credential: no Authorization, API key or session cookie.",
            );
        }
        return;
    };
    let mut names: Vec<_> = credentials.iter().map(described).collect();
    names.dedup();
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let more = match more {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let names = names.join(", ");
    let fact = ["The request carries credentials: ", &*names, &*more, "."].concat();
    notes.add(
        "request.credential",
        Strength::Fair,
        None,
        asked(first.part),
        fact,
    );
}

/// Every credential, headers first.
pub(in crate::evidence) fn all<'p>(parts: &'p Parts<'_>) -> Vec<Credential<'p>> {
    let headers = parts.fields.iter().enumerate();
    let headers = headers
        .filter(|(_, f)| f.is(Kind::CredentialHeader) && !f.value.is_empty())
        .map(|(index, f)| Credential {
            name: name_of(f.name),
            place: Place::Header,
            value: f.value,
            part: Part::Field(index),
        });
    let pairs = [
        (Place::Query, Kind::CredentialParameter, &parts.query),
        (Place::Body, Kind::CredentialField, &parts.form),
        (Place::Cookie, Kind::SessionCookie, &parts.cookies),
    ];
    let pairs = pairs.into_iter().flat_map(|(place, kind, pairs)| {
        pairs
            .iter()
            .filter(move |pair| !pair.value.is_empty() && pair.is(kind))
            .map(move |pair| Credential {
                name: name_of(&pair.name),
                place,
                value: &pair.value,
                part: pair.part,
            })
    });
    headers.chain(pairs).collect()
}

/// Names of header fields, in lower case, that hold a credential.
static HEADERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        "^(?:x-)?authorization$|^token$|api[-_]?key|access-token|auth-key|auth-token|jwt|\
         session-token|-(?:key|token|signature|signature-256)$",
    )
    .ok()
});

/// Names of cookies, in lower case, that may hold a session or a token.
static SESSIONS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:jwt|sid|\.aspnet.*)$|\.sid$|sess|auth|token|logged_in|remember_").ok()
});

/// Names that look like one of these, and hold something else: they name this one request, belong
/// to caches, bot managers and analytics, or protect against forged requests.
static OTHERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        "idempotency-key$|^sec-websocket-key$|^surrogate-key$|cache-key$|^ai_session|\
         ^aws-waf-token|^incap_ses|csrf|xsrf|antiforgery|requestverification|crumb",
    )
    .ok()
});

/// Whether a header of this name, in lower case, holds a credential.
pub(in crate::evidence) fn is_header(name: &str) -> bool {
    matches(&HEADERS, name) && !matches(&OTHERS, name)
}

/// Whether a parameter of this name, in lower case, is one.
pub(in crate::evidence) fn is_parameter(name: &str) -> bool {
    PARAMETERS.contains(&name)
}

/// Whether a field of this name, in lower case, is one.
pub(in crate::evidence) fn is_field(name: &str) -> bool {
    FIELDS.contains(&name)
}

/// Whether a cookie of this name, in lower case, may hold a session or a token.
pub(in crate::evidence) fn is_session_cookie(name: &str) -> bool {
    matches(&SESSIONS, name) && !matches(&OTHERS, name)
}

fn matches(regex: &LazyLock<Option<Regex>>, name: &str) -> bool {
    regex
        .as_ref()
        .is_some_and(|regex| regex.is_match(name.as_bytes()))
}

/// A name as it is told.
fn name_of(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(name.get(..NAME_MAX).unwrap_or(name))
}

/// What a credential is called in a fact: `Authorization (Bearer)`, `the cookie sessionid`.
fn described<'c>(credential: &'c Credential<'_>) -> Cow<'c, str> {
    let name = &*credential.name;
    match credential.place {
        Place::Header if name.eq_ignore_ascii_case("authorization") => {
            let scheme = scheme(credential.value).unwrap_or("a scheme of its own");
            [name, " (", scheme, ")"].concat().into()
        }
        Place::Header => name.into(),
        Place::Query => ["the parameter ", name].concat().into(),
        Place::Body => ["the field ", name].concat().into(),
        Place::Cookie => ["the cookie ", name].concat().into(),
    }
}

/// The scheme of an `Authorization` (RFC 9110 section 11.6.2), where it is a known one.
fn scheme(value: &[u8]) -> Option<&'static str> {
    let first = value.split(|b| *b == b' ').next()?;
    SCHEMES
        .iter()
        .copied()
        .find(|scheme| scheme.as_bytes().eq_ignore_ascii_case(first))
}
