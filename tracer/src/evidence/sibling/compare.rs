//! In what two requests differ, and how to say it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::parts::Parts;
use super::traits::{Named, Traits};
use crate::model::Part;

/// A body is larger in a way that matters beyond this many bytes, and this many times the other.
const LARGE: u64 = 8 << 10;
const LARGER: u64 = 4;
/// Most names in a difference.
const NAMES_MAX: usize = 4;

/// A difference, in words that complete "It is refused, and …".
pub(super) struct Difference {
    /// What differs.
    pub(super) says: String,
    /// Where, in the refused request.
    pub(super) part: Option<Part>,
}

/// In what `this` differs from `other`, by topic. `parts` are those of `this`, where it matters
/// where in it they are.
pub(super) fn differences(
    this: &Traits,
    other: &Traits,
    parts: Option<&Parts<'_>>,
) -> BTreeMap<String, Difference> {
    let mut found = Found {
        by_topic: BTreeMap::new(),
        parts,
    };
    let credentials = (&this.credentials, &other.credentials);
    found.named("credential", "a credential", credentials);
    found.named("cookie", "a cookie", (&this.cookies, &other.cookies));
    found.named("csrf", "a CSRF token", (&this.csrf, &other.csrf));
    browser(this, other, &mut found);
    fields(this, other, &mut found);
    target(this, other, &mut found);
    body(this, other, &mut found);
    ends(this, other, &mut found);
    found.by_topic
}

struct Found<'a> {
    by_topic: BTreeMap<String, Difference>,
    parts: Option<&'a Parts<'a>>,
}

impl Found<'_> {
    fn add(&mut self, topic: &str, part: Option<Part>, says: impl Into<String>) {
        let says = says.into();
        self.by_topic
            .insert(topic.to_owned(), Difference { says, part });
    }

    /// Where a field stands.
    fn at(&self, name: &str) -> Option<Part> {
        self.parts?.field(name).map(|(at, _)| Part::Field(at))
    }

    /// Values by name: those that are missing, else those that are not the same.
    fn named(&mut self, topic: &str, what: &str, (this, other): (&Named, &Named)) {
        let missing: Vec<&str> = other
            .keys()
            .filter(|name| !this.contains_key(*name))
            .map(String::as_str)
            .take(NAMES_MAX)
            .collect();
        if !missing.is_empty() {
            let says = format!("it lacks {what} that is there: {}", missing.join(", "));
            self.add(&format!("{topic}_missing"), None, says);
        } else if this != other {
            let names: Vec<&str> = this
                .iter()
                .filter(|(name, value)| other.get(*name) != Some(value))
                .map(|(name, _)| name.as_str())
                .take(NAMES_MAX)
                .collect();
            let says = format!(
                "it has another value, or one more, of {what}: {}",
                names.join(", ")
            );
            self.add(&format!("{topic}_other"), None, says);
        }
    }
}

/// What the browser says: where from, and what it is.
fn browser(this: &Traits, other: &Traits, found: &mut Found<'_>) {
    if this.origin != other.origin {
        let says = "it comes from another Origin, or from none";
        found.add("origin", found.at("origin"), says);
    }
    if this.referer != other.referer {
        let says = "its Referer is of another host, or missing";
        found.add("referer", found.at("referer"), says);
    }
    if this.user_agent != other.user_agent {
        let says = "its User-Agent is another one, or missing";
        found.add("user_agent", found.at("user-agent"), says);
    }
}

/// Every field that no other topic compares.
fn fields(this: &Traits, other: &Traits, found: &mut Found<'_>) {
    let names: BTreeSet<&String> = this.fields.keys().chain(other.fields.keys()).collect();
    for name in names {
        let (here, there) = (this.fields.get(name), other.fields.get(name));
        if here == there {
            continue;
        }
        let says = match (here, there) {
            (None, _) => format!("it has no field {name}"),
            (_, None) => format!("it has a field {name}"),
            _ => format!("its field {name} has another value"),
        };
        found.add(&format!("header_{name}"), found.at(name), says);
    }
}

fn target(this: &Traits, other: &Traits, found: &mut Found<'_>) {
    if this.path != other.path {
        found.add("path", Some(Part::StartLine), "its path is another one");
    }
    if this.query != other.query {
        found.add("query", Some(Part::StartLine), "its query is another one");
    }
}

/// The type, else the size, else the content.
fn body(this: &Traits, other: &Traits, found: &mut Found<'_>) {
    let whole = found.parts.map(|p| Part::Body(0, p.content.len()));
    let (here, there) = (this.body_size, other.body_size);
    if this.body_type != other.body_type {
        let says = "its Content-Type is another one";
        found.add("body_type", found.at("content-type"), says);
    } else if here > LARGE && here / LARGER >= there {
        let says = format!("its body is larger: {here} bytes, not {there}");
        found.add("body_size", whole, says);
    } else if this.body != other.body {
        found.add("body", whole, "its body is another one");
    }
}

/// Who asked, and who was asked.
fn ends(this: &Traits, other: &Traits, found: &mut Found<'_>) {
    if this.client != other.client {
        found.add("client", None, "it comes from another client address");
    }
    let programs = this.program.as_ref().zip(other.program.as_ref());
    if this.server != other.server || programs.is_some_and(|(here, there)| here != there) {
        found.add("hop", None, "another server answered it");
    }
}
