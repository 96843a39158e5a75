use proptest::prelude::*;

use super::*;
use crate::model::Exchange;
use crate::testing::{self, refused_post, request, response};

/// SHA-256 of `s3cr3t-Value` begins with these bytes.
const SECRET: &str = "s3cr3t-Value";
const MASK: &str = "[redacted 135e519f]";

#[test]
fn headers() {
    for (name, value, redacted) in [
        ("Authorization", "Bearer $", "Bearer #"),
        ("authorization", "basic $", "basic #"),
        ("Authorization", "$", "#"),
        ("Proxy-Authorization", "Digest $", "Digest #"),
        ("Cookie", "a=$; b=$;c", "a=#; b=#; [redacted 2e7d2c03]"),
        ("Cookie", "a=\"$\"", "a=#"),
        (
            "Set-Cookie",
            "a=$; Path=/; Secure; Max-Age=5",
            "a=#; Path=/; Secure; Max-Age=5",
        ),
        (
            "Set-Cookie",
            "a=$; Path=/, b=$; x=$",
            "a=#; Path=/, b=#; x=#",
        ),
        ("X-Api-Key", "$", "#"),
        ("X-CSRF-Token", "$", "#"),
        ("X-Goog-Api-Key", "$", "#"),
        ("X-Amz-Security-Token", "$", "#"),
        (
            "Referer",
            "https://x/y?access_token=$&page=2",
            "https://x/y?access_token=#&page=2",
        ),
        ("Location", "/cb?code=$&id_token=$", "/cb?code=#&id_token=#"),
        ("Location", "https://u:$@x/", "https://[redacted "),
        (
            "Link",
            "<https://x/?sig=$>; rel=next",
            "<https://x/?sig=#>; rel=next",
        ),
        (
            "Refresh",
            "0; url=https://x/?token=$",
            "0; url=https://x/?token=#",
        ),
        (
            "WWW-Authenticate",
            "Bearer realm=\"r1\", error=\"x1\"",
            "Bearer realm=\"r1\", error=\"x1\"",
        ),
        ("Access-Control-Allow-Credentials", "true", "true"),
        ("User-Agent", "curl/8.5 Bearer $", "curl/8.5 Bearer #"),
        ("X-Request-Id", "41c9-77", "41c9-77"),
        ("X-Api-Key", "", ""),
    ] {
        let value = fill(value);
        let shown = header(name.as_bytes(), value.as_bytes(), &mut Masks::default());
        let shown = String::from_utf8(shown.into_owned()).unwrap();
        let wanted = fill(redacted);
        if redacted.ends_with("[redacted ") {
            assert!(
                shown.starts_with(&wanted) && !shown.contains(SECRET),
                "{shown}"
            );
        } else {
            assert_eq!(shown, wanted, "{name}");
        }
    }
}

#[test]
fn a_secret_of_one_hop_goes_from_the_whole_case() {
    let mut case = testing::cases::relayed();
    let quote = format!("It was {SECRET}.");
    let inner = &mut case.chain.after[0].exchange;
    inner.request = Some(
        request(
            &format!("POST / HTTP/1.1\r\nHost: x\r\nX-Api-Key: {SECRET}\r\n\r\n"),
            b"",
        )
        .into(),
    );
    case.chain.reported.exchange.response =
        Some(response("HTTP/1.1 403 No\r\n\r\n", quote.as_bytes()).into());
    Arc::make_mut(&mut case.siblings[0]).response =
        Some(response("HTTP/1.1 200 OK\r\n\r\n", quote.as_bytes()).into());
    for evidence in &mut case.evidence {
        evidence.fact.clone_from(&quote);
    }
    let verdict = &mut case.verdict;
    verdict.reasons = vec![quote.clone()];
    verdict.limits = vec![quote.clone()];
    verdict.next_step.clone_from(&quote);
    verdict.findings[0].next_step = quote.clone() + " password=an0therSecret";
    Redactor::default().case(&mut case);
    let shown = format!("{case:?}");
    assert!(!shown.contains(SECRET) && !shown.contains("an0therSecret"));
    let body = |exchange: &Exchange| {
        let body = &exchange.response.as_ref().unwrap().message.body;
        String::from_utf8(body.kept.clone()).unwrap()
    };
    let wanted = quote.replace(SECRET, MASK);
    assert_eq!(body(case.exchange()), wanted);
    assert_eq!(body(&case.siblings[0]), wanted);
    assert_eq!(case.evidence[0].fact, wanted);
    assert_eq!(case.verdict.next_step, wanted);
}

