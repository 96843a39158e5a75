//! Names and values with a syntax of their own: credentials, cookies, forms.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem};

use super::mask::Masks;
use super::names::{self, Place};
use super::scan;

/// Words before a credential that are no part of it (the registry of RFC 9110 section 16.4.1, and
/// common ones that are not in it).
const SCHEMES: &[&[u8]] = &[
    b"apikey",
    b"aws4-hmac-sha256",
    b"basic",
    b"bearer",
    b"concealed",
    b"digest",
    b"dpop",
    b"gnap",
    b"hawk",
    b"hmac",
    b"hoba",
    b"key",
    b"mutual",
    b"negotiate",
    b"ntlm",
    b"oauth",
    b"privatetoken",
    b"scram-sha-1",
    b"scram-sha-256",
    b"sharedkey",
    b"signature",
    b"token",
    b"vapid",
];

/// The name of a part is looked at this far, in bytes.
const LONGEST_NAME: usize = 256;

/// `Bearer abc`: the scheme stays, the rest is secret. Without a known scheme all of it is.
pub(super) fn credentials(value: &[u8], masks: &mut Masks) -> Vec<u8> {
    let mut out = with_room(value);
    let (scheme, rest) = split(value, b' ');
    let rest = rest.map(<[u8]>::trim_ascii).filter(|r| !r.is_empty());
    match rest {
        Some(rest) if SCHEMES.contains(&scheme.to_ascii_lowercase().as_slice()) => {
            out.extend_from_slice(scheme);
            out.push(b' ');
            masks.put(&mut out, rest);
        }
        _ => masks.put(&mut out, value),
    }
    out
}

/// `a=1; b=2`: the names stay.
pub(super) fn cookies(value: &[u8], masks: &mut Masks) -> Vec<u8> {
    let mut out = with_room(value);
    for (i, pair) in value.split(|b| *b == b';').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"; ");
        }
        cookie(pair.trim_ascii(), &mut out, masks);
    }
    out
}

/// `a=1; Path=/; Secure`: the name of the cookie and its attributes stay.
pub(super) fn set_cookie(value: &[u8], masks: &mut Masks) -> Vec<u8> {
    const ATTRIBUTES: &[&[u8]] = &[
        b"domain",
        b"expires",
        b"httponly",
        b"max-age",
        b"partitioned",
        b"path",
        b"priority",
        b"samesite",
        b"secure",
        b"version",
    ];
    let mut out = with_room(value);
    for (i, part) in value
        .split(|b| *b == b';')
        .map(<[u8]>::trim_ascii)
        .enumerate()
    {
        let name = split(part, b'=').0.trim_ascii().to_ascii_lowercase();
        if i > 0 {
            out.extend_from_slice(b"; ");
        }
        if i > 0 && ATTRIBUTES.contains(&name.as_slice()) {
            attribute(part, &mut out, masks);
        } else {
            cookie(part, &mut out, masks);
        }
    }
    out
}

/// An attribute of a cookie stays; where a proxy joined several fields by commas, the next cookie
/// begins in it (the comma of a date has no `=` behind it).
fn attribute(part: &[u8], out: &mut Vec<u8>, masks: &mut Masks) {
    let next = memchr::memchr_iter(b',', part)
        .find(|at| memchr(b'=', part.get(*at..).unwrap_or_default()).is_some());
    let (own, next) = part
        .split_at_checked(next.map_or(part.len(), |at| at + 1))
        .unwrap_or((part, &[]));
    out.extend_from_slice(own);
    if !next.is_empty() {
        out.push(b' ');
        cookie(next.trim_ascii(), out, masks);
    }
}

fn cookie(pair: &[u8], out: &mut Vec<u8>, masks: &mut Masks) {
    let (name, value) = match split(pair, b'=') {
        (name, Some(value)) => (Some(name), value),
        // A cookie without a name (RFC 6265bis section 5.6).
        (value, None) => (None, value),
    };
    if let Some(name) = name {
        out.extend_from_slice(name);
        out.push(b'=');
    }
    let value = value.trim_ascii();
    let inner = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""))
        .unwrap_or(value);
    masks.put(out, inner);
}

/// Where the value will go with some masks in it, each of which may be longer than what it replaces.
fn with_room(value: &[u8]) -> Vec<u8> {
    Vec::with_capacity(value.len() + 64)
}

/// Whether a body reads `name=value…` on its first line, whatever its header calls it.
pub(super) fn looks_like_form(body: &[u8]) -> bool {
    let name = body.split(|b| !is_name(*b)).next().unwrap_or_default();
    !name.is_empty() && body.get(name.len()) == Some(&b'=')
}

/// `a=1&b=2`.
pub(super) fn urlencoded<'a>(body: &'a [u8], masks: &mut Masks) -> Cow<'a, [u8]> {
    let mut out = Vec::with_capacity(body.len());
    pairs(body, b"&", &mut out, masks);
    Cow::Owned(out)
}

