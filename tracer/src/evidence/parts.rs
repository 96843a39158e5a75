//! A request taken apart, once for all topics: query, cookies and the fields of its body.

mod json;

use std::borrow::Cow;

use json::Json;
use memchr::memmem;

use super::names::{Kind, Kinds};
use super::text::{lower, percent_decode};
use crate::model::{Body, Exchange, Head, MessageEnd, Part, Request};

/// Most pairs read of a query, of the cookies, or of a body.
const PAIRS_MAX: usize = 128;
/// Longest value that is read of a multipart field, in bytes.
const PART_VALUE_MAX: usize = 4096;

/// A request taken apart.
pub(super) struct Parts<'a> {
    /// The exchange.
    pub(super) exchange: &'a Exchange,
    /// Its request.
    pub(super) request: &'a Request,
    /// The header fields, in the order of the wire.
    pub(super) fields: Vec<Field<'a>>,
    /// The parameters of the query.
    pub(super) query: Vec<Pair<'a>>,
    /// The cookies.
    pub(super) cookies: Vec<Pair<'a>>,
    /// What the body is said to be.
    pub(super) media: Media,
    /// The fields of a form, or the members of a JSON object that are text.
    pub(super) form: Vec<Pair<'a>>,
    /// What is wrong with the JSON, where it is said to be that and all of it was seen.
    pub(super) json_fault: Option<serde_json::Error>,
    /// The content, its coding removed; its first bytes unless `whole`.
    pub(super) content: &'a [u8],
    /// Whether `content` is all of it.
    pub(super) whole: bool,
}

/// A header field.
pub(super) struct Field<'a> {
    /// The name, as written.
    pub(super) name: &'a [u8],
    /// The value.
    pub(super) value: &'a [u8],
    kinds: Kinds,
}

/// A name and a value, with their escapes undone.
pub(super) struct Pair<'a> {
    /// The name.
    pub(super) name: Cow<'a, [u8]>,
    /// The value.
    pub(super) value: Cow<'a, [u8]>,
    /// Where they were read.
    pub(super) part: Part,
    kinds: Kinds,
}

impl Field<'_> {
    /// Whether what goes by its name is of this kind.
    pub(super) const fn is(&self, kind: Kind) -> bool {
        self.kinds.has(kind)
    }
}

impl<'a> Pair<'a> {
    fn new(name: Cow<'a, [u8]>, value: Cow<'a, [u8]>, part: Part) -> Self {
        Self {
            kinds: Kinds::of(&name),
            name,
            value,
            part,
        }
    }

    /// Whether what goes by its name is of this kind.
    pub(super) const fn is(&self, kind: Kind) -> bool {
        self.kinds.has(kind)
    }
}