#[test]
fn a_sibling_of_several_cases_shows_no_secret_of_any() {
    let mut redactor = Redactor::default();
    let first = testing::cases::relayed();
    let page = format!("{SECRET} and an0therSecret");
    let mut sibling = Exchange::clone(&first.siblings[0]);
    sibling.response = Some(response("HTTP/1.1 200 OK\r\n\r\n", page.as_bytes()).into());
    let sibling = Arc::new(sibling);
    // Each case's request shows another secret, which the answer of their sibling repeats.
    for (secret, other) in [(SECRET, "an0therSecret"), ("an0therSecret", SECRET)] {
        let mut case = first.clone();
        case.siblings = vec![Arc::clone(&sibling)];
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nX-Api-Key: {secret}\r\n\r\n");
        case.chain.reported.exchange.request = Some(request(&head, b"").into());
        redactor.case(&mut case);
        let shown = format!("{case:?}");
        let body = &case.siblings[0].response.as_ref().unwrap().message.body;
        let body = String::from_utf8_lossy(&body.kept);
        assert!(!shown.contains(secret), "{secret}");
        assert!(body.contains(other), "{body}");
    }
}

#[test]
fn fields_keep_their_places() {
    let mut case = testing::cases::relayed();
    let names = |case: &Case| -> Vec<Vec<u8>> {
        let exchanges = case.chain.exchanges();
        let heads = exchanges.map(|e| &e.request.as_ref().unwrap().message.head);
        heads
            .flat_map(Head::fields)
            .map(|f| f.name.to_vec())
            .collect()
    };
    let before = names(&case);
    Redactor::default().case(&mut case);
    assert_eq!(names(&case), before);
}

#[test]
fn targets() {
    for (target, redacted) in [
        ("/orders?page=2", "/orders?page=2"),
        ("/orders?token=$", "/orders?token=#"),
        ("/o?%74oken=$&x=1;sig=$", "/o?%74oken=#&x=1;sig=#"),
        ("/o?key=$&X-Amz-Credential=$", "/o?key=#&X-Amz-Credential=#"),
        ("/o;jsessionid=$/x", "/o;jsessionid=[redacted "),
        ("/o?token=s3cr3t%2DValue", "/o?token=#"),
        (
            "/o?next=https%3A%2F%2Fx%2F%3Ftoken%3D$",
            "/o?next=[redacted ",
        ),
        (
            "http://shop.example/o?password=$",
            "http://shop.example/o?password=#",
        ),
        ("/o?q=code", "/o?q=code"),
        ("/o?token=", "/o?token="),
    ] {
        let target = fill(target);
        let shown = scan::url(target.as_bytes(), &mut Masks::default());
        let shown = String::from_utf8(shown.into_owned()).unwrap();
        if redacted.ends_with("[redacted ") {
            assert!(
                shown.starts_with(redacted) && !shown.contains(SECRET),
                "{shown}"
            );
        } else {
            assert_eq!(shown, fill(redacted));
        }
    }
}

#[test]
fn fragments() {
    let url = format!("/cb?x=1#access_token={SECRET}&state=2");
    let shown = scan::url(url.as_bytes(), &mut Masks::default());
    let wanted = format!("/cb?x=1#access_token={MASK}&state=2");
    assert_eq!(String::from_utf8(shown.into_owned()).unwrap(), wanted);
}

