//! Small readers of text from the wire.

use std::borrow::Cow;

use memchr::memmem;

/// Undoes percent encoding once (RFC 3986 section 2.1); with `plus`, `+` is a space as in forms.
/// What is no valid escape stays as it is.
pub(super) fn percent_decode(text: &[u8], plus: bool) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', text).is_none() && !(plus && memchr::memchr(b'+', text).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let escaped = match after {
            [high, low, ..] if byte == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            out.push(high << 4 | low);
            rest = after.get(2..).unwrap_or_default();
        } else {
            out.push(if plus && byte == b'+' { b' ' } else { byte });
        }
    }
    Cow::Owned(out)
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Whether `text` holds `part`, in any letter case. `part` is in lower case.
pub(super) fn holds(text: &[u8], part: &str) -> bool {
    memmem::find(&text.to_ascii_lowercase(), part.as_bytes()).is_some()
}

/// In lower case, at most `most` bytes of it.
pub(super) fn lower(text: &[u8], most: usize) -> Cow<'_, str> {
    let text = text.get(..most).unwrap_or(text);
    lower_text(match str::from_utf8(text) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(text),
    })
}

/// In lower case.
pub(super) fn lower_text(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        text
    }
}

/// The host and port of an origin or URL with a scheme: `shop.example` of
/// `https://shop.example/cart`.
pub(super) fn authority(url: &[u8]) -> Option<&[u8]> {
    let at = memmem::find(url.get(..16).unwrap_or(url), b"://")?;
    let rest = url.get(at + 3..)?;
    let authority = rest
        .split(|b| matches!(b, b'/' | b'?' | b'#'))
        .next()
        .unwrap_or_default();
    // What stands before an `@` is a user's name and password.
    let host = authority.rsplit(|b| *b == b'@').next();
    host.filter(|host| !host.is_empty())
}

/// Host and port as they compare: lower case, no port where it is that of HTTP or HTTPS.
pub(super) fn comparable_host(host: &[u8]) -> Cow<'_, str> {
    // What stands before an `@` is a user's name and password.
    let host = host.rsplit(|b| *b == b'@').next().unwrap_or_default();
    match lower(host.trim_ascii(), 256) {
        Cow::Borrowed(host) => Cow::Borrowed(comparable(host)),
        Cow::Owned(host) => Cow::Owned(comparable(&host).to_owned()),
    }
}

fn comparable(host: &str) -> &str {
    let bare = host
        .strip_suffix(":80")
        .or_else(|| host.strip_suffix(":443"));
    bare.unwrap_or(host).trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_and_nonsense_stays() {
        for (text, plus, expected) in [
            ("a%20b+c", true, "a b c"),
            ("a%20b+c", false, "a b+c"),
            ("%252e", false, "%2e"),
            ("100%", false, "100%"),
            ("%zz%4", false, "%zz%4"),
            ("", true, ""),
        ] {
            assert_eq!(
                percent_decode(text.as_bytes(), plus),
                expected.as_bytes(),
                "{text}"
            );
        }
    }

    #[test]
    fn hosts_of_urls() {
        for (url, expected) in [
            ("https://shop.example/cart?x", Some("shop.example")),
            ("http://u:p@shop.example:8080#a", Some("shop.example:8080")),
            ("null", None),
            ("https://", None),
        ] {
            let host = authority(url.as_bytes()).map(|h| String::from_utf8_lossy(h).into_owned());
            assert_eq!(host.as_deref(), expected, "{url}");
        }
        assert_eq!(comparable_host(b" Shop.Example:443 "), "shop.example");
        assert_eq!(comparable_host(b"shop.example:8443"), "shop.example:8443");
    }
}
