//! Whether the body is what its header says.

use memchr::memmem;

use super::super::note::{Notes, asked, quote};
use super::super::parts::{Media, Parts, boundary};
use super::super::text::holds;
use crate::model::{CauseId, Part, Strength};

/// Looks at the content, where all of it was seen.
pub(super) fn gather(parts: &Parts<'_>, notes: &mut Notes<'_>) {
    let body = &parts.request.message.body;
    if body.wire_len() == 0 {
        return;
    }
    let whole = Part::Body(0, parts.content.len());
    if parts.media == Media::Missing {
        notes.add(
            "request.content_type_missing",
            Strength::Weak,
            CauseId::MalformedPayload,
            asked(whole),
            "The request has a body, but no Content-Type.",
        );
        return;
    }
    let encoded = parts.field("content-encoding").is_some() && body.decoded.is_none();
    if encoded {
        return;
    }
    let content_type = parts.field("content-type").map_or(&b""[..], |(_, v)| v);
    let fault = match parts.media {
        Media::Json => json(parts, content_type),
        Media::Multipart => multipart(parts, content_type),
        Media::Form => form(parts),
        Media::Xml => xml(parts),
        Media::Missing | Media::Other => None,
    };
    if let Some((fault, part)) = fault {
        notes.add(
            "request.body_mismatch",
            Strength::Fair,
            CauseId::MalformedPayload,
            asked(part.unwrap_or(whole)),
            format!("The Content-Type is {}, but {fault}.", quote(content_type)),
        );
    }
}

/// What is wrong, and where it is known better than "in the body".
type Fault = (String, Option<Part>);

fn json(parts: &Parts<'_>, content_type: &[u8]) -> Option<Fault> {
    let error = parts.json_fault.as_ref()?;
    // Nested deeper than our reader goes, or in another encoding: no fault of its own.
    let too_deep = error.to_string().starts_with("recursion limit");
    let other_charset = holds(content_type, "charset=") && !holds(content_type, "utf-8");
    if too_deep || other_charset {
        return None;
    }
    if parts.content.starts_with(b"\xef\xbb\xbf") {
        return Some(("the body begins with a byte order mark".to_owned(), None));
    }
    if looks_like_form(parts.content) {
        return Some(("the body looks like that of a form".to_owned(), None));
    }
    let at = offset(parts.content, error.line(), error.column());
    let what = if error.is_eof() {
        "the JSON in the body ends too early".to_owned()
    } else {
        format!("the JSON in the body is broken at byte {at}")
    };
    Some((what, Some(Part::Body(at, parts.content.len().min(at + 1)))))
}

fn multipart(parts: &Parts<'_>, content_type: &[u8]) -> Option<Fault> {
    let Some(boundary) = boundary(content_type) else {
        return Some(("it names no boundary".to_owned(), None));
    };
    let delimiter = [b"--", boundary].concat();
    // The preamble may be anything, and the rest of a cut body was not seen.
    if memmem::find(parts.content, &delimiter).is_none() {
        return parts
            .whole
            .then(|| ("its boundary is not in the body".to_owned(), None));
    }
    let end = [&delimiter, &b"--"[..]].concat();
    (parts.whole && memmem::rfind(parts.content, &end).is_none()).then(|| {
        (
            "the body ends without the closing boundary".to_owned(),
            None,
        )
    })
}

/// JSON under the type of a form, as tools send it that were not told the type.
fn form(parts: &Parts<'_>) -> Option<Fault> {
    let start = parts.content.trim_ascii_start();
    let opens = matches!(
        start,
        [b'{', b'"' | b'}' | b' ' | b'\n' | b'\r', ..] | [b'[', b'{', ..]
    );
    let is_json = parts.whole && opens && {
        let read = serde_json::from_slice::<serde::de::IgnoredAny>(start);
        read.is_ok()
    };
    is_json.then(|| ("the body is JSON".to_owned(), None))
}

fn xml(parts: &Parts<'_>) -> Option<Fault> {
    let content = parts.content;
    let utf16 = content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff");
    let start = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let first = start.trim_ascii_start().first()?;
    (!utf16 && *first != b'<').then(|| ("the body does not begin with a tag".to_owned(), None))
}

/// `a=1&b=2`: names and values without any of JSON's marks.
fn looks_like_form(content: &[u8]) -> bool {
    let starts_with_name = content
        .first()
        .is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'%'));
    let shape = content
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || memchr::memchr(*b, b"=&%+-_.*~[]@:/,!").is_some());
    starts_with_name && shape && memchr::memchr(b'=', content).is_some()
}

/// The byte at this line and column, both from 1.
fn offset(content: &[u8], line: usize, column: usize) -> usize {
    let before: usize = content
        .split_inclusive(|b| *b == b'\n')
        .take(line.saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    (before + column.saturating_sub(1)).min(content.len())
}
