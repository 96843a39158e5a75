//! The exchanges beside the reported one: what is the same there is left out.

use std::fmt::{self, Write};

use super::style::Styles;
use super::{TextOptions, ends, hops, message, odd, request_line};
use crate::model::{Case, Exchange, Field, Head};
use crate::output::changes::same_body;

/// Every hop but the reported one, and with `verbose` the side calls.
pub(super) fn write(
    out: &mut String,
    case: &Case,
    options: &TextOptions,
    styles: &Styles,
) -> fmt::Result {
    let Styles { strong, .. } = styles;
    for (at, hop) in case.chain.hops().enumerate() {
        if at != case.chain.reported_at() {
            writeln!(
                out,
                "    {strong}hop {}{strong:#}, to {}",
                at + 1,
                hops::name(case, at)
            )?;
            if options.verbose {
                whole(out, &hop.exchange, options, styles)?;
            } else {
                short(out, &hop.exchange, case.exchange(), options, styles)?;
            }
            odd(out, &hop.exchange, styles)?;
        }
        if options.verbose {
            for call in &hop.side_calls {
                let by = hops::name(case, at);
                writeln!(out, "    {strong}asked beside{strong:#}, by {by}")?;
                whole(out, &call.exchange, options, styles)?;
            }
        }
    }
    Ok(())
}

fn whole(
    out: &mut String,
    exchange: &Exchange,
    options: &TextOptions,
    styles: &Styles,
) -> fmt::Result {
    ends::write(out, exchange, styles)?;
    if let Some(request) = &exchange.request {
        message::request(out, request, options, styles)?;
    }
    for response in exchange.interim.iter().chain(exchange.response.as_deref()) {
        message::response(out, response, options, styles)?;
    }
    Ok(())
}

/// Start lines, and the header fields and bodies that are not those of `reported`.
fn short(
    out: &mut String,
    exchange: &Exchange,
    reported: &Exchange,
    options: &TextOptions,
    styles: &Styles,
) -> fmt::Result {
    match &exchange.request {
        None => writeln!(out, "    request not seen")?,
        Some(request) => {
            let line = request_line(request);
            let known = reported.request.as_ref().map(|r| &r.message);
            message::start(out, '>', &line, styles)?;
            let differs = differing(&request.message.head, known.map(|m| &m.head));
            message::some_fields(out, '>', differs, styles)?;
            if !known.is_some_and(|known| same_body(&request.message.body, &known.body)) {
                message::body(out, &request.message.body, options, styles)?;
            }
        }
    }
    match &exchange.response {
        None => writeln!(out, "    no answer seen"),
        Some(response) => {
            let line = message::status_line(response);
            let known = reported.response.as_ref().map(|r| &r.message);
            message::start(out, '<', &line, styles)?;
            let differs = differing(&response.message.head, known.map(|m| &m.head));
            message::some_fields(out, '<', differs, styles)?;
            if !known.is_some_and(|known| same_body(&response.message.body, &known.body)) {
                message::body(out, &response.message.body, options, styles)?;
            }
            Ok(())
        }
    }
}

/// The fields of `head` that `known` does not have with the same value.
fn differing<'a>(head: &'a Head, known: Option<&'a Head>) -> Vec<Field<'a>> {
    let is_known = |field: &Field<'_>| {
        known.is_some_and(|known| {
            known
                .fields()
                .any(|k| k.name.eq_ignore_ascii_case(field.name) && k.value == field.value)
        })
    };
    head.fields().filter(|field| !is_known(field)).collect()
}
