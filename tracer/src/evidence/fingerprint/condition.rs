//! One condition of a fingerprint: where to look, and what must be there.

use std::cell::OnceCell;
use std::fmt;
use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder, SetMatches};

use super::gate::Shapes;
use crate::limits;
use crate::model::{Exchange, Head, Message, MessageEnd, Part, Request, Response, Side, Span};

/// The field that sets a cookie.
pub(super) const SET_COOKIE: &[u8] = b"set-cookie";

/// What must hold.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Where to look.
    pub place: Place,
    /// Matches one of the values there.
    pub is: Option<Pattern>,
    /// Matches none of the values there.
    pub not: Option<Pattern>,
    /// There is no value there.
    pub absent: bool,
}

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The status code, as text.
    Status,
    /// The reason phrase.
    Reason,
    /// The values of these header fields of the answer.
    ResponseHeader(Names),
    /// The names of the cookies that the answer sets.
    ResponseCookie,
    /// The content of the answer, its codings removed.
    ResponseBody,
    /// The number of bytes of that content, as text, where it is known.
    ResponseLength,
    /// The method of the request.
    RequestMethod,
    /// The target of the request, as written.
    RequestTarget,
    /// The values of these header fields of the request.
    RequestHeader(Names),
    /// The name of the process that answered, where it is known.
    Process,
    /// A line of the server's log, which the wire does not show. Never holds.
    ErrorLog,
}

/// Names of header fields: `A|B` is A or B, and `A*` all that begin with A; any letter case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    text: String,
    /// Each name, and whether it is only the beginning of one.
    names: Vec<(String, bool)>,
}

/// A regular expression over bytes.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    /// Compiled where it is first needed: of the own table, few are in a session. `None` where it
    /// cannot be, which tests rule out for the own table, and the reader for others.
    compiled: OnceLock<Option<Regex>>,
    /// Speaks of the end of the value, so it takes the whole value to tell.
    to_the_end: bool,
    /// Its place among the patterns of its set.
    pub(super) in_set: Option<usize>,
}

/// The patterns that are looked for all at once, as many rows have such a condition.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets {
    statuses: Set,
    bodies: Set,
}

/// Some patterns. Compiled where they are first needed: that takes longer than to read a small
/// capture, and in many there is nothing to match.
#[derive(Clone, Debug, Default)]
struct Set {
    patterns: Vec<String>,
    /// `None` where a bound is reached, which tests rule out for the own table, and
    /// [`Sets::check`] for others.
    compiled: OnceLock<Option<RegexSet>>,
}

/// What the conditions are held against.
pub(super) struct Facts<'a> {
    request: Option<&'a Request>,
    response: Option<&'a Response>,
    pub(super) process: Option<&'a str>,
    status: String,
    body: &'a [u8],
    /// Whether `body` is all of it.
    body_is_whole: bool,
    length: Option<String>,
    pub(super) request_names: Shapes,
    pub(super) response_names: Shapes,
    sets: &'a Sets,
    statuses: OnceCell<Option<SetMatches>>,
    bodies: OnceCell<Option<SetMatches>>,
}

/// A condition holds, for what is in this place.
pub(super) struct Found(pub(super) Option<Span>);