/// Pairs with any of `separators` between them; the values of those with a telling name go.
pub(super) fn pairs(bytes: &[u8], separators: &[u8], out: &mut Vec<u8>, masks: &mut Masks) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|b| separators.contains(b))
            .unwrap_or(rest.len());
        let (pair, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        match split(pair, b'=') {
            (name, Some(value)) => {
                out.extend_from_slice(name);
                out.push(b'=');
                let secret = names::is_secret(&percent_decoded(name), Place::Parameter);
                parameter(value, secret, out, masks);
            }
            (word, None) => parameter(word, false, out, masks),
        }
        let (separator, after) = after.split_at_checked(1).unwrap_or((&[], &[]));
        out.extend_from_slice(separator);
        rest = after;
    }
}

fn parameter(value: &[u8], secret: bool, out: &mut Vec<u8>, masks: &mut Masks) {
    // The end of the body is not part of its last field.
    let trimmed = value.trim_ascii_end();
    let plain = percent_decoded(trimmed);
    if secret {
        masks.put(out, &plain);
    } else if plain == trimmed {
        out.extend_from_slice(&scan::text(trimmed, masks));
    } else if *scan::text(&plain, masks) != *plain {
        // A URL with a token in it, encoded: there is no telling where in the encoded form it is.
        masks.put(out, &plain);
    } else {
        out.extend_from_slice(trimmed);
    }
    out.extend_from_slice(value.get(trimmed.len()..).unwrap_or_default());
}

/// `multipart/form-data` (RFC 7578): the content of parts with a telling name goes.
pub(super) fn multipart<'a>(body: &'a [u8], masks: &mut Masks) -> Cow<'a, [u8]> {
    let Some(delimiter) = delimiter(body) else {
        return Cow::Borrowed(body);
    };
    // The line end before a delimiter belongs to it (RFC 2046 section 5.1.1).
    let delimiter = [b"\n", delimiter].concat();
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(end) = memmem::find(rest, &delimiter) {
        part(rest.get(..end).unwrap_or_default(), &mut out, masks);
        out.extend_from_slice(&delimiter);
        rest = rest.get(end + delimiter.len()..).unwrap_or_default();
    }
    part(rest, &mut out, masks);
    Cow::Owned(out)
}

/// The line between parts. The boundary is read from the body: the one in the header need not be
/// there.
fn delimiter(body: &[u8]) -> Option<&[u8]> {
    let start = if body.starts_with(b"--") {
        0
    } else {
        memmem::find(body, b"\n--")? + 1
    };
    let line = split(body.get(start..)?, b'\n').0.trim_ascii_end();
    (line.len() > 2).then_some(line)
}

/// One part, from after its delimiter to before the next.
fn part(part: &[u8], out: &mut Vec<u8>, masks: &mut Masks) {
    let blank = [&b"\r\n\r\n"[..], b"\n\n"]
        .into_iter()
        .filter_map(|blank| Some(memmem::find(part, blank)? + blank.len()))
        .min();
    let Some((head, content)) = blank.and_then(|at| part.split_at_checked(at)) else {
        out.extend_from_slice(part);
        return;
    };
    out.extend_from_slice(head);
    let value = content.strip_suffix(b"\r").unwrap_or(content);
    if has_secret_name(head) {
        masks.put(out, value);
    } else {
        out.extend_from_slice(value);
    }
    out.extend_from_slice(content.get(value.len()..).unwrap_or_default());
}

/// Whether any `name=` in a part's head tells; a file's name may well say `name=`, and then a
/// value too many goes.
fn has_secret_name(head: &[u8]) -> bool {
    memmem::find_iter(head, b"name").any(|at| {
        let rest = head.get(at + 4..).unwrap_or_default();
        let rest = rest.strip_prefix(b"*").unwrap_or(rest).trim_ascii_start();
        let Some(value) = rest.strip_prefix(b"=").map(<[u8]>::trim_ascii_start) else {
            return false;
        };
        let name = match value.strip_prefix(b"\"") {
            Some(quoted) => split(quoted, b'"').0,
            None => value
                .split(|b| b.is_ascii_whitespace() || *b == b';')
                .next()
                .unwrap_or_default(),
        };
        let name = name.get(..LONGEST_NAME).unwrap_or(name);
        names::is_secret(&percent_decoded(name), Place::Parameter)
    })
}

/// Bytes of a name in a query, a form or a text.
pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.[]%$~".contains(&byte)
}

/// Removes percent coding and takes `+` for a space.
pub(super) fn percent_decoded(bytes: &[u8]) -> Cow<'_, [u8]> {
    if memchr2(b'%', b'+', bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = match (byte, after) {
            (b'%', [high, low, after @ ..]) => hex(*high)
                .zip(hex(*low))
                .map(|(high, low)| (high << 4 | low, after)),
            (b'+', after) => Some((b' ', after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((byte, after));
        out.push(byte);
        rest = after;
    }
    Cow::Owned(out)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Splits at the first `at`, which belongs to neither half.
fn split(bytes: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr(at, bytes) {
        Some(i) => (bytes.get(..i).unwrap_or_default(), bytes.get(i + 1..)),
        None => (bytes, None),
    }
}