#[test]
fn bodies() {
    for (kind, body, redacted) in [
        (
            "application/x-www-form-urlencoded",
            "user=bob&password=$&x=1",
            "user=bob&password=#&x=1",
        ),
        ("", "user=bob&pin=$\n", "user=bob&pin=#\n"),
        (
            "application/json",
            r#"{"a":1,"password" : "$","b":[]}"#,
            r##"{"a":1,"password" : "#","b":[]}"##,
        ),
        (
            "application/x-www-form-urlencoded",
            r#"{"password":"$"}"#,
            r##"{"password":"#"}"##,
        ),
        ("application/json", r#"{"token":"$"#, r##"{"token":"#"##),
        (
            "application/json",
            r#"{"pass\u0077ord":"s3cr3t\u002dValue"}"#,
            r##"{"pass\u0077ord":"#"}"##,
        ),
        (
            "application/json",
            r#"{"body":"{\"password\":\"$\"}","n":2}"#,
            r##"{"body":"{\"password\":\"#\"}","n":2}"##,
        ),
        (
            "application/json",
            r#"{"code":"blocked","token":null}"#,
            r#"{"code":"blocked","token":null}"#,
        ),
        (
            "application/json",
            r#"{"msg":"Authorization was Bearer $ ok"}"#,
            r##"{"msg":"Authorization was Bearer # ok"}"##,
        ),
        (
            "text/plain",
            "Missing Bearer token; invalid token: expired",
            "Missing Bearer token; invalid token: expired",
        ),
        (
            "text/html",
            r#"<input type=hidden name="csrf_token" value="$">"#,
            r##"<input type=hidden name="csrf_token" value="#">"##,
        ),
        (
            "text/html",
            r#"<meta content='$' name=csrf-token>"#,
            r##"<meta content='#' name=csrf-token>"##,
        ),
        (
            "text/html",
            r#"<script>var x = {csrfToken: '$'}</script>"#,
            r##"<script>var x = {csrfToken: '#'}</script>"##,
        ),
        (
            "text/html",
            r#"array('db_password' => '$')"#,
            r##"array('db_password' => '#')"##,
        ),
        (
            "text/html",
            r#"var apiKey = "$";"#,
            r##"var apiKey = "#";"##,
        ),
        (
            "",
            r#"{"query":"login(password: \"$\", x: 1)"}"#,
            r##"{"query":"login(password: \"#\", x: 1)"}"##,
        ),
        (
            "text/plain",
            r#"if (token == "none") deny"#,
            r#"if (token == "none") deny"#,
        ),
        (
            "text/xml",
            "<s:Body><wsse:Password T='x'>$</wsse:Password></s:Body>",
            "<s:Body><wsse:Password T='x'>#</wsse:Password></s:Body>",
        ),
        ("text/html", "<p>403 Forbidden</p>", "<p>403 Forbidden</p>"),
        (
            "multipart/form-data; boundary=Xy",
            "--Xy\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nbob\r\n--Xy\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n$\r\n--Xy--\r\n",
            "--Xy\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nbob\r\n--Xy\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n#\r\n--Xy--\r\n",
        ),
        (
            "multipart/form-data; boundary=Xy",
            "--Xy\r\nContent-Disposition: form-data; name=token\r\n\r\n$",
            "--Xy\r\nContent-Disposition: form-data; name=token\r\n\r\n#",
        ),
    ] {
        let shown = content(
            fill(body).as_bytes(),
            kind.as_bytes(),
            &mut Masks::default(),
        );
        assert_eq!(String::from_utf8(shown).unwrap(), fill(redacted));
    }
}

#[test]
fn values_of_every_json_type_under_a_telling_name_go() {
    for body in [
        r#"{"credentials":{"user":"bob","deep":["$"]},"x":1}"#,
        r#"{"tokens":["$","]$"],"x":1}"#,
        r#"{"secret":98761234,"x":1}"#,
    ] {
        let shown = content(fill(body).as_bytes(), b"", &mut Masks::default());
        let shown = String::from_utf8(shown).unwrap();
        assert!(
            !shown.contains(SECRET) && !shown.contains("98761234"),
            "{shown}"
        );
        assert!(shown.ends_with(r#","x":1}"#), "{shown}");
    }
}

#[test]
fn what_looks_like_a_name_between_two_strings_is_none() {
    let body = br#"{"a":"'","password":"x':s3cr3t-Value"}"#;
    let shown = content(body, b"", &mut Masks::default());
    let shown = String::from_utf8(shown).unwrap();
    assert!(
        shown.starts_with(r#"{"a":"'","password":"[redacted "#),
        "{shown}"
    );
    assert!(!shown.contains(SECRET));
}

#[test]
fn json_web_tokens_go_wherever_they_are() {
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln";
    for text in [
        token.to_owned(),
        format!("bad ({token})."),
        format!("x={token}&y"),
    ] {
        let shown = scan::text(text.as_bytes(), &mut Masks::default());
        assert!(memchr::memmem::find(&shown, b"eyJ").is_none(), "{text}");
    }
}

#[test]
fn a_secret_that_is_repeated_goes_everywhere() {
    let mut exchange = refused_post();
    exchange.request = Some(
        request(
            &format!("POST /by/{SECRET} HTTP/1.1\r\nX-Api-Key: {SECRET}\r\n\r\n"),
            b"",
        )
        .into(),
    );
    exchange.response = Some(
        response(
            &format!("HTTP/1.1 403 No {SECRET}\r\nX-Echo: {SECRET}\r\n\r\n"),
            format!("{SECRET} is not a key, {SECRET}!").as_bytes(),
        )
        .into(),
    );
    let redacted = super::exchange(&exchange);
    let response = redacted.response.unwrap();
    let request = redacted.request.unwrap();
    assert_eq!(request.target(), fill("/by/#").as_bytes());
    assert_eq!(response.reason(), fill("No #").as_bytes());
    assert_eq!(response.message.head.value("x-echo"), Some(MASK.as_bytes()));
    assert_eq!(
        response.message.body.kept,
        fill("# is not a key, #!").as_bytes()
    );
}

#[test]
fn what_is_not_secret_stays_byte_for_byte() {
    let mut exchange = refused_post();
    exchange.interim = vec![response("HTTP/1.1 100 Continue\r\n\r\n", b"")];
    assert_eq!(super::exchange(&exchange), exchange);
}

#[test]
fn sentences_about_secrets_stay() {
    for sentence in [
        "It sends 403 for a missing bearer token.",
        "It sends 403 for a bearer token, or none.",
        "Look for `Forbidden (CSRF token missing.)` in the log of 127.0.0.1:8001.",
        "The request carries credentials: the cookie sessionid, X-Api-Key",
        "The token in Authorization had expired 5 min before the request, at 2026-05-04T01:12:09Z.",
        "Send the token of the form in X-CSRFToken.",
        "Run it again with -p 8080,9000.",
        "Make /srv/www/shop.example/secret.html readable: chmod o+r.",
    ] {
        let mut case = testing::cases::relayed();
        case.verdict.next_step = sentence.to_owned();
        Redactor::default().case(&mut case);
        assert_eq!(case.verdict.next_step, sentence);
    }
}

#[test]
fn a_coded_body_that_nobody_can_read_is_left_out() {
    let mut exchange = refused_post();
    let sent = response(
        "HTTP/1.1 403 Forbidden\r\nContent-Encoding: br\r\n\r\n",
        b"\x0b\x02\x80",
    );
    exchange.response = Some(sent.into());
    let body = super::exchange(&exchange).response.unwrap().message.body;
    assert_eq!((body.kept.len(), body.seen), (0, 3));

    let mut gzip = refused_post();
    let body = testing::decoded("gzip", 40, fill("token=$").as_bytes());
    gzip.response.as_mut().unwrap().message.body = body;
    let body = super::exchange(&gzip).response.unwrap().message.body;
    assert!(body.kept.is_empty());
    assert_eq!(body.decoded.unwrap().bytes, fill("token=#").as_bytes());
}

#[test]
fn hostile_bodies_take_no_more_than_their_share_of_work() {
    // Each of these was quadratic in one design or another; this would take minutes.
    for pattern in [
        "-eyJ",
        "<",
        "<a name=",
        "\"",
        "\\\"",
        "name=\"",
        "token",
        "://",
        "basic ",
        "bearer a ",
        "{",
        "'a':",
        "\n--",
        "a=",
        "%25",
        "\"token\":{",
        "--\nname=",
    ] {
        let body = pattern.repeat((1 << 18) / pattern.len());
        for kind in ["multipart/form-data", ""] {
            content(body.as_bytes(), kind.as_bytes(), &mut Masks::default());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_secret_in_any_of_its_places_is_gone(
        secret in "[A-Za-z0-9]{4}q7Z[A-Za-z0-9]{4,40}",
        before in "[ -~\\x80]{0,20}",
        cut in 0usize..80,
    ) {
        let exchange = exchange_with(&secret, &before, cut);
        let printed = format!("{:?}", bytes_of(&super::exchange(&exchange)));
        prop_assert!(!printed.contains(&secret), "{printed}");
    }

    #[test]
    fn a_secret_in_json_is_gone_however_deep_escaped_or_cut(
        secret in "[a-z]{3}\\PC{0,6}q7Z[\"\\\\ -~]{0,12}8",
        name in "(user_)?(password|apiToken|CLIENT-SECRET|csrf)",
        around in proptest::collection::vec(("[a-z]{1,5}", "[\"\\\\:{}= -~é]{0,12}"), 0..4),
        escaped in 0usize..3, pretty: bool, cut: proptest::sample::Index,
    ) {
        let mut object = serde_json::Map::new();
        for (i, (key, value)) in around.iter().enumerate() {
            object.insert(format!("{i}{key}"), value.as_str().into());
        }
        object.insert(format!("2{name}"), secret.as_str().into());
        object.insert("9".to_owned(), "last".into());
        let value = serde_json::json!({ "a": [1, object] });
        let mut text = if pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        for _ in 0..escaped {
            text = serde_json::json!({ "log": text }).to_string();
        }
        let text = &text.as_bytes()[..=cut.index(text.len())];
        let shown = content(text, b"", &mut Masks::default());
        let shown = String::from_utf8_lossy(&shown);
        prop_assert!(!shown.contains("q7Z"), "{shown}");
    }

    #[test]
    fn a_secret_in_a_form_is_gone_wherever_it_is_cut(
        secret in "[a-z]{0,3}[\\r\\n\"'<>;=? -]{0,5}q7Z[\\r\\n\"'<>;=? -]{0,5}[a-z]{3}",
        name in "(user_)?(password|apiToken|CLIENT-SECRET|csrf)",
        before in "[a-z]{1,5}", value in "[\"\\\\:{}'<>=\\r\\n -~é]{0,12}",
        boundary in "-{0,8}[A-Za-z0-9]{1,10}", quote in "\"?", end in "\r?\n",
        cut: proptest::sample::Index,
    ) {
        prop_assume!(![&value, &boundary].iter().any(|text| text.contains("q7Z")));
        let part = |name: &str, value: &str| format!(
            "--{boundary}{end}Content-Disposition: form-data; name={quote}{name}{quote}{end}{end}\
             {value}{end}"
        );
        let parts = [part(&before, &value), part(&name, &secret), part("z", "last")];
        let multipart = format!("{}--{boundary}--{end}", parts.concat());
        let value = value.replace(['&', '%', '+'], "-");
        let urlencoded = format!("{before}={value}&{name}={secret}&z=last");
        for (kind, body) in [("multipart/form-data", multipart), ("", urlencoded)] {
            let body = &body.as_bytes()[..=cut.index(body.len())];
            let shown = content(body, kind.as_bytes(), &mut Masks::default());
            let shown = String::from_utf8_lossy(&shown);
            prop_assert!(!shown.contains("q7Z"), "{shown}");
        }
    }

    #[test]
    fn noise_is_no_trouble(bytes: Vec<u8>, text in "[\"'\\\\:=<>{}\\[\\]&?;ab@/. -]{0,200}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            let mut masks = Masks::default();
            scan::text(bytes, &mut masks);
            scan::url(bytes, &mut masks);
            content(bytes, b"multipart/form-data", &mut masks);
            for name in ["cookie", "set-cookie", "authorization"] {
                header(name.as_bytes(), bytes, &mut masks);
            }
        }
    }
}

/// An exchange with the secret in every place that is known to hold one.
fn exchange_with(secret: &str, before: &str, cut: usize) -> Exchange {
    let quoted = serde_json::to_string(before).unwrap();
    let json = format!(
        r#"{{"a":{quoted},"client_secret":"{secret}","rest":"{}"#,
        "x".repeat(cut)
    );
    let head = format!(
        "POST http://u:{secret}@x/p;sid={secret}?a=b&api_key={secret} HTTP/1.1\r\n\
         Authorization: Bearer {secret}\r\nProxy-Authorization: {secret}\r\n\
         Cookie: s={secret}; {secret}; t=\"{secret}\"\r\nX-Auth-Token: {secret}\r\n\
         Referer: https://x/?sig={secret}\r\nContent-Type: application/json\r\n\r\n"
    );
    let end = json.find(secret).unwrap() + secret.len() + 1 + cut;
    let request = request(&head, &json.as_bytes()[..end.min(json.len())]);
    let form = format!("a={}&password={secret}&b=", before.replace('&', "-"));
    let mut response = response(
        &format!(
            "HTTP/1.1 403 Forbidden\r\nSet-Cookie: s={secret}; Path=/\r\n\
             Location: /?jwt={secret}\r\n\r\n"
        ),
        form.as_bytes(),
    );
    response.message.trailers = testing::trailers(&format!("X-Secret: {secret}\r\n"));
    testing::exchange(request, response)
}

fn bytes_of(exchange: &Exchange) -> Vec<String> {
    let messages = exchange
        .request
        .iter()
        .map(|r| &r.message)
        .chain(exchange.response.iter().map(|r| &r.message));
    messages
        .flat_map(|m| [&m.head.raw, &m.trailers.raw, &m.body.kept])
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .collect()
}

/// `$` becomes the secret and `#` its mask.
fn fill(template: &str) -> String {
    template.replace('$', SECRET).replace('#', MASK)
}
