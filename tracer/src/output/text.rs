//! Text for a person at a terminal: one block a case, and a summary.
//!
//! The verdict comes first, then the way of the request, what speaks for the verdict, and the
//! messages. Of many cases of the same shape the first few are shown whole, the others as a line.
//! Facts and guesses look different, and what is not known is said. Everything that came from the
//! wire goes through [`escape`].

mod differences;
mod ends;
mod hops;
mod message;
mod others;
mod reasons;
mod style;
mod summary;
mod verdict;

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::groups::Groups;
use super::{Sink, escape, words};
use crate::model::{Anomaly, Case, Exchange, Health, Request, Response, Timestamp};
use style::Styles;

/// How [`TextSink`] writes.
#[derive(Clone, Debug)]
pub struct TextOptions {
    /// Whether to colour.
    pub colour: bool,
    /// Whether only the summary is written.
    pub quiet: bool,
    /// Whether every case is shown whole, however many there were of its shape.
    pub all: bool,
    /// Whether the messages of every hop are shown whole.
    pub verbose: bool,
    /// The time zone in which times are shown.
    pub zone: TimeZone,
    /// Bytes of each body to show.
    pub body_bytes: usize,
    /// Bytes of each body that the session keeps (`limits.body_kept`).
    pub body_kept: usize,
}

impl TextOptions {
    /// Bytes of each body to show where the user does not say.
    pub const BODY_BYTES: usize = 1024;
}

/// Whether standard output is a terminal that wants colours (`NO_COLOR`, `CLICOLOR`,
/// `CLICOLOR_FORCE` and `TERM` count).
pub fn stdout_wants_colour() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Bytes shown of a target, a name and a value of a header field.
const LONGEST_TARGET: usize = 2048;
const LONGEST_NAME: usize = 256;
const LONGEST_VALUE: usize = 4096;
/// Bytes shown of a fact, a reason, a limit or a next step.
const LONGEST_SENTENCE: usize = 1024;

/// Cases of the same shape that are shown whole.
const WHOLE_OF_GROUP: u64 = 3;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes text.
#[derive(Debug)]
pub struct TextSink<W> {
    out: W,
    options: TextOptions,
    styles: Styles,
    groups: Groups<String>,
}

impl<W: Write> TextSink<W> {
    /// Writes to `out`, one `write_all` and one `flush` a case.
    pub fn new(out: W, options: TextOptions) -> Self {
        let styles = if options.colour {
            Styles::coloured()
        } else {
            Styles::default()
        };
        Self {
            out,
            options,
            styles,
            groups: Groups::default(),
        }
    }

    fn groups(&self, out: &mut String) -> fmt::Result {
        summary::groups(out, &self.groups, &self.options.zone, &self.styles)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write + Send> Sink for TextSink<W> {
    fn case(&mut self, case: &Case) -> io::Result<()> {
        self.groups.add(case, summary::label);
        if self.options.quiet {
            return Ok(());
        }
        let mut text = String::with_capacity(4096);
        let block = Block {
            case,
            options: &self.options,
            styles: &self.styles,
        };
        if case.group.count > WHOLE_OF_GROUP && !self.options.all {
            block.one_line(&mut text)
        } else {
            block.write(&mut text)
        }
        .map_err(io::Error::other)?;
        self.write(&text)
    }

    fn finish(&mut self, health: &Health) -> io::Result<()> {
        let mut text = String::new();
        summary::write(&mut text, health, &self.styles)
            .and_then(|()| self.groups(&mut text))
            .map_err(io::Error::other)?;
        self.write(&text)
    }
}

/// The block of one case.
struct Block<'a> {
    case: &'a Case,
    options: &'a TextOptions,
    styles: &'a Styles,
}

impl Block<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let exchange = self.case.exchange();
        self.first_line(out, exchange)?;
        verdict::write(out, self.case, self.styles)?;
        out.push('\n');
        hops::write(out, self.case, self.styles)?;
        reasons::write(out, self.case, self.styles)?;
        reasons::beside(out, self.case, self.options.verbose, self.styles)?;
        reasons::limits(out, self.case, self.styles)?;
        differences::changes(out, self.case, self.styles)?;
        differences::siblings(out, self.case, &self.options.zone, self.styles)?;
        out.push('\n');
        ends::write(out, exchange, self.styles)?;
        self.early(out, exchange)?;
        if let Some(request) = &exchange.request {
            message::request(out, request, self.options, self.styles)?;
        }
        for response in exchange.interim.iter().chain(exchange.response.as_deref()) {
            message::response(out, response, self.options, self.styles)?;
        }
        odd(out, exchange, self.styles)?;
        self.missing(out, exchange)?;
        others::write(out, self.case, self.options, self.styles)?;
        out.push('\n');
        Ok(())
    }

    /// A case of a shape that was shown before.
    fn one_line(&self, out: &mut String) -> fmt::Result {
        let Styles { strong, .. } = self.styles;
        let group = &self.case.group;
        writeln!(
            out,
            "{strong}#{}{strong:#} like #{} ({} so far, since {}): {}",
            self.case.number,
            group.first_case,
            thousands(group.count),
            moment(group.first_at, group.last_at, &self.options.zone),
            request_and_status(self.case.exchange()),
        )
    }

    fn first_line(&self, out: &mut String, exchange: &Exchange) -> fmt::Result {
        let Styles { strong, bad, .. } = self.styles;
        let at = local_time(exchange.started_at(), &self.options.zone);
        write!(out, "{strong}#{}{strong:#}  {at}  ", self.case.number)?;
        match &exchange.request {
            Some(request) => write!(
                out,
                "{strong}{} {}{strong:#}",
                escape::line(request.method(), LONGEST_NAME),
                escape::line(&words::url(request), LONGEST_TARGET)
            )?,
            None => write!(out, "{bad}request not seen{bad:#}")?,
        }
        match &exchange.response {
            Some(response) => write!(out, " → {bad}{}{bad:#}", status(response))?,
            None => write!(out, " → {bad}no answer seen{bad:#}")?,
        }
        if let Some(time) = exchange.time_to_first_byte() {
            write!(out, "  after {}", duration(time))?;
        }
        out.push('\n');
        Ok(())
    }

    fn early(&self, out: &mut String, exchange: &Exchange) -> fmt::Result {
        let Some(request) = exchange.request.as_ref().filter(|_| early(exchange)) else {
            return Ok(());
        };
        let Styles { warn, .. } = self.styles;
        writeln!(
            out,
            "    {warn}answered before the request's body was complete{warn:#}: {}",
            message::progress(request)
        )
    }

    fn missing(&self, out: &mut String, exchange: &Exchange) -> fmt::Result {
        let Styles { bad, .. } = self.styles;
        let mut missing = Vec::new();
        match &exchange.request {
            Some(request) => {
                message::missing("request", &request.message, early(exchange), &mut missing);
            }
            None => missing.push(words::anomaly(Anomaly::RequestMissing).1.to_owned()),
        }
        if let Some(response) = &exchange.response {
            message::missing("response", &response.message, false, &mut missing);
        }
        if self.case.lost_meanwhile > 0 {
            missing.push(format!(
                "{} were lost in the session meanwhile: what is not shown may still have been \
                 there.",
                count(self.case.lost_meanwhile, "record")
            ));
        }
        for sentence in missing {
            writeln!(out, "    {bad}missing:{bad:#} {sentence}")?;
        }
        Ok(())
    }
}

