//! Secrets in text of any kind: one pass over the bytes, which needs no well-formed input and so
//! survives bodies that were cut, templates, logs and JSON in JSON.
//!
//! It knows, wherever they are: members of objects (`"password": "x"`, also with escaped or single
//! quotes), pairs (`token=x`, `?code=x`), XML elements and HTML inputs, JSON Web Tokens
//! (RFC 7519), `Bearer x` and `Basic x`, and the user part of a URL (RFC 3986 section 3.2.1).

use std::borrow::Cow;
use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem;
use wide::u8x16;

use super::form::{is_name, pairs, percent_decoded};
use super::mask::{Masks, is_word};
use super::names::{self, Place};
use crate::bytes::places;
use crate::memo::Texts;

/// Names and tags are looked for this far, in bytes.
const LONGEST_NAME: usize = 128;
const LONGEST_TAG: usize = 2048;

thread_local! {
    /// Whether a text has no secret.
    static CLEAN: RefCell<Texts<bool>> = RefCell::default();
}

/// Text without its secrets; borrowed where it has none.
pub(super) fn text<'a>(bytes: &'a [u8], masks: &mut Masks) -> Cow<'a, [u8]> {
    let mut scanned = None;
    let is_clean = CLEAN.with_borrow_mut(|known| {
        known.of(bytes, |_| {
            let text = scanned.insert(Scan::new(bytes, masks).run());
            matches!(text, Cow::Borrowed(_))
        })
    });
    match scanned {
        Some(text) => text,
        None if is_clean => Cow::Borrowed(bytes),
        None => Scan::new(bytes, masks).run(),
    }
}

/// The challenge of a 401 or 407: as text, but `Bearer realm=…` is no credential.
pub(super) fn challenge<'a>(bytes: &'a [u8], masks: &mut Masks) -> Cow<'a, [u8]> {
    Scan {
        credentials: false,
        ..Scan::new(bytes, masks)
    }
    .run()
}

/// A URL, or a target, without its secrets: as text, and query and fragment pair by pair.
pub(super) fn url<'a>(bytes: &'a [u8], masks: &mut Masks) -> Cow<'a, [u8]> {
    let end = memchr::memchr2(b'?', b'#', bytes).unwrap_or(bytes.len());
    let (path, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    let path = text(path, masks);
    if rest.is_empty() {
        return path;
    }
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&path);
    pairs(rest, b"?&;#", &mut out, masks);
    Cow::Owned(out)
}

struct Scan<'a, 'm> {
    bytes: &'a [u8],
    /// Everything before is in `out`; 0 where nothing was replaced.
    at: usize,
    out: Vec<u8>,
    masks: &'m mut Masks,
    /// Whether `Bearer x` is one.
    credentials: bool,
}

impl<'a, 'm> Scan<'a, 'm> {
    fn new(bytes: &'a [u8], masks: &'m mut Masks) -> Self {
        Self {
            bytes,
            at: 0,
            out: Vec::new(),
            masks,
            credentials: true,
        }
    }

