//! What of a request is compared: not what differs in every request.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::super::client::judged;
use super::super::names::{Kind, is};
use super::super::parts::{Media, Pair, Parts};
use super::super::request::credential::{self, Credential, Place};
use super::super::request::csrf::{tokens, unmasked};
use super::super::text::{authority, comparable_host, lower};
use crate::model::Owner;

/// Most header fields that are compared.
const FIELDS_MAX: usize = 96;

/// Values by name.
pub(super) type Named = BTreeMap<String, Vec<u8>>;

/// Header fields that differ in every request, or that another topic compares; sorted.
pub(super) const IGNORED: &[&str] = &[
    "accept-encoding",
    "age",
    "b3",
    "baggage",
    "cache-control",
    "cf-connecting-ip",
    "cf-ray",
    "connection",
    "content-digest",
    "content-length",
    "content-md5",
    "content-type",
    "cookie",
    "date",
    "digest",
    "dnt",
    "forwarded",
    "idempotency-key",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "referer",
    "request-id",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "sec-gpc",
    "sentry-trace",
    "te",
    "traceparent",
    "tracestate",
    "true-client-ip",
    "uber-trace-id",
    "upgrade-insecure-requests",
    "user-agent",
    "x-amz-cf-id",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amzn-trace-id",
    "x-azure-ref",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-envoy-attempt-count",
    "x-envoy-expected-rq-timeout-ms",
    "x-forwarded-for",
    "x-forwarded-port",
    "x-idempotency-key",
    "x-queue-start",
    "x-real-ip",
    "x-request-id",
    "x-request-start",
    "x-trace-id",
    "x-varnish",
];

/// Names that begin so are ignored too.
const IGNORED_STARTS: &[&str] = &["sec-ch-", "x-b3-", "x-datadog-"];

/// Cookies of analytics and bot managers, which say nothing of the client's rights.
const IGNORED_COOKIES: &[&str] = &[
    "_ga",
    "_gid",
    "_gcl",
    "_fbp",
    "_pk_",
    "_hj",
    "__utm",
    "__cf",
    "_dd_s",
    "ai_",
    "amplitude",
    "incap_",
    "visid_incap",
    "nlbi_",
    "awsalb",
];

/// Parameters that keep an answer from being cached.
const IGNORED_PARAMETERS: &[&str] = &["_", "cb", "nonce", "t", "timestamp", "ts"];

/// Whether a header field of this name, in lower case, is not compared. A name in which there may be
/// anything is not told either.
pub(in crate::evidence) fn is_ignored_header(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !name.bytes().all(letter)
        || IGNORED.binary_search(&name).is_ok()
        || IGNORED_STARTS.iter().any(|start| name.starts_with(start))
}

/// Whether a cookie of this name, in lower case, is not compared.
pub(in crate::evidence) fn is_ignored_cookie(name: &str) -> bool {
    IGNORED_COOKIES.iter().any(|start| name.starts_with(start))
}

/// Whether a parameter of this name, in lower case, is not compared.
pub(in crate::evidence) fn is_ignored_parameter(name: &str) -> bool {
    IGNORED_PARAMETERS.contains(&name) || name.starts_with("x-amz-") || name.starts_with("x-goog-")
}

/// What is compared of a request.
#[derive(Debug)]
pub(super) struct Traits {
    /// Credentials in headers and the query; cookies and bodies have their own.
    pub(super) credentials: Named,
    /// Cookies but those of analytics and CSRF.
    pub(super) cookies: Named,
    /// CSRF tokens and their cookies, masks taken off.
    pub(super) csrf: Named,
    /// The host of `Origin`, and `Sec-Fetch-Site`.
    pub(super) origin: (Option<String>, Option<Vec<u8>>),
    /// The host of `Referer`.
    pub(super) referer: Option<String>,
    /// `User-Agent`.
    pub(super) user_agent: Option<Vec<u8>>,
    /// Every other header field.
    pub(super) fields: Named,
    /// The path, as written.
    pub(super) path: Vec<u8>,
    /// Parameters that are neither credential nor token.
    pub(super) query: BTreeSet<(Vec<u8>, Vec<u8>)>,
    /// `Content-Type` without the boundary.
    pub(super) body_type: Option<String>,
    /// The length of the body on the wire, in bytes.
    pub(super) body_size: u64,
    /// What the body holds.
    pub(super) body: Content,
    /// The client's address.
    pub(super) client: Option<IpAddr>,
    /// The server's address.
    pub(super) server: SocketAddr,
    /// The server's program and container: its processes have them in common.
    pub(super) program: Option<(String, Option<String>)>,
}

