//! `tracer403 fingerprints`: lists the table, searches it, tries it on a message or a capture.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::session::Ending;
use tracer403::cli::FingerprintsArgs;
use tracer403::evidence::fingerprint::{Condition, Fingerprint, Fingerprints, raw};
use tracer403::limits;
use tracer403::model::{Exchange, Message, Part, Side, Span};
use tracer403::output::{escape, redact};
use tracer403::pipeline::{self, Pipeline};
use tracer403::select::Selection;
use tracer403::source::Source;

/// Bytes of a message that is written down as text.
const TEXT: u64 = 4 << 20;
/// Bytes to show of what matched.
const QUOTE: usize = 80;
/// Columns of the table: id, product, what it proves, cause.
const COLUMNS: [usize; 4] = [40, 30, 15, 27];

/// Does what the arguments ask for.
pub(crate) fn run(arguments: &FingerprintsArgs) -> Result<Ending> {
    let table = table(arguments.fingerprints.as_deref())?;
    let wanted = |row: &Fingerprint| is_wanted(row, arguments);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let done = match &arguments.test {
        Some(file) => try_on(file, &mut |number, exchange| {
            let found = table.matches(exchange);
            let found = found.filter(|found| wanted(found.fingerprint));
            let shown = redact::exchange(exchange);
            let place = |span| place(&shown, exchange, span);
            let found = found.map(|m| (m.fingerprint, m.span.map(place)));
            let found: Vec<_> = found.collect();
            if arguments.json {
                return report_json(&mut out, number, &found);
            }
            report(&mut out, number, &shown, &found)
        })?,
        None => {
            let rows: Vec<_> = table.rows().iter().filter(|row| wanted(row)).collect();
            list(&mut out, &rows, arguments).map(|()| Ending::AsAsked)
        }
    };
    match done.and_then(|ending| out.flush().map(|()| ending)) {
        Ok(ending) => Ok(ending),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ending::AsAsked),
        Err(error) => Err(error).context("cannot write standard output"),
    }
}

/// The table that comes with the tool, with the user's file on top.
pub(crate) fn table(file: Option<&Path>) -> Result<Fingerprints> {
    let table = Fingerprints::built_in()?;
    let Some(file) = file else { return Ok(table) };
    let name = file.display().to_string();
    // One byte more than is allowed, so that the table can say so.
    let text = start_of(file, limits::FINGERPRINT_TABLE as u64 + 1)?;
    let text = String::from_utf8(text)
        .with_context(|| format!("{name}: not UTF-8; save it as UTF-8 text"))?;
    Ok(table.with_user_file(&name, &text)?)
}

fn start_of(file: &Path, bytes: u64) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(bytes).read_to_end(&mut text))
        .with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text)
}

fn is_wanted(row: &Fingerprint, arguments: &FingerprintsArgs) -> bool {
    let holds = |text: &str, word: &str| text.to_lowercase().contains(&word.to_lowercase());
    let texts = [&row.id, &row.product.name, &row.means];
    let names = [
        row.product.kind.name(),
        row.proves.name(),
        row.cause.map_or("", |cause| cause.name()),
    ];
    let has = |word: &String| {
        texts.iter().any(|text| holds(text, word))
            || names.iter().any(|text| holds(text, word))
            || row.when.iter().any(|c| holds(&c.to_string(), word))
    };
    arguments.words.iter().all(has)
        && arguments.kind.is_none_or(|kind| row.product.kind == kind)
        && arguments.cause.is_none_or(|cause| row.cause == Some(cause))
        && arguments
            .product
            .as_ref()
            .is_none_or(|name| holds(&row.product.name, name))
}

fn list(
    out: &mut dyn Write,
    rows: &[&Fingerprint],
    arguments: &FingerprintsArgs,
) -> io::Result<()> {
    if arguments.json {
        for row in rows {
            writeln!(out, "{}", as_json(row))?;
        }
        return Ok(());
    }
    if arguments.verbose || rows.len() == 1 {
        for row in rows {
            writeln!(out, "{row}")?;
        }
        return Ok(());
    }
    table_line(out, ["id", "product", "proves", "cause"], "strength")?;
    for row in rows {
        let cause = row.cause.map_or("-", |cause| cause.name());
        let columns = [&row.id, &*row.product.name, row.proves.name(), cause];
        table_line(out, columns, row.strength.name())?;
    }
    let seen = rows.iter().filter(|row| row.is_visible()).count();
    let logs = rows.len() - seen;
    writeln!(
        out,
        "\n{seen} marks of traffic and processes, {logs} of logs; -v says more"
    )
}

fn table_line(out: &mut dyn Write, columns: [&str; 4], last: &str) -> io::Result<()> {
    for (text, width) in columns.into_iter().zip(COLUMNS) {
        write!(out, "{text:<width$} ")?;
    }
    writeln!(out, "{last}")
}

fn as_json(row: &Fingerprint) -> Value {
    json!({
        "id": row.id,
        "product": row.product.name,
        "kind": row.product.kind.name(),
        "proves": row.proves.name(),
        "cause": row.cause.map(|cause| cause.name()),
        "strength": row.strength.name(),
        "means": row.means,
        "source": row.source,
        "when": row.when.iter().map(Condition::to_string).collect::<Vec<_>>(),
        "example": row.example,
    })
}

/// What is done with an exchange and its number.
trait Each: FnMut(u64, &Exchange) -> io::Result<()> {}
impl<T: FnMut(u64, &Exchange) -> io::Result<()>> Each for T {}

