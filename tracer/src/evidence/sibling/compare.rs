//! In what two requests differ, and how to say it.

use std::borrow::Cow;

use super::super::parts::Parts;
use super::named::Named;
use super::traits::Traits;
use crate::model::Part;

/// A body is larger in a way that matters beyond this many bytes, and this many times the other.
const LARGE: u64 = 8 << 10;
const LARGER: u64 = 4;
/// Most names in a difference.
const NAMES_MAX: usize = 4;

/// What two requests can differ in, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic<'a> {
    Body,
    BodySize,
    BodyType,
    Client,
    CookieMissing,
    CookieOther,
    CredentialMissing,
    CredentialOther,
    CsrfMissing,
    CsrfOther,
    /// A field that no other topic compares.
    Header(&'a str),
    Hop,
    Origin,
    Path,
    Query,
    Referer,
    UserAgent,
}

impl Topic<'_> {
    /// The id of a piece of evidence: this, and what differs.
    pub(super) fn id(&self, start: &str) -> String {
        let (of_field, name) = match self {
            Self::Header(name) => ("header_", *name),
            other => ("", other.name()),
        };
        [start, of_field, name].concat()
    }

    const fn name(&self) -> &str {
        match self {
            Self::Body => "body",
            Self::BodySize => "body_size",
            Self::BodyType => "body_type",
            Self::Client => "client",
            Self::CookieMissing => "cookie_missing",
            Self::CookieOther => "cookie_other",
            Self::CredentialMissing => "credential_missing",
            Self::CredentialOther => "credential_other",
            Self::CsrfMissing => "csrf_missing",
            Self::CsrfOther => "csrf_other",
            Self::Header(name) => name,
            Self::Hop => "hop",
            Self::Origin => "origin",
            Self::Path => "path",
            Self::Query => "query",
            Self::Referer => "referer",
            Self::UserAgent => "user_agent",
        }
    }
}

/// In what `this` differs from `other`.
pub(super) fn differences<'a>(this: &'a Traits<'_>, other: &'a Traits<'_>) -> Vec<Topic<'a>> {
    let mut found = Vec::new();
    if let Some(topic) = body(this, other) {
        found.push(topic);
    }
    if this.client != other.client {
        found.push(Topic::Client);
    }
    let values = [
        (
            (&this.cookies, &other.cookies),
            [Topic::CookieMissing, Topic::CookieOther],
        ),
        (
            (&this.credentials, &other.credentials),
            [Topic::CredentialMissing, Topic::CredentialOther],
        ),
        (
            (&this.csrf, &other.csrf),
            [Topic::CsrfMissing, Topic::CsrfOther],
        ),
    ];
    for ((here, there), [missing, not_the_same]) in values {
        if here != there {
            let lacks = here.lacking(there).next().is_some();
            found.push(if lacks { missing } else { not_the_same });
        }
    }
    if this.fields != other.fields {
        let more = this.fields.lacking(&other.fields);
        let names = this.fields.differing(&other.fields).chain(more);
        found.extend(names.map(Topic::Header));
    }
    let programs = this.program.as_ref().zip(other.program.as_ref());
    let is_another = programs.is_some_and(|(here, there)| here != there);
    let rest = [
        (this.server != other.server || is_another, Topic::Hop),
        (this.origin != other.origin, Topic::Origin),
        (this.path != other.path, Topic::Path),
        (this.query != other.query, Topic::Query),
        (this.referer != other.referer, Topic::Referer),
        (this.user_agent != other.user_agent, Topic::UserAgent),
    ];
    for (differs, topic) in rest {
        if differs {
            found.push(topic);
        }
    }
    found
}

/// The type, else the size, else the content.
fn body(this: &Traits<'_>, other: &Traits<'_>) -> Option<Topic<'static>> {
    let (here, there) = (this.body_size, other.body_size);
    if this.body_type != other.body_type {
        Some(Topic::BodyType)
    } else if here > LARGE && here / LARGER >= there {
        Some(Topic::BodySize)
    } else {
        (this.body != other.body).then_some(Topic::Body)
    }
}

/// A difference, in words that complete "It is refused, and …".
pub(super) struct Difference {
    /// What differs.
    pub(super) says: Cow<'static, str>,
    /// Where, in the refused request.
    pub(super) part: Option<Part>,
}

impl Difference {
    /// Of a request, whose `parts` these are, in one of the [`differences`] from another.
    pub(super) fn of(
        topic: Topic<'_>,
        (this, parts): (&Traits<'_>, &Parts<'_>),
        other: &Traits<'_>,
    ) -> Self {
        let field = |name| parts.field(name).map(|(at, _)| Part::Field(at));
        let content = || Some(Part::Body(0, parts.content.len()));
        let (says, part): (Cow<'static, str>, _) = match topic {
            Topic::Body => ("its body is another one".into(), content()),
            Topic::BodySize => {
                let (here, there) = (this.body_size, other.body_size);
                let says = format!("its body is larger: {here} bytes, not {there}");
                (says.into(), content())
            }
            Topic::BodyType => (
                "its Content-Type is another one".into(),
                field("content-type"),
            ),
            Topic::Client => ("it comes from another client address".into(), None),
            Topic::CookieMissing => (lacks("a cookie", &this.cookies, &other.cookies), None),
            Topic::CookieOther => (has("a cookie", &this.cookies, &other.cookies), None),
            Topic::CredentialMissing => (
                lacks("a credential", &this.credentials, &other.credentials),
                None,
            ),
            Topic::CredentialOther => (
                has("a credential", &this.credentials, &other.credentials),
                None,
            ),
            Topic::CsrfMissing => (lacks("a CSRF token", &this.csrf, &other.csrf), None),
            Topic::CsrfOther => (has("a CSRF token", &this.csrf, &other.csrf), None),
            Topic::Header(name) => {
                let (here, there) = (this.fields.get(name), other.fields.get(name));
                let says = match (here, there) {
                    (None, _) => ["it has no field ", name, ""],
                    (_, None) => ["it has a field ", name, ""],
                    _ => ["its field ", name, " has another value"],
                };
                (says.concat().into(), field(name))
            }
            Topic::Hop => ("another server answered it".into(), None),
            Topic::Origin => (
                "it comes from another Origin, or from none".into(),
                field("origin"),
            ),
            Topic::Path => ("its path is another one".into(), Some(Part::StartLine)),
            Topic::Query => ("its query is another one".into(), Some(Part::StartLine)),
            Topic::Referer => (
                "its Referer is of another host, or missing".into(),
                field("referer"),
            ),
            Topic::UserAgent => (
                "its User-Agent is another one, or missing".into(),
                field("user-agent"),
            ),
        };
        Self { says, part }
    }
}

fn lacks(what: &str, here: &Named<'_>, there: &Named<'_>) -> Cow<'static, str> {
    let names = list(here.lacking(there));
    ["it lacks ", what, " that is there: ", &*names]
        .concat()
        .into()
}

fn has(what: &str, here: &Named<'_>, there: &Named<'_>) -> Cow<'static, str> {
    let names = list(here.differing(there));
    let says = [
        "it has another value, or one more, of ",
        what,
        ": ",
        &*names,
    ];
    says.concat().into()
}

/// Some names, as a sentence has them.
fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.take(NAMES_MAX).collect::<Vec<_>>().join(", ")
}
