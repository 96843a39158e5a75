//! One condition of a fingerprint: where to look, and what must be there.

use std::fmt;

use super::facts::{Facts, cookies, fields};
use super::pattern::Pattern;
use crate::model::{Part, Side, Span};

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

/// A condition holds, for what is in this place.
pub(super) struct Found(pub(super) Option<Span>);

impl Condition {
    /// Whether it takes a value to hold.
    pub(super) const fn asks(&self) -> bool {
        self.is.is_some() || !(self.absent || self.not.is_some())
    }

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
            Place::ResponseLength => {
                let length = facts.body_is_whole.then(|| facts.body.len().to_string())?;
                self.among([(length.as_bytes(), None)])
            }
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
        let at = is.find(facts.body)?;
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

    pub(super) fn contain(&self, name: &[u8]) -> bool {
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