/// Every exchange of a capture, or the one that a text holds. The inner error is that of `each`.
fn try_on(file: &Path, each: &mut dyn Each) -> Result<io::Result<Ending>> {
    const CAPTURES: [&[u8]; 7] = [
        b"\xd4\xc3\xb2\xa1",
        b"\xa1\xb2\xc3\xd4",
        b"\x4d\x3c\xb2\xa1",
        b"\xa1\xb2\x3c\x4d",
        b"\x0a\x0d\x0d\x0a",
        b"\x1f\x8b",
        b"\x28\xb5\x2f\xfd",
    ];
    let text = start_of(file, TEXT)?;
    if CAPTURES.iter().any(|magic| text.starts_with(magic)) {
        return try_on_capture(file, each);
    }
    match raw::exchange(&text) {
        Some(exchange) => Ok(each(1, &exchange).map(|()| Ending::AsAsked)),
        None => bail!(
            "{} is neither a capture nor a message; a message starts with a request line or \
             with `HTTP/1.1 403`",
            file.display()
        ),
    }
}

fn try_on_capture(file: &Path, each: &mut dyn Each) -> Result<io::Result<Ending>> {
    let mut source = crate::open(file)?;
    let mut pipeline = Pipeline::new(pipeline::Options {
        selection: Selection::everything(),
        ..pipeline::Options::default()
    });
    let mut number = 0;
    let mut ending = Ending::AsAsked;
    loop {
        let more = source.next(&mut |record| pipeline.push(record));
        let ended = !matches!(more, Ok(true));
        if let Err(error) = more {
            eprintln!("tracer403: {error}");
            ending = Ending::InputDamaged;
        }
        if ended {
            pipeline.finish();
        }
        while let Some(case) = pipeline.next_case() {
            let hops = case.chain.before.iter().chain([&case.chain.reported]);
            for hop in hops.chain(&case.chain.after) {
                number += 1;
                if let Err(error) = each(number, &hop.exchange) {
                    return Ok(Err(error));
                }
            }
        }
        if ended {
            return Ok(Ok(ending));
        }
    }
}

fn report(
    out: &mut dyn Write,
    number: u64,
    exchange: &Exchange,
    found: &[(&Fingerprint, Option<String>)],
) -> io::Result<()> {
    writeln!(out, "{number}. {}", title(exchange))?;
    if found.is_empty() {
        writeln!(out, "   no mark")?;
    }
    for (row, place) in found {
        let cause = row.cause.map(|cause| format!(", {}", cause.name()));
        let (id, product) = (&row.id, &row.product.name);
        let (proves, strength) = (row.proves.name(), row.strength.name());
        let cause = cause.unwrap_or_default();
        writeln!(out, "   {id}: {product}, {proves}{cause} ({strength})")?;
        writeln!(out, "      {}", row.means)?;
        if let Some(place) = place {
            writeln!(out, "      {place}")?;
        }
    }
    Ok(())
}

fn report_json(
    out: &mut dyn Write,
    number: u64,
    found: &[(&Fingerprint, Option<String>)],
) -> io::Result<()> {
    let matches = found.iter().map(|(row, place)| {
        json!({
            "id": row.id,
            "product": row.product.name,
            "proves": row.proves.name(),
            "cause": row.cause.map(|cause| cause.name()),
            "strength": row.strength.name(),
            "where": place,
        })
    });
    let matches: Vec<Value> = matches.collect();
    writeln!(out, "{}", json!({ "exchange": number, "matches": matches }))
}

/// `POST /orders -> 403`.
fn title(exchange: &Exchange) -> String {
    let request = exchange.request.as_ref().map(|r| {
        let (method, target) = (r.method(), r.target());
        let [method, target] = [method, target].map(|text| escape::line(text, QUOTE));
        format!("{method} {target}")
    });
    let status = exchange.response.as_ref().map(|r| r.status.to_string());
    let request = request.unwrap_or_else(|| "(no request)".to_owned());
    format!(
        "{request} -> {}",
        status.as_deref().unwrap_or("(no answer)")
    )
}

/// Where it is, and what is there, without secrets.
fn place(shown: &Exchange, exchange: &Exchange, span: Span) -> String {
    let side = match span.message {
        Side::Request => "request",
        Side::Response => "response",
    };
    let message = |exchange| message(exchange, span.message);
    let (Some(shown), Some(exact)) = (message(shown), message(exchange)) else {
        return side.to_owned();
    };
    let quote = |bytes| escape::line(bytes, QUOTE);
    match span.part {
        Part::StartLine => {
            let line = shown.head.raw.split(|b| *b == b'\r').next();
            format!("{side}, first line: {}", quote(line.unwrap_or_default()))
        }
        Part::Field(index) => match shown.head.fields().nth(index) {
            Some(field) => {
                let (name, value) = (quote(field.name), quote(field.value));
                format!("{side}, field {}: {name}: {value}", index + 1)
            }
            None => format!("{side}, field {}", index + 1),
        },
        Part::Body(start, end) => {
            let place = format!("{side}, body, bytes {start} to {end}");
            // Where secrets were taken out, the places have moved.
            let unchanged = content(shown) == content(exact);
            match content(exact).get(start..end).filter(|_| unchanged) {
                Some(bytes) => format!("{place}: {}", quote(bytes)),
                None => place,
            }
        }
    }
}

fn message(exchange: &Exchange, side: Side) -> Option<&Message> {
    match side {
        Side::Request => exchange.request.as_ref().map(|r| &r.message),
        Side::Response => exchange.response.as_ref().map(|r| &r.message),
    }
}

fn content(message: &Message) -> &[u8] {
    let decoded = message.body.decoded.as_ref().map(|d| d.bytes.as_slice());
    decoded.unwrap_or(&message.body.kept)
}
