//! What of a request is compared: not what differs in every request.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use super::super::client::judged;
use super::super::names::Kind;
use super::super::parts::{Media, Pair, Parts};
use super::super::request::credential::{self, Credential, Place};
use super::super::request::csrf::{tokens, unmasked};
use super::super::text::{authority, comparable_host, lower, lower_text};
use super::named::{Named, owned};
use crate::model::Owner;

/// Most header fields that are compared.
const FIELDS_MAX: usize = 96;

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
pub(super) struct Traits<'a> {
    /// Credentials in headers and the query; cookies and bodies have their own.
    pub(super) credentials: Named<'a>,
    /// Cookies but those of analytics and CSRF.
    pub(super) cookies: Named<'a>,
    /// CSRF tokens and their cookies, masks taken off.
    pub(super) csrf: Named<'a>,
    /// The host of `Origin`, and `Sec-Fetch-Site`.
    pub(super) origin: (Option<Cow<'a, str>>, Option<Cow<'a, [u8]>>),
    /// The host of `Referer`.
    pub(super) referer: Option<Cow<'a, str>>,
    /// `User-Agent`.
    pub(super) user_agent: Option<Cow<'a, [u8]>>,
    /// Every other header field.
    pub(super) fields: Named<'a>,
    /// The path, as written.
    pub(super) path: Cow<'a, [u8]>,
    /// Parameters that are neither credential nor token, in order and each once.
    pub(super) query: Pairs<'a>,
    /// `Content-Type` without the boundary.
    pub(super) body_type: Option<Cow<'a, str>>,
    /// The length of the body on the wire, in bytes.
    pub(super) body_size: u64,
    /// What the body holds.
    pub(super) body: Content<'a>,
    /// The client's address.
    pub(super) client: Option<IpAddr>,
    /// The server's address.
    pub(super) server: SocketAddr,
    /// The server's program and container: its processes have them in common.
    pub(super) program: Option<(Cow<'a, str>, Option<Cow<'a, str>>)>,
}

/// Names and values.
type Pairs<'a> = Vec<(Cow<'a, [u8]>, Cow<'a, [u8]>)>;

/// What a body holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// Names and values of a form, but CSRF tokens.
    Form(Pairs<'a>),
    /// Anything else.
    Bytes(Cow<'a, [u8]>),
}

impl<'a> Traits<'a> {
    /// Reads them once, for several comparisons.
    pub(super) fn of(parts: &'a Parts<'_>) -> Self {
        let value = |name| parts.field(name).map(|(_, value)| value);
        let host = |url| authority(url).map_or_else(|| lower(url, 64), comparable_host);
        let credentials = credential::all(parts);
        let server = &parts.exchange.server;
        Self {
            cookies: cookies(parts),
            csrf: csrf(parts),
            origin: (
                value("origin").map(host),
                value("sec-fetch-site").map(Cow::Borrowed),
            ),
            referer: value("referer").map(host),
            user_agent: value("user-agent").map(Cow::Borrowed),
            fields: fields(parts),
            path: Cow::Borrowed(parts.path()),
            query: query(parts, &credentials),
            credentials: named(credentials),
            body_type: value("content-type").map(body_type),
            body_size: parts.request.message.body.wire_len(),
            body: body(parts),
            client: judged(parts.exchange).map(|(_, address)| address),
            server: server.addr,
            program: server.owner.as_ref().map(program),
        }
    }

    /// Traits that outlive the request.
    pub(super) fn into_owned(self) -> Traits<'static> {
        let (origin, fetch_site) = self.origin;
        Traits {
            credentials: self.credentials.into_owned(),
            cookies: self.cookies.into_owned(),
            csrf: self.csrf.into_owned(),
            origin: (origin.map(owned), fetch_site.map(owned)),
            referer: self.referer.map(owned),
            user_agent: self.user_agent.map(owned),
            fields: self.fields.into_owned(),
            path: owned(self.path),
            query: owned_pairs(self.query),
            body_type: self.body_type.map(owned),
            body: match self.body {
                Content::Form(pairs) => Content::Form(owned_pairs(pairs)),
                Content::Bytes(bytes) => Content::Bytes(owned(bytes)),
            },
            program: self
                .program
                .map(|(name, container)| (owned(name), container.map(owned))),
            body_size: self.body_size,
            client: self.client,
            server: self.server,
        }
    }
}

