//! In what two requests differ, apart from what differs in every request.

use std::collections::{BTreeMap, BTreeSet};

use super::super::client::judged;
use super::super::parts::{Media, Pair, Parts};
use super::super::request::credential::{self, Place, is_credential_header};
use super::super::request::csrf::{
    is_csrf_cookie, is_csrf_field, is_csrf_header, tokens, unmasked,
};
use super::super::text::{authority, comparable_host, lower};
use crate::model::{Owner, Part};

/// A body is larger in a way that matters beyond this many bytes, and this many times the other.
const LARGE: u64 = 8 << 10;
const LARGER: u64 = 4;
/// Most header fields that are compared.
const FIELDS_MAX: usize = 96;

/// A difference, in words that complete "It is refused, and …".
pub(super) struct Difference {
    /// What differs.
    pub(super) says: String,
    /// Where, in the refused request.
    pub(super) part: Option<Part>,
}

/// Header fields that differ in every request, or that another topic compares.
const IGNORED: &[&str] = &[
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

/// In what `this` differs from `other`, by topic.
pub(super) fn differences(this: &Parts<'_>, other: &Parts<'_>) -> BTreeMap<String, Difference> {
    let mut found = Found(BTreeMap::new());
    credentials(this, other, &mut found);
    cookies(this, other, &mut found);
    csrf(this, other, &mut found);
    named_fields(this, other, &mut found);
    other_fields(this, other, &mut found);
    target(this, other, &mut found);
    body(this, other, &mut found);
    ends(this, other, &mut found);
    found.0
}

struct Found(BTreeMap<String, Difference>);

impl Found {
    fn add(&mut self, topic: &str, part: Option<Part>, says: impl Into<String>) {
        let says = says.into();
        self.0.insert(topic.to_owned(), Difference { says, part });
    }

    /// Values by name: those that are missing, else those that are not the same.
    fn named(
        &mut self,
        topic: &str,
        what: &str,
        this: &BTreeMap<String, Vec<u8>>,
        other: &BTreeMap<String, Vec<u8>>,
    ) {
        let missing: Vec<&str> = other
            .keys()
            .filter(|name| !this.contains_key(*name))
            .map(String::as_str)
            .take(4)
            .collect();
        if !missing.is_empty() {
            let says = format!("it lacks {what} that is there: {}", missing.join(", "));
            self.add(&format!("{topic}_missing"), None, says);
        } else if this != other {
            let names: Vec<&str> = this
                .iter()
                .filter(|(name, value)| other.get(*name) != Some(value))
                .map(|(name, _)| name.as_str())
                .take(4)
                .collect();
            let says = format!(
                "it has another value, or one more, of {what}: {}",
                names.join(", ")
            );
            self.add(&format!("{topic}_other"), None, says);
        }
    }
}

/// Credentials in headers and the query; cookies and bodies have their own topics.
fn credentials(this: &Parts<'_>, other: &Parts<'_>, found: &mut Found) {
    let of = |parts: &Parts<'_>| -> BTreeMap<String, Vec<u8>> {
        credential::all(parts)
            .iter()
            .filter(|c| matches!(c.place, Place::Header | Place::Query))
            .map(|c| {
                let name = c.name.to_ascii_lowercase();
                let value = lasting(&name, &c.value).to_vec();
                (name, value)
            })
            .collect()
    };
    found.named("credential", "a credential", &of(this), &of(other));
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

fn cookies(this: &Parts<'_>, other: &Parts<'_>, found: &mut Found) {
    let of = |parts: &Parts<'_>| -> BTreeMap<String, Vec<u8>> {
        let ignored = |name: &str| IGNORED_COOKIES.iter().any(|start| name.starts_with(start));
        parts
            .cookies
            .iter()
            .filter(|c| !is_csrf_cookie(&c.name))
            .map(|c| (lower(&c.name, 64), c.value.to_vec()))
            .filter(|(name, _)| !ignored(name))
            .collect()
    };
    found.named("cookie", "a cookie", &of(this), &of(other));
}

fn csrf(this: &Parts<'_>, other: &Parts<'_>, found: &mut Found) {
    let of = |parts: &Parts<'_>| -> BTreeMap<String, Vec<u8>> {
        let cookies = parts.cookies.iter().filter(|c| is_csrf_cookie(&c.name));
        let cookies = cookies.map(|c| {
            let name = format!("the cookie {}", lower(&c.name, 64));
            (name, unmasked(&c.value).into_owned())
        });
        let tokens = tokens(parts).into_iter();
        tokens
            .map(|t| (t.name, unmasked(&t.value).into_owned()))
            .chain(cookies)
            .collect()
    };
    found.named("csrf", "a CSRF token", &of(this), &of(other));
}

/// `Origin` and `Referer` by their host, and `User-Agent`.
fn named_fields(this: &Parts<'_>, other: &Parts<'_>, found: &mut Found) {
    let page = |parts: &Parts<'_>, name| {
        let (_, url) = parts.field(name)?;
        Some(authority(url).map_or_else(|| lower(url, 64), comparable_host))
    };
    let site = |parts: &Parts<'_>| parts.field("sec-fetch-site").map(|(_, v)| v.to_vec());
    let at = |name| this.field(name).map(|(at, _)| Part::Field(at));
    if page(this, "origin") != page(other, "origin") || site(this) != site(other) {
        found.add(
            "origin",
            at("origin"),
            "it comes from another Origin, or from none",
        );
    }
    if page(this, "referer") != page(other, "referer") {
        let says = "its Referer is of another host, or missing";
        found.add("referer", at("referer"), says);
    }
    let agent = |parts: &Parts<'_>| parts.field("user-agent").map(|(_, v)| v.to_vec());
    if agent(this) != agent(other) {
        let says = "its User-Agent is another one, or missing";
        found.add("user_agent", at("user-agent"), says);
    }
}

