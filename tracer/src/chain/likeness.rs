//! What two requests have in common: the tokens by which a request is known again at the next hop.

use std::cell::OnceCell;
use std::net::IpAddr;

use crate::model::{Body, Exchange, Framing, Request};

/// What an inner and an outer request have in common, and how much that says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Likeness {
    /// Points for what agrees, less those for what differs.
    pub(super) score: i32,
    /// What agrees, in words.
    pub(super) agree: Vec<&'static str>,
    /// Both carry the same request id or trace id.
    pub(super) same_id: bool,
    /// Both have the same content, and there is some.
    pub(super) same_body: bool,
    /// The inner one names the outer one's client.
    pub(super) names_client: bool,
}

/// Fields whose value a proxy passes on, or makes, as the id of a request.
const IDS: [&str; 9] = [
    "x-request-id",
    "x-correlation-id",
    "request-id",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-b3-traceid",
    "uber-trace-id",
    "cf-ray",
    "x-vcap-request-id",
];

/// The words for ids that agree.
pub(super) const REQUEST_ID: &str = "request id";
pub(super) const TRACEPARENT: &str = "traceparent";

/// Fields in which an authoriser is told the target of the request that it is asked about.
const ORIGINAL_TARGET: [&str; 5] = [
    "x-original-uri",
    "x-original-url",
    "x-forwarded-uri",
    "x-auth-request-redirect",
    "x-original-path",
];

/// Fields that a proxy leaves alone, with the points for them and the word.
const LEFT_ALONE: [(&str, i32, &str); 4] = [
    ("user-agent", 1, "User-Agent"),
    ("cookie", 3, "Cookie"),
    ("authorization", 3, "Authorization"),
    ("content-type", 1, "Content-Type"),
];

/// Fields that name the client.
const CLIENT: [&str; 3] = ["x-forwarded-for", "x-real-ip", "forwarded"];

/// An exchange that is compared with others; what counts of its request's head is read once, as there
/// may be hundreds of them.
#[derive(Debug)]
pub(super) struct Compared<'a> {
    pub(super) exchange: &'a Exchange,
    tokens: OnceCell<Tokens<'a>>,
}

impl<'a> Compared<'a> {
    pub(super) const fn new(exchange: &'a Exchange) -> Self {
        Self {
            exchange,
            tokens: OnceCell::new(),
        }
    }

    fn tokens(&self) -> &Tokens<'a> {
        self.tokens.get_or_init(|| Tokens::of(self.exchange))
    }
}

/// What counts of a request's head.
#[derive(Debug, Default)]
struct Tokens<'a> {
    ids: [Option<&'a [u8]>; IDS.len()],
    trace: Option<&'a [u8]>,
    left_alone: [Option<&'a [u8]>; LEFT_ALONE.len()],
    /// Values of the fields that name the client.
    client: Vec<&'a [u8]>,
    /// Targets of the request that this one asks about.
    original_targets: Vec<&'a [u8]>,
}

impl<'a> Tokens<'a> {
    /// Those of an exchange's request; none where it is not there.
    fn of(exchange: &'a Exchange) -> Self {
        let mut tokens = Self::default();
        let fields = exchange
            .request
            .iter()
            .flat_map(|r| r.message.head.fields());
        for field in fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name.as_bytes());
            let place = if let Some(at) = IDS.iter().position(|id| is(id)) {
                tokens.ids.get_mut(at)
            } else if let Some(at) = LEFT_ALONE.iter().position(|(name, ..)| is(name)) {
                tokens.left_alone.get_mut(at)
            } else if is("traceparent") {
                Some(&mut tokens.trace)
            } else {
                if CLIENT.iter().any(|name| is(name)) {
                    tokens.client.push(field.value);
                } else if ORIGINAL_TARGET.iter().any(|name| is(name)) {
                    tokens.original_targets.push(field.value);
                }
                None
            };
            if let Some(place) = place {
                place.get_or_insert(field.value);
            }
        }
        tokens
    }
}

impl Likeness {
    /// Of the outer request and one that may have been made for it.
    pub(super) fn of(outer: &Compared<'_>, inner: &Compared<'_>) -> Self {
        let mut like = Self::default();
        let (Some(a), Some(b)) = (&outer.exchange.request, &inner.exchange.request) else {
            return like;
        };
        let (here, there) = (outer.tokens(), inner.tokens());
        for (here, there) in here.ids.iter().zip(&there.ids) {
            if let (Some(here), Some(there)) = (here, there)
                && here.len() >= 4
            {
                let agrees = here == there;
                like.same_id |= agrees;
                like.count(agrees, 10, -1, REQUEST_ID);
            }
        }
        if let (Some(here), Some(there)) = (trace(here.trace), trace(there.trace)) {
            like.same_id |= here == there;
            like.count(here == there, 10, -4, TRACEPARENT);
        }
        like.count(a.method() == b.method(), 1, -2, "method");
        like.path(a, b);
        like.body(&a.message.body, &b.message.body);
        let values = here.left_alone.iter().zip(&there.left_alone);
        for ((_, weight, word), values) in LEFT_ALONE.into_iter().zip(values) {
            if let (Some(here), Some(there)) = values {
                like.count(here == there, weight, -weight, word);
            }
        }
        like.forwarded_for(outer.exchange, &there.client);
        if is_told_of(inner, a) {
            like.count(true, 4, 0, "original target");
        }
        like
    }

