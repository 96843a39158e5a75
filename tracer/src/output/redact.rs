//! Secrets in an exchange are replaced by a short hash of them, in one place for every output.
//!
//! `[redacted 9f86d081]` stands for a value whose SHA-256 begins with these 32 bits: the same
//! secret looks the same everywhere (in a header, a URL, a form, a JSON body), so "the cookie of
//! the login is the one that was refused" can still be seen. Its length cannot. The hash has no
//! salt: who can guess a weak password can confirm the guess, so redacted output is for
//! colleagues, not for the public.
//!
//! What counts as a secret: the credentials of `Authorization` and its kin, every cookie, every
//! header, query parameter, form field, multipart field, JSON member or XML element with a telling
//! name (`names`), the user part of a URL, and what looks like a token wherever it is
//! (`scan`). A secret that was found once is then replaced wherever else it is repeated.
//!
//! In a case, that holds across all its exchanges and its evidence: a token that one hop shows as
//! such is replaced in the body of another, and in the sentence that quotes it. Header fields keep
//! their places, so a [`Part::Field`](crate::model::Part::Field) still points to the same field; a
//! [`Part::Body`](crate::model::Part::Body) counts bytes of the content as it was before.
//!
//! Bodies whose content coding could not be undone are left out, as nobody can tell what is in
//! them. Packets are not touched: a pcapng file holds the traffic as it was.

mod form;
mod mask;
mod names;
mod scan;
mod sweep;

use std::borrow::Cow;
use std::sync::Arc;

use crate::memo::Memo;
use crate::model::{Body, Case, Exchange, FieldSpan, Group, Head, Message, Request, Response};
use mask::Masks;
use names::Field;
use sweep::{Runs, Sweeper};

/// Whether outputs show secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// Each is replaced by a hash of it.
    #[default]
    Redacted,
    /// They are shown as they crossed the wire.
    Shown,
}

/// Takes the secrets out of cases, each by itself: several can work on threads of their own.
#[derive(Debug, Default)]
pub struct Redactor {
    secrets: Secrets,
    siblings: Memo<Exchange, Replaced>,
}

/// A case as it may go out.
#[derive(Debug)]
pub struct Presentable(Case);

impl Presentable {
    /// The case.
    pub const fn case(&self) -> &Case {
        &self.0
    }

    /// Puts it in its group.
    pub const fn set_group(&mut self, group: Group) {
        self.0.group = group;
    }
}

/// A sibling in which each secret was replaced where it shows as one.
#[derive(Debug)]
struct Replaced {
    exchange: Arc<Exchange>,
    found: Masks,
    /// Without their repetitions.
    swept: Arc<Exchange>,
    /// Of both.
    runs: Runs,
}

impl Replaced {
    fn new(passed: &Exchange) -> Self {
        let (mut exchange, mut found) = (passed.clone(), Masks::default());
        replace(&mut exchange, &mut found);
        let exchange = Arc::new(exchange);
        let swept = swept(&exchange, &found.sweeper());
        Self {
            runs: Runs::of(texts(&exchange).chain(texts(&swept))),
            exchange,
            found,
            swept,
        }
    }

    /// Without repetitions of any secret of a case, among which are its own.
    fn swept(&self, masks: &Masks, sweeper: &Sweeper<'_>) -> Arc<Exchange> {
        let others = masks.sweeper_beside(&self.found);
        // One of the others may span one of its own, or what stands for it.
        let is_sought = others.may_find_in(&self.runs)
            && (may_hold(&self.exchange, &others) || may_hold(&self.swept, &others));
        if is_sought {
            swept(&self.exchange, sweeper)
        } else {
            Arc::clone(&self.swept)
        }
    }
}