/// Every field that no other topic compares.
fn other_fields(this: &Parts<'_>, other: &Parts<'_>, found: &mut Found) {
    let of = |parts: &Parts<'_>| -> BTreeMap<String, Vec<u8>> {
        let mut fields: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for field in parts.head.fields().take(FIELDS_MAX) {
            let name = lower(field.name, 64);
            let token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            let ignored = !name.bytes().all(token)
                || IGNORED.contains(&name.as_str())
                || IGNORED_STARTS.iter().any(|start| name.starts_with(start))
                || is_credential_header(&name)
                || is_csrf_header(&name);
            if !ignored {
                fields
                    .entry(name)
                    .or_default()
                    .extend_from_slice(field.value);
            }
        }
        fields
    };
    let (this_fields, other_fields) = (of(this), of(other));
    let names: BTreeSet<&String> = this_fields.keys().chain(other_fields.keys()).collect();
    for name in names {
        let (here, there) = (this_fields.get(name), other_fields.get(name));
        if here == there {
            continue;
        }
        let says = match (here, there) {
            (None, _) => format!("it has no field {name}"),
            (_, None) => format!("it has a field {name}"),
            _ => format!("its field {name} has another value"),
        };
        let part = this.field(name).map(|(at, _)| Part::Field(at));
        found.add(&format!("header_{name}"), part, says);
    }
}

/// The path as written, and the parameters that are neither credential nor token.
fn target(this: &Parts<'_>, other: &Parts<'_>, found: &mut Found) {
    let query = |parts: &Parts<'_>| -> BTreeSet<(Vec<u8>, Vec<u8>)> {
        let credentials = credential::all(parts);
        let told = |pair: &&Pair<'_>| {
            let name = lower(&pair.name, 64);
            let named = |c: &credential::Credential<'_>| {
                c.place == Place::Query && c.name.eq_ignore_ascii_case(&name)
            };
            !is_csrf_field(&name)
                && !name.starts_with("x-amz-")
                && !name.starts_with("x-goog-")
                && !IGNORED_PARAMETERS.contains(&name.as_str())
                && !credentials.iter().any(named)
        };
        let pairs = parts.query.iter().filter(told);
        pairs.map(|p| (p.name.to_vec(), p.value.to_vec())).collect()
    };
    if this.path() != other.path() {
        found.add("path", Some(Part::StartLine), "its path is another one");
    }
    if query(this) != query(other) {
        found.add("query", Some(Part::StartLine), "its query is another one");
    }
}

/// The type, else the size, else the content.
fn body(this: &Parts<'_>, other: &Parts<'_>, found: &mut Found) {
    let whole = Some(Part::Body(0, this.content.len()));
    let media = |parts: &Parts<'_>| {
        let (_, value) = parts.field("content-type")?;
        let parameters = value
            .split(|b| *b == b';')
            .map(|p| lower(p.trim_ascii(), 128))
            // Another one in each request.
            .filter(|p| !p.starts_with("boundary="));
        Some(parameters.collect::<Vec<_>>().join(";"))
    };
    if media(this) != media(other) {
        let at = this.field("content-type").map(|(at, _)| Part::Field(at));
        found.add("body_type", at, "its Content-Type is another one");
        return;
    }
    let length = |parts: &Parts<'_>| parts.request.message.body.wire_len();
    let (here, there) = (length(this), length(other));
    if here > LARGE && here / LARGER >= there {
        let says = format!("its body is larger: {here} bytes, not {there}");
        found.add("body_size", whole, says);
    } else if content_differs(this, other) {
        found.add("body", whole, "its body is another one");
    }
}

fn content_differs(this: &Parts<'_>, other: &Parts<'_>) -> bool {
    let fields = |parts: &Parts<'_>| -> Vec<(Vec<u8>, Vec<u8>)> {
        let fields = parts.form.iter();
        let fields = fields.filter(|pair| !is_csrf_field(&lower(&pair.name, 64)));
        fields
            .map(|p| (p.name.to_vec(), p.value.to_vec()))
            .collect()
    };
    match this.media {
        Media::Form | Media::Multipart => fields(this) != fields(other),
        _ => this.content != other.content,
    }
}

/// Who asked, and who was asked.
fn ends(this: &Parts<'_>, other: &Parts<'_>, found: &mut Found) {
    let client = |parts: &Parts<'_>| judged(parts.exchange).map(|(_, address)| address);
    if client(this) != client(other) {
        found.add("client", None, "it comes from another client address");
    }
    // The processes of one server have the same program and container.
    let program = |owner: &Owner| {
        let container = owner.container.as_ref().map(|c| c.id.clone());
        (
            owner.exe.clone().unwrap_or_else(|| owner.comm.clone()),
            container,
        )
    };
    let (here, there) = (&this.exchange.server, &other.exchange.server);
    let owners = here.owner.as_ref().zip(there.owner.as_ref());
    let other_program = owners.is_some_and(|(a, b)| program(a) != program(b));
    if here.addr != there.addr || other_program {
        found.add("hop", None, "another server answered it");
    }
}
