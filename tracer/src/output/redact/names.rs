//! Names that tell a secret.

use std::sync::LazyLock;

use regex::bytes::Regex;

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

/// Whether what goes by this name is a secret.
pub(super) fn is_secret(name: &[u8], place: Place) -> bool {
    let name = String::from_utf8_lossy(name.get(..LONGEST).unwrap_or(name));
    let lower = name.trim().to_ascii_lowercase();
    if HARMLESS.contains(&lower.as_str()) {
        return false;
    }
    let letters: Vec<u8> = lower.bytes().filter(u8::is_ascii_alphanumeric).collect();
    holds_stem(&letters)
        || NAMES.contains(&lower.as_str())
        || words(&name).any(|word| WORDS.contains(&word.to_ascii_lowercase().as_str()))
        || match place {
            // `X-Functions-Key`, `Ocp-Apim-Subscription-Key`
            Place::Header => lower.ends_with("-key") || lower == "key",
            Place::Parameter => PARAMETERS.contains(&lower.as_str()),
            Place::Member => false,
        }
}

/// Looks for all stems at once: most names have none.
fn holds_stem(letters: &[u8]) -> bool {
    static ANY: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&STEMS.join("|")).ok());
    // That it compiles does not depend on the input.
    ANY.as_ref().is_none_or(|any| any.is_match(letters))
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