impl Condition {
    /// Whether it holds, and where.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> Option<Found> {
        let start_of = |message| {
            Some(Span {
                message,
                part: Part::StartLine,
            })
        };
        match &self.place {
            Place::Status => self.of_status(facts),
            Place::Reason => self.among([(facts.response?.reason(), start_of(Side::Response))]),
            Place::ResponseHeader(names) => {
                let head = &facts.response?.message.head;
                self.among(fields(head, names, Side::Response))
            }
            Place::ResponseCookie => self.among(cookies(&facts.response?.message.head)),
            Place::ResponseBody => self.in_body(facts),
            Place::ResponseLength => self.among([(facts.length.as_deref()?.as_bytes(), None)]),
            Place::RequestMethod => {
                self.among([(facts.request?.method(), start_of(Side::Request))])
            }
            Place::RequestTarget => {
                self.among([(facts.request?.target(), start_of(Side::Request))])
            }
            Place::RequestHeader(names) => {
                let head = &facts.request?.message.head;
                self.among(fields(head, names, Side::Request))
            }
            Place::Process => self.among([(facts.process?.as_bytes(), None)]),
            Place::ErrorLog => None,
        }
    }

    fn of_status(&self, facts: &Facts<'_>) -> Option<Found> {
        facts.response?;
        let value = facts.status.as_bytes();
        if self.absent || self.not.as_ref().is_some_and(|p| p.is_in(value)) {
            return None;
        }
        let has = |is: &Pattern| is.in_set.is_some_and(|place| facts.has_status(place));
        if !self.is.as_ref().is_none_or(has) {
            return None;
        }
        Some(Found(Some(Span {
            message: Side::Response,
            part: Part::StartLine,
        })))
    }

    fn among<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a [u8], Option<Span>)>,
    ) -> Option<Found> {
        let mut found = None;
        for (value, span) in values {
            if self.absent || self.not.as_ref().is_some_and(|p| p.is_in(value)) {
                return None;
            }
            if found.is_none() && self.is.as_ref().is_none_or(|p| p.is_in(value)) {
                found = Some(Found(span));
            }
        }
        let nothing_asked = self.is.is_none() && (self.absent || self.not.is_some());
        found.or_else(|| nothing_asked.then_some(Found(None)))
    }

    fn in_body(&self, facts: &Facts<'_>) -> Option<Found> {
        facts.response?;
        if self.absent {
            return (facts.body_is_whole && facts.body.is_empty()).then_some(Found(None));
        }
        if let Some(not) = &self.not
            && not.is_in(facts.body)
        {
            return None;
        }
        let Some(is) = &self.is else {
            return (self.not.is_some() || !facts.body.is_empty()).then_some(Found(None));
        };
        if is.to_the_end && !facts.body_is_whole {
            return None;
        }
        if !is.in_set.is_some_and(|place| facts.has_body(place)) {
            return None;
        }
        let at = is.regex()?.find(facts.body)?;
        Some(Found(Some(Span {
            message: Side::Response,
            part: Part::Body(at.start(), at.end()),
        })))
    }
}

impl fmt::Display for Condition {
    /// As a table has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ in = \"{}\"", self.place.name())?;
        if let Place::ResponseHeader(names) | Place::RequestHeader(names) = &self.place {
            write!(f, ", name = \"{}\"", names.as_str())?;
        }
        for (key, pattern) in [("is", &self.is), ("not", &self.not)] {
            if let Some(pattern) = pattern {
                write!(f, ", {key} = '''{}'''", pattern.as_str())?;
            }
        }
        if self.absent {
            f.write_str(", absent = true")?;
        }
        f.write_str(" }")
    }
}

impl Place {
    /// Its name in tables.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Reason => "reason",
            Self::ResponseHeader(_) => "response-header",
            Self::ResponseCookie => "response-cookie",
            Self::ResponseBody => "response-body",
            Self::ResponseLength => "response-length",
            Self::RequestMethod => "request-method",
            Self::RequestTarget => "request-target",
            Self::RequestHeader(_) => "request-header",
            Self::Process => "process",
            Self::ErrorLog => "error-log",
        }
    }
}

impl Names {
    pub(super) fn new(text: &str) -> Self {
        let name = |name: &str| match name.strip_suffix('*') {
            Some(start) => (start.to_owned(), true),
            None => (name.to_owned(), false),
        };
        Self {
            text: text.to_owned(),
            names: text.split('|').map(name).collect(),
        }
    }

    /// As they were written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Each name; `None` for one of which only the beginning is known.
    pub(super) fn whole(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let names = self.names.iter();
        names.map(|(name, is_beginning)| (!is_beginning).then_some(name.as_bytes()))
    }

    fn contain(&self, name: &[u8]) -> bool {
        self.names.iter().any(|(wanted, is_beginning)| {
            let start = if *is_beginning {
                name.get(..wanted.len())
            } else {
                Some(name)
            };
            start.is_some_and(|start| start.eq_ignore_ascii_case(wanted.as_bytes()))
        })
    }
}

impl Pattern {
    /// A pattern that was not tried yet; see [`fault`](Self::fault).
    pub(super) fn new(text: String) -> Self {
        Self {
            to_the_end: text.ends_with(r"\z") || text.ends_with('$'),
            text,
            compiled: OnceLock::new(),
            in_set: None,
        }
    }

    /// Why it cannot be compiled: it is no pattern, or a bound is reached.
    pub(super) fn fault(&self) -> Option<regex::Error> {
        compile(&self.text).err()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn is_in(&self, value: &[u8]) -> bool {
        self.regex().is_some_and(|regex| regex.is_match(value))
    }

    fn regex(&self) -> Option<&Regex> {
        let compiled = self.compiled.get_or_init(|| compile(&self.text).ok());
        compiled.as_ref()
    }
}

fn compile(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(limits::FINGERPRINT_COMPILED)
        .dfa_size_limit(limits::FINGERPRINT_COMPILED)
        .build()
}

impl Sets {
    /// The sets of these conditions, each of which learns its places in them.
    pub(super) fn of<'a>(conditions: impl Iterator<Item = &'a mut Condition>) -> Self {
        let mut sets = Self::default();
        for condition in conditions {
            let set = match condition.place {
                Place::Status => &mut sets.statuses.patterns,
                Place::ResponseBody => &mut sets.bodies.patterns,
                _ => continue,
            };
            if let Some(is) = &mut condition.is {
                let known = set.iter().position(|text| *text == is.text);
                is.in_set = Some(known.unwrap_or(set.len()));
                if known.is_none() {
                    set.push(is.text.clone());
                }
            }
        }
        sets
    }

