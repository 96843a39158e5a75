use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::model::{
    Body, ClientAddress, ClientSource, FieldSpan, Framing, GapKind, Head, HeldCounts, LossPlace,
    MessageEnd, MissingProbe, OwnerQuality,
};
use crate::output::redact::Secrets;
use crate::output::{Outputs, redact};
use crate::testing::{self, START, cases, refused_post, request, response, with_anomaly};

#[test]
fn a_plain_refusal() {
    let mut exchange = refused_post();
    exchange.server.owner = Some(testing::owner("nginx", 4242, OwnerQuality::Exact));
    insta::assert_snapshot!(shown(exchange));
}

#[test]
fn an_upload_refused_before_it_was_complete() {
    let mut exchange = with_anomaly(refused_post(), Anomaly::EarlyResponse);
    exchange.interim = vec![response("HTTP/1.1 100 Continue\r\n\r\n", b"")];
    let request = exchange.request.as_mut().unwrap();
    request.message.end = MessageEnd::Open;
    request.message.body = Body {
        framing: Framing::Length(52_428_800),
        kept: b"line one\r\n\tline two\x1b[2J\r\n".repeat(700)[..16 << 10].to_vec(),
        seen: 65_536,
        ..Body::default()
    };
    insta::assert_snapshot!(shown(exchange));
}

#[test]
fn guesses_do_not_look_like_facts() {
    let mut exchange = refused_post();
    let mut server = testing::owner("gunicorn", 4242, OwnerQuality::Guess);
    server.tid = 4250;
    server.container = Some(testing::container());
    exchange.server.owner = Some(server);
    exchange.client.owner = Some(testing::owner("curl", 77, OwnerQuality::Relaxed));
    let row = |source, text: &str, addr: Option<&str>| ClientAddress {
        source,
        text: text.to_owned(),
        addr: addr.map(|a| a.parse().unwrap()),
    };
    exchange.client_addresses.extend([
        row(
            ClientSource::XForwardedFor,
            "203.0.113.9",
            Some("203.0.113.9"),
        ),
        row(ClientSource::XForwardedFor, "unknown\x1b[31m", None),
    ]);
    insta::assert_snapshot!(shown(exchange));
}

#[test]
fn what_was_not_seen_is_said() {
    let mut exchange = with_anomaly(refused_post(), Anomaly::RequestMissing);
    exchange = with_anomaly(exchange, Anomaly::StartsInMiddle);
    exchange.request = None;
    exchange.client.cookie = 5;
    let response = exchange.response.as_mut().unwrap();
    response.message.end = MessageEnd::Gap(GapKind::Lost);
    response.message.body.lost = 12_345;
    response.message.trailers = testing::trailers("X-Sum: 1\r\n");
    let mut case = testing::case(exchange);
    case.lost_meanwhile = 3;
    insta::assert_snapshot!(shown_case(&case, options()));
}

#[test]
fn translated_addresses_are_told_on_both_sides() {
    let mut exchange = refused_post();
    exchange.client.translated = Some("192.0.2.7:40000".parse().unwrap());
    exchange.server.translated = Some("198.51.100.80:80".parse().unwrap());
    let text = shown(exchange);
    assert!(text.contains("the server sees 192.0.2.7:40000: addresses are translated"));
    assert!(text.contains("the client sees 198.51.100.80:80: addresses are translated"));
}

#[test]
fn what_became_of_a_preflight_is_said_without_being_asked_for() {
    let mut case = cases::relayed();
    let mut open = case.evidence[0].clone();
    open.id = "request.preflight_open".into();
    open.fact = "It cannot be told.".to_owned();
    case.evidence.push(open);
    let text = shown_case(&case, options());
    assert!(
        text.contains("seen beside\n      It cannot be told. (hop "),
        "{text}"
    );
}

