pub(super) mod trial;

use self::trial::{of, post, sibling, site, to};
use super::*;
use crate::testing::response;

/// More than this nobody reads.
const PIECES_MAX: usize = 25;

#[test]
fn a_request_with_everything_odd_stays_readable() {
    let headers: String = (0..200)
        .map(|i| format!("X-Odd-{i}: <script>\r\n"))
        .collect();
    let fields = format!(
        "Content-Type: application/json\r\nOrigin: https://evil.example\r\n\
         Cookie: csrftoken=a; sessionid=b\r\nX-CSRFToken: c\r\nUser-Agent: sqlmap\r\n\
         Referer: http://evil.example/\r\nSec-Fetch-Site: cross-site\r\n{headers}"
    );
    let mut exchange = post(&fields, b"' union select {");
    let answer = "HTTP/1.1 403 F\r\nRetry-After: 1\r\nCF-Ray: 1\r\nWWW-Authenticate: x\r\n\r\n";
    let words = b"csrf failed; too many requests; your ip is blocked; request blocked";
    *exchange.response.as_mut().unwrap().as_mut() = response(answer, words);
    let chain = Chain::of(exchange);
    let siblings = [sibling(post("", b""))];
    let scene = Scene {
        fingerprints: &Fingerprints::default(),
        chain: &chain,
        siblings: &siblings,
        pace: Pace::default(),
        preflight: Preflight::Followed,
    };
    let mut evidence = Vec::new();
    for gatherer in GATHERERS {
        let before = evidence.len();
        (gatherer.gather)(&scene, &site(&chain, 0), &mut evidence);
        let new = evidence.get(before..).unwrap_or_default();
        let prefix = format!("{}.", gatherer.topic);
        assert!(new.iter().all(|e: &Evidence| e.id.starts_with(&prefix)));
    }
    assert_eq!(gather(&scene), evidence);
    let ids: Vec<_> = evidence.iter().map(|e| &*e.id).collect();
    assert!(evidence.len() > 15, "{ids:?}");
    assert!(of(&evidence, "request.attack").is_some(), "{ids:?}");
    let sentences = evidence.iter().all(|e| e.fact.ends_with('.'));
    assert!(sentences, "{evidence:?}");
    let readable = evidence.len() <= PIECES_MAX + sibling::TOLD_MAX;
    assert!(readable, "{ids:?}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn no_fact_holds_a_secret(secret in "[A-Za-z0-9_-]{8,40}", scheme in "(Bearer |Basic |)") {
        let token = format!("eyJhbGciOiJub25lIn0.{secret}.{secret}");
        let fields = format!(
            "Authorization: {scheme}{secret}\r\nX-Api-Key: {secret}\r\n\
             X-Auth-Token: {token}\r\nX-CSRFToken: {secret}\r\n\
             Cookie: sessionid={secret}; csrftoken=x{secret}; jwt={token}; {secret}\r\n\
             Origin: https://{secret}:{secret}@a.example\r\n\
             Content-Type: application/json\r\n"
        );
        let body = format!("{{\"password\":\"{secret}\",{secret}");
        let target = format!("/orders?token={secret}&sig={secret}&X-Amz-Date={secret}");
        let mut refused = to(&target, &fields, body.as_bytes());
        let answer = format!("HTTP/1.1 403 F\r\nWWW-Authenticate: Bearer {secret}\r\n\r\n");
        let words = format!(
            "Invalid token {secret}. The token {secret} is invalid. IP {secret} not allowed. \
             Session {secret} expired. Requires the {secret} role. Missing {secret} api key."
        );
        *refused.response.as_mut().unwrap().as_mut() = response(&answer, words.as_bytes());
        let siblings = [post("X-Api-Key: other\r\n", b""), refused.clone()].map(sibling);
        let chain = Chain::of(refused);
        for siblings in [&siblings[..1], &siblings] {
            let scene = Scene {
                fingerprints: &Fingerprints::default(),
                chain: &chain,
                siblings,
                pace: Pace::default(),
                preflight: Preflight::Refused,
            };
            let mut evidence = Vec::new();
            for gatherer in GATHERERS {
                (gatherer.gather)(&scene, &site(&chain, 0), &mut evidence);
            }
            for evidence in evidence {
                proptest::prop_assert!(!evidence.fact.contains(&secret), "{}", evidence.fact);
            }
        }
    }
}