/// What `Content-Type` says of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// Nothing: there is no such field.
    Missing,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`.
    Multipart,
    /// JSON in one of its names.
    Json,
    /// XML in one of its names.
    Xml,
    /// Something else.
    Other,
}

impl<'a> Parts<'a> {
    /// Takes the request of an exchange apart, where there is one.
    pub(super) fn of(exchange: &'a Exchange) -> Option<Self> {
        let request = exchange.request.as_deref()?;
        let fields = request.message.head.fields().map(|field| Field {
            name: field.name,
            value: field.value,
            kinds: Kinds::of(field.name),
        });
        let fields: Vec<_> = fields.collect();
        let content_type = named(&fields, "content-type").next();
        let content_type = content_type.map(|(_, value)| value);
        let (content, whole) = content(&request.message.body);
        let whole = whole && request.message.end == MessageEnd::Complete;
        let media = media(content_type);
        let mut json_fault = None;
        let form = match media {
            Media::Form => urlencoded(content, Part::Body),
            Media::Multipart => multipart(content_type, content),
            Media::Json if whole && !content.is_empty() => match members(content) {
                Ok(pairs) => pairs,
                Err(error) => {
                    json_fault = Some(error);
                    Vec::new()
                }
            },
            _ => Vec::new(),
        };
        let query = request.path_and_query();
        let query = query
            .iter()
            .position(|b| *b == b'?')
            .and_then(|at| query.get(at + 1..))
            .unwrap_or_default();
        Some(Self {
            exchange,
            request,
            query: urlencoded(query, |_, _| Part::StartLine),
            cookies: cookies(&fields),
            fields,
            media,
            form,
            json_fault,
            content,
            whole,
        })
    }

    /// The path of the target, without the query, as written.
    pub(super) fn path(&self) -> &'a [u8] {
        let target = self.request.path_and_query();
        target.split(|b| *b == b'?').next().unwrap_or_default()
    }

    /// The first field of this name: its index and value.
    pub(super) fn field(&self, name: &str) -> Option<(usize, &'a [u8])> {
        named(&self.fields, name).next()
    }

    /// The values of every field of this name.
    pub(super) fn values<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'a [u8]> + 'p {
        named(&self.fields, name).map(|(_, value)| value)
    }

    /// Whether the method may change something (RFC 9110 section 9.2.1).
    pub(super) fn is_unsafe(&self) -> bool {
        !matches!(
            self.request.method(),
            b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE"
        )
    }
}

/// The fields of this name, in any letter case: their indices and values.
fn named<'p, 'a>(
    fields: &'p [Field<'a>],
    name: &'p str,
) -> impl Iterator<Item = (usize, &'a [u8])> + 'p {
    let fields = fields.iter().enumerate();
    fields
        .filter(|(_, field)| field.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(index, field)| (index, field.value))
}

/// The first field of this name: its index and value.
pub(super) fn field<'a>(head: &'a Head, name: &str) -> Option<(usize, &'a [u8])> {
    head.named(|field| field.eq_ignore_ascii_case(name.as_bytes()))
        .next()
}

/// The content of a body, its coding removed, and whether that is all of it.
pub(super) fn content(body: &Body) -> (&[u8], bool) {
    match &body.decoded {
        Some(decoded) => (&decoded.bytes, decoded.complete),
        None => {
            let kept = u64::try_from(body.kept.len()).unwrap_or(u64::MAX);
            (&body.kept, kept == body.wire_len())
        }
    }
}

/// What a `Content-Type` stands for.
fn media(value: Option<&[u8]>) -> Media {
    let Some(value) = value else {
        return Media::Missing;
    };
    let essence = value.split(|b| *b == b';').next().unwrap_or_default();
    let essence = lower(essence.trim_ascii(), 256);
    match &*essence {
        "application/x-www-form-urlencoded" => Media::Form,
        "multipart/form-data" => Media::Multipart,
        "application/json" | "text/json" => Media::Json,
        "application/xml" | "text/xml" => Media::Xml,
        other if other.ends_with("+json") => Media::Json,
        other if other.ends_with("+xml") => Media::Xml,
        _ => Media::Other,
    }
}

/// `a=1&b=2`; `part` makes a place of the first byte and end of a pair.
fn urlencoded(text: &[u8], part: impl Fn(usize, usize) -> Part) -> Vec<Pair<'_>> {
    let mut at = 0;
    let pairs = text.split(|b| *b == b'&').map(|pair| {
        let from = at;
        at += pair.len() + 1;
        let mut halves = pair.splitn(2, |b| *b == b'=');
        Pair::new(
            percent_decode(halves.next().unwrap_or_default(), true),
            percent_decode(halves.next().unwrap_or_default(), true),
            part(from, from + pair.len()),
        )
    });
    pairs
        .filter(|pair| !pair.name.is_empty())
        .take(PAIRS_MAX)
        .collect()
}

/// The cookies of every `Cookie` field (RFC 6265 section 4.2).
fn cookies<'a>(fields: &[Field<'a>]) -> Vec<Pair<'a>> {
    named(fields, "cookie")
        .flat_map(|(index, value)| value.split(|b| *b == b';').map(move |c| (index, c)))
        .filter_map(|(index, cookie)| {
            let mut halves = cookie.trim_ascii().splitn(2, |b| *b == b'=');
            Some(Pair::new(
                Cow::Borrowed(halves.next()?),
                // Without a name it is all value.
                Cow::Borrowed(halves.next()?),
                Part::Field(index),
            ))
        })
        .filter(|pair| !pair.name.is_empty())
        .take(PAIRS_MAX)
        .collect()
}

/// The boundary of a multipart `Content-Type` (RFC 2046 section 5.1.1).
pub(super) fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let parameters = content_type.split(|b| *b == b';').skip(1);
    let value = parameters
        .map(<[u8]>::trim_ascii)
        .filter_map(|p| p.split_at_checked(9))
        .find(|(name, _)| name.eq_ignore_ascii_case(b"boundary="))?
        .1;
    let value = value
        .strip_prefix(b"\"")
        .and_then(|v| v.split(|b| *b == b'"').next())
        .unwrap_or(value);
    (1..=70).contains(&value.len()).then_some(value)
}

/// The fields of a multipart form; of files only the name.
fn multipart<'a>(content_type: Option<&[u8]>, content: &'a [u8]) -> Vec<Pair<'a>> {
    let Some(boundary) = content_type.and_then(boundary) else {
        return Vec::new();
    };
    let delimiter = [b"--", boundary].concat();
    let mut starts = memmem::find_iter(content, &delimiter).take(PAIRS_MAX + 1);
    let mut pairs = Vec::new();
    let mut from = starts.next();
    while let Some(start) = from {
        let next = starts.next();
        let start = start + delimiter.len();
        let section = content.get(start..next.unwrap_or(content.len()));
        pairs.extend(section.and_then(|section| section_field(section, start)));
        from = next;
    }
    pairs
}

/// The field in one section of a multipart form, which begins at this byte of the content.
fn section_field(section: &[u8], start: usize) -> Option<Pair<'_>> {
    let head_end = memmem::find(section, b"\r\n\r\n")?;
    let (head, value) = section.split_at_checked(head_end)?;
    let head = head.get(..1024).unwrap_or(head);
    let name_at = memmem::find(head, b" name=\"")? + 7;
    let name = head.get(name_at..)?.split(|b| *b == b'"').next()?;
    let value = value.get(4..)?;
    let value = value.strip_suffix(b"\r\n").unwrap_or(value);
    Some(Pair::new(
        Cow::Borrowed(name),
        Cow::Borrowed(value.get(..PART_VALUE_MAX).unwrap_or(value)),
        Part::Body(start, start + section.len()),
    ))
}

/// The members of a JSON object that are text; nothing of any other JSON.
fn members(content: &[u8]) -> Result<Vec<Pair<'_>>, serde_json::Error> {
    let Json(members) = serde_json::from_slice(content)?;
    let bytes = |text| match text {
        Cow::Borrowed(text) => Cow::Borrowed(str::as_bytes(text)),
        Cow::Owned(text) => Cow::Owned(String::into_bytes(text)),
    };
    let part = Part::Body(0, content.len());
    let members = members.into_iter();
    let pairs = members.map(|(name, value)| Pair::new(bytes(name), bytes(value), part));
    Ok(pairs.collect())
}