impl Redactor {
    /// One that leaves secrets where they are to be shown.
    pub fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            siblings: Memo::default(),
        }
    }

    /// Another one, which does the same.
    pub fn another(&self) -> Self {
        Self::new(self.secrets)
    }

    /// The case without its secrets, unless they are to be shown.
    pub fn present(&mut self, mut case: Case) -> Presentable {
        if self.secrets == Secrets::Redacted {
            self.case(&mut case);
        }
        Presentable(case)
    }

    /// Takes the secrets out of everything in a case but its packets.
    pub fn case(&mut self, case: &mut Case) {
        let mut masks = Masks::default();
        for exchange in hops(case) {
            masks.make_room();
            replace(exchange, &mut masks);
        }
        let siblings = case.siblings.iter();
        let siblings: Vec<_> = siblings
            .map(|passed| self.siblings.of(passed, |passed| Replaced::new(passed)))
            .collect();
        for sibling in &siblings {
            masks.make_room();
            masks.remember(&sibling.found);
        }
        sweep_case(case, &siblings, &mut masks);
    }
}

/// Replaces the secrets that show in sentences, and every repetition of one.
fn sweep_case(case: &mut Case, siblings: &[Arc<Replaced>], masks: &mut Masks) {
    let mut sentences: Vec<_> = sentences(case).collect();
    for sentence in &mut sentences {
        if let Cow::Owned(masked) = scan::text(sentence.as_bytes(), masks) {
            **sentence = String::from_utf8_lossy(&masked).into_owned();
        }
    }
    let sweeper = masks.sweeper();
    // There are many, and seldom is any of them meant: to look at all at once is quicker.
    let all = sentences.iter().map(|sentence| sentence.as_bytes());
    if sweeper.may_find(&all.collect::<Vec<_>>().concat()) {
        for sentence in sentences {
            if let Cow::Owned(swept) = sweeper.sweep(sentence.as_bytes()) {
                *sentence = String::from_utf8_lossy(&swept).into_owned();
            }
        }
    }
    for exchange in hops(case) {
        sweep(exchange, &sweeper);
    }
    let siblings = siblings.iter();
    case.siblings = siblings.map(|s| s.swept(masks, &sweeper)).collect();
}

/// The exchanges of a case's hops and their side calls.
fn hops(case: &mut Case) -> impl Iterator<Item = &mut Exchange> {
    case.chain.hops_mut().flat_map(|hop| {
        let calls = hop.side_calls.iter_mut().map(|call| &mut call.exchange);
        std::iter::once(&mut hop.exchange).chain(calls)
    })
}

/// Every sentence of a case that may quote the wire.
fn sentences(case: &mut Case) -> impl Iterator<Item = &mut String> {
    let verdict = &mut case.verdict;
    let findings = verdict.findings.iter_mut().map(|f| &mut f.next_step);
    let issuer = verdict.issuer.product.iter_mut().map(|p| &mut p.name);
    let evidence = case.evidence.iter_mut().flat_map(|e| {
        let product = e.product.iter_mut().map(|(_, p)| &mut p.name);
        std::iter::once(&mut e.fact).chain(product)
    });
    evidence
        .chain(issuer)
        .chain(&mut verdict.reasons)
        .chain(&mut verdict.limits)
        .chain(findings)
        .chain(std::iter::once(&mut verdict.next_step))
}

/// The exchange without its secrets.
///
/// Heads are written anew from their fields, so that nothing of the raw bytes is left beside them.
pub fn exchange(exchange: &Exchange) -> Exchange {
    let mut masks = Masks::default();
    let mut redacted = exchange.clone();
    replace(&mut redacted, &mut masks);
    sweep(&mut redacted, &masks.sweeper());
    redacted
}

/// Replaces each secret of an exchange where it shows as one.
fn replace(exchange: &mut Exchange, masks: &mut Masks) {
    if let Some(seen) = exchange.request.as_deref_mut() {
        request(seen, masks);
    }
    let final_one = exchange.response.as_deref_mut();
    for seen in exchange.interim.iter_mut().chain(final_one) {
        response(seen, masks);
    }
}