/// `POST http://shop.example/orders → 403`.
fn request_and_status(exchange: &Exchange) -> String {
    let request = match &exchange.request {
        Some(request) => format!(
            "{} {}",
            escape::line(request.method(), LONGEST_NAME),
            escape::line(&words::url(request), LONGEST_TARGET)
        ),
        None => "request not seen".to_owned(),
    };
    match &exchange.response {
        Some(response) => format!("{request} → {}", response.status),
        None => format!("{request} → no answer seen"),
    }
}

fn odd(out: &mut String, exchange: &Exchange, styles: &Styles) -> fmt::Result {
    let Styles { warn, .. } = styles;
    // These two are told where they belong.
    let elsewhere = [Anomaly::EarlyResponse, Anomaly::RequestMissing];
    for anomaly in &exchange.anomalies {
        if !elsewhere.contains(anomaly) {
            let (_, sentence) = words::anomaly(*anomaly);
            writeln!(out, "    {warn}odd:{warn:#} {sentence}")?;
        }
    }
    Ok(())
}

fn early(exchange: &Exchange) -> bool {
    exchange.answered_early() == Some(true)
}

fn status(response: &Response) -> String {
    match response.reason() {
        b"" => response.status.to_string(),
        reason => format!("{} {}", response.status, escape::line(reason, LONGEST_NAME)),
    }
}

fn request_line(request: &Request) -> String {
    let version = request.minor_version.map(|v| format!(" HTTP/1.{v}"));
    format!(
        "{} {}{}",
        escape::line(request.method(), LONGEST_NAME),
        escape::line(request.target(), LONGEST_TARGET),
        version.unwrap_or_default()
    )
}

/// RFC 3339 with milliseconds and the offset of the zone.
fn local_time(at: Timestamp, zone: &TimeZone) -> impl fmt::Display {
    // Nanoseconds in 64 bits end in the year 2554, which jiff can hold.
    let at = jiff::Timestamp::from_nanosecond(at.as_nanos().into()).unwrap_or_default();
    at.to_zoned(zone.clone())
        .strftime("%Y-%m-%dT%H:%M:%S%.3f%:z")
        .to_string()
}

/// `10:02:11` in the zone, with the date where `now` is a day or more after it.
fn moment(at: Timestamp, now: Timestamp, zone: &TimeZone) -> impl fmt::Display {
    let format = if now.since(at) < DAY {
        "%H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    let at = jiff::Timestamp::from_nanosecond(at.as_nanos().into()).unwrap_or_default();
    at.to_zoned(zone.clone()).strftime(format).to_string()
}

fn duration(time: Duration) -> String {
    let nanos = time.as_nanos();
    match nanos {
        0..1_000_000 => format!("{} µs", nanos / 1_000),
        1_000_000..1_000_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        1_000_000_000..60_000_000_000 => format!("{:.1} s", time.as_secs_f64()),
        _ => {
            let seconds = time.as_secs();
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            match hours {
                0 => format!("{minutes} min {} s", seconds % 60),
                _ => format!("{hours} h {minutes} min"),
            }
        }
    }
}

/// `1 packet`, `10,000 packets`.
fn count(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", thousands(n))
}

/// `52,428,800`.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests;
