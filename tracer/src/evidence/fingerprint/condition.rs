//! One condition of a fingerprint: where to look, and what must be there.

use std::cell::OnceCell;
use std::fmt;

use regex::bytes::{Regex, RegexSet, RegexSetBuilder, SetMatches};

use crate::limits;
use crate::model::{Exchange, Head, Message, MessageEnd, Part, Request, Response, Side, Span};

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
pub struct Names(pub String);

/// A regular expression over bytes.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// Speaks of the end of the value, so it takes the whole value to tell.
    to_the_end: bool,
    /// Its place among the patterns for bodies.
    in_set: Option<usize>,
}

/// What the conditions are held against.
pub(super) struct Facts<'a> {
    request: Option<&'a Request>,
    response: Option<&'a Response>,
    process: Option<&'a str>,
    status: String,
    body: &'a [u8],
    /// Whether `body` is all of it.
    body_is_whole: bool,
    length: Option<String>,
    patterns: &'a RegexSet,
    found: OnceCell<SetMatches>,
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
            Place::Status => {
                facts.response?;
                self.among([(facts.status.as_bytes(), start_of(Side::Response))])
            }
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

    /// Adds its pattern to those that bodies are searched for.
    pub(super) fn enrol(&mut self, patterns: &mut Vec<String>) {
        if let (Place::ResponseBody, Some(is)) = (&self.place, &mut self.is) {
            is.in_set = Some(patterns.len());
            patterns.push(is.regex.as_str().to_owned());
        }
    }

    fn among<'a>(
        &self,
        values: impl IntoIterator<Item = (&'a [u8], Option<Span>)>,
    ) -> Option<Found> {
        let mut found = None;
        for (value, span) in values {
            if self.absent || self.not.as_ref().is_some_and(|p| p.regex.is_match(value)) {
                return None;
            }
            if found.is_none() && self.is.as_ref().is_none_or(|p| p.regex.is_match(value)) {
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
            && not.regex.is_match(facts.body)
        {
            return None;
        }
        let Some(is) = &self.is else {
            return (self.not.is_some() || !facts.body.is_empty()).then_some(Found(None));
        };
        if is.to_the_end && !facts.body_is_whole {
            return None;
        }
        if !is.in_set.is_some_and(|place| facts.bodies().matched(place)) {
            return None;
        }
        let at = is.regex.find(facts.body)?;
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
            write!(f, ", name = \"{}\"", names.0)?;
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
    fn contain(&self, name: &[u8]) -> bool {
        self.0
            .split('|')
            .any(|wanted| match wanted.strip_suffix('*') {
                None => name.eq_ignore_ascii_case(wanted.as_bytes()),
                Some(start) => name
                    .get(..start.len())
                    .is_some_and(|n| n.eq_ignore_ascii_case(start.as_bytes())),
            })
    }
}

impl Pattern {
    /// Compiles it.
    ///
    /// # Errors
    /// Where it is no pattern, or a bound is reached.
    pub(super) fn new(text: &str) -> Result<Self, regex::Error> {
        let regex = regex::bytes::RegexBuilder::new(text)
            .unicode(false)
            .dot_matches_new_line(true)
            .size_limit(limits::FINGERPRINT_COMPILED)
            .dfa_size_limit(limits::FINGERPRINT_COMPILED)
            .build()?;
        Ok(Self {
            regex,
            to_the_end: text.ends_with(r"\z") || text.ends_with('$'),
            in_set: None,
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }
}

/// The settings of [`Pattern::new`], for all patterns of bodies together.
pub(super) fn settings(mut set: RegexSetBuilder) -> RegexSetBuilder {
    set.unicode(false)
        .dot_matches_new_line(true)
        .size_limit(limits::FINGERPRINT_SET)
        .dfa_size_limit(limits::FINGERPRINT_SET);
    set
}

impl<'a> Facts<'a> {
    pub(super) fn of(exchange: &'a Exchange, patterns: &'a RegexSet) -> Self {
        let response = exchange.response.as_deref();
        let (body, body_is_whole) = response.map_or((&[][..], false), |r| body(&r.message));
        let owner = exchange.server.owner.as_ref();
        Self {
            request: exchange.request.as_deref(),
            response,
            process: owner.map(|owner| &*owner.comm),
            status: response.map(|r| r.status.to_string()).unwrap_or_default(),
            body,
            body_is_whole,
            length: body_is_whole.then(|| body.len().to_string()),
            patterns,
            found: OnceCell::new(),
        }
    }

    /// Which patterns the body has.
    fn bodies(&self) -> &SetMatches {
        self.found.get_or_init(|| self.patterns.matches(self.body))
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
    head.fields()
        .enumerate()
        .filter(|(_, field)| names.contain(field.name))
        .map(move |(index, field)| {
            let part = Part::Field(index);
            (field.value, Some(Span { message, part }))
        })
}

/// The names of the cookies that are set, and the places of their fields.
fn cookies(head: &Head) -> impl Iterator<Item = (&[u8], Option<Span>)> {
    head.fields()
        .enumerate()
        .filter(|(_, field)| field.name.eq_ignore_ascii_case(b"set-cookie"))
        .map(|(index, field)| {
            let name = field.value.split(|b| *b == b'=').next().unwrap_or_default();
            let span = Span {
                message: Side::Response,
                part: Part::Field(index),
            };
            (name.trim_ascii(), Some(span))
        })
}
