mod validator;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::model::{
    Anomaly, ClientAddress, ClientSource, Exchange, Framing, LossPlace, MessageEnd, MissingProbe,
    OwnerQuality, Timestamp,
};
use crate::output::{Mode, escape};
use crate::testing::{self, START, cases, refused_post, request_bytes, response};

#[test]
fn a_session() {
    insta::assert_snapshot!(pretty(&lines(
        &[testing::case(rich_exchange())],
        &rich_health()
    )));
}

#[test]
fn a_verdict() {
    let case = &lines(&[cases::in_group(cases::relayed(), 2)], &Health::default())[1];
    insta::assert_snapshot!(pretty(std::slice::from_ref(case)));
}

#[test]
fn other_verdicts() {
    let cases = [
        cases::delegated(),
        cases::issued_for_unknown_reasons(),
        cases::next_hop_not_read(),
        cases::refused_by_a_cdn(),
    ];
    let lines = lines(&cases, &Health::default());
    let of_interest = lines[1..5].iter().map(|line| {
        let hop = |hop: &Value| {
            serde_json::json!({
                "server": hop["server"]["address"], "status": hop["status"],
                "asked": hop["asked"], "side_calls": hop["side_calls"].as_array().unwrap().len(),
            })
        };
        let hops: Vec<Value> = line["hops"].as_array().unwrap().iter().map(hop).collect();
        serde_json::json!({"verdict": line["verdict"], "hops": hops})
    });
    insta::assert_snapshot!(pretty(&of_interest.collect::<Vec<_>>()));
}

#[test]
fn the_reported_messages_are_written_once() {
    let mut case = cases::relayed();
    let response = case.chain.reported.exchange.response.as_mut().unwrap();
    response.message.body.kept = b"only-once-in-the-line".to_vec();
    let (line, text) = CaseLineValue::of_case(&case, options()).both();
    assert_eq!(text.matches("only-once-in-the-line").count(), 1);
    assert_eq!(line["reported"], 0);
    assert!(line["hops"][0]["response"].is_null());
    assert_eq!(line["hops"][0]["status"], 403);
    assert_eq!(line["hops"][1]["response"]["status"], 403);
}

#[test]
fn bytes_that_are_not_utf_8_survive() {
    let mut exchange = refused_post();
    exchange.request = Some(
        request_bytes(
            b"POST /\xff HTTP/1.1\r\nHost: x\r\nX-Odd: a\xfe\r\n\r\n",
            b"\x00\xff",
        )
        .into(),
    );
    let case = &lines(&[testing::case(exchange)], &Health::default())[1];
    assert_eq!(case["request"]["target"]["base64"], "L/8=");
    assert_eq!(case["request"]["headers"][1]["value"]["base64"], "Yf4=");
    assert_eq!(case["request"]["body"]["content"]["base64"], "AP8=");
    assert_eq!(case["request"]["method"]["text"], "POST");
}

#[test]
fn interim_answers_alone_have_a_time() {
    let mut exchange = refused_post();
    exchange.request = None;
    let mut interim = exchange.response.take().unwrap();
    interim.message.started_at = START;
    exchange.interim.push(*interim);
    let case = &lines(&[testing::case(exchange)], &Health::default())[1];
    assert_eq!(case["started_at"], "2026-05-04T01:12:09.123456789Z");
}

#[test]
fn a_cut_in_a_character_leaves_text() {
    let mut exchange = refused_post();
    let body = &mut exchange.response.as_mut().unwrap().message.body;
    body.kept = "xé".repeat(100).into_bytes();
    body.seen = 300;
    let options = JsonOptions {
        body_bytes: 5,
        ..options()
    };
    let case = CaseLineValue::of(exchange, options).0;
    assert_eq!(case["response"]["body"]["content"]["text"], "xéx");
    assert_eq!(case["response"]["body"]["truncated"], true);
}

#[test]
fn each_line_is_one_write() {
    struct Lines(Vec<usize>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), 1);
            assert!(bytes.ends_with(b"\n"));
            self.0.push(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut lines = Lines(Vec::new());
    let mut sink = JsonSink::new(&mut lines, options());
    sink.case(&testing::case(refused_post())).unwrap();
    sink.case(&testing::case(refused_post())).unwrap();
    assert_eq!(lines.0.len(), 2);
}

#[test]
fn the_schema() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&schema()).unwrap());
}

#[test]
fn every_line_is_as_the_schema_says() {
    let schema = schema().to_value();
    let mut orphan = refused_post();
    orphan.request = None;
    let mut unanswered = refused_post();
    unanswered.response = None;
    let mut cases = [rich_exchange(), refused_post(), orphan, unanswered]
        .map(testing::case)
        .to_vec();
    cases.extend([
        cases::relayed(),
        cases::in_group(cases::delegated(), 4),
        cases::issued_for_unknown_reasons(),
        cases::next_hop_not_read(),
        cases::refused_by_a_cdn(),
    ]);
    for health in [Health::default(), rich_health()] {
        for line in lines(&cases, &health) {
            validator::check(&schema, &line).unwrap_or_else(|e| panic!("{e}\n{line:#}"));
        }
    }
}

