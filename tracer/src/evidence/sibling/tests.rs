use super::super::tests::trial::{gathered, of, post, sibling, site, to};
use super::GATHERER;
use crate::model::{Chain, Evidence, Exchange, Hop, Strength};
use crate::testing::{owner, response};

const JSON: &str = "Content-Type: application/json\r\n";

fn passed(mut exchange: Exchange) -> Exchange {
    *exchange.response.as_mut().unwrap().as_mut() = response("HTTP/1.1 201 Created\r\n\r\n", b"");
    exchange
}

fn found(refused: Exchange, siblings: Vec<Exchange>) -> Vec<Evidence> {
    let siblings: Vec<_> = siblings.into_iter().map(passed).collect();
    gathered(GATHERER, &Chain::of(refused), &siblings)
}

/// The ids but `sibling.found`.
fn ids(refused: Exchange, siblings: Vec<Exchange>) -> Vec<String> {
    let evidence = found(refused, siblings);
    let ids = evidence
        .iter()
        .filter_map(|e| e.id.strip_prefix("sibling."));
    ids.filter(|id| *id != "found").map(str::to_owned).collect()
}

/// As `ids`, of two requests with these header lines.
fn fields(refused: &str, sibling: &str) -> Vec<String> {
    ids(post(refused, b""), vec![post(sibling, b"")])
}

#[test]
fn the_one_thing_that_differs() {
    for (refused, sibling, expected) in [
        ("", "Authorization: Bearer a\r\n", "only_credential_missing"),
        (
            "Authorization: Bearer b\r\n",
            "Authorization: Bearer a\r\n",
            "only_credential_other",
        ),
        ("X-Api-Key: b\r\n", "", "only_credential_other"),
        ("", "Cookie: sessionid=a\r\n", "only_cookie_missing"),
        (
            "Cookie: sessionid=b\r\n",
            "Cookie: sessionid=a\r\n",
            "only_cookie_other",
        ),
        ("", "X-CSRF-Token: a\r\n", "only_csrf_missing"),
        (
            "X-CSRF-Token: b\r\n",
            "X-CSRF-Token: a\r\n",
            "only_csrf_other",
        ),
        (
            "Origin: http://b\r\nSec-Fetch-Site: cross-site\r\n",
            "Origin: http://a\r\nSec-Fetch-Site: same-origin\r\n",
            "only_origin",
        ),
        (
            "Referer: http://b/x\r\n",
            "Referer: http://a/x\r\n",
            "only_referer",
        ),
        (
            "User-Agent: curl/8\r\n",
            "User-Agent: Mozilla/5.0\r\n",
            "only_user_agent",
        ),
        ("Content-Type: text/plain\r\n", JSON, "only_body_type"),
        ("X-Tenant: b\r\n", "X-Tenant: a\r\n", "only_header_x-tenant"),
        ("", "X-Tenant: a\r\n", "only_header_x-tenant"),
    ] {
        assert_eq!(fields(refused, sibling), [expected], "{refused} {sibling}");
    }
    let one = |refused, sibling| ids(refused, vec![sibling]);
    assert_eq!(one(post(JSON, b"{}"), post(JSON, b"[]")), ["only_body"]);
    let large = vec![b' '; 40_000];
    assert_eq!(
        one(post(JSON, &large), post(JSON, b"[]")),
        ["only_body_size"]
    );
    assert_eq!(
        one(to("/o?a=1", "", b""), to("/o?a=2", "", b"")),
        ["only_query"]
    );
    assert_eq!(one(to("/o/1", "", b""), to("/o/2", "", b"")), ["only_path"]);
    let mut elsewhere = post("", b"");
    elsewhere.client_addresses[0].addr = "10.9.9.9".parse().ok();
    assert_eq!(one(elsewhere, post("", b"")), ["only_client"]);
    let mut other = post("", b"");
    other.server.addr.set_port(9999);
    assert_eq!(one(other, post("", b"")), ["only_hop"]);
}

#[test]
fn what_differs_in_every_request_is_no_difference() {
    for (refused, sibling) in [
        ("", ""),
        (
            "X-Request-ID: a\r\nAccept-Encoding: br\r\nConnection: close\r\ntraceparent: 00-1\r\n",
            "Connection: keep-alive\r\nIf-None-Match: x\r\nContent-Length: 0\r\n",
        ),
        ("A: 1\r\nB: 2\r\n", "B: 2\r\na: 1\r\n"),
        (
            "Cookie: sid=1; _ga=2; theme=x\r\n",
            "Cookie: theme=x; sid=1; _ga=3\r\n",
        ),
        ("Referer: http://a/x\r\n", "Referer: http://a/y\r\n"),
        (
            "Authorization: AWS4-HMAC-SHA256 Credential=AK/1/x, Signature=a\r\nX-Amz-Date: 1\r\n",
            "Authorization: AWS4-HMAC-SHA256 Credential=AK/2/x, Signature=b\r\nX-Amz-Date: 2\r\n",
        ),
        (
            "Content-Type: multipart/form-data; boundary=a\r\n",
            "Content-Type: multipart/form-data; boundary=b\r\n",
        ),
    ] {
        assert_eq!(fields(refused, sibling), ["same"], "{refused} {sibling}");
    }
    // Another worker of the same server, another port of the same client.
    let (mut a, mut b) = (post("", b""), post("", b""));
    a.server.owner = Some(owner("nginx", 7, crate::model::OwnerQuality::Exact));
    b.server.owner = Some(owner("nginx", 8, crate::model::OwnerQuality::Exact));
    b.client.addr.set_port(1);
    assert_eq!(ids(a.clone(), vec![b.clone()]), ["same"]);
    b.server.owner = Some(owner("apache2", 8, crate::model::OwnerQuality::Exact));
    assert_eq!(ids(a, vec![b]), ["only_hop"]);
}

