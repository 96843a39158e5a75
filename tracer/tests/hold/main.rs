//! The hold of the kernel side, as compiled for the host: random conversations go through it, and
//! what it ships through the pipeline; the cases must be those of the whole traffic.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test and its helpers"
)]

mod capture;
mod host;
mod talk;

use std::time::Duration;

use capture::capture;
use host::{Holding, LetsGo, hold, hold_with};
use memchr::memmem;
use proptest::prelude::*;
use talk::{Exchange, Packet, Shipped, Talk, lets_go, talk};
use tracer_common::SETTLED_BOTH;
use tracer_common::hold::Settled;
use tracer403::model::{self, Timestamp};
use tracer403::pipeline::{Options, Pipeline};
use tracer403::source::{Frame, Record, Vantage};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_refusal_is_lost_and_none_made_up(
        talk in talk(),
        lets_go in lets_go(),
        bytes in prop::sample::select(vec![1 << 10, 4 << 10, 16 << 10]),
    ) {
        let packets = talk.packets();
        let all = cases(packets.iter().map(|p| p.shipped(u32::MAX, Settled::UNKNOWN)));
        let (shipped, let_go) = hold(&packets, Holding { lets_go, bytes });
        let held = cases(shipped.into_iter());
        prop_assert_eq!(&held, &all, "let go: {}", let_go);
    }

    /// Packets may be missing from any capture; where the tool is too slow, it is records that are
    /// lost.
    #[test]
    fn what_is_lost_makes_no_wrong_pair(talk in talk(), capture in capture()) {
        for (request, answer) in capture.pairs(talk) {
            let is_right = request.is_none() || answer.is_none() || request == answer;
            prop_assert!(is_right, "the answer {:?} for {:?}", answer, request);
        }
    }
}

/// An answer that was lost is no answer that was left out: the next one is not that request's.
#[test]
fn an_answer_that_was_lost_does_not_lend_its_request() {
    let refused = Exchange {
        status: 403,
        ..Exchange::plain()
    };
    let talk = Talk {
        exchanges: vec![refused.clone(), refused],
        ..Talk::plain()
    };
    let (shipped, _) = hold(&talk.packets(), LetsGo::All);
    // The first answer and the second request.
    let is_answer = |packet: &Shipped| memmem::find(&packet.bytes, b"HTTP/1.1 403").is_some();
    let answer = shipped.iter().position(is_answer).unwrap();
    let lost = answer..answer + 2;
    let rest = shipped.into_iter().enumerate();
    let rest = rest.filter(|(at, _)| !lost.contains(at));
    let rest = rest.map(|(at, packet)| (packet, if at < lost.start { 0 } else { 2 }));
    let requests: Vec<_> = cases_of(rest).into_iter().map(|said| said.0).collect();
    assert_eq!(requests, [None]);
}

/// A request for which there is no slot is shipped, and its answer is not; then there is one.
#[test]
fn a_request_for_which_there_was_no_room_does_not_get_the_next_answer() {
    let exchange = |status| Exchange {
        status,
        ..Exchange::plain()
    };
    for passed in 1..4 {
        let mut exchanges = vec![exchange(200); passed];
        exchanges.push(exchange(403));
        let talk = Talk {
            exchanges,
            ..Talk::plain()
        };
        let packets = talk.packets();
        let is_answer = |packet: &Packet| packet.is_from_server && packet.segment.len > 0;
        let answer = packets.iter().position(is_answer).unwrap();
        let (before, rest) = packets.split_at(answer);
        let before = before.iter();
        let before = before.map(|packet| packet.shipped(u32::MAX, Settled::UNKNOWN));
        let (held, _) = hold(&rest[1..], LetsGo::All);
        let said = cases(before.chain(held));
        let requests: Vec<_> = said.into_iter().map(|said| said.0).collect();
        let refused = format!("/r{passed}").into_bytes();
        assert_eq!(requests, [Some(refused)], "{passed} that passed");
    }
}

/// Each direction has its own CPU: while an answer is taken in, the next packet of the request may be
/// taken in too, between any two steps.
#[test]
fn what_comes_meanwhile_does_not_overtake_the_request() {
    let talk = Talk {
        exchanges: vec![Exchange {
            status: 403,
            body: 20_000,
            is_early: true,
            ..Exchange::plain()
        }],
        ..Talk::plain()
    };
    let mut packets = talk.packets();
    let at = packets.iter().position(|p| p.is_from_server && !p.is_syn);
    let [answer, next] = [0, 1].map(|n| at.unwrap() + n);
    assert!(!packets[next].is_from_server);
    let meanwhile = packets.remove(next);
    let mut steps = 0;
    loop {
        let (out, left) = hold_with(&packets, LetsGo::All, Some((answer, steps, &meanwhile)));
        let said = cases(out.shipped.into_inner().into_iter());
        assert_eq!(said.len(), 1, "at step {steps}");
        assert_eq!(said[0].0.as_deref(), Some(&b"/r0"[..]), "at step {steps}");
        if left > 0 {
            break;
        }
        steps += 1;
    }
    assert!(steps > 5, "{steps} steps");
}