    fn run(mut self) -> Cow<'a, [u8]> {
        let mut from = 0;
        for at in places(self.bytes, tells) {
            let Some(&byte) = self.bytes.get(at).filter(|_| at >= from) else {
                continue;
            };
            let secret = match byte {
                b'"' | b'\'' => self.quoted_member(at),
                b'=' => self.pair(at).or_else(|| self.assignment(at)),
                b':' => self.user_info(at).or_else(|| self.bare_member(at)),
                b'<' => self.element(at),
                b'e' => self.json_web_token(at),
                _ if self.credentials => self.credential(at),
                _ => None,
            };
            if let Some(secret) = secret {
                from = self.replace(secret);
            }
        }
        if self.at == 0 {
            return Cow::Borrowed(self.bytes);
        }
        self.copy_until(self.bytes.len());
        Cow::Owned(self.out)
    }

    /// Puts a mask in place of a secret; the scan goes on after it.
    fn replace(&mut self, secret: Secret) -> usize {
        self.copy_until(secret.start);
        let value = self.slice(secret.start, secret.end);
        let plain = match secret.coding {
            Coding::Plain => Cow::Borrowed(value),
            Coding::Percent => percent_decoded(value),
            Coding::Json => unescaped(value),
        };
        self.masks.put(&mut self.out, &plain);
        self.at = secret.end;
        secret.end.max(secret.start + 1)
    }

    fn copy_until(&mut self, end: usize) {
        let plain = self.bytes.get(self.at..end).unwrap_or_default();
        self.out.extend_from_slice(plain);
        self.at = end.max(self.at);
    }

    fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// `"name": value`, `'name' => value`. The quotes may be single ones, or escaped any number of times.
    fn quoted_member(&self, quote: usize) -> Option<Secret> {
        let delimiter = Delimiter::at(self.bytes, quote)?;
        let end = delimiter.end(self.bytes, quote + 1, LONGEST_NAME)?;
        let colon = self.skip_space(end + 1);
        let value = match self.bytes.get(colon..)? {
            [b':', ..] => colon + 1,
            // PHP, Ruby
            [b'=', b'>', ..] => colon + 2,
            _ => return None,
        };
        let name = self.slice(quote + 1, end.saturating_sub(delimiter.backslashes));
        // Between the end of one string and the start of another is no name, but a value may be.
        let is_name = !name.iter().any(|b| b"\"',;{}".contains(b));
        if !is_name || !names::is_secret(&unescaped(name), Place::Member) {
            return None;
        }
        self.member_value(self.skip_space(value))
    }

    /// `name: "value"`, as in a script, or in a query in JSON (`name: \"value\"`). A value without quotes is prose: `Invalid token: expired`.
    fn bare_member(&self, colon: usize) -> Option<Secret> {
        let value = self.skip_space(colon + 1);
        let quote = self.find(value, |b| b != b'\\');
        let quoted = matches!(self.bytes.get(quote), Some(b'"' | b'\''));
        if !quoted || !names::is_secret(self.name_before(colon), Place::Member) {
            return None;
        }
        self.member_value(value)
    }

    fn member_value(&self, start: usize) -> Option<Secret> {
        let backslashes = self
            .bytes
            .get(start..)?
            .iter()
            .take_while(|b| **b == b'\\')
            .count();
        let quote = start + backslashes;
        match self.bytes.get(quote)? {
            b'"' | b'\'' => {
                let delimiter = Delimiter::at(self.bytes, quote)?;
                let end = delimiter
                    .end(self.bytes, quote + 1, usize::MAX)
                    .map_or(self.bytes.len(), |end| {
                        end.saturating_sub(delimiter.backslashes)
                    });
                Some(Secret::new(quote + 1, end, Coding::Json))
            }
            b'{' | b'[' => Some(Secret::new(start, self.container_end(start), Coding::Plain)),
            _ => {
                let end = self.find(start, |b| {
                    b",}])\\&<\"'".contains(&b) || b.is_ascii_whitespace()
                });
                let value = self.slice(start, end);
                let says_nothing = matches!(value, b"" | b"null" | b"true" | b"false" | b"None");
                (!says_nothing).then(|| Secret::new(start, end, Coding::Plain))
            }
        }
    }

    /// After the bracket that closes the one at `start`, or the end.
    fn container_end(&self, start: usize) -> usize {
        let mut depth = 0_usize;
        let mut i = start;
        while let Some(byte) = self.bytes.get(i) {
            match byte {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                b'"' => {
                    let end = Delimiter::at(self.bytes, i)
                        .and_then(|d| d.end(self.bytes, i + 1, usize::MAX));
                    i = end.unwrap_or(self.bytes.len());
                }
                _ => {}
            }
            i += 1;
            if depth == 0 {
                return i.min(self.bytes.len());
            }
        }
        self.bytes.len()
    }

    /// `name=value`, the value bare or in quotes.
    fn pair(&self, equals: usize) -> Option<Secret> {
        let name = self.name_before(equals);
        let before = equals
            .checked_sub(name.len() + 1)
            .and_then(|i| self.bytes.get(i));
        let place = match before {
            Some(b'?' | b'&') => Place::Parameter,
            _ => Place::Member,
        };
        if name.is_empty() || !names::is_secret(&percent_decoded(name), place) {
            return None;
        }
        let start = equals + 1;
        if matches!(self.bytes.get(start), Some(b'"' | b'\'')) {
            let delimiter = Delimiter::at(self.bytes, start)?;
            let end = delimiter.end(self.bytes, start + 1, usize::MAX);
            let end = end.unwrap_or(self.bytes.len());
            return (end > start + 1).then(|| Secret::new(start + 1, end, Coding::Json));
        }
        if self.bytes.get(start..)?.starts_with(b"[redacted ") {
            return None;
        }
        let end = self.find(start, |b| {
            b"&;\"'<>#\\".contains(&b) || b.is_ascii_whitespace()
        });
        (end > start).then(|| Secret::new(start, end, Coding::Percent))
    }

    /// `name = "value"`, as in a script or a configuration.
    fn assignment(&self, equals: usize) -> Option<Secret> {
        let spaces = self.slice(self.at, equals);
        let spaces = spaces
            .iter()
            .rev()
            .take(8)
            .take_while(|b| **b == b' ')
            .count();
        let name = self.name_before(equals - spaces);
        let value = self.skip_space(equals + 1);
        let quoted = matches!(self.bytes.get(value), Some(b'"' | b'\''));
        if !quoted || !names::is_secret(name, Place::Member) {
            return None;
        }
        self.member_value(value)
    }

    /// `://user:password@`.
    fn user_info(&self, colon: usize) -> Option<Secret> {
        let start = colon + 3;
        if self.slice(colon, start) != b"://" {
            return None;
        }
        let end = self.find(start, |b| {
            b"/?#\"'<>\\".contains(&b) || b.is_ascii_whitespace()
        });
        let at = self.slice(start, end).iter().rposition(|b| *b == b'@')?;
        (at > 0).then(|| Secret::new(start, start + at, Coding::Percent))
    }

    /// `<Password>value</Password>`, and tags such as `<input name="token" value="…">`.
    fn element(&self, open: usize) -> Option<Secret> {
        let limit = self.bytes.len().min(open + LONGEST_TAG);
        let tag = self.slice(open + 1, limit);
        let close = memchr::memchr2(b'<', b'>', tag).filter(|at| tag.get(*at) == Some(&b'>'))?;
        let tag = tag.get(..close).unwrap_or_default();
        let name_end = tag
            .iter()
            .position(|b| b.is_ascii_whitespace())
            .unwrap_or(tag.len());
        let (name, attributes) = tag.split_at_checked(name_end)?;
        let is_element = name.iter().all(|b| is_name(*b) || *b == b':');
        if is_element && names::is_secret(name, Place::Member) && !tag.ends_with(b"/") {
            let start = open + 1 + close + 1;
            let end = self.find(start, |b| b == b'<');
            let blank = self.slice(start, end).trim_ascii().is_empty();
            return (!blank).then(|| Secret::new(start, end, Coding::Plain));
        }
        let named = attribute(attributes, b"name")?;
        let name = attributes.get(named.0..named.1)?;
        if !names::is_secret(name, Place::Parameter) {
            return None;
        }
        let value =
            attribute(attributes, b"value").or_else(|| attribute(attributes, b"content"))?;
        let base = open + 1 + name_end;
        (value.1 > value.0).then(|| Secret::new(base + value.0, base + value.1, Coding::Plain))
    }

    /// `eyJ…`: base64url of `{"`, then dots.
    fn json_web_token(&self, start: usize) -> Option<Secret> {
        if self.slice(start, start + 3) != b"eyJ" || self.in_word(start) {
            return None;
        }
        if start.checked_sub(1).and_then(|i| self.bytes.get(i)) == Some(&b'-') {
            return None;
        }
        let token = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let end = self.find(start, |b| !token(b));
        let value = self.slice(start, end);
        let is_token = value.contains(&b'.') || end == self.bytes.len();
        let sentence = value.iter().rev().take_while(|b| **b == b'.').count();
        (value.len() >= 12 && is_token)
            .then(|| Secret::new(start, end.saturating_sub(sentence), Coding::Plain))
    }

    /// `Bearer x`, `Basic x`.
    fn credential(&self, start: usize) -> Option<Secret> {
        let word = self.slice(start, start + 6);
        let (bearer, after) = if word.eq_ignore_ascii_case(b"bearer") {
            (true, start + 6)
        } else if word.get(..5)?.eq_ignore_ascii_case(b"basic") {
            (false, start + 5)
        } else {
            return None;
        };
        let space = self.bytes.get(after..)?;
        let space = if space.starts_with(b"%20") {
            3
        } else {
            space.iter().take_while(|b| b" +".contains(b)).count()
        };
        if space == 0 || self.in_word(start) {
            return None;
        }
        let from = after + space;
        let end = self.find(from, |b| {
            !b.is_ascii_alphanumeric() && !b"-._~+/=%".contains(&b)
        });
        let value = self.slice(from, end);
        let is_secret = if bearer {
            // "The bearer token." may end a sentence.
            let word = value.strip_suffix(b".").unwrap_or(value);
            !word.is_empty() && !is_word(word)
        } else {
            is_user_and_password(value)
        };
        is_secret.then(|| Secret::new(from, end, Coding::Plain))
    }

    fn name_before(&self, end: usize) -> &'a [u8] {
        let from = end.saturating_sub(LONGEST_NAME).max(self.at);
        let window = self.slice(from, end);
        let name = window.iter().rev().take_while(|b| is_name(**b)).count();
        window.get(window.len() - name..).unwrap_or_default()
    }

    fn in_word(&self, start: usize) -> bool {
        start
            .checked_sub(1)
            .and_then(|before| self.bytes.get(before))
            .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
    }

    fn skip_space(&self, start: usize) -> usize {
        self.find(start, |b| !b.is_ascii_whitespace())
    }

    fn find(&self, start: usize, wanted: impl Fn(u8) -> bool) -> usize {
        self.bytes
            .get(start..)
            .unwrap_or_default()
            .iter()
            .position(|b| wanted(*b))
            .map_or(self.bytes.len(), |i| start + i)
    }
}

