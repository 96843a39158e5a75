mod tokens;

use proptest::prelude::*;

use super::super::tests::trial::{gathered, of, post, site, to};
use super::{GATHERER, Scene};
use crate::evidence::fingerprint::Fingerprints;
use crate::model::{CauseId, Chain, Evidence, Exchange, MessageEnd, Pace, Part, Preflight};
use crate::testing::{exchange, request, request_bytes, response, response_bytes};

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
fn a_preflight_and_its_request_are_told_together() {
    let asks = "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\
                Access-Control-Request-Method: POST\r\n\r\n";
    let refused = || response("HTTP/1.1 403 F\r\n\r\n", b"");
    for (preflight, head, id, words) in [
        (
            Preflight::Followed,
            asks,
            "followed",
            "`POST` that it asks for came",
        ),
        (
            Preflight::Unfollowed,
            asks,
            "unfollowed",
            "never came here: not within 2 s",
        ),
        (Preflight::Ended, asks, "open", "not watched for 2 s"),
        (Preflight::Lost, asks, "open", "something was lost"),
        (
            Preflight::Partial,
            asks,
            "open",
            "only some of the requests",
        ),
        (
            Preflight::Refused,
            "POST / HTTP/1.1\r\n\r\n",
            "refused",
            "was refused just before",
        ),
        (
            Preflight::Allowed,
            "POST / HTTP/1.1\r\n\r\n",
            "allowed",
            "was allowed just before",
        ),
    ] {
        let mut chain = Chain::of(exchange(request(head, b""), refused()));
        chain.after.push(chain.reported.clone());
        let fingerprints = Fingerprints::default();
        let scene = Scene {
            fingerprints: &fingerprints,
            chain: &chain,
            siblings: &[],
            pace: Pace::default(),
            preflight,
        };
        let gathered = |hop| {
            let mut evidence = Vec::new();
            (GATHERER.gather)(&scene, &site(&chain, hop), &mut evidence);
            evidence
        };
        let (first, second) = (gathered(0), gathered(1));
        let id = format!("request.preflight_{id}");
        let found = of(&first, &id).unwrap();
        assert!(found.fact.contains(words), "{}", found.fact);
        assert!(
            of(&second, &id).is_none(),
            "it is known of the reported hop only"
        );
    }
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
fn files_hold_any_bytes() {
    let multipart = "Content-Type: multipart/form-data; boundary=b\r\n";
    let part = |value: &[u8]| {
        let head = b"--b\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n";
        [&head[..], value, b"\r\n"].concat()
    };
    let file = part(b"\x89PNG\0\xff<script>");
    let text = part(b"<script>");
    for (fields, body, expected) in [
        (multipart, [&file[..], b"--b--"].concat(), false),
        (multipart, [&file[..], &text[..], b"--b--"].concat(), true),
        (
            "Content-Type: application/grpc\r\n",
            b"\0\0\0\0\x05".to_vec(),
            false,
        ),
        (
            "Content-Type: image/png\r\n",
            b"\x89PNG <script>".to_vec(),
            false,
        ),
        (
            "Content-Type: text/plain\r\n",
            b"<script>\xc3".to_vec(),
            true,
        ),
    ] {
        let is = of(&found(post(fields, &body)), "request.attack").is_some();
        assert_eq!(is, expected, "{fields} {}", String::from_utf8_lossy(&body));
    }
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
