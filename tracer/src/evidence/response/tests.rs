use proptest::prelude::*;

use super::super::tests::trial::{answer, gathered, of, post};
use super::GATHERER;
use crate::model::{CauseId, Chain, Evidence, Exchange, Part, Strength};
use crate::testing::decoded;

fn found(exchange: Exchange) -> Vec<Evidence> {
    gathered(GATHERER, &Chain::of(exchange), &[])
}

/// The ids that begin with `response.` and this.
fn ids(exchange: Exchange, prefix: &str) -> Vec<String> {
    let evidence = found(exchange);
    let ids = evidence
        .iter()
        .filter_map(|e| e.id.strip_prefix("response."));
    let ids = ids.filter(|id| id.starts_with(prefix));
    ids.map(str::to_owned).collect()
}

#[test]
fn challenges() {
    for (value, expected) in [
        (
            "Bearer realm=\"x\", error=\"insufficient_scope\", scope=\"a\"",
            "challenge_scope",
        ),
        ("Bearer error = invalid_token", "challenge_token"),
        ("Basic realm=\"error: invalid_token\"", "challenge"),
        ("Negotiate", "challenge"),
    ] {
        let fields = format!("WWW-Authenticate: {value}\r\n");
        assert_eq!(
            ids(answer(&fields, b"x"), "challenge"),
            [expected],
            "{value}"
        );
    }
    assert!(ids(answer("Proxy-Authenticate: Basic\r\n", b"x"), "challenge").is_empty());
}

#[test]
fn limits_that_are_used_up() {
    for (fields, expected) in [
        ("Retry-After: 30\r\n", true),
        ("X-RateLimit-Remaining: 0\r\n", true),
        ("X-RateLimit-Remaining-Minute: 0\r\n", true),
        ("X-Rate-Limit-Remaining: 0\r\n", true),
        ("RateLimit: \"default\";r=0;t=30\r\n", true),
        ("RateLimit: limit=10, remaining=0, reset=3\r\n", true),
        ("X-RateLimit-Remaining: 07\r\n", false),
        ("X-RateLimit-Remaining: 0.5\r\n", false),
        ("X-RateLimit-Limit: 0\r\n", false),
        ("RateLimit: \"default\";r=10;t=0\r\n", false),
        ("RateLimit-Policy: \"default\";q=10;w=0\r\n", false),
        ("X-Remaining: 0\r\n", false),
    ] {
        let is = !ids(answer(fields, b"x"), "rate_headers").is_empty();
        assert_eq!(is, expected, "{fields}");
    }
}

#[test]
fn empty_and_without_cors() {
    assert_eq!(ids(answer("", b""), "empty"), ["empty"]);
    assert!(ids(answer("", b"x"), "empty").is_empty());
    assert_eq!(
        ids(post("Origin: http://a\r\n", b""), "no_cors"),
        ["no_cors"]
    );
    assert!(ids(post("", b""), "no_cors").is_empty());
    let mut passed = post("Origin: http://a\r\n", b"");
    passed.response.as_mut().unwrap().status = 200;
    assert!(found(passed).is_empty());
}

#[test]
fn a_quota_is_of_requests_only_where_it_says_so() {
    for (text, expected) in [
        ("Disk quota exceeded", Strength::Weak),
        (
            r#"{"error":"You exceeded your storage quota"}"#,
            Strength::Weak,
        ),
        ("Quota exceeded: 100 requests per day", Strength::Strong),
        ("The request quota is used up", Strength::Strong),
        ("Out of call volume quota", Strength::Strong),
    ] {
        let found = found(answer("", text.as_bytes()));
        let words = of(&found, "response.words_rate").map(|e| e.strength);
        assert_eq!(words, Some(expected), "{text}");
    }
}