/// Where a secret may begin, or its name end: marks of a syntax, `ey`, and `ba` and `be` in any
/// letter case.
fn tells(byte: u8x16, next: u8x16) -> u8x16 {
    let all = |byte: u8| u8x16::new([byte; 16]);
    let is = |wanted| byte.cmp_eq(all(wanted));
    // Two bytes that differ in one bit are told by one comparison, and four that differ in two.
    let is_any = |bytes: u8x16, a: u8, b: u8| (bytes | all(a ^ b)).cmp_eq(all(a | b));
    let marks = is(b'"') | is(b'\'') | is(b':') | is_any(byte, b'<', b'=');
    let token = is(b'e') & next.cmp_eq(all(b'y'));
    let vowel = is_any(next, b'A', b'e');
    marks | token | (is_any(byte, b'B', b'b') & vowel)
}

/// Where a secret lies in the text, and how it is written there.
struct Secret {
    start: usize,
    end: usize,
    coding: Coding,
}

enum Coding {
    Plain,
    Percent,
    Json,
}

impl Secret {
    fn new(start: usize, end: usize, coding: Coding) -> Self {
        Self { start, end, coding }
    }
}

/// What ends a string: a quote after as many backslashes as the one that began it.
struct Delimiter {
    quote: u8,
    backslashes: usize,
}

