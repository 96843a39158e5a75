//! Names that tell a secret.

use std::borrow::Cow;

use crate::memo::Names;

/// What a name is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A header field.
    Header,
    /// A parameter of a URL's query or a field of a form.
    Parameter,
    /// A member of a JSON object, an XML element, or anything else in a text. `code` and `key`
    /// are no secrets there: `"code": "blocked_by_waf"` is what one looks for.
    Member,
}

/// A name that contains one of these, letter case and punctuation aside, tells a secret.
const STEMS: &[&str] = &[
    "accesskey",
    "apikey",
    "authorization",
    "authkey",
    "credential",
    "csrf",
    "jwt",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "sessid",
    "session",
    "signature",
    "token",
    "xsrf",
];

/// Their first letters, one bit each: most letters begin no stem.
const INITIALS: u32 = {
    let (mut initials, mut stems) = (0, STEMS);
    while let [stem, rest @ ..] = stems {
        if let [initial, ..] = stem.as_bytes() {
            initials |= 1 << (*initial % 32);
        }
        stems = rest;
    }
    initials
};

/// So does one of these as a word of its own.
const WORDS: &[&str] = &[
    "assertion",
    "bearer",
    "cvc",
    "cvv",
    "otp",
    "passcode",
    "pw",
    "pwd",
    "sig",
];

/// So does a whole name that is one of these.
const NAMES: &[&str] = &["auth", "connect.sid", "pass", "pin", "sid", "x-auth"];

/// So does one of these as the whole name of a parameter.
const PARAMETERS: &[&str] = &["code", "key"];

/// These contain a stem and tell nothing secret.
const HARMLESS: &[&str] = &[
    "access-control-allow-credentials",
    "idempotency-key",
    "max_tokens",
    "sec-websocket-key",
    "signature-input",
    "surrogate-key",
    "cache-key",
    "x-cache-key",
    "token_type",
    "tokentype",
];

/// Longer names are not looked at beyond this.
const LONGEST: usize = 256;

thread_local! {
    /// A bit for each place.
    static KNOWN: Names<u8> = Names::default();
    static FIELDS: Names<Field> = Names::default();
}

/// What a header field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    /// A cookie and its attributes.
    SetCookie,
    /// Cookies.
    Cookies,
    /// A challenge: `Bearer realm="x"` is no credential.
    Challenge,
    /// A secret, maybe after a scheme.
    Credentials,
    /// Anything.
    Text,
}

impl Field {
    /// What the field of this name holds.
    pub(super) fn of(name: &[u8]) -> Self {
        // However long it is, all of it counts; only short ones are worth remembering.
        if name.len() > LONGEST {
            return Self::told_by(name);
        }
        FIELDS.with(|known| known.of(name, Self::told_by))
    }

    fn told_by(name: &[u8]) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("set-cookie") || is("set-cookie2") {
            Self::SetCookie
        } else if name.windows(6).any(|w| w.eq_ignore_ascii_case(b"cookie")) {
            Self::Cookies
        } else if is("www-authenticate") || is("proxy-authenticate") {
            Self::Challenge
        } else if is_secret(name, Place::Header) {
            Self::Credentials
        } else {
            Self::Text
        }
    }
}

/// Whether what goes by this name is a secret.
pub(super) fn is_secret(name: &[u8], place: Place) -> bool {
    const PLACES: [Place; 3] = [Place::Header, Place::Parameter, Place::Member];
    let name = name.get(..LONGEST).unwrap_or(name);
    let bits = KNOWN.with(|known| {
        known.of(name, |name| {
            let secret = PLACES.into_iter().filter(|place| tells(name, *place));
            secret.fold(0, |bits, place| bits | 1 << place as u8)
        })
    });
    bits >> place as u8 & 1 == 1
}