#[test]
fn words_of_every_topic() {
    for (text, expected) in [
        ("CSRF verification failed. Request aborted.", "csrf"),
        (r#"{"detail":"CSRF Failed: CSRF token missing."}"#, "csrf"),
        ("ForbiddenError: invalid csrf token", "csrf"),
        ("403 No valid crumb was included in the request", "csrf"),
        ("An expected CSRF token cannot be found", "csrf"),
        ("<h1>Too Many Requests</h1>", "rate"),
        (r#"{"error":"Quota exceeded"}"#, "rate"),
        ("Your quota of 10 calls per minute is used up", "rate"),
        ("<Code>SlowDown</Code>", "rate"),
        (
            r#"{"message":"The security token included in the request is expired"}"#,
            "expired",
        ),
        ("<Message>Request has expired</Message>", "expired"),
        (r#"{"detail":"Invalid token."}"#, "token"),
        ("<Code>SignatureDoesNotMatch</Code>", "token"),
        (r#"{"error":"insufficient_scope"}"#, "scope"),
        ("Resource not accessible by integration", "scope"),
        (
            "Authentication credentials were not provided.",
            "key_missing",
        ),
        (r#"{"detail":"Not authenticated"}"#, "key_missing"),
        (
            "You do not have permission to perform this action.",
            "permission",
        ),
        ("This action is unauthorized.", "permission"),
        (r#"{"error":"You do not own this order"}"#, "permission"),
        (
            r#"{"reason":"order belongs to another customer"}"#,
            "permission",
        ),
        ("Only the owner of a project can delete it", "permission"),
        ("You are not a member of this organisation", "permission"),
        (r#"{"message":"Your IP address is not allowed"}"#, "ip"),
        ("Requests from your country are blocked", "ip"),
        ("Invalid CORS request", "origin"),
        ("<b>Sorry,</b> you have been\nblocked", "blocked"),
        (
            "The requested URL was rejected. Please consult with your administrator.",
            "blocked",
        ),
        ("Bad User-Agent", "user_agent"),
        (
            r#"{"message":"Your referer host is not allowed"}"#,
            "referer",
        ),
        (
            "The application is not subscribed to this API",
            "subscription",
        ),
        (
            "The distribution is not configured to allow the HTTP request method",
            "method",
        ),
        ("No required SSL certificate was sent", "certificate"),
        ("Tyk: Certificate has expired", "certificate"),
    ] {
        let expected = format!("words_{expected}");
        assert_eq!(
            ids(answer("", text.as_bytes()), "words"),
            [expected],
            "{text}"
        );
    }
}

#[test]
fn words_that_say_nothing() {
    for text in [
        // Stock pages, for every cause alike.
        "<title>403 Forbidden</title><p>You don't have permission to access this resource.</p>",
        "You don't have the permission to access the requested resource. It is either \
         read-protected or not readable by the server.",
        "Access denied.",
        "<h1>403 Forbidden</h1>Request forbidden by administrative rules.",
        // What the API gateway says of a wrong path.
        r#"{"message":"Missing Authentication Token"}"#,
        // A token that is handed out, and words that are not text.
        r#"{"error":"nope","csrf_token":"abc"}"#,
        "<meta name=\"csrf-token\" content=\"invalid csrf token\">no",
        "<script>var e = 'too many requests';</script>no",
        "<!-- invalid token -->no",
        "<style>.captcha{}</style",
        "Our rate limits are documented here.",
        "This site belongs to the Example group. Only members of staff answer mail.",
        "Your IP: 203.0.113.9. Access is denied.",
    ] {
        let ids = ids(answer("", text.as_bytes()), "words");
        assert!(ids.is_empty(), "{text}: {ids:?}");
    }
    let coded = answer("Content-Encoding: br\r\n", b"invalid token");
    assert!(ids(coded, "words").is_empty());
}

#[test]
fn where_the_words_are_and_how_much_they_say() {
    let mut exchange = answer("Content-Encoding: gzip\r\n", b"");
    let page = b"<p>Too <b>many</b> requests</p>";
    let message = &mut exchange.response.as_mut().unwrap().message;
    message.body = decoded("gzip", 20, page);
    let evidence = found(exchange.clone());
    let words = of(&evidence, "response.words_rate").unwrap();
    assert_eq!(words.span.unwrap().part, Part::Body(3, 27));
    assert_eq!(
        (words.strength, words.cause),
        (Strength::Strong, Some(CauseId::RateLimit))
    );
    let message = &mut exchange.response.as_mut().unwrap().message;
    message.body.decoded.as_mut().unwrap().len = 40 << 10;
    let evidence = found(exchange);
    assert_eq!(
        of(&evidence, "response.words_rate").unwrap().strength,
        Strength::Weak
    );
}

#[test]
fn words_do_not_repeat_a_secret() {
    for (text, told) in [
        ("The token s3cr3t is invalid", "token … is invalid"),
        ("The token hunter is invalid", "token … is invalid"),
        ("<b>Invalid</b>\n<i>token</i>", "Invalid token"),
        ("Too many requests", "Too many requests"),
        ("You are being rate limited", "You are being rate limited"),
        ("hotlinking", "hotlinking"),
        ("error: insufficient_scope", "insufficient_scope"),
        ("Your IP 203.0.113.9 is blocked", "Your IP … is blocked"),
    ] {
        let evidence = found(answer("", text.as_bytes()));
        let words = evidence.iter().find(|e| e.id.contains("words")).unwrap();
        assert_eq!(words.fact, format!("The refusal says `{told}`."));
    }
}

#[test]
fn ids_to_ask_for() {
    for (fields, body, expected) in [
        (
            "CF-RAY: 8f2a\r\n",
            "",
            "cf-ray `8f2a`: ask Cloudflare's security events",
        ),
        (
            "",
            "Reference&#32;&#35;18.5d3b1402.1700000000.9f3",
            "`18.5d3b1402.1700000000.9f3`: ask Akamai",
        ),
        (
            "",
            "Your support ID is: 1234567890123",
            "support id `1234567890123`: ask the event log",
        ),
        (
            "",
            "Ray ID: <strong>8f2a8f2a8f2a8f2a</strong>",
            "ray id `8f2a8f2a8f2a8f2a`",
        ),
        (
            "",
            r#"{"request_id":"0123abcd0123abcd"}"#,
            "request id `0123abcd0123abcd`",
        ),
    ] {
        let evidence = found(answer(fields, body.as_bytes()));
        let fact = &of(&evidence, "response.reference").expect(body).fact;
        assert!(fact.contains(expected), "{fact}");
    }
    for (fields, body) in [
        ("X-Id: 1\r\n", "the reference manual"),
        ("", "your id is: 1"),
    ] {
        assert!(
            ids(answer(fields, body.as_bytes()), "reference").is_empty(),
            "{body}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_panics(
        value in "[ -~]{0,60}",
        body in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(b'<'), Just(b'>'), Just(b'-')], 0..400),
    ) {
        let fields = format!("WWW-Authenticate: {value}\r\nRateLimit: {value}\r\nCF-Ray: {value}\r\n");
        let evidence = found(answer(&fields, &body));
        prop_assert!(evidence.len() <= 25);
        prop_assert!(found(answer("", value.as_bytes())).len() <= 25);
    }
}