    /// Compiles them.
    ///
    /// # Errors
    /// Where the bound on all patterns together is reached.
    pub(super) fn check(&self) -> Result<(), regex::Error> {
        self.statuses.check()?;
        self.bodies.check()
    }
}

impl Set {
    /// With the settings of [`compile`].
    fn compile(&self) -> Result<RegexSet, regex::Error> {
        RegexSetBuilder::new(&self.patterns)
            .unicode(false)
            .dot_matches_new_line(true)
            .size_limit(limits::FINGERPRINT_SET)
            .dfa_size_limit(limits::FINGERPRINT_SET)
            .build()
    }

    fn check(&self) -> Result<(), regex::Error> {
        let compiled = self.compile()?;
        self.compiled.get_or_init(|| Some(compiled));
        Ok(())
    }

    fn matches(&self, value: &[u8]) -> Option<SetMatches> {
        let compiled = self.compiled.get_or_init(|| self.compile().ok());
        compiled.as_ref().map(|set| set.matches(value))
    }
}

impl<'a> Facts<'a> {
    pub(super) fn of(exchange: &'a Exchange, sets: &'a Sets) -> Self {
        let request = exchange.request.as_deref();
        let response = exchange.response.as_deref();
        let shapes = |message: Option<&Message>| {
            message.map_or(Shapes::ANY, |message| Shapes::in_head(&message.head))
        };
        let (body, body_is_whole) = response.map_or((&[][..], false), |r| body(&r.message));
        let owner = exchange.server.owner.as_ref();
        Self {
            request,
            response,
            request_names: shapes(request.map(|r| &r.message)),
            response_names: shapes(response.map(|r| &r.message)),
            process: owner.map(|owner| &*owner.comm),
            status: response.map(|r| r.status.to_string()).unwrap_or_default(),
            body,
            body_is_whole,
            length: body_is_whole.then(|| body.len().to_string()),
            sets,
            statuses: OnceCell::new(),
            bodies: OnceCell::new(),
        }
    }

    /// Whether the status has the pattern at this place of its set.
    pub(super) fn has_status(&self, place: usize) -> bool {
        let status = self.status.as_bytes();
        let found = self
            .statuses
            .get_or_init(|| self.sets.statuses.matches(status));
        found.as_ref().is_some_and(|found| found.matched(place))
    }

    /// Whether the body has the pattern at this place of its set.
    pub(super) fn has_body(&self, place: usize) -> bool {
        let found = self
            .bodies
            .get_or_init(|| self.sets.bodies.matches(self.body));
        found.as_ref().is_some_and(|found| found.matched(place))
    }
}

/// The beginning of the content, and whether it is all of it.
fn body(message: &Message) -> (&[u8], bool) {
    let (bytes, whole) = match &message.body.decoded {
        Some(decoded) => (decoded.bytes.as_slice(), decoded.complete),
        None => {
            let coded = message.head.values("content-encoding");
            if coded
                .into_iter()
                .any(|c| !c.eq_ignore_ascii_case(b"identity"))
            {
                return (&[], false);
            }
            let kept = message.body.kept.as_slice();
            (kept, kept.len() as u64 == message.body.wire_len())
        }
    };
    let whole = whole && message.end == MessageEnd::Complete;
    match bytes.get(..limits::FINGERPRINT_BODY) {
        Some(start) => (start, whole && start.len() == bytes.len()),
        None => (bytes, whole),
    }
}

/// The values of the fields with these names, and their places.
fn fields<'a>(
    head: &'a Head,
    names: &Names,
    message: Side,
) -> impl Iterator<Item = (&'a [u8], Option<Span>)> {
    head.named(|field| names.contain(field))
        .map(move |(index, value)| {
            let part = Part::Field(index);
            (value, Some(Span { message, part }))
        })
}

/// The names of the cookies that are set, and the places of their fields.
fn cookies(head: &Head) -> impl Iterator<Item = (&[u8], Option<Span>)> {
    head.named(|field| field.eq_ignore_ascii_case(SET_COOKIE))
        .map(|(index, value)| {
            let name = value.split(|b| *b == b'=').next().unwrap_or_default();
            let span = Span {
                message: Side::Response,
                part: Part::Field(index),
            };
            (name.trim_ascii(), Some(span))
        })
}