#[test]
fn several_differences_are_told_as_such() {
    let evidence = found(
        post("X-Tenant: b\r\n", b""),
        vec![post("Authorization: Bearer s3cr3t\r\n", b"")],
    );
    let ids: Vec<_> = evidence.iter().map(|e| &*e.id).collect();
    assert_eq!(
        ids,
        [
            "sibling.found",
            "sibling.differs_credential_missing",
            "sibling.differs_header_x-tenant"
        ]
    );
    assert_eq!(evidence[1].strength, Strength::Weak);
    assert!(evidence.iter().all(|e| !e.fact.contains("s3cr3t")));
    let many: String = (0..40).map(|i| format!("X-F{i}: 1\r\n")).collect();
    assert_eq!(fields(&many, "").len(), super::TOLD_MAX);
}

#[test]
fn a_topic_must_differ_from_every_sibling() {
    let key = |key: &str, body: &str| {
        let fields = format!("{JSON}X-Api-Key: {key}\r\n");
        post(&fields, body.as_bytes())
    };
    // Each sibling shares something with it but the key.
    let refused = || key("bad", "{\"a\":1}");
    assert_eq!(
        ids(
            refused(),
            vec![key("k1", "{\"a\":1}"), key("k1", "{\"a\":2}")]
        ),
        ["only_credential_other"]
    );
    // The bodies of those that passed differ too, so its own says nothing.
    assert_eq!(
        ids(
            refused(),
            vec![key("k1", "{\"a\":2}"), key("k1", "{\"a\":3}")]
        ),
        ["only_credential_other"]
    );
    // Unless there is nothing else.
    assert_eq!(
        ids(
            refused(),
            vec![key("bad", "{\"a\":2}"), key("bad", "{\"a\":3}")]
        ),
        ["only_body"]
    );
    // Nothing sets it apart from both.
    assert!(ids(refused(), vec![key("k", "{\"a\":1}"), key("bad", "[]")]).is_empty());
    // One of several passed without a key.
    let keyless = || post(JSON, b"{\"a\":1}");
    assert_eq!(
        ids(keyless(), vec![key("k1", "{\"a\":1}"), keyless()]),
        ["same"]
    );
}

#[test]
fn only_the_reported_hop_is_compared() {
    let mut chain = Chain::of(post("", b""));
    chain.after.push(Hop::new(post("", b"")));
    let siblings = [sibling(passed(post("", b"")))];
    let scene = super::Scene {
        fingerprints: &crate::evidence::fingerprint::Fingerprints::default(),
        chain: &chain,
        siblings: &siblings,
        pace: crate::model::Pace::default(),
        preflight: crate::model::Preflight::default(),
    };
    let mut evidence = Vec::new();
    (GATHERER.gather)(&scene, &site(&chain, 1), &mut evidence);
    assert!(evidence.is_empty());
    (GATHERER.gather)(&scene, &site(&chain, 0), &mut evidence);
    let fact = &of(&evidence, "sibling.found").unwrap().fact;
    assert_eq!(
        fact,
        "A request of the same method and route passed 0 s before, with status 201."
    );
}

#[test]
fn the_ignored_names_are_in_order() {
    assert!(super::traits::IGNORED.is_sorted());
}

#[test]
fn no_sibling_no_evidence() {
    assert!(found(post("", b""), Vec::new()).is_empty());
    let mut bare = post("", b"");
    bare.request = None;
    assert!(gathered(GATHERER, &Chain::of(bare), &[post("", b"")]).is_empty());
}

#[test]
fn differences_are_told_in_the_order_of_their_ids() {
    use super::compare::Topic;
    let topics = [
        Topic::UserAgent,
        Topic::Referer,
        Topic::Query,
        Topic::Path,
        Topic::Origin,
        Topic::Hop,
        Topic::Header("x"),
        Topic::Header("a"),
        Topic::CsrfOther,
        Topic::CsrfMissing,
        Topic::CredentialOther,
        Topic::CredentialMissing,
        Topic::CookieOther,
        Topic::CookieMissing,
        Topic::Client,
        Topic::BodyType,
        Topic::BodySize,
        Topic::Body,
    ];
    let mut sorted = topics;
    sorted.sort_unstable();
    let mut names = topics.map(|topic| topic.id(""));
    names.sort_unstable();
    assert_eq!(sorted.map(|topic| topic.id("")), names);
}