impl Delimiter {
    fn at(bytes: &[u8], quote: usize) -> Option<Self> {
        let before = bytes.get(..quote)?;
        Some(Self {
            quote: *bytes.get(quote)?,
            backslashes: before
                .iter()
                .rev()
                .take(8)
                .take_while(|b| **b == b'\\')
                .count(),
        })
    }

    /// The quote that ends the string which begins at `start`.
    fn end(&self, bytes: &[u8], start: usize, within: usize) -> Option<usize> {
        let limit = start.saturating_add(within).min(bytes.len());
        let text = bytes.get(start..limit)?;
        let ends = |quote: &usize| {
            let before = text.get(..*quote).unwrap_or_default();
            let backslashes = before.iter().rev().take_while(|b| **b == b'\\').count();
            match self.backslashes {
                0 => backslashes % 2 == 0,
                level => backslashes <= level,
            }
        };
        let end = memchr::memchr_iter(self.quote, text).find(ends)?;
        Some(start + end)
    }
}

/// Removes the escapes of a JSON string, as far as they are well-formed.
fn unescaped(bytes: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let (b'\\', Some((&escape, after))) = (byte, after.split_first()) else {
            out.push(byte);
            continue;
        };
        rest = after;
        match escape {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => {
                let code = after
                    .get(..4)
                    .and_then(|hex| std::str::from_utf8(hex).ok())
                    .and_then(|hex| u32::from_str_radix(hex, 16).ok());
                if let Some(code) = code {
                    // Halves of a surrogate pair stay apart: this is to recognise names.
                    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = after.get(4..).unwrap_or_default();
                }
            }
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// Where the value of an attribute lies in a tag.
fn attribute(tag: &[u8], name: &[u8]) -> Option<(usize, usize)> {
    let lower = tag.to_ascii_lowercase();
    memmem::find_iter(&lower, name)
        .filter(|at| {
            let before = at.checked_sub(1).and_then(|i| lower.get(i));
            before.is_some_and(u8::is_ascii_whitespace)
        })
        .find_map(|at| {
            let rest = lower.get(at + name.len()..)?.strip_prefix(b"=")?;
            let start = at + name.len() + 1;
            let (open, close): (usize, &[u8]) = match rest.first()? {
                b'"' => (1, b"\""),
                b'\'' => (1, b"'"),
                _ => (0, b" \t\r\n/"),
            };
            let value = rest.get(open..)?;
            let end = value
                .iter()
                .position(|b| close.contains(b))
                .unwrap_or(value.len());
            Some((start + open, start + open + end))
        })
}

fn is_user_and_password(value: &[u8]) -> bool {
    let padding = value.iter().rev().take_while(|b| **b == b'=').count();
    let digits = value.get(..value.len() - padding).unwrap_or_default();
    // Whole groups only: the text may have been cut.
    let whole = digits
        .get(..digits.len() - digits.len() % 4)
        .unwrap_or_default();
    STANDARD_NO_PAD
        .decode(whole)
        .is_ok_and(|plain| plain.contains(&b':'))
        || (padding > 0 && digits.len() >= 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cleared_however_often_it_comes() {
        for (text, cleared) in [
            ("nothing: at all", "nothing: at all"),
            ("?token=a1b2c3d4", "?token=[redacted 7dcf407f]"),
        ] {
            for _ in 0..4 {
                let mut masks = Masks::default();
                let shown = super::text(text.as_bytes(), &mut masks);
                assert_eq!(String::from_utf8_lossy(&shown), cleared);
                assert_eq!(masks.sweeper().may_find(b"a1b2c3d4"), text != cleared);
            }
        }
    }

    #[test]
    fn a_secret_may_begin_at_marks_and_at_the_starts_of_words() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let marks = matches!(first, b'"' | b'\'' | b'=' | b':' | b'<');
                let word = matches!(
                    [first, second],
                    [b'e', b'y'] | [b'B' | b'b', b'A' | b'a' | b'E' | b'e']
                );
                let [now, next] = [first, second].map(|byte| u8x16::new([byte; 16]));
                let told = tells(now, next).move_mask() != 0;
                assert_eq!(told, marks || word, "{first} {second}");
            }
        }
    }
}
