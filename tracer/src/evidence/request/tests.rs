use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::super::trial::{gathered, of, post, to};
use super::GATHERER;
use crate::model::{CauseId, Chain, Evidence, Exchange, MessageEnd, Part};
use crate::testing::{START, exchange, request, request_bytes, response, response_bytes};

/// Header lines, whether the evidence is there.
type Row = (&'static str, &'static str, bool);

fn found(exchange: Exchange) -> Vec<Evidence> {
    gathered(GATHERER, &Chain::of(exchange), &[])
}

/// Checks rows of (id, header lines, expected) for a POST without a body.
fn check(rows: &[Row]) {
    for (id, fields, expected) in rows {
        let evidence = found(post(fields, b""));
        assert_eq!(of(&evidence, id).is_some(), *expected, "{id}: {fields:?}");
    }
}

#[test]
fn credentials_are_named_and_never_told() {
    check(&[
        ("request.credential", "X-Hub-Signature-256: a\r\n", true),
        (
            "request.credential",
            "Ocp-Apim-Subscription-Key: a\r\n",
            true,
        ),
        ("request.credential", "Sec-WebSocket-Key: a\r\n", false),
        ("request.credential", "Cookie: connect.sid=a\r\n", true),
        (
            "request.credential",
            "Cookie: .AspNetCore.Identity=a\r\n",
            true,
        ),
        (
            "request.credential",
            "Cookie: .AspNetCore.Antiforgery.x=a\r\n",
            false,
        ),
        (
            "request.credential",
            "Cookie: ai_session=a; side=b\r\n",
            false,
        ),
        (
            "request.credential",
            "Authorization: Bearer s3cr3t\r\n",
            true,
        ),
        ("request.credential", "X-Api-Key: s3cr3t\r\n", true),
        (
            "request.credential",
            "Cookie: theme=dark; PHPSESSID=s3cr3t\r\n",
            true,
        ),
        (
            "request.credential",
            "Cookie: theme=dark; csrftoken=s3cr3t\r\n",
            false,
        ),
        ("request.credential", "Idempotency-Key: 7\r\n", false),
        ("request.credential", "X-Csrf-Token: s3cr3t\r\n", false),
        ("request.no_credential", "Cookie: theme=dark\r\n", true),
        ("request.no_credential", "X-Api-Key: s3cr3t\r\n", false),
    ]);
    for fields in [
        "Authorization: Bearer s3cr3t\r\nX-Api-Key: s3cr3t\r\n",
        "Authorization: s3cr3t\r\n",
        "Authorization: s3cr3t s3cr3t\r\nCookie: sessionid=s3cr3t; csrftoken=s3cr3t\r\n",
        "Cookie: csrftoken=s3cr3t\r\nX-CSRFToken: s3cr3u\r\n",
        "X-Auth-Token: eyJhbGciOiJub25lIn0.s3cr3t.s3cr3t\r\n",
        "Cookie: csrf-s3cr3t; session-s3cr3t\r\nX-CSRFToken: s3cr3t\r\n",
        "Origin: http://s3cr3t:s3cr3t@a\r\nReferer: http://s3cr3t:s3cr3t@a\r\n",
    ] {
        for evidence in found(to("/orders?token=s3cr3t", fields, b"")) {
            assert!(!evidence.fact.contains("s3cr3"), "{}", evidence.fact);
        }
    }
    let evidence = found(post("Authorization: Bearer x\r\n", b""));
    let credential = of(&evidence, "request.credential").unwrap();
    assert_eq!(
        credential.fact,
        "The request carries credentials: Authorization (Bearer)."
    );
    assert_eq!(credential.span.unwrap().part, Part::Field(1));
    assert!(of(&found(to("/x?api_key=k", "", b"")), "request.credential").is_some());
    assert!(of(&found(to("/x?page=k", "", b"")), "request.no_credential").is_some());
}

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

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[test]
fn csrf_tokens_and_their_cookies() {
    let secret = "abcdefghijklmnopqrstuvwxyzABCDEF";
    // Each letter moved by `b`, that is by one.
    let masked = format!("{}bcdefghijklmnopqrstuvwxyzABCDEFG", "b".repeat(32));
    let other = format!("{}bcdefghijklmnopqrstuvwxyzABCDEFH", "b".repeat(32));
    let django = |sent: &str| {
        let fields = format!("{FORM}Cookie: csrftoken={secret}\r\n");
        (fields, format!("a=1&csrfmiddlewaretoken={sent}"))
    };
    let rows = [
        (
            format!("{FORM}Cookie: sessionid=x\r\n"),
            "a=1".to_owned(),
            "csrf_missing",
        ),
        (FORM.to_owned(), "a=1".to_owned(), "csrf_missing"),
        (
            format!("{FORM}Authorization: Basic eDp5\r\n"),
            "a=1".to_owned(),
            "",
        ),
        (String::new(), String::new(), ""),
        (
            FORM.to_owned(),
            "_token=abc".to_owned(),
            "csrf_cookie_missing",
        ),
        (
            "X-CSRF-Token: abc\r\n".to_owned(),
            String::new(),
            "csrf_cookie_missing",
        ),
        (
            format!("{FORM}Cookie: laravel_session=x\r\n"),
            "_token=abc".to_owned(),
            "csrf_present",
        ),
        (
            "Cookie: XSRF-TOKEN=a%3D\r\nX-XSRF-TOKEN: a=\r\n".to_owned(),
            String::new(),
            "csrf_present",
        ),
        (
            "Cookie: XSRF-TOKEN=abcd\r\nX-XSRF-TOKEN: abce\r\n".to_owned(),
            String::new(),
            "csrf_mismatch",
        ),
        // Encrypted on one side: not to be compared.
        (
            "Cookie: XSRF-TOKEN=abcdefgh\r\nX-XSRF-TOKEN: abce\r\n".to_owned(),
            String::new(),
            "csrf_present",
        ),
        (
            "Content-Type: application/json\r\nCookie: sid=1\r\n".to_owned(),
            r#"{"a":{"b":[1,null,true]},"_csrf":"x"}"#.to_owned(),
            "csrf_present",
        ),
        (
            "Content-Type: multipart/form-data; boundary=\"b\"\r\nCookie: sid=1\r\n".to_owned(),
            "--b\r\nContent-Disposition: form-data; name=\"_csrf\"\r\n\r\nx\r\n--b--\r\n"
                .to_owned(),
            "csrf_present",
        ),
        (django(secret).0, django(secret).1, "csrf_present"),
        (django(&masked).0, django(&masked).1, "csrf_present"),
        (django(&other).0, django(&other).1, "csrf_mismatch"),
    ];
    for (fields, body, expected) in rows {
        let evidence = found(post(&fields, body.as_bytes()));
        let ids: Vec<_> = evidence
            .iter()
            .filter_map(|e| e.id.strip_prefix("request."))
            .collect();
        let csrf: Vec<_> = ids
            .into_iter()
            .filter(|id| id.starts_with("csrf"))
            .collect();
        let expected: Vec<_> = Some(expected)
            .into_iter()
            .filter(|e| !e.is_empty())
            .collect();
        assert_eq!(csrf, expected, "{fields}{body}");
    }
}