fn owned_pairs(pairs: Pairs<'_>) -> Pairs<'static> {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| (owned(name), owned(value)))
        .collect()
}

fn named(credentials: Vec<Credential<'_>>) -> Named<'_> {
    let credentials = credentials.into_iter();
    let compared = credentials.filter(|c| matches!(c.place, Place::Header | Place::Query));
    Named::last_of(compared.map(|c| {
        let name = lower_text(c.name);
        let value = lasting(&name, c.value);
        (name, Cow::Borrowed(value))
    }))
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

fn cookies<'a>(parts: &'a Parts<'_>) -> Named<'a> {
    let cookies = parts.cookies.iter();
    let compared = cookies.filter(|c| !c.is(Kind::CsrfCookie) && !c.is(Kind::IgnoredCookie));
    Named::last_of(compared.map(|c| (lower(&c.name, 64), Cow::Borrowed(&*c.value))))
}

fn csrf<'a>(parts: &'a Parts<'_>) -> Named<'a> {
    let cookies = parts.cookies.iter();
    let cookies = cookies.filter(|c| c.is(Kind::CsrfCookie)).map(|c| {
        let name = ["the cookie ", &*lower(&c.name, 64)].concat();
        (name.into(), unmasked(&c.value))
    });
    let tokens = tokens(parts).into_iter();
    Named::last_of(tokens.map(|t| (t.name, unmasked(t.value))).chain(cookies))
}

fn fields<'a>(parts: &'a Parts<'_>) -> Named<'a> {
    let others = [
        Kind::IgnoredHeader,
        Kind::CredentialHeader,
        Kind::CsrfHeader,
    ];
    let fields = parts.fields.iter().take(FIELDS_MAX);
    let compared = fields.filter(|f| !others.into_iter().any(|kind| f.is(kind)));
    Named::all_of(compared.map(|f| (lower(f.name, 64), Cow::Borrowed(f.value))))
}

fn query<'a>(parts: &'a Parts<'_>, credentials: &[Credential<'_>]) -> Pairs<'a> {
    let is_credential = |pair: &Pair<'_>| {
        let mut credentials = credentials.iter().filter(|c| c.place == Place::Query);
        credentials.any(|c| c.name.eq_ignore_ascii_case(&lower(&pair.name, 64)))
    };
    let pairs = parts.query.iter().filter(|pair| {
        !pair.is(Kind::CsrfField) && !pair.is(Kind::IgnoredParameter) && !is_credential(pair)
    });
    let mut pairs: Pairs<'a> = pairs.map(borrowed).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

fn borrowed<'a>(pair: &'a Pair<'_>) -> (Cow<'a, [u8]>, Cow<'a, [u8]>) {
    (Cow::Borrowed(&*pair.name), Cow::Borrowed(&*pair.value))
}

fn body_type(value: &[u8]) -> Cow<'_, str> {
    let mut parameters = value
        .split(|b| *b == b';')
        .map(|p| lower(p.trim_ascii(), 128))
        // Another one in each request.
        .filter(|p| !p.starts_with("boundary="));
    let first = parameters.next().unwrap_or_default();
    parameters.fold(first, |all, p| [&*all, ";", &*p].concat().into())
}

fn body<'a>(parts: &'a Parts<'_>) -> Content<'a> {
    match parts.media {
        Media::Form | Media::Multipart => {
            let fields = parts.form.iter();
            let fields = fields.filter(|pair| !pair.is(Kind::CsrfField));
            Content::Form(fields.map(borrowed).collect())
        }
        _ => Content::Bytes(Cow::Borrowed(parts.content)),
    }
}

fn program(owner: &Owner) -> (Cow<'_, str>, Option<Cow<'_, str>>) {
    let name = owner.exe.as_ref().unwrap_or(&owner.comm);
    let container = owner.container.as_ref();
    (
        Cow::Borrowed(name),
        container.map(|c| Cow::Borrowed(c.id.as_str())),
    )
}