fn request(request: &mut Request, masks: &mut Masks) {
    let method = request.method();
    let target = scan::url(request.target(), masks);
    let version = request
        .message
        .head
        .raw
        .get(request.target.1 as usize..)
        .map_or(&b""[..], first_line);
    let line = [method, b" ", &target, version].concat();
    let start = length(method).saturating_add(1);
    let end = start.saturating_add(length(&target));
    request.method = (0, length(method));
    request.target = (start, end);
    message(&mut request.message, &line, masks);
}

fn response(response: &mut Response, masks: &mut Masks) {
    let reason = scan::text(response.reason(), masks);
    let before = response
        .message
        .head
        .raw
        .get(..response.reason.0 as usize)
        .unwrap_or_default();
    let line = [before, &reason].concat();
    response.reason = (length(before), length(&line));
    message(&mut response.message, &line, masks);
}

fn message(message: &mut Message, start_line: &[u8], masks: &mut Masks) {
    let replaced = head(&message.head, start_line, |name, value| {
        header(name, value, masks)
    });
    body(&mut message.body, &message.head, masks);
    message.head = replaced;
    message.trailers = head(&message.trailers, b"", |name, value| {
        header(name, value, masks)
    });
}

/// A head with this start line and with the values that `value` makes of the fields.
fn head<'a>(
    head: &'a Head,
    start_line: &[u8],
    mut value: impl FnMut(&'a [u8], &'a [u8]) -> Cow<'a, [u8]>,
) -> Head {
    let mut raw = Vec::with_capacity(start_line.len() + head.raw.len());
    raw.extend_from_slice(start_line);
    if !raw.is_empty() {
        raw.extend_from_slice(b"\r\n");
    }
    let mut fields = Vec::with_capacity(head.fields.len());
    for field in head.fields() {
        let name_start = length(&raw);
        raw.extend_from_slice(field.name);
        let name_end = length(&raw);
        raw.extend_from_slice(b": ");
        let value_start = length(&raw);
        raw.extend_from_slice(&value(field.name, field.value));
        fields.push(FieldSpan {
            name: (name_start, name_end),
            value: (value_start, length(&raw)),
        });
        raw.extend_from_slice(b"\r\n");
    }
    if !raw.is_empty() {
        raw.extend_from_slice(b"\r\n");
    }
    Head { raw, fields }
}

fn header<'a>(name: &[u8], value: &'a [u8], masks: &mut Masks) -> Cow<'a, [u8]> {
    match Field::of(name) {
        Field::SetCookie => form::set_cookie(value, masks).into(),
        Field::Cookies => form::cookies(value, masks).into(),
        Field::Challenge => scan::challenge(value, masks),
        Field::Credentials => form::credentials(value, masks).into(),
        Field::Text if is_url(value) => scan::url(value, masks),
        Field::Text => scan::text(value, masks),
    }
}

fn body(body: &mut Body, head: &Head, masks: &mut Masks) {
    let kind = head.value("content-type").unwrap_or_default();
    let coded = head
        .values("content-encoding")
        .any(|v| !v.is_empty() && !v.eq_ignore_ascii_case(b"identity"));
    body.kept = if coded || body.decoded.is_some() {
        Vec::new()
    } else {
        content(&body.kept, kind, masks)
    };
    if let Some(decoded) = &mut body.decoded {
        decoded.bytes = content(&decoded.bytes, kind, masks);
    }
}

/// Content of the media type `kind`; its own look counts for more than what the header calls it,
/// as JSON is often sent as a form.
fn content(bytes: &[u8], kind: &[u8], masks: &mut Masks) -> Vec<u8> {
    let is_multipart = kind
        .get(..10)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"));
    let by_structure = if is_multipart || bytes.starts_with(b"--") {
        form::multipart(bytes, masks)
    } else if form::looks_like_form(bytes) {
        form::urlencoded(bytes, masks)
    } else {
        Cow::Borrowed(bytes)
    };
    scan::text(&by_structure, masks).into_owned()
}