#[test]
fn binary_coded_and_secret_bodies() {
    let mut exchange = refused_post();
    exchange.request = Some(
        request(
            "POST /login?token=hunter2hunter2 HTTP/1.1\r\nHost: shop.example\r\n\
         Authorization: Bearer hunter2hunter2\r\nCookie: id=7; theme=dark\r\n\r\n",
            b"user=bob&password=hunter2hunter2",
        )
        .into(),
    );
    exchange.response.as_mut().unwrap().message.body =
        testing::decoded("gzip", 40, b"<h1>Forbidden</h1>\n<p>hunter2hunter2</p>\n");
    let binary: Vec<u8> = (0..=255).collect();
    exchange.interim = vec![response(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        &binary,
    )];
    insta::assert_snapshot!(shown(redact::exchange(&exchange)));
}

#[test]
fn relayed_by_a_proxy() {
    insta::assert_snapshot!(shown_redacted(cases::relayed(), options()));
}

#[test]
fn relayed_by_a_proxy_with_every_message() {
    let verbose = TextOptions {
        verbose: true,
        ..options()
    };
    insta::assert_snapshot!(shown_redacted(cases::relayed(), verbose));
}

#[test]
fn replaced_behind_a_hop_that_the_filter_did_not_let_pass() {
    insta::assert_snapshot!(shown_redacted(cases::replaced(), options()));
}

#[test]
fn hops_of_the_same_name_are_told_apart() {
    let mut case = cases::relayed();
    let inner = &mut case.chain.after[0].exchange.server;
    inner.owner = Some(testing::owner("nginx", 900, OwnerQuality::Exact));
    let text = shown_case(&case, options());
    assert!(text.contains("relayed by nginx :8080 —"), "{text}");
    assert!(text.contains("changed by nginx :8080\n"), "{text}");
}

#[test]
fn delegated_to_an_authoriser() {
    insta::assert_snapshot!(above_the_messages(cases::delegated()));
}

#[test]
fn issued_for_unknown_reasons() {
    insta::assert_snapshot!(above_the_messages(cases::issued_for_unknown_reasons()));
}

#[test]
fn a_next_hop_that_was_not_read() {
    insta::assert_snapshot!(above_the_messages(cases::next_hop_not_read()));
}

#[test]
fn a_server_elsewhere() {
    insta::assert_snapshot!(above_the_messages(cases::refused_by_a_cdn()));
}

#[test]
fn hostile_text_in_facts() {
    let text = "\x1b[2Jgone\r\n    refused by  nobody \u{202e}txt password=hunter2hunter2";
    insta::assert_snapshot!(above_the_messages(cases::with_text_everywhere(text)));
}

#[test]
fn of_many_cases_alike_the_first_three_are_whole() {
    let shown = |all| {
        let mut out = Vec::new();
        let mut sink = TextSink::new(&mut out, TextOptions { all, ..options() });
        for count in 1..=5 {
            sink.case(&cases::in_group(cases::relayed(), count))
                .unwrap();
        }
        sink.finish(&Health::default()).unwrap();
        String::from_utf8(out).unwrap()
    };
    let whole = |text: &str| text.matches("refused by").count();
    let text = shown(false);
    assert_eq!(whole(&text), 3);
    let (_, folded) = text.split_once("#6 like").unwrap();
    insta::assert_snapshot!(format!("#6 like{folded}"));
    assert_eq!(whole(&shown(true)), 5);
}

#[test]
fn a_moment_of_another_day_has_its_date() {
    let zone = TimeZone::UTC;
    let later = START.plus(DAY);
    assert_eq!(moment(START, START, &zone).to_string(), "01:12:09");
    let shown = moment(START, later, &zone).to_string();
    assert_eq!(shown, "2026-05-04 01:12:09");
}

#[test]
fn the_colour_says_how_sure_it_is() {
    let coloured = TextOptions {
        colour: true,
        ..options()
    };
    let text = shown_case(&cases::relayed(), coloured);
    assert!(
        text.contains("— \x1b[1m\x1b[32mproven\x1b[0m") && text.contains("— \x1b[32mlikely\x1b[0m"),
        "{text:?}"
    );
}