#[test]
fn a_token_may_be_in_the_part_that_was_not_seen() {
    let mut exchange = post(&format!("{FORM}Cookie: sid=1\r\n"), b"a=1");
    exchange.request.as_mut().unwrap().message.body.lost = 100;
    assert!(of(&found(exchange), "request.csrf_missing").is_none());
    let mut exchange = post(&format!("{FORM}Cookie: sid=1\r\n"), b"a=1");
    exchange.request.as_mut().unwrap().message.end = MessageEnd::Open;
    assert!(of(&found(exchange), "request.csrf_missing").is_none());
}

#[test]
fn origins_and_referers() {
    check(&[
        (
            "request.origin_foreign",
            "Origin: http://evil.example\r\n",
            true,
        ),
        (
            "request.origin_foreign",
            "Origin: http://SHOP.example:80\r\n",
            false,
        ),
        (
            "request.origin_foreign",
            "Origin: https://www.example\r\nX-Forwarded-Host: www.example\r\n",
            false,
        ),
        (
            "request.origin_foreign",
            "Origin: https://www.example\r\nForwarded: for=x;host=\"www.example\"\r\n",
            false,
        ),
        ("request.origin_foreign", "Origin: null\r\n", false),
        ("request.origin_null", "Origin: null\r\n", true),
        (
            "request.origin_scheme",
            "Origin: https://shop.example\r\n",
            true,
        ),
        (
            "request.origin_scheme",
            "Origin: http://shop.example\r\n",
            false,
        ),
        (
            "request.origin_scheme",
            "Origin: https://evil.example\r\n",
            false,
        ),
        (
            "request.origin_scheme",
            "Origin: https://shop.example\r\nX-Forwarded-Proto: https\r\n",
            false,
        ),
        (
            "request.origin_scheme",
            "Origin: https://shop.example\r\nX-Forwarded-Proto: http\r\n",
            true,
        ),
        ("request.cross_site", "Sec-Fetch-Site: cross-site\r\n", true),
        (
            "request.cross_site",
            "Sec-Fetch-Site: same-origin\r\n",
            false,
        ),
        (
            "request.preflight",
            "Access-Control-Request-Method: PUT\r\n",
            false,
        ),
        ("request.referer_missing", "", true),
        (
            "request.referer_missing",
            "Referer: http://shop.example/a\r\n",
            false,
        ),
        (
            "request.referer_foreign",
            "Referer: http://shop.example/a\r\n",
            false,
        ),
        (
            "request.referer_foreign",
            "Referer: http://other.example/shop.example\r\n",
            true,
        ),
    ]);
    let head = "OPTIONS / HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Method: PUT\r\n\r\n";
    let preflight = exchange(request(head, b""), response("HTTP/1.1 403 F\r\n\r\n", b""));
    assert!(of(&found(preflight), "request.preflight").is_some());
}

