//! Exchanges that are passed over leave the same behind as those that are read.

use proptest::prelude::*;
use proptest::sample::select;

use super::talk::{CLIENT, SERVER, Talk};
use super::{Case, Options};

const FROM_CLIENT: [&str; 15] = [
    "POST /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\nContent-Length: 2\r\n\r\nhi",
    "POST /a HTTP/1.1\r\nHost: x\r\nCookie: b=1\r\nContent-Length: 2\r\n\r\nho",
    "GET /a/12 HTTP/1.1\r\nHost: x\r\n\r\n",
    "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    "hi",
    "GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: x\r\nContent-Le",
    "ngth: 0\r\n\r\n",
    "PROXY TCP4 203.0.113.9 192.0.2.2 1234 80\r\n",
    "\x00\x01 nothing\r\n",
    "OPTIONS /a HTTP/1.1\r\nHost: x\r\nOrigin: http://o\r\nAccess-Control-Request-Method: POST\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: x\r\nOrigin: http://o\r\nContent-Length: 2\r\n\r\nhi",
    "POST /a HTTP/1.1\r\nOrigin: http://o\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];
const FROM_SERVER: [&str; 12] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
    "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno",
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
    "1234567",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 500 Oops\r\n\r\nuntil the end",
    "HTTP/1.1 403 Forb",
    "idden\r\nContent-Length: 0\r\n\r\n",
];

#[derive(Clone, Debug)]
enum Step {
    Say(usize, &'static str),
    Repeat,
    Miss(usize, u32),
    NextConnection,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => select(&FROM_CLIENT[..3]).prop_map(|text| Step::Say(CLIENT, text)),
        6 => select(&FROM_SERVER[..2]).prop_map(|text| Step::Say(SERVER, text)),
        3 => select(&FROM_CLIENT[..]).prop_map(|text| Step::Say(CLIENT, text)),
        3 => select(&FROM_SERVER[..]).prop_map(|text| Step::Say(SERVER, text)),
        1 => Just(Step::Repeat),
        1 => (0_usize..2, 1_u32..9).prop_map(|(end, len)| Step::Miss(end, len)),
        1 => Just(Step::NextConnection),
        1 => (1_u64..400).prop_map(Step::Pass),
        1 => Just(Step::Pass(3_000)),
        2 => select(&FROM_CLIENT[12..]).prop_map(|text| Step::Say(CLIENT, text)),
    ]
}

proptest! {
    #[test]
    fn what_is_passed_over_changes_nothing(
        steps in prop::collection::vec(step(), 1..40),
        opens in any::<bool>(),
    ) {
        prop_assert_eq!(run(&steps, opens, true), run(&steps, opens, false));
    }

    #[test]
    fn a_post_is_joined_with_its_preflight_though_it_is_passed_over(
        rest in prop::collection::vec(preflight_step(), 1..30),
    ) {
        // Of this route there are enough samples for now.
        let passed = [Step::Say(CLIENT, FROM_CLIENT[0]), Step::Say(SERVER, FROM_SERVER[0])];
        let steps = [&passed[..], &passed, &rest].concat();
        prop_assert_eq!(run(&steps, true, true), run(&steps, true, false));
    }
}

fn preflight_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => select(&FROM_CLIENT[12..]).prop_map(|text| Step::Say(CLIENT, text)),
        4 => select(&FROM_SERVER[..2]).prop_map(|text| Step::Say(SERVER, text)),
        1 => Just(Step::NextConnection),
        1 => select(&[20, 2_500][..]).prop_map(Step::Pass),
    ]
}

fn run(steps: &[Step], opens: bool, reads_all: bool) -> (Vec<Case>, [u64; 5]) {
    let mut talk = Talk::new(Options::default());
    talk.pipeline.desk.reads_all = reads_all;
    if opens {
        talk.handshake();
    }
    for step in steps {
        match *step {
            Step::Say(end, text) => talk.say(end, text),
            Step::Repeat => talk.repeat_last(),
            Step::Miss(end, len) => talk.miss(end, len),
            Step::NextConnection => talk.next_connection(),
            Step::Pass(millis) => talk.pass(millis),
        }
    }
    let cases = talk.finish();
    let health = talk.pipeline.health();
    let counts = [
        health.requests,
        health.responses,
        health.exchanges,
        health.cases,
        health.gaps,
    ];
    (cases, counts)
}