#[test]
fn a_head_is_followed_as_long_as_it_is_held() {
    let lets_go = LetsGo::All;
    for (padding, bytes, is_let_go) in [
        (0, 1 << 10, true),
        (900, 1 << 10, true),
        (1_000, 1 << 10, false),
        (1_000, 4 << 10, true),
        (2_000, 4 << 10, true),
        (3_900, 4 << 10, true),
        (4_100, 4 << 10, false),
        (4_100, 8 << 10, true),
        (16_200, 16 << 10, true),
        (16_400, 16 << 10, false),
    ] {
        let talk = Talk {
            exchanges: vec![Exchange {
                padding,
                body: 0,
                ..Exchange::plain()
            }],
            ..Talk::plain()
        };
        let (_, let_go) = hold(&talk.packets(), Holding { lets_go, bytes });
        assert_eq!(let_go, u64::from(is_let_go), "{padding} bytes in {bytes}");
    }
}

#[test]
fn a_head_of_short_lines_is_followed_as_far_as_its_search_goes() {
    let mut talk = Talk {
        exchanges: vec![Exchange::plain()],
        ..Talk::plain()
    };
    for (lines, is_followed) in [(100, true), (2_000, false)] {
        talk.exchanges[0].more = "a:\n".repeat(lines);
        let (shipped, let_go) = hold(&talk.packets(), LetsGo::All);
        assert_eq!(let_go, u64::from(is_followed), "{lines} lines");
        assert!(!shipped.is_empty());
    }
}

#[test]
fn a_route_is_a_method_and_a_path() {
    let route = |method, target: &str| {
        let talk = Talk {
            exchanges: vec![Exchange {
                method,
                target: target.to_owned(),
                ..Exchange::plain()
            }],
            ..Talk::plain()
        };
        let (out, _) = hold_with(&talk.packets(), LetsGo::All, None);
        out.route.get()
    };
    let order = route("POST", "/order");
    assert_eq!(order, route("POST", "/order?id=1"));
    assert_eq!(order, route("POST", "/order?id=222222222222222222222222"));
    assert_ne!(order, route("PUT", "/order"));
    assert_ne!(order, route("POST", "/orders"));
    assert_ne!(route("GET", "/12345678/a"), route("GET", "/12345678/b"));
}

/// Of an answer that is shipped as a sample, the rest is left out, wherever it was cut.
#[test]
fn the_rest_of_a_sample_hides_no_answer() {
    let mut talk = Talk {
        exchanges: vec![
            Exchange {
                method: "PUT",
                answer: 165,
                answer_is_chunked: true,
                ..Exchange::plain()
            },
            Exchange {
                status: 403,
                is_pipelined: true,
                ..Exchange::plain()
            },
            Exchange::plain(),
        ],
        ..Talk::plain()
    };
    for segment in [13, 20, 150] {
        talk.segment = segment;
        let (shipped, _) = hold(&talk.packets(), LetsGo::SomeRoutes);
        let said = cases(shipped.into_iter());
        assert_eq!(said.len(), 1, "segments of {segment} bytes");
        assert_eq!(said[0].0.as_deref(), Some(&b"/r1"[..]));
    }
}

#[test]
fn what_passes_is_let_go() {
    let exchange = |status| Exchange {
        status,
        ..Exchange::plain()
    };
    let talk = Talk {
        exchanges: vec![exchange(200), exchange(403), exchange(200), exchange(404)],
        ..Talk::plain()
    };
    let packets = talk.packets();
    let (shipped, let_go) = hold(&packets, LetsGo::All);
    assert_eq!(let_go, 3);
    // The handshake, the end, and one request with its answer.
    assert_eq!(shipped.len(), 2 + 2 + 2);
    assert_eq!(cases(shipped.into_iter()).len(), 1);
}

// ---------------------------------------------------------------------------------------------

/// What a case says: request line, status, and the answer's body.
type Said = (Option<Vec<u8>>, Option<u16>, Option<Vec<u8>>);

fn cases(packets: impl Iterator<Item = Shipped>) -> Vec<Said> {
    cases_of(packets.map(|packet| (packet, 0)))
}

/// The cases of packets, each with how many records had been lost before.
fn cases_of(packets: impl Iterator<Item = (Shipped, u32)>) -> Vec<Said> {
    exchanges_of(Options::default(), packets, |exchange| {
        let request = exchange.request.as_ref().map(|r| r.target().to_vec());
        let answer = exchange.response.as_ref();
        (
            request,
            answer.map(|r| r.status),
            answer.map(|r| r.message.body.kept.clone()),
        )
    })
}

/// What is read in each case of packets, each with how many records had been lost before.
fn exchanges_of<T>(
    options: Options,
    packets: impl Iterator<Item = (Shipped, u32)>,
    read: impl Fn(&model::Exchange) -> T,
) -> Vec<T> {
    let mut pipeline = Pipeline::new(options);
    let mut last = Timestamp::default();
    for (packet, lost) in packets {
        last = Timestamp::from_nanos(packet.at);
        pipeline.push(Record::Packet(Frame {
            at: last,
            link_type: 101,
            wire_len: packet.wire_len,
            data: &packet.bytes,
            vantage: Vantage {
                settled: (packet.settled.says == SETTLED_BOTH).then_some(model::Settled {
                    own: packet.settled.own,
                    peer: packet.settled.peer,
                }),
                lost,
                ..Vantage::default()
            },
        }));
    }
    pipeline.push(Record::Tick {
        at: last.plus(Duration::from_secs(60)),
    });
    pipeline.finish();
    let mut said = Vec::new();
    while let Some(case) = pipeline.next_case() {
        said.push(read(case.exchange()));
    }
    said
}
