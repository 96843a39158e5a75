//! Heads and bodies.

use std::fmt::{self, Write};

use super::style::Styles;
use super::{LONGEST_NAME, LONGEST_VALUE, TextOptions, count, request_line, status, thousands};
use crate::model::{Body, Field, Framing, GapKind, Head, Message, MessageEnd, Request, Response};
use crate::output::escape;

/// Bytes of binary content that are shown, and how many of them a line.
const DUMPED: usize = 64;
const DUMPED_PER_LINE: usize = 16;

/// A request, as it was asked.
pub(super) fn request(
    out: &mut String,
    request: &Request,
    options: &TextOptions,
    styles: &Styles,
) -> fmt::Result {
    let line = request_line(request);
    message(out, '>', &line, &request.message, options, styles)
}

/// A response, as it was given.
pub(super) fn response(
    out: &mut String,
    response: &Response,
    options: &TextOptions,
    styles: &Styles,
) -> fmt::Result {
    let line = status_line(response);
    message(out, '<', &line, &response.message, options, styles)
}

/// The start line of a response.
pub(super) fn status_line(response: &Response) -> String {
    format!("HTTP/1.{} {}", response.minor_version, status(response))
}

/// How much of a request's body was seen, of how much.
pub(super) fn progress(request: &Request) -> String {
    let body = &request.message.body;
    let seen = thousands(body.wire_len());
    match body.framing {
        Framing::Length(all) => format!("{seen} of {} were seen", count(all, "byte")),
        _ => format!("{} of it were seen", count(body.wire_len(), "byte")),
    }
}

/// What is missing of a message, a sentence each.
pub(super) fn missing(name: &str, message: &Message, early: bool, sentences: &mut Vec<String>) {
    let body = &message.body;
    let end = match message.end {
        MessageEnd::Complete => None,
        MessageEnd::Open if early => None,
        MessageEnd::Open => Some("was not over when this was written"),
        MessageEnd::Closed => Some("was cut short: the connection was closed"),
        MessageEnd::Reset => Some("was cut short: the connection was reset"),
        MessageEnd::Gap(GapKind::Lost) => {
            Some("was not seen to its end: the capture lost the rest")
        }
        MessageEnd::Gap(GapKind::Skipped) => {
            Some("was not seen to its end: the capture left out the rest")
        }
        MessageEnd::Abandoned => {
            Some("was not followed to its end: it went silent, or a limit was reached")
        }
    };
    sentences.extend(end.map(|end| format!("The {name} {end}.")));
    for (bytes, why) in [
        (body.lost, "lost by the capture"),
        (body.skipped, "left out by the capture"),
    ] {
        if bytes > 0 {
            let bytes = count(bytes, "byte");
            sentences.push(format!("Of the {name}'s body {bytes} were {why}."));
        }
    }
}

fn message(
    out: &mut String,
    mark: char,
    start_line: &str,
    message: &Message,
    options: &TextOptions,
    styles: &Styles,
) -> fmt::Result {
    let Styles { faint, .. } = styles;
    start(out, mark, start_line, styles)?;
    fields(out, mark, &message.head, styles)?;
    writeln!(out, "    {faint}{mark}{faint:#}")?;
    body(out, &message.body, options, styles)?;
    if !message.trailers.fields.is_empty() {
        writeln!(out, "      {faint}trailers{faint:#}")?;
        fields(out, mark, &message.trailers, styles)?;
    }
    Ok(())
}

/// The start line, of which everything from the wire is escaped.
pub(super) fn start(
    out: &mut String,
    mark: char,
    start_line: &str,
    styles: &Styles,
) -> fmt::Result {
    let Styles { faint, strong, .. } = styles;
    writeln!(
        out,
        "    {faint}{mark}{faint:#} {strong}{start_line}{strong:#}"
    )
}

fn fields(out: &mut String, mark: char, head: &Head, styles: &Styles) -> fmt::Result {
    some_fields(out, mark, head.fields(), styles)
}

/// Header fields, a line each.
pub(super) fn some_fields<'a>(
    out: &mut String,
    mark: char,
    fields: impl IntoIterator<Item = Field<'a>>,
    styles: &Styles,
) -> fmt::Result {
    let Styles { faint, .. } = styles;
    for field in fields {
        let name = escape::line(field.name, LONGEST_NAME);
        let value = escape::line(field.value, LONGEST_VALUE);
        writeln!(out, "    {faint}{mark}{faint:#} {name}: {value}")?;
    }
    Ok(())
}