#[test]
fn a_host_changed_by_a_proxy_is_no_foreign_origin() {
    let outer = post("Origin: http://shop.example\r\n", b"");
    let mut inner = outer.clone();
    let head = "POST /orders HTTP/1.1\r\nHost: app:8000\r\nOrigin: http://shop.example\r\n\r\n";
    *inner.request.as_mut().unwrap().as_mut() = request(head, b"");
    let mut chain = Chain::of(inner);
    chain.before.push(crate::model::Hop::new(outer));
    let evidence = gathered(GATHERER, &chain, &[]);
    let origin = of(&evidence, "request.origin_foreign").unwrap();
    assert_eq!(origin.cause, Some(CauseId::CsrfToken));
    assert_eq!(origin.hop, 1);
}

#[test]
fn user_agents() {
    check(&[
        (
            "request.user_agent_tool",
            "User-Agent: curl/8.5.0\r\n",
            true,
        ),
        (
            "request.user_agent_tool",
            "User-Agent: sqlmap/1.8\r\n",
            true,
        ),
        (
            "request.user_agent_tool",
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n",
            false,
        ),
        ("request.user_agent_missing", "", true),
        ("request.user_agent_missing", "User-Agent: \r\n", true),
        ("request.user_agent_missing", "User-Agent: a\r\n", false),
    ]);
}

#[test]
fn attacks_in_every_place() {
    for (target, fields, body, expected) in [
        ("/?id=1%27%20OR%20%271%27=%271", "", "", true),
        ("/?id=1+union+all+select+1,2", "", "", true),
        (
            "/?f=%252e%252e%252f%252e%252e%252fetc%252fpasswd",
            "",
            "",
            true,
        ),
        ("/../../etc/passwd", "", "", true),
        ("/?q=<script>alert(1)</script>", "", "", true),
        ("/", "User-Agent: ${jndi:ldap://x/a}\r\n", "", true),
        (
            "/",
            "Content-Type: application/json\r\n",
            r#"{"a":"x; cat /etc/shadow"}"#,
            true,
        ),
        ("/", FORM, "a=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E", true),
        ("/", FORM, "a={{7*7}}", true),
        ("/", FORM, "a=$(id)", true),
        ("/", FORM, "a=php://filter/x", true),
        // Words that only sound like it.
        ("/?q=select+a+union+for+workers", "", "", false),
        ("/?q=O%27Brien+or+1", "", "", false),
        ("/a/..b/c", "", "", false),
        ("/?q=cats;+dogs", "", "", false),
        ("/", FORM, "price=$5&note=sleep+well+(please)", false),
        (
            "/",
            "Content-Type: application/json\r\n",
            r#"{"script":"x","or":1}"#,
            false,
        ),
        ("/", "Cookie: a=1; id=2; sh=3\r\n", "", false),
        (
            "/",
            "User-Agent: Mozilla/5.0 (X11; U; Linux; rv:1) Gecko\r\n",
            "",
            false,
        ),
        // Whoever is authorised by it means it.
        ("/", "Authorization: Bearer <script>\r\n", "", false),
    ] {
        let evidence = found(to(target, fields, body.as_bytes()));
        let attack = of(&evidence, "request.attack");
        assert_eq!(
            attack.is_some(),
            expected,
            "{target} {fields} {body} {attack:?}"
        );
    }
    let evidence = found(post("", b"{\"a\":\"<script>\"}"));
    let span = of(&evidence, "request.attack").unwrap().span.unwrap();
    assert_eq!(span.part, Part::Body(6, 14));
}