#[test]
fn summaries() {
    let health = Health {
        first_at: Some(START),
        last_at: Some(START.plus(Duration::from_millis(12_500))),
        packets: 123_456,
        bytes: 78_901_234,
        connections: 1,
        requests: 1_000,
        responses: 999,
        exchanges: 1_000,
        cases: 10,
        ..Health::default()
    };
    let mut worse = Health {
        gaps: 2,
        gap_bytes: 2_900,
        cut: 1,
        malformed: 1,
        started_in_middle: 4,
        evicted_connections: 5,
        evicted_memory: 6,
        evicted_bytes: 7,
        evicted_packets: 8,
        http2: 9,
        tls: 10,
        tunnels: 11,
        not_http: 12,
        not_tcp: 13,
        held: Some(HeldCounts {
            requests: 1_000_000,
            let_go: 990_000,
            shipped: 9_990,
            sampled: 9_000,
            whole: 14,
            unheld: 15,
            no_room: 16,
        }),
        missing: vec![MissingProbe {
            probe: "owner_send",
            why: "kernel 5.10 has no such tracepoint".to_owned(),
            costs: "processes are found by the socket table, not exactly",
        }],
        ..health.clone()
    };
    for place in [
        LossPlace::RingPacket,
        LossPlace::RingOwner,
        LossPlace::RingExec,
        LossPlace::PacketUnreadable,
        LossPlace::CaptureFile,
    ] {
        worse.add_lost(place, 1_000);
    }
    let summary = |health| {
        let mut out = Vec::new();
        TextSink::new(&mut out, options()).finish(health).unwrap();
        String::from_utf8(out).unwrap()
    };
    insta::assert_snapshot!([summary(&health), summary(&worse)].join("\n"));
}

#[test]
fn quiet_is_the_summary_alone() {
    let quiet = TextOptions {
        quiet: true,
        ..options()
    };
    assert_eq!(shown_case(&testing::case(refused_post()), quiet), "");
}

#[test]
fn times_are_those_of_the_zone() {
    let zone = TimeZone::fixed(jiff::tz::offset(2));
    assert_eq!(
        local_time(START, &zone).to_string(),
        "2026-05-04T03:12:09.123+02:00"
    );
}

#[test]
fn durations_are_readable() {
    for (nanos, text) in [
        (999, "0 µs"),
        (250_000, "250 µs"),
        (1_500_000, "1.5 ms"),
        (12_500_000_000, "12.5 s"),
        (61_000_000_000, "1 min 1 s"),
        (7_260_000_000_000, "2 h 1 min"),
    ] {
        assert_eq!(duration(Duration::from_nanos(nanos)), text);
    }
}

#[test]
fn a_long_body_is_cut_and_counted() {
    for max in 0..30 {
        let mut exchange = refused_post();
        let body = b"first line\r\nsecond line\nthird";
        exchange.response = Some(response("HTTP/1.1 403 No\r\n\r\n", body).into());
        let text = shown_case(
            &testing::case(exchange),
            TextOptions {
                body_bytes: max,
                ..options()
            },
        );
        let cut = text
            .rsplit_once("… (+")
            .map_or(0, |(_, n)| n.split(' ').next().unwrap().parse().unwrap());
        assert_eq!(cut, body.len() - max.min(body.len()), "{text}");
    }
}

