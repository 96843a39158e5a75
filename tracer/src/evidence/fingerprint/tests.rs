use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::limits;
use crate::model::{Kind, OwnerQuality, Side};
use crate::testing;

mod pages;
mod products;

#[test]
fn every_row_is_whole_and_matches_its_example() {
    let table = table();
    let mut faults = Vec::new();
    for row in table.rows() {
        let mut fault = |what: &str| faults.push(format!("{}: {what}", row.id));
        if row.means.is_empty() || !row.means.ends_with('.') {
            fault("`means` is no sentence");
        }
        let patterns = row.when.iter().flat_map(|c| [&c.is, &c.not]).flatten();
        for broken in patterns.filter_map(|pattern| pattern.fault()) {
            fault(&broken.to_string());
        }
        if row.source.is_empty() {
            fault("no source");
        }
        if !is_of_the_wire(row) {
            continue;
        }
        match raw::exchange(row.example.as_bytes()) {
            Some(example) if has(&table, &example, &row.id) => {}
            Some(_) => fault("its example does not match"),
            None => fault("its example is no message"),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_index_passes_by_no_row_that_matches() {
    let table = table();
    let examples = table.rows().iter().filter(|row| is_of_the_wire(row));
    for example in examples.map(|row| raw::exchange(row.example.as_bytes()).unwrap()) {
        let facts = Facts::of(&example);
        let rows = table.index.rows(&facts);
        let passed_by = table.rows.iter().enumerate();
        for (_, row) in passed_by.filter(|(at, _)| !rows.contains(at)) {
            assert!(
                row.found_in(&facts).is_none(),
                "{}: {}",
                row.id,
                row.example
            );
        }
    }
}

#[test]
fn the_index_knows_beginnings_and_what_must_be_missing() {
    let when = |id: &str, when: &str| {
        let body = "{ in = 'response-body', is = 'x' }";
        row(id, "", "x").replace(body, &format!("{{ in = 'response-header', {when} }}"))
    };
    let text = when("mine-begins", "name = 'X-Mine*'")
        + &when("mine-lacks", "name = 'X-Mine-Too', absent = true");
    let table = Fingerprints::default();
    let table = table.with_user_file("mine.toml", &text).unwrap();
    for (head, begins, lacks) in [
        ("", false, true),
        ("A: b\n", false, true),
        ("x-mINE-else: b\n", true, true),
        ("X-MINE-TOO: b\n", true, false),
    ] {
        let answer = format!("HTTP/1.1 403 Forbidden\n{head}\n");
        let answer = raw::exchange(answer.as_bytes()).unwrap();
        assert_eq!(has(&table, &answer, "mine-begins"), begins, "{head}");
        assert_eq!(has(&table, &answer, "mine-lacks"), lacks, "{head}");
    }
}

#[test]
fn ids_of_a_product_begin_alike() {
    let table = table();
    let mut beginnings: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for row in table.rows() {
        let ids = beginnings.entry(&row.product.name).or_default();
        ids.insert(&row.id);
    }
    for (product, ids) in beginnings {
        let word = |id: &&str| id.split('-').next().unwrap().to_owned();
        let words: BTreeSet<String> = ids.iter().map(word).collect();
        assert_eq!(words.len(), 1, "{product}: {ids:?}");
    }
}

#[test]
fn every_product_is_there() {
    let table = table();
    let there: BTreeSet<&str> = table.rows().iter().map(|r| &*r.product.name).collect();
    let missing: Vec<_> = products::ALL
        .iter()
        .filter(|p| !there.contains(*p))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn passing_through_makes_nobody_the_maker() {
    let table = table();
    for row in table.rows() {
        if row.proves != Proves::PassedThrough || !is_of_the_wire(row) {
            continue;
        }
        let example = raw::exchange(row.example.as_bytes()).unwrap();
        let makers = makers(&table, &example);
        assert!(makers.is_empty(), "{}: {makers:?}", row.id);
    }
}

#[test]
fn fields_that_say_nothing_of_the_maker_are_not_taken_for_it() {
    // The whole set of transit fields and cookies of the large CDNs on one answer of an origin.
    let answer = "HTTP/1.1 403 Forbidden\nServer: cloudflare\nCF-RAY: 8c1f2a3b4c5d6e7f-AMS\n\
        X-Amz-Cf-Id: abc==\nVia: 1.1 abc.cloudfront.net (CloudFront), 1.1 varnish, 1.1 google\n\
        X-Cache: Error from cloudfront\nX-Served-By: cache-ams21032-AMS\nX-Azure-Ref: 0abc\n\
        X-Sucuri-ID: 11\nX-Iinfo: 1-2\nX-Vercel-Id: fra1::x\nAkamai-GRN: 0.1.2\n\
        x-envoy-upstream-service-time: 3\nX-Kong-Request-Id: 1\nX-DataDome: protected\n\
        Set-Cookie: __cf_bm=1\nSet-Cookie: visid_incap_1=2\nSet-Cookie: TS01abcdef=3\n\
        Content-Type: text/html\n\n<h1>Members only</h1>";
    let table = table();
    let answer = raw::exchange(answer.as_bytes()).unwrap();
    let makers = makers(&table, &answer);
    assert!(makers.is_empty(), "{makers:?}");
}

#[test]
fn ordinary_pages_name_no_cdn() {
    let table = table();
    assert_eq!(pages::ORDINARY.len(), 30);
    for page in pages::ORDINARY {
        // Both by itself and behind a CDN.
        for transit in [
            "",
            "CF-RAY: 1-AMS\nX-Azure-Ref: 0a\nX-Iinfo: 1\nX-Amz-Cf-Id: a\n",
        ] {
            let page = page.replacen('\n', &format!("\n{transit}"), 1);
            let exchange = raw::exchange(page.as_bytes()).unwrap();
            for found in table.matches(&exchange) {
                let row = found.fingerprint;
                let is_cdn = matches!(
                    row.product.kind,
                    Kind::CdnWaf | Kind::BotManager | Kind::WafModule
                );
                let named = is_cdn && row.proves == Proves::Generated;
                assert!(!named, "{} in {page}", row.id);
            }
        }
    }
}

#[test]
fn stock_pages_name_their_maker() {
    let table = table();
    for (maker, page) in pages::STOCK {
        let exchange = raw::exchange(page.as_bytes()).unwrap();
        let makers = makers(&table, &exchange);
        assert_eq!(makers, BTreeSet::from([*maker]), "{page}");
    }
}

#[test]
fn what_is_found_becomes_evidence() {
    let table = table();
    let mut exchange = raw::exchange(
        b"HTTP/1.1 403 Forbidden\nServer: nginx/1.24.0\nContent-Type: text/html\n\n\
          <html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n\
          <center><h1>403 Forbidden</h1></center>\r\n<hr><center>nginx/1.24.0</center>\r\n\
          </body>\r\n</html>\r\n",
    )
    .unwrap();
    exchange.server.owner = Some(testing::owner("nginx", 4, OwnerQuality::Exact));
    let mut out = Vec::new();
    table.gather(&exchange, 2, &mut out);
    let of = |id: &str| out.iter().find(|e| e.id == id).unwrap();

    let page = of("fingerprint.nginx-page");
    assert_eq!((page.hop, page.strength), (2, Strength::Strong));
    assert_eq!(page.product.as_ref().unwrap().0, Proves::Generated);
    let span = page.span.unwrap();
    assert_eq!(span.message, Side::Response);
    let Part::Body(start, end) = span.part else {
        panic!("{span:?}")
    };
    let body = &exchange.response.as_ref().unwrap().message.body.kept;
    assert!(body[start..end].ends_with(b"nginx/1.24.0</center>"));

    let server = of("fingerprint.nginx-server").span.unwrap();
    assert_eq!(server.part, Part::Field(0));
    let process = of("fingerprint.nginx-process");
    assert_eq!(process.span, None);
    assert_eq!(process.product.as_ref().unwrap().0, Proves::Hint);
    // It looks like a refusal of the firewall, and shows nothing of one.
    let trap = of("fingerprint.modsecurity-v3-stock-page");
    assert_eq!(trap.cause, None);
}

#[test]
fn marks_of_logs_are_listed_and_never_seen() {
    let table = table();
    let logs = table.rows().iter().filter(|row| !row.is_visible()).count();
    assert!(logs > 90, "{logs}");
    let exchange = raw::exchange(b"HTTP/1.1 403 Forbidden\n\naccess forbidden by rule AH01630");
    assert!(makers(&table, &exchange.unwrap()).is_empty());
}

#[test]
fn the_whole_body_is_needed_to_speak_of_its_end() {
    let table = table();
    let text = b"HTTP/1.1 403 Forbidden\nServer: envoy\n\nRBAC: access denied";
    let mut exchange = raw::exchange(text).unwrap();
    assert!(has(&table, &exchange, "envoy-rbac"));
    exchange.response.as_mut().unwrap().message.body.lost = 10;
    assert!(!has(&table, &exchange, "envoy-rbac"));
}

#[test]
fn decoded_content_is_what_is_looked_at() {
    let table = table();
    let text = b"HTTP/1.1 403 Forbidden\nContent-Encoding: gzip\n\nRBAC: access denied";
    let mut exchange = raw::exchange(text).unwrap();
    assert!(!has(&table, &exchange, "envoy-rbac"));
    exchange.response.as_mut().unwrap().message.body =
        testing::decoded("gzip", 40, b"RBAC: access denied");
    assert!(has(&table, &exchange, "envoy-rbac"));
}

#[test]
fn large_bodies_are_looked_at_up_to_a_bound() {
    let table = table();
    let page = "<hr><center>openresty</center>";
    let with = |filler: usize| {
        let body = " ".repeat(filler) + page;
        raw::exchange(format!("HTTP/1.1 403 Forbidden\n\n{body}").as_bytes()).unwrap()
    };
    let within = limits::FINGERPRINT_BODY - page.len();
    assert!(has(&table, &with(within), "openresty-page"));
    assert!(!has(&table, &with(within + 1), "openresty-page"));
    assert!(!has(&table, &with(4 << 20), "openresty-page"));
}

#[test]
fn a_user_adds_and_overrides() {
    let text =
        row("nginx-page", "x", "Mine: no entry") + &row("mine-1", "cause = 'waf-block'", "X");
    let table = table().with_user_file("mine.toml", &text).unwrap();
    let before = Fingerprints::built_in().unwrap().rows().len();
    assert_eq!(table.rows().len(), before + 1);
    let mine = raw::exchange(b"HTTP/1.1 403 Forbidden\n\nMine: no entry X").unwrap();
    assert!(has(&table, &mine, "nginx-page") && has(&table, &mine, "mine-1"));
}

#[test]
fn what_is_printed_can_be_read_back() {
    let table = table();
    let printed: String = table.rows().iter().map(ToString::to_string).collect();
    let again = table.clone().with_user_file("printed", &printed).unwrap();
    assert_eq!(again.rows().len(), table.rows().len());
    for (old, new) in table.rows().iter().zip(again.rows()) {
        assert_eq!(old.example, new.example, "{}", old.id);
        assert_eq!(old.to_string(), new.to_string());
    }
}

#[test]
fn faults_name_the_row_and_what_is_wanted() {
    let long = "a".repeat(limits::FINGERPRINT_PATTERN + 1);
    for (text, wanted) in [
        (
            row("mine-1", "cause = 'tuesday'", "x"),
            "row `mine-1`: `cause` cannot be \"tuesday\"",
        ),
        (
            row("mine-1", "", "("),
            "row `mine-1`: the pattern \"(\" cannot be read",
        ),
        (
            row("mine-1", "", "(?:a{900}){900}"),
            "row `mine-1`: the pattern",
        ),
        (row("mine-1", "", &long), "a pattern is longer than"),
        (row("Mine", "", "x"), "an id has lower-case letters"),
        (
            row("mine-1", "", "x") + &row("mine-1", "", "x"),
            "two rows have the id `mine-1`",
        ),
        (row("mine-1", "typo = 1", "x"), "unknown field `typo`"),
        (
            "# ".to_owned() + &"x".repeat(limits::FINGERPRINT_TABLE),
            "larger than",
        ),
    ] {
        let error = table()
            .with_user_file("mine.toml", &text)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("mine.toml: "), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn hostile_text_is_no_exchange_and_no_panic() {
    for text in [
        "",
        "\n",
        "HTTP/",
        "HTTP/1.1",
        "HTTP/1.1 x",
        "GET",
        "GET / HTTP/2\n\n",
        ": \n",
        "---\n",
        "HTTP/1.1 403\nno colon\n\n",
        "GET / HTTP/1.1\n\n---\nHTTP/1.1\n\n",
    ] {
        assert!(raw::exchange(text.as_bytes()).is_none(), "{text:?}");
    }
    let bare = raw::exchange(b"HTTP/1.1 403\n").unwrap();
    assert_eq!(bare.response.unwrap().status, 403);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn spans_lie_in_what_they_speak_of(
        start in "(HTTP/1.1 403 [a-z]{0,4}|POST /[a-z]{0,4} HTTP/1.1)",
        rest in proptest::collection::vec(any::<u8>(), 0..300),
        fields in proptest::collection::vec("(Server|Via|X-Cache|Set-Cookie|Origin): [ -~]{0,12}", 0..4),
    ) {
        let mut text = format!("{start}\n{}\n\n", fields.join("\n")).into_bytes();
        text.extend(rest);
        let table = SHARED.get_or_init(table);
        if let Some(exchange) = raw::exchange(&text) {
            for found in table.matches(&exchange) {
                let Some(span) = found.span else { continue };
                let message = match span.message {
                    Side::Request => &exchange.request.as_ref().unwrap().message,
                    Side::Response => &exchange.response.as_ref().unwrap().message,
                };
                match span.part {
                    Part::StartLine => {}
                    Part::Field(index) => prop_assert!(index < message.head.fields.len()),
                    Part::Body(start, end) => {
                        prop_assert!(start <= end && end <= message.body.kept.len());
                    }
                }
            }
        }
    }
}

/// Read once for all cases.
static SHARED: OnceLock<Fingerprints> = OnceLock::new();

fn table() -> Fingerprints {
    Fingerprints::built_in().unwrap()
}

fn has(table: &Fingerprints, exchange: &Exchange, id: &str) -> bool {
    table.matches(exchange).any(|m| m.fingerprint.id == id)
}

/// The products that are said to have made the answer.
fn makers<'a>(table: &'a Fingerprints, exchange: &Exchange) -> BTreeSet<&'a str> {
    table
        .matches(exchange)
        .filter(|m| m.fingerprint.proves == Proves::Generated)
        .map(|m| &*m.fingerprint.product.name)
        .collect()
}

fn is_of_the_wire(row: &Fingerprint) -> bool {
    row.is_visible() && row.when.iter().all(|c| c.place != Place::Process)
}

/// A row of a user's table that looks for a pattern in the body. `more` is one line of it.
fn row(id: &str, more: &str, pattern: &str) -> String {
    let more = if more == "x" { "" } else { more };
    format!(
        "[[fingerprint]]\nid = '{id}'\nproduct = 'Mine'\nkind = 'framework'\n\
         proves = 'generated'\nstrength = 'fair'\nmeans = 'A test.'\nsource = 'here'\n{more}\n\
         when = [{{ in = 'response-body', is = '{pattern}' }}]\n"
    )
}