/// The content, as much of it as is to be shown.
pub(super) fn body(
    out: &mut String,
    body: &Body,
    options: &TextOptions,
    styles: &Styles,
) -> fmt::Result {
    if body.wire_len() == 0 {
        return Ok(());
    }
    let Styles { faint, .. } = styles;
    write!(out, "      {faint}body, {}", count(body.wire_len(), "byte"))?;
    let (shown, unkept) = match &body.decoded {
        Some(decoded) => {
            let coding = escape::line(decoded.coding.as_bytes(), LONGEST_NAME);
            let more = if decoded.complete { "" } else { " or more" };
            let len = thousands(decoded.len);
            write!(out, " of {coding}, which are {len}{more} without it")?;
            let unkept = decoded.len.saturating_sub(decoded.bytes.len() as u64);
            (&decoded.bytes, if decoded.complete { 0 } else { unkept })
        }
        None => {
            let unkept = body.seen.saturating_sub(options.body_kept as u64);
            (&body.kept, unkept)
        }
    };
    if shown.is_empty() {
        return if body.seen > 0 {
            writeln!(out, ", not shown: its coding could not be undone{faint:#}")
        } else {
            writeln!(out, ", none of them captured{faint:#}")
        };
    }
    if is_text(shown) {
        writeln!(out, "{faint:#}")?;
        text(out, shown, options.body_bytes, unkept)
    } else {
        writeln!(out, ", binary{faint:#}")?;
        dump(out, shown, options.body_bytes.min(DUMPED), unkept)
    }
}

/// Whether a person can read it: no more than one byte of 16 is a control or no UTF-8.
fn is_text(bytes: &[u8]) -> bool {
    let odd: usize = bytes
        .utf8_chunks()
        .map(|chunk| {
            let control = |b: &&u8| b.is_ascii_control() && !b"\t\r\n".contains(b);
            chunk.invalid().len() + chunk.valid().as_bytes().iter().filter(control).count()
        })
        .sum();
    // The cut may have broken the last character, which is up to 3 bytes.
    odd == 0 || (odd <= bytes.len() / 16 + 3 && bytes.len() > 16)
}

/// Shows the first `max` bytes, line by line; `unkept` bytes more were seen and are not in `bytes`.
fn text(out: &mut String, bytes: &[u8], max: usize, unkept: u64) -> fmt::Result {
    let shown = bytes.get(..max).unwrap_or(bytes);
    let cut = unkept.saturating_add((bytes.len() - shown.len()) as u64);
    let mut lines = shown.split_inclusive(|b| *b == b'\n').peekable();
    while let Some(line) = lines.next() {
        let broken = cut > 0 && lines.peek().is_none();
        let line = escape::body_line(trim_line_end(line), usize::MAX);
        if broken {
            return writeln!(out, "        {line}… (+{} bytes)", thousands(cut));
        }
        writeln!(out, "        {line}")?;
    }
    if cut > 0 {
        writeln!(out, "        … (+{} bytes)", thousands(cut))?;
    }
    Ok(())
}

fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn dump(out: &mut String, bytes: &[u8], max: usize, unkept: u64) -> fmt::Result {
    let shown = bytes.get(..max).unwrap_or(bytes);
    for (i, line) in shown.chunks(DUMPED_PER_LINE).enumerate() {
        write!(out, "        {:04x} ", i * DUMPED_PER_LINE)?;
        for byte in line {
            write!(out, " {byte:02x}")?;
        }
        for _ in line.len()..DUMPED_PER_LINE {
            out.push_str("   ");
        }
        out.push_str("  ");
        for &byte in line {
            let graphic = byte.is_ascii_graphic() || byte == b' ';
            out.push(if graphic { char::from(byte) } else { '.' });
        }
        out.push('\n');
    }
    match unkept.saturating_add((bytes.len() - shown.len()) as u64) {
        0 => Ok(()),
        cut => writeln!(out, "        … (+{} bytes)", thousands(cut)),
    }
}