/// Whether a secret may be repeated anywhere in the exchange.
fn may_hold(exchange: &Exchange, sweeper: &Sweeper<'_>) -> bool {
    texts(exchange).any(|text| sweeper.may_find(text))
}

fn message_may_hold(message: &Message, sweeper: &Sweeper<'_>) -> bool {
    message_texts(message).any(|text| sweeper.may_find(text))
}

/// All of an exchange that may repeat a secret.
fn texts(exchange: &Exchange) -> impl Iterator<Item = &[u8]> {
    let request = exchange.request.iter().map(|r| &r.message);
    let final_one = exchange.response.iter().map(|r| &**r);
    let responses = exchange.interim.iter().chain(final_one);
    let messages = request.chain(responses.map(|r| &r.message));
    let rows = exchange.client_addresses.iter();
    messages
        .flat_map(message_texts)
        .chain(rows.map(|row| row.text.as_bytes()))
}

fn message_texts(message: &Message) -> impl Iterator<Item = &[u8]> {
    let decoded = message.body.decoded.as_ref();
    [&message.head.raw, &message.trailers.raw, &message.body.kept]
        .into_iter()
        .chain(decoded.map(|d| &d.bytes))
        .map(Vec::as_slice)
}

/// The exchange without repetitions of secrets; itself where there is none.
fn swept(exchange: &Arc<Exchange>, sweeper: &Sweeper<'_>) -> Arc<Exchange> {
    let mut swept = Arc::clone(exchange);
    if may_hold(exchange, sweeper) {
        sweep(Arc::make_mut(&mut swept), sweeper);
    }
    swept
}

/// Replaces every repetition of a secret.
fn sweep(exchange: &mut Exchange, sweeper: &Sweeper<'_>) {
    if let Some(request) = &mut exchange.request
        && message_may_hold(&request.message, sweeper)
    {
        let target = sweeper.sweep(request.target());
        let version = first_line(
            request
                .message
                .head
                .raw
                .get(request.target.1 as usize..)
                .unwrap_or_default(),
        );
        let line = [request.method(), b" ", &target, version].concat();
        let end = request.target.0.saturating_add(length(&target));
        request.target.1 = end;
        sweep_message(&mut request.message, &line, sweeper);
    }
    for response in exchange
        .interim
        .iter_mut()
        .chain(exchange.response.as_deref_mut())
        .filter(|response| message_may_hold(&response.message, sweeper))
    {
        let reason = sweeper.sweep(response.reason());
        let start = response.reason.0 as usize;
        let before = response.message.head.raw.get(..start).unwrap_or_default();
        let line = [before, &reason].concat();
        response.reason.1 = length(&line);
        sweep_message(&mut response.message, &line, sweeper);
    }
    for row in &mut exchange.client_addresses {
        if let Cow::Owned(swept) = sweeper.sweep(row.text.as_bytes()) {
            row.text = String::from_utf8_lossy(&swept).into_owned();
        }
    }
}

fn sweep_message(message: &mut Message, start_line: &[u8], sweeper: &Sweeper<'_>) {
    message.head = head(&message.head, start_line, |_, v| sweeper.sweep(v));
    message.trailers = head(&message.trailers, b"", |_, v| sweeper.sweep(v));
    let decoded = message.body.decoded.as_mut().map(|d| &mut d.bytes);
    for bytes in std::iter::once(&mut message.body.kept).chain(decoded) {
        if let Cow::Owned(swept) = sweeper.sweep(bytes) {
            *bytes = swept;
        }
    }
}

fn first_line(bytes: &[u8]) -> &[u8] {
    let end = memchr::memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

fn is_url(value: &[u8]) -> bool {
    let is_http = |start: &[u8]| start.eq_ignore_ascii_case(b"http");
    value.starts_with(b"/") || value.get(..4).is_some_and(is_http)
}

/// Heads are bounded far below 4 GiB (`limits.head`).
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