fn tells(name: &[u8], place: Place) -> bool {
    let name = match str::from_utf8(name) {
        Ok(name) => Cow::Borrowed(name),
        Err(_) => String::from_utf8_lossy(name),
    };
    let whole = name.trim();
    let is = |known: &&str| whole.eq_ignore_ascii_case(known);
    let is_one_of = |known: &[&str]| known.iter().any(is);
    if is_one_of(HARMLESS) {
        return false;
    }
    holds_stem(whole)
        || is_one_of(NAMES)
        || words(&name).any(|word| WORDS.iter().any(|w| word.eq_ignore_ascii_case(w)))
        || match place {
            // `X-Functions-Key`, `Ocp-Apim-Subscription-Key`
            Place::Header => {
                let start = whole.len().saturating_sub(4);
                let end = whole.as_bytes().get(start..).unwrap_or_default();
                end.eq_ignore_ascii_case(b"-key") || is(&"key")
            }
            Place::Parameter => is_one_of(PARAMETERS),
            Place::Member => false,
        }
}

/// Whether the letters and digits of a name, in lower case and without what is between them, hold
/// a stem.
fn holds_stem(name: &str) -> bool {
    let mut letters = [0; LONGEST];
    let lower = name.bytes().filter(u8::is_ascii_alphanumeric);
    let lower = lower.map(|b| b.to_ascii_lowercase());
    let count = letters.iter_mut().zip(lower).map(|(to, b)| *to = b).count();
    let letters = letters.get(..count).unwrap_or_default();
    let begins = |(_, letter): &(usize, &u8)| INITIALS >> (*letter % 32) & 1 == 1;
    let mut places = letters.iter().enumerate().filter(begins);
    places.any(|(at, _)| {
        let rest = letters.get(at..).unwrap_or_default();
        STEMS.iter().any(|stem| rest.starts_with(stem.as_bytes()))
    })
}

/// Splits at punctuation and before a capital: `X-Amz-Sig`, `user_pwd`, `userPwd`.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .flat_map(|part| {
            let mut rest = part;
            std::iter::from_fn(move || {
                let hump = rest
                    .bytes()
                    .zip(rest.bytes().skip(1))
                    .position(|(a, b)| !a.is_ascii_uppercase() && b.is_ascii_uppercase());
                let (word, after) = hump.map_or((rest, ""), |at| {
                    rest.split_at_checked(at + 1).unwrap_or((rest, ""))
                });
                rest = after;
                (!word.is_empty()).then_some(word)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_cookies_is_told_however_long_its_name_is() {
        for (name, cookies) in [("X-Cookie", true), ("X-Cook", false)] {
            for long in [1, LONGEST] {
                let name = "x-".repeat(long) + name;
                for _ in 0..2 {
                    let told = matches!(Field::of(name.as_bytes()), Field::Cookies);
                    assert_eq!(told, cookies, "{name}");
                }
            }
        }
    }

    #[test]
    fn names_tell() {
        for (name, header, parameter, member) in [
            ("X-Api-Key", true, true, true),
            ("apikey", true, true, true),
            ("X-CSRFToken", true, true, true),
            ("X-Amz-Security-Token", true, true, true),
            ("X-Amz-Credential", true, true, true),
            ("X-Amz-Signature", true, true, true),
            ("Ocp-Apim-Subscription-Key", true, false, false),
            ("csrfmiddlewaretoken", true, true, true),
            ("userPwd", true, true, true),
            ("user[new_password]", true, true, true),
            ("JSESSIONID", true, true, true),
            ("key", true, true, false),
            ("code", false, true, false),
            ("sig", true, true, true),
            ("design", false, false, false),
            ("keyword", false, false, false),
            ("author", false, false, false),
            ("Content-Type", false, false, false),
            ("Access-Control-Allow-Credentials", false, false, false),
            ("Sec-WebSocket-Key", false, false, false),
            ("Authority", false, false, false),
            ("spinner", false, false, false),
        ] {
            for (place, secret) in [
                (Place::Header, header),
                (Place::Parameter, parameter),
                (Place::Member, member),
            ] {
                assert_eq!(
                    is_secret(name.as_bytes(), place),
                    secret,
                    "{name} {place:?}"
                );
            }
        }
    }
}