/// What a body holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Names and values of a form, but CSRF tokens.
    Form(Vec<(Vec<u8>, Vec<u8>)>),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Traits {
    /// Reads them once, for several comparisons.
    pub(super) fn of(parts: &Parts<'_>) -> Self {
        let value = |name| parts.field(name).map(|(_, value)| value);
        let host = |url| authority(url).map_or_else(|| lower(url, 64), comparable_host);
        let credentials = credential::all(parts);
        let server = &parts.exchange.server;
        Self {
            cookies: cookies(parts),
            csrf: csrf(parts),
            origin: (
                value("origin").map(host),
                value("sec-fetch-site").map(<[u8]>::to_vec),
            ),
            referer: value("referer").map(host),
            user_agent: value("user-agent").map(<[u8]>::to_vec),
            fields: fields(parts),
            path: parts.path().to_vec(),
            query: query(parts, &credentials),
            credentials: named(&credentials),
            body_type: value("content-type").map(body_type),
            body_size: parts.request.message.body.wire_len(),
            body: body(parts),
            client: judged(parts.exchange).map(|(_, address)| address),
            server: server.addr,
            program: server.owner.as_ref().map(program),
        }
    }
}

fn named(credentials: &[Credential<'_>]) -> Named {
    credentials
        .iter()
        .filter(|c| matches!(c.place, Place::Header | Place::Query))
        .map(|c| {
            let name = c.name.to_ascii_lowercase();
            let value = lasting(&name, &c.value).to_vec();
            (name, value)
        })
        .collect()
}

/// What of a credential is the same in every request of its owner.
fn lasting<'c>(name: &str, value: &'c [u8]) -> &'c [u8] {
    if name.contains("signature") || name == "sig" || name == "sign" {
        // It depends on the whole request.
        b""
    } else if value.starts_with(b"AWS4-") || value.starts_with(b"GOOG4-") {
        // The scheme and the id of the key.
        value.split(|b| *b == b'/').next().unwrap_or_default()
    } else if value.starts_with(b"Digest ") || value.starts_with(b"Hawk ") {
        value.split(|b| *b == b',').next().unwrap_or_default()
    } else {
        value
    }
}

fn cookies(parts: &Parts<'_>) -> Named {
    let cookies = parts.cookies.iter();
    cookies
        .filter(|c| !is(Kind::CsrfCookie, &c.name) && !is(Kind::IgnoredCookie, &c.name))
        .map(|c| (lower(&c.name, 64), c.value.to_vec()))
        .collect()
}

fn csrf(parts: &Parts<'_>) -> Named {
    let cookies = parts.cookies.iter();
    let cookies = cookies.filter(|c| is(Kind::CsrfCookie, &c.name)).map(|c| {
        let name = format!("the cookie {}", lower(&c.name, 64));
        (name, unmasked(&c.value).into_owned())
    });
    let tokens = tokens(parts).into_iter();
    tokens
        .map(|t| (t.name, unmasked(&t.value).into_owned()))
        .chain(cookies)
        .collect()
}

fn fields(parts: &Parts<'_>) -> Named {
    let mut fields = Named::new();
    for field in parts.head.fields().take(FIELDS_MAX) {
        let others = [
            Kind::IgnoredHeader,
            Kind::CredentialHeader,
            Kind::CsrfHeader,
        ];
        if !others.into_iter().any(|kind| is(kind, field.name)) {
            fields
                .entry(lower(field.name, 64))
                .or_default()
                .extend_from_slice(field.value);
        }
    }
    fields
}

fn query(parts: &Parts<'_>, credentials: &[Credential<'_>]) -> BTreeSet<(Vec<u8>, Vec<u8>)> {
    let told = |pair: &&Pair<'_>| {
        !is(Kind::CsrfField, &pair.name)
            && !is(Kind::IgnoredParameter, &pair.name)
            && !credentials.iter().any(|c| {
                c.place == Place::Query && c.name.eq_ignore_ascii_case(&lower(&pair.name, 64))
            })
    };
    let pairs = parts.query.iter().filter(told);
    pairs.map(|p| (p.name.to_vec(), p.value.to_vec())).collect()
}

fn body_type(value: &[u8]) -> String {
    let parameters = value
        .split(|b| *b == b';')
        .map(|p| lower(p.trim_ascii(), 128))
        // Another one in each request.
        .filter(|p| !p.starts_with("boundary="));
    parameters.collect::<Vec<_>>().join(";")
}

fn body(parts: &Parts<'_>) -> Content {
    match parts.media {
        Media::Form | Media::Multipart => {
            let fields = parts.form.iter();
            let fields = fields.filter(|pair| !is(Kind::CsrfField, &pair.name));
            Content::Form(
                fields
                    .map(|p| (p.name.to_vec(), p.value.to_vec()))
                    .collect(),
            )
        }
        _ => Content::Bytes(parts.content.to_vec()),
    }
}

fn program(owner: &Owner) -> (String, Option<String>) {
    let name = owner.exe.as_ref().unwrap_or(&owner.comm);
    let container = owner.container.as_ref().map(|c| c.id.clone());
    (name.to_string(), container)
}