    fn body(&mut self, here: &Body, there: &Body) {
        if here.wire_len() > 0 || there.wire_len() > 0 {
            let same = here.wire_len() == there.wire_len() && here.kept == there.kept;
            self.same_body = same && here.wire_len() >= 8;
            let weight = if here.kept.len() >= 8 { 4 } else { 1 };
            self.count(same, weight, -2, "body");
        }
    }

    fn path(&mut self, outer: &Request, inner: &Request) {
        match Paths::of(outer, inner) {
            Paths::Same => self.count(true, 3, 0, "path"),
            Paths::Rewritten => self.count(true, 2, 0, "end of the path"),
            Paths::Other => self.score -= 1,
        }
    }

    fn forwarded_for(&mut self, outer: &Exchange, inner: &[&[u8]]) {
        if inner.is_empty() {
            return;
        }
        let client = outer.client.seen_as().ip().to_canonical();
        let named = inner
            .iter()
            .flat_map(|value| value.split(|b| b",;= \"[]".contains(b)))
            .filter_map(|text| std::str::from_utf8(text).ok()?.parse::<IpAddr>().ok())
            .map(|ip| ip.to_canonical());
        let mut named = named.take(32).peekable();
        if named.peek().is_some() {
            let agrees = named.any(|ip| ip == client);
            self.names_client = agrees;
            self.count(agrees, 2, -3, "client address");
        }
    }

    fn count(&mut self, agrees: bool, for_it: i32, against: i32, word: &'static str) {
        self.score += if agrees { for_it } else { against };
        if agrees && !self.agree.contains(&word) {
            self.agree.push(word);
        }
    }
}

/// Whether `inner` is the outer request passed on, rather than a call of the server's own: the same
/// method, and the path or the content known again.
pub(super) fn is_forward(outer: &Compared<'_>, inner: &Compared<'_>) -> bool {
    let (Some(a), Some(b)) = (&outer.exchange.request, &inner.exchange.request) else {
        return false;
    };
    if a.method() != b.method() || is_told_of(inner, a) {
        return false;
    }
    // Who passes a request on passes its content on; an authoriser is shown the head alone.
    if has_content(a) && !has_content(b) {
        return false;
    }
    let like = Likeness::of(outer, inner);
    if Paths::of(a, b) != Paths::Other || like.same_body {
        return true;
    }
    // Rewritten beyond recognition: what a proxy leaves alone must be there.
    let left_alone = ["User-Agent", "Cookie", "Authorization", "client address"];
    let agreeing = left_alone.iter().filter(|word| like.agree.contains(word));
    let bodies_differ = a.message.body.wire_len() != b.message.body.wire_len();
    !bodies_differ && agreeing.count() >= 1
}

/// Whether the head announces content.
fn has_content(request: &Request) -> bool {
    !matches!(
        request.message.body.framing,
        Framing::None | Framing::Length(0)
    )
}

/// Whether `inner` says that it is about the target of `outer`.
fn is_told_of(inner: &Compared<'_>, outer: &Request) -> bool {
    let mut targets = inner.tokens().original_targets.iter();
    targets.any(|value| ends_with(value, outer.path_and_query()))
}

/// How the targets of two requests are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paths {
    /// Equal but for what is in front of the path.
    Same,
    /// One is the other with something cut off or put in front, by whole segments.
    Rewritten,
    /// Neither.
    Other,
}

impl Paths {
    fn of(outer: &Request, inner: &Request) -> Self {
        let (a, b) = (outer.path_and_query(), inner.path_and_query());
        if a == b {
            return Self::Same;
        }
        let (shorter, longer) = if a.len() < b.len() { (a, b) } else { (b, a) };
        match shorter.len() > 1 && ends_with(longer, shorter) {
            true => Self::Rewritten,
            false => Self::Other,
        }
    }
}

/// Whether `longer` ends with `shorter`, which begins with a slash.
fn ends_with(longer: &[u8], shorter: &[u8]) -> bool {
    shorter.starts_with(b"/") && longer.ends_with(shorter)
}

/// The trace id of `traceparent` (W3C Trace Context section 3.2.2).
fn trace(traceparent: Option<&[u8]>) -> Option<&[u8]> {
    traceparent?
        .split(|b| *b == b'-')
        .nth(1)
        .filter(|id| id.len() == 32)
}