#[test]
fn bodies_that_are_not_what_their_type_says() {
    let json = "Content-Type: application/json\r\n";
    let multipart = "Content-Type: multipart/form-data; boundary=xyz\r\n";
    let deep = "[".repeat(5000) + &"]".repeat(5000);
    for (fields, body, expected) in [
        (json, r#"{"a":1}"#, false),
        (json, "[1,2", true),
        (json, "a=1&b=2", true),
        (json, "\u{feff}{}", true),
        (json, deep.as_str(), false),
        (json, "", false),
        (
            "Content-Type: application/vnd.api+json; charset=utf-8\r\n",
            "{,}",
            true,
        ),
        (
            "Content-Type: application/json; charset=utf-16\r\n",
            "{\0}\0",
            false,
        ),
        (
            "Content-Encoding: gzip\r\nContent-Type: application/json\r\n",
            "\x1f",
            false,
        ),
        (FORM, r#"{"a":1}"#, true),
        (FORM, "{}=1", false),
        (FORM, "a={\"b\":1}", false),
        (multipart, "--xyz\r\n\r\n\r\n--xyz--\r\n", false),
        (multipart, "--abc\r\n\r\n\r\n--abc--\r\n", true),
        (multipart, "--xyz\r\n\r\n\r\n", true),
        ("Content-Type: multipart/form-data\r\n", "--xyz--", true),
        ("Content-Type: text/xml\r\n", "  <a/>", false),
        ("Content-Type: text/xml\r\n", "{\"a\":1}", true),
        ("Content-Type: text/plain\r\n", "{", false),
    ] {
        let evidence = found(post(fields, body.as_bytes()));
        let is = of(&evidence, "request.body_mismatch").is_some();
        assert_eq!(is, expected, "{fields} {:.40}", body);
    }
    let evidence = found(post(json, b"{\n\"a\": x}"));
    let span = of(&evidence, "request.body_mismatch")
        .unwrap()
        .span
        .unwrap();
    assert_eq!(span.part, Part::Body(7, 8));
    assert!(of(&found(post("", b"x")), "request.content_type_missing").is_some());
    assert!(of(&found(post("", b"")), "request.content_type_missing").is_none());
    let mut cut = post(json, b"[1,2");
    cut.request.as_mut().unwrap().message.body.seen = 100;
    assert!(of(&found(cut), "request.body_mismatch").is_none());
}

#[test]
fn paths() {
    for (target, id, expected) in [
        ("/uploads/", "request.directory", true),
        ("/uploads?next=/", "request.directory", false),
        ("/a/report.PDF", "request.static_file", true),
        ("/a/report.pdf/x", "request.static_file", false),
        ("/api/orders.json", "request.static_file", false),
        ("/.git/config", "request.hidden_path", true),
        ("/%2eenv", "request.hidden_path", true),
        ("/wp-config.php", "request.hidden_path", true),
        ("/.well-known/x", "request.hidden_path", false),
        ("/a/../b", "request.hidden_path", false),
    ] {
        let is = of(&found(to(target, "", b"")), id).is_some();
        assert_eq!(is, expected, "{target} {id}");
    }
}

#[test]
fn the_address_that_others_give() {
    let mut exchange = post("X-Forwarded-For: 203.0.113.9\r\n", b"");
    assert!(of(&found(exchange.clone()), "request.forwarded_for").is_none());
    exchange.client_addresses.push(crate::model::ClientAddress {
        source: crate::model::ClientSource::XForwardedFor,
        text: "203.0.113.9".to_owned(),
        addr: "203.0.113.9".parse().ok(),
    });
    let evidence = found(exchange);
    assert_eq!(
        of(&evidence, "request.forwarded_for").unwrap().fact,
        "The client is said to be 203.0.113.9, by X-Forwarded-For; the peer is 10.0.0.7."
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_panics(
        fields in proptest::collection::vec(
            ("(Authorization|Cookie|Content-Type|X-Amz-Date|Origin|Referer|X-Csrf-Token|Forwarded)",
             "(Bearer |AWS4-|eyJ|csrftoken=|multipart/form-data; boundary=|https://)?[ -~]{0,80}"),
            0..8,
        ),
        query in "[ -~&&[^ ]]{0,60}",
        body in proptest::collection::vec(any::<u8>(), 0..600),
        status in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut head = format!("POST /a?{query} HTTP/1.1\r\n");
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        let answer = [b"HTTP/1.1 403 F\r\nDate: ", &status[..], b"\r\n\r\n"].concat();
        let exchange = exchange(
            request_bytes(head.as_bytes(), &body),
            response_bytes(&answer, &body),
        );
        let evidence = found(exchange);
        prop_assert!(evidence.len() <= 25);
    }
}