#[test]
fn the_schema_refuses_what_is_wrong() {
    let schema = schema().to_value();
    let good = &lines(&[testing::case(refused_post())], &Health::default())[1];
    let wrong = |change: fn(&mut Value)| {
        let mut line = good.clone();
        change(&mut line);
        validator::check(&schema, &line).unwrap_err();
    };
    wrong(|line| line["type"] = "other".into());
    wrong(|line| line["case"] = "1".into());
    wrong(|line| line["request"]["method"] = "POST".into());
    wrong(|line| line["response"]["body"]["framing"] = "guessed".into());
    wrong(|line| drop(line.as_object_mut().unwrap().remove("interim")));
}

proptest! {
    #[test]
    fn nothing_hidden_gets_through_and_nothing_is_lost(text in "\\PC{0,20}|[\\x00-\\u{ffff}]{0,40}") {
        let mut exchange = refused_post();
        exchange.client_addresses[0].text = text.clone();
        exchange.response = Some(response("HTTP/1.1 403 No\r\n\r\n", text.as_bytes()).into());
        let hostile = CaseLineValue::of_case(&cases::with_text_everywhere(&text), options());
        prop_assert!(!hostile.1.trim_end_matches('\n').chars().any(escape::is_hidden));
        prop_assert_eq!(hostile.0["evidence"][0]["fact"].as_str(), Some(text.as_str()));
        let (case, line) = CaseLineValue::of(exchange, options()).both();
        prop_assert!(!line.trim_end_matches('\n').chars().any(escape::is_hidden), "{line:?}");
        prop_assert_eq!(case["client_addresses"][0]["text"].as_str(), Some(text.as_str()));
        if !text.is_empty() {
            let content = &case["response"]["body"]["content"]["text"];
            prop_assert_eq!(content.as_str(), Some(text.as_str()));
        }
    }
}

/// The line of one case, as a value and as written.
struct CaseLineValue(Value, String);

impl CaseLineValue {
    fn of(exchange: Exchange, options: JsonOptions) -> Self {
        Self::of_case(&testing::case(exchange), options)
    }

    fn of_case(case: &Case, options: JsonOptions) -> Self {
        let mut out = Vec::new();
        let mut sink = JsonSink::new(&mut out, options);
        sink.case(case).unwrap();
        let line = String::from_utf8(out).unwrap();
        Self(serde_json::from_str(&line).unwrap(), line)
    }

    fn both(self) -> (Value, String) {
        (self.0, self.1)
    }
}

fn options() -> JsonOptions {
    JsonOptions {
        body_bytes: 1024,
        body_kept: 16 << 10,
        secrets: Secrets::Redacted,
    }
}

fn lines(cases: &[Case], health: &Health) -> Vec<Value> {
    let mut out = Vec::new();
    let mut sink = JsonSink::new(&mut out, options());
    let session = Session {
        version: "0.1.0",
        mode: Mode::Read,
        inputs: vec!["capture.pcapng".to_owned()],
        ports: None,
        filter: "POST answered 403".to_owned(),
    };
    sink.start(&session).unwrap();
    for case in cases {
        sink.case(case).unwrap();
    }
    sink.finish(health).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn pretty(lines: &[Value]) -> String {
    let lines = lines
        .iter()
        .map(|l| serde_json::to_string_pretty(l).unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// An exchange with something in every place.
fn rich_exchange() -> Exchange {
    let mut exchange = refused_post();
    let mut owner = testing::owner("nginx", 4242, OwnerQuality::Exact);
    owner.started_at = Some(START);
    owner.container = Some(testing::container());
    exchange.server.owner = Some(owner);
    exchange.server.cookie = 99;
    exchange.client_addresses.push(ClientAddress {
        source: ClientSource::XForwardedFor,
        text: "unknown".to_owned(),
        addr: None,
    });
    exchange.interim = vec![response("HTTP/1.1 100 Continue\r\n\r\n", b"")];
    exchange.anomalies = vec![Anomaly::EarlyResponse, Anomaly::BareLf];
    let request = exchange.request.as_mut().unwrap();
    request.message.end = MessageEnd::Open;
    request.message.ended_at = None;
    request.message.body.framing = Framing::Length(52_428_800);
    let response = exchange.response.as_mut().unwrap();
    response.message.body = testing::decoded("gzip", 40, b"<h1>Forbidden</h1>");
    response.message.trailers = testing::trailers("X-Sum: 1\r\n");
    exchange
}

fn rich_health() -> Health {
    Health {
        first_at: Some(START),
        last_at: Some(Timestamp::from_nanos(START.as_nanos() + 1_500_000_000)),
        packets: 12,
        cases: 1,
        lost: vec![(LossPlace::RingPacket, 3), (LossPlace::CaptureFile, 1)],
        missing: vec![MissingProbe {
            probe: "owner",
            why: "no BTF".to_owned(),
            costs: "processes are guessed",
        }],
        ..Health::default()
    }
}