#[test]
fn colour_marks_the_status() {
    let coloured = TextOptions {
        colour: true,
        ..options()
    };
    let text = shown_case(&testing::case(refused_post()), coloured);
    assert!(
        text.contains("→ \x1b[1m\x1b[31m403 Forbidden\x1b[0m"),
        "{text:?}"
    );
    assert!(!shown(refused_post()).contains('\x1b'));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_control_character_gets_through(
        raw in wire(), spans in proptest::collection::vec((0u32..80, 0u32..80), 6),
        body in wire(), host in ".{0,20}|[\\x00-\\u{ffff}]{0,40}", colour: bool,
    ) {
        let hostile = host.clone();
        let mut exchange = refused_post();
        let head = Head {
            raw,
            fields: vec![FieldSpan { name: spans[0], value: spans[1] }; 2],
        };
        let request = exchange.request.as_mut().unwrap();
        request.message.head = head.clone();
        request.method = spans[2];
        request.target = spans[3];
        request.message.trailers = head.clone();
        let response = exchange.response.as_mut().unwrap();
        response.message.head = head;
        response.reason = spans[4];
        response.message.body.seen = body.len() as u64;
        response.message.body.kept = body;
        let mut owner = testing::owner(&host, 1, OwnerQuality::Guess);
        owner.cgroup = Some(host.as_str().into());
        exchange.server.owner = Some(owner);
        exchange.client_addresses.push(ClientAddress {
            source: ClientSource::Forwarded, text: host, addr: None,
        });
        let text = shown_case(&testing::case(exchange.clone()), TextOptions { colour, ..options() });
        let text = if colour { without_styles(&text) } else { text };
        let mut case = cases::with_text_everywhere(&hostile);
        case.chain.after[0].exchange = exchange.clone();
        case.siblings[0] = exchange.into();
        let chain = shown_case(&case, TextOptions { verbose: true, ..options() });
        prop_assert!(!chain.chars().any(|c| c != '\n' && escape::is_hidden(c)), "{chain:?}");
        prop_assert!(!text.chars().any(|c| c != '\n' && escape::is_hidden(c)), "{text:?}");
    }

    #[test]
    fn no_secret_gets_through(secret in "[A-Za-z0-9]{4}q7Z[A-Za-z0-9]{4,40}") {
        let mut exchange = refused_post();
        exchange.request = Some(request(
            &format!("POST /?token={secret} HTTP/1.1\r\nHost: u:{secret}@x\r\nX-Api-Key: {secret}\r\n\r\n"),
            format!("{{\"password\":\"{secret}\"}}").as_bytes(),
        ).into());
        let out = Arc::new(Mutex::new(Vec::new()));
        let mut outputs = Outputs::new(Secrets::Redacted);
        outputs.add("text", Box::new(TextSink::new(Shared(Arc::clone(&out)), options())));
        outputs.cases(vec![testing::case(exchange)]).unwrap();
        let text = String::from_utf8(out.lock().unwrap().clone()).unwrap();
        prop_assert!(!text.contains(&secret) && text.contains("[redacted "), "{text}");
    }
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wire() -> impl Strategy<Value = Vec<u8>> {
    let text = "[\\x00-\\u{ffff}]{0,40}".prop_map(String::into_bytes);
    prop_oneof![proptest::collection::vec(any::<u8>(), 0..90), text]
}

/// Takes out what the styles may write: `ESC [ digits m`.
fn without_styles(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (style, rest) = part.split_once('m').unwrap();
        assert!(
            style.chars().all(|c| c.is_ascii_digit() || c == ';'),
            "{style}"
        );
        out.push_str(rest);
    }
    out
}

fn shown(exchange: Exchange) -> String {
    shown_case(&testing::case(exchange), options())
}

fn shown_redacted(mut case: Case, options: TextOptions) -> String {
    redact::Redactor::default().case(&mut case);
    shown_case(&case, options)
}

/// The first two parts of a block: verdict, and hops with what is said of them.
fn above_the_messages(case: Case) -> String {
    let text = shown_redacted(case, options());
    let (above, _) = text.split_once("\n\n    client  ").unwrap();
    above.to_owned()
}

fn shown_case(case: &Case, options: TextOptions) -> String {
    let mut out = Vec::new();
    TextSink::new(&mut out, options).case(case).unwrap();
    String::from_utf8(out).unwrap()
}

fn options() -> TextOptions {
    TextOptions {
        colour: false,
        quiet: false,
        all: false,
        verbose: false,
        zone: TimeZone::fixed(jiff::tz::offset(2)),
        body_bytes: 100,
        body_kept: 16 << 10,
    }
}
