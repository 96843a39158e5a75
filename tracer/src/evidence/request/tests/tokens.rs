use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::testing::START;

fn token(claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    format!("{header}.{}.c2VjcmV0", encode(claims))
}

fn bearer(token: &str) -> Vec<Evidence> {
    found(post(&format!("Authorization: Bearer {token}\r\n"), b""))
}

#[test]
fn a_jwt_is_read_and_its_times_held_against_the_request() {
    let now = START.as_nanos() as i64 / 1_000_000_000;
    for (claims, expired, early) in [
        (format!(r#"{{"exp":{}}}"#, now + 60), false, false),
        (format!(r#"{{"exp":{}}}"#, now - 60), true, false),
        (format!(r#"{{"exp":{}.5}}"#, now - 60), true, false),
        (format!(r#"{{"exp":"{}"}}"#, now - 60), true, false),
        (
            format!(r#"{{"exp":{},"nbf":{}}}"#, now + 90, now + 60),
            false,
            true,
        ),
        (format!(r#"{{"iat":{}}}"#, now + 60), false, true),
        // The second in which it was issued.
        (
            format!(r#"{{"iat":{},"nbf":{}}}"#, now + 1, now + 1),
            false,
            false,
        ),
        (
            r#"{"exp":1e300,"nbf":-1,"iat":"soon"}"#.to_owned(),
            false,
            false,
        ),
        (r#"{"exp":-9223372036854775808}"#.to_owned(), true, false),
    ] {
        let evidence = bearer(&token(&claims));
        assert!(of(&evidence, "request.jwt").is_some(), "{claims}");
        let is = |id| of(&evidence, id).is_some();
        assert_eq!(is("request.jwt_expired"), expired, "{claims}");
        assert_eq!(is("request.jwt_not_yet"), early, "{claims}");
        assert!(!is("request.jwt_malformed"), "{claims}");
    }
    let evidence = bearer(&token(
        r#"{"iss":"https://id.example","aud":["orders","a"],"scope":"read write","exp":1777857000}"#,
    ));
    let fact = &of(&evidence, "request.jwt").unwrap().fact;
    assert_eq!(
        fact,
        "The JWT in Authorization: alg `RS256`, issuer `https://id.example`, audience `orders` \
         `a`, scope `read` `write`, expires 2026-05-04T01:10:00Z."
    );
}

#[test]
fn what_only_begins_like_a_jwt() {
    let is = |evidence: &[Evidence], id| of(evidence, id).is_some();
    for broken in [
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJhbGciOiJIUzI1NiJ9.!!.x",
        "eyJ!.a.b",
    ] {
        assert!(is(&bearer(broken), "request.jwt_malformed"), "{broken}");
    }
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    // The session of Flask: base64 of JSON, a time and a signature.
    let flask = format!("{}.aBcDeF.c2ln", encode(r#"{"user":1}"#));
    let evidence = found(post(&format!("Cookie: session={flask}\r\n"), b""));
    assert!(!is(&evidence, "request.jwt_malformed") && !is(&evidence, "request.jwt"));
    let opaque = encode(r#"{"user":1}"#);
    assert!(!is(&bearer(&opaque), "request.jwt_malformed"));
    let encrypted = format!("{}.a.b.c.d", encode(r#"{"alg":"dir","enc":"A256GCM"}"#));
    assert!(is(&bearer(&encrypted), "request.jwt"));
    // Huge, and nested too deep to be read.
    let huge = token(&"[".repeat(1 << 20));
    assert!(!is(&bearer(&huge), "request.jwt"));
    let deep = token(&"[".repeat(2000));
    assert!(is(&bearer(&deep), "request.jwt_malformed"));
}

fn signed(target: &str, fields: &str, date: &str) -> Vec<Evidence> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: s3.example\r\n{fields}\r\n");
    let answer = format!("HTTP/1.1 403 Forbidden\r\n{date}\r\n");
    found(exchange(request(&head, b""), response(&answer, b"")))
}

#[test]
fn times_of_signatures() {
    const AUTH: &str = "Authorization: AWS4-HMAC-SHA256 Credential=AK/20260504/x\r\n";
    let date = "Date: Mon, 04 May 2026 01:12:09 GMT\r\n";
    let other_date = "Date: Mon, 04 May 2026 00:12:09 GMT\r\n";
    for (amz, date, skewed) in [
        ("X-Amz-Date: 20260504T011209Z\r\n", date, false),
        ("X-Amz-Date: 20260504T010900Z\r\n", date, false),
        ("X-Amz-Date: 20260504T010600Z\r\n", date, true),
        ("X-Amz-Date: 20260504T012000Z\r\n", date, true),
        // The clock of the one who answers counts, not ours.
        ("X-Amz-Date: 20260504T001200Z\r\n", other_date, false),
        ("X-Amz-Date: 20260504T011209Z\r\n", other_date, true),
        ("X-Amz-Date: 20260504T010600Z\r\n", "", true),
        ("X-Amz-Date: yesterday\r\n", date, false),
    ] {
        let evidence = signed("/b/k", &format!("{AUTH}{amz}"), date);
        let is = of(&evidence, "request.signature_skew").is_some();
        assert_eq!(is, skewed, "{amz} {date}");
    }
    let unsigned = signed("/b/k", "X-Amz-Date: 20200504T010600Z\r\n", date);
    assert!(of(&unsigned, "request.signature_skew").is_none());
    for (query, expired) in [
        (
            "X-Amz-Date=20260504T010000Z&X-Amz-Expires=300&X-Amz-Signature=s",
            true,
        ),
        (
            "X-Amz-Date=20260504T010000Z&X-Amz-Expires=3600&X-Amz-Signature=s",
            false,
        ),
        ("X-Amz-Date=20260504T010000Z&X-Amz-Expires=-1", false),
        ("x-goog-date=20260504T010000Z&x-goog-expires=60", true),
        ("se=2026-05-04T01:00:00Z&sig=s", true),
        ("se=2026-05-05T01:00:00Z&sig=s", false),
        ("Expires=1777857000&Signature=s&Key-Pair-Id=k", true),
        ("Expires=1777857000", false),
        ("Expires=99999999999999999999&Signature=s", false),
    ] {
        let evidence = signed(&format!("/b/k?{query}"), "", date);
        let is = of(&evidence, "request.signature_expired").is_some();
        assert_eq!(is, expired, "{query}");
        assert!(of(&evidence, "request.signature_skew").is_none(), "{query}");
    }
}
