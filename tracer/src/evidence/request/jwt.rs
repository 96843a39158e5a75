//! JSON Web Tokens (RFC 7519): what their claims say, and whether they held at the time.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::super::note::{Notes, asked, quote};
use super::super::parts::Parts;
use super::super::time::{seconds, span, utc};
use super::credential::{Credential, Place};
use crate::model::{CauseId, Strength};

/// Longest piece of a token that is decoded, in bytes.
const PIECE_MAX: usize = 8 << 10;
/// Most tokens of one request that are looked at.
const TOKENS_MAX: usize = 2;
/// Most scopes and audiences that are named.
const LIST_MAX: usize = 8;

/// Tokens come with padding and without, whatever RFC 7515 says.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a text that may be a token is.
enum Reading {
    /// Something else.
    NoJwt,
    /// It begins like one, and cannot be read.
    Malformed,
    /// One whose claims are encrypted (RFC 7516).
    Encrypted(Map<String, Value>),
    /// One that can be read: header and claims.
    Readable(Map<String, Value>, Map<String, Value>),
}

/// Looks at the tokens among the credentials.
pub(super) fn gather(parts: &Parts<'_>, credentials: &[Credential<'_>], notes: &mut Notes<'_>) {
    let now = seconds(parts.request.message.started_at);
    let mut seen: Vec<&[u8]> = Vec::new();
    for credential in credentials {
        let token = token(credential);
        if seen.contains(&token) || seen.len() >= TOKENS_MAX {
            continue;
        }
        let name = &credential.name;
        let at = asked(credential.part);
        match read(token, credential.place) {
            Reading::NoJwt => continue,
            Reading::Malformed => notes.add(
                "request.jwt_malformed",
                Strength::Fair,
                CauseId::ApiKeyInvalid,
                at,
                format!("The token in {name} looks like a JWT and cannot be read."),
            ),
            Reading::Encrypted(header) => {
                let alg = claim(&header, "alg");
                notes.add(
                    "request.jwt",
                    Strength::Weak,
                    None,
                    at,
                    format!("The JWT in {name} is encrypted: alg {alg}."),
                );
            }
            Reading::Readable(header, claims) => {
                let fact = format!("The JWT in {name}: {}.", described(&header, &claims));
                notes.add("request.jwt", Strength::Fair, None, at, fact);
                times(&claims, now, |id, fact| {
                    notes.add(
                        id,
                        Strength::Strong,
                        CauseId::ApiKeyInvalid,
                        at,
                        format!("The JWT in {name} {fact}."),
                    );
                });
            }
        }
        seen.push(token);
    }
}

/// The token in a credential: what follows the scheme, where there is one.
fn token<'c>(credential: &'c Credential<'_>) -> &'c [u8] {
    credential
        .value
        .rsplit(|b| *b == b' ')
        .next()
        .unwrap_or_default()
}

fn read(token: &[u8], place: Place) -> Reading {
    // Base64 of `{"`.
    if !token.starts_with(b"eyJ") {
        return Reading::NoJwt;
    }
    let pieces: Vec<&[u8]> = token.splitn(6, |b| *b == b'.').collect();
    let Some((first, rest)) = pieces.split_first() else {
        return Reading::NoJwt;
    };
    let Some(header) = object(first) else {
        // Sessions of some frameworks begin alike; in a header with dots it is hardly anything else.
        let beheaded = place == Place::Header && !rest.is_empty() && first.len() <= PIECE_MAX;
        return if beheaded {
            Reading::Malformed
        } else {
            Reading::NoJwt
        };
    };
    if !header.contains_key("alg") {
        return Reading::NoJwt;
    }
    match rest {
        [claims, _signature] if claims.len() > PIECE_MAX => Reading::NoJwt,
        [claims, _signature] => match object(claims) {
            Some(claims) => Reading::Readable(header, claims),
            None => Reading::Malformed,
        },
        [_, _, _, _] if header.contains_key("enc") => Reading::Encrypted(header),
        _ => Reading::Malformed,
    }
}

/// The JSON object in a piece of a token.
fn object(piece: &[u8]) -> Option<Map<String, Value>> {
    if piece.len() > PIECE_MAX {
        return None;
    }
    serde_json::from_slice(&BASE64.decode(piece).ok()?).ok()
}

/// What the token says of itself; nothing of its signature, or of who it was issued to.
fn described(header: &Map<String, Value>, claims: &Map<String, Value>) -> String {
    let mut said = vec![format!("alg {}", claim(header, "alg"))];
    if claims.contains_key("iss") {
        said.push(format!("issuer {}", claim(claims, "iss")));
    }
    for (name, plural) in [
        ("aud", "audience"),
        ("scope", "scope"),
        ("scp", "scope"),
        ("roles", "roles"),
    ] {
        let words = words(claims.get(name));
        if !words.is_empty() {
            said.push(format!("{plural} {}", words.join(" ")));
        }
    }
    for (name, verb) in [("iat", "issued"), ("nbf", "valid from"), ("exp", "expires")] {
        if let Some(at) = claims.get(name).and_then(moment) {
            said.push(format!("{verb} {}", utc(at)));
        }
    }
    said.join(", ")
}

/// Tells which times of the token do not fit `now`.
fn times(claims: &Map<String, Value>, now: i64, mut tell: impl FnMut(&'static str, String)) {
    let at = |name| claims.get(name).and_then(moment);
    if let Some(exp) = at("exp").filter(|exp| *exp <= now) {
        let ago = span(now.abs_diff(exp));
        let fact = format!("had expired {ago} before the request, at {}", utc(exp));
        tell("request.jwt_expired", fact);
    }
    // A second is the precision of the claims.
    let early = |at: &i64| *at > now.saturating_add(1);
    let late = [("nbf", "is not valid"), ("iat", "says it is not issued")];
    let late = late
        .into_iter()
        .find_map(|(name, says)| Some((at(name).filter(early)?, says)));
    if let Some((from, says)) = late {
        let fact = format!(
            "{says} before {}, {} after the request",
            utc(from),
            span(now.abs_diff(from))
        );
        tell("request.jwt_not_yet", fact);
    }
}

/// A `NumericDate`, which may have a fraction; some issuers write it as text.
fn moment(value: &Value) -> Option<i64> {
    match value {
        // A cast from floating point saturates.
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|f| f as i64)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A claim that is one text.
fn claim(object: &Map<String, Value>, name: &str) -> String {
    match object.get(name) {
        Some(Value::String(text)) => quote(text.as_bytes()),
        _ => "that is no text".to_owned(),
    }
}

/// The words of a claim that is a list, or a text of several words.
fn words(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => text
            .split_ascii_whitespace()
            .take(LIST_MAX)
            .map(|word| quote(word.as_bytes()))
            .collect(),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .take(LIST_MAX)
            .map(|word| quote(word.as_bytes()))
            .collect(),
        _ => Vec::new(),
    }
}
