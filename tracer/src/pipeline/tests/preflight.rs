//! A refused preflight, and the POST that comes or never comes.

use super::talk::{CLIENT, SERVER, Talk};
use super::{Case, OK, Options};
use crate::model::{Preflight, Told};
use crate::source::{Frame, Record, Vantage};

const ASKS: &str = "OPTIONS /orders HTTP/1.1\r\nHost: shop.example\r\nOrigin: http://page.example\r\n\
                    User-Agent: Firefox\r\nAccess-Control-Request-Method: POST\r\n\r\n";
const POST: &str = "POST /orders HTTP/1.1\r\nHost: shop.example\r\nOrigin: http://page.example\r\n\
                    User-Agent: Firefox\r\nContent-Length: 2\r\n\r\nhi";
const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
const ALLOWED: &str = "HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: *\r\n\r\n";

#[test]
fn a_post_that_never_comes() {
    let mut talk = refused();
    talk.pass(1_000);
    talk.next_connection();
    talk.handshake();
    talk.exchange(&POST.replace("Firefox", "curl"), OK);
    talk.exchange(&POST.replace("http:", "https:"), OK);
    talk.pass(1_200);
    assert_eq!(talk.cases(), [], "it may still come");
    talk.pass(200);
    assert_eq!(known(&talk.cases()), [Preflight::Unfollowed]);
    // Then it is too late.
    talk.exchange(POST, OK);
    assert_eq!(talk.finish(), []);
}

#[test]
fn a_post_that_comes_is_seen_whether_it_is_read_or_not() {
    for (reads_all, same_connection, answer) in [
        (false, false, OK),
        (false, true, OK),
        (true, false, OK),
        (false, false, ""),
    ] {
        let mut talk = refused();
        talk.pipeline.desk.reads_all = reads_all;
        if !same_connection {
            talk.next_connection();
            talk.handshake();
        }
        talk.pass(1_500);
        talk.say(CLIENT, POST);
        if !answer.is_empty() {
            talk.say(SERVER, answer);
        }
        talk.pass(3_000);
        assert_eq!(known(&talk.cases()), [Preflight::Followed], "{reads_all}");
    }
}

#[test]
fn what_is_lost_meanwhile_may_have_been_the_post() {
    let mut talk = refused();
    talk.lose(1);
    talk.pass(3_000);
    assert_eq!(known(&talk.cases()), [Preflight::Lost]);

    let mut talk = refused();
    talk.next_connection();
    talk.handshake();
    talk.say(CLIENT, POST.split_at(20).0);
    talk.miss(CLIENT, 50);
    talk.exchange(
        "POST /else HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        OK,
    );
    talk.pass(3_000);
    assert_eq!(known(&talk.cases()), [Preflight::Lost]);
}

#[test]
fn a_capture_that_ends_or_leaves_out_requests_cannot_tell() {
    let mut talk = refused();
    talk.pass(1_000);
    assert_eq!(known(&talk.finish()), [Preflight::Ended]);

    let mut talk = refused();
    talk.pipeline.next_source();
    talk.pass(3_600_000);
    assert_eq!(known(&talk.cases()), [Preflight::Ended]);

    let mut talk = refused();
    talk.turn_back(5);
    talk.pipeline.source_leaves_out();
    talk.pass(3_000);
    assert_eq!(known(&talk.cases()), [Preflight::Partial]);
}

#[test]
fn cases_are_told_in_the_order_of_their_deadlines() {
    let mut talk = refused();
    talk.next_connection();
    talk.handshake();
    talk.pass(1_000);
    talk.exchange(&POST.replace("/orders", "/a"), FORBIDDEN);
    talk.pass(1_250);
    talk.exchange(&POST.replace("/orders", "/b"), FORBIDDEN);
    talk.pass(60_000);
    let cases = talk.cases();
    assert!(cases.iter().map(|case| case.number).eq(1..4));
    let methods = cases
        .iter()
        .map(|c| c.exchange().request.as_ref().unwrap().method());
    assert!(methods.eq([&b"POST"[..], b"OPTIONS", b"POST"]));
}

#[test]
fn a_later_case_of_the_connection_waits_behind() {
    let mut talk = refused();
    talk.exchange(&POST.replace("/orders", "/a"), FORBIDDEN);
    talk.pass(1_000);
    assert_eq!(talk.cases(), []);
    talk.pass(1_300);
    let cases = talk.cases();
    let found = [Preflight::Unfollowed, Preflight::NotSeen];
    assert_eq!(known(&cases), found);
    assert!(cases.iter().map(|case| case.number).eq(1..3));
}

#[test]
fn a_refused_post_knows_of_its_preflight() {
    for (answer, expected) in [(ALLOWED, Preflight::Allowed), (OK, Preflight::NotSeen)] {
        let mut talk = Talk::new(Options::default());
        talk.handshake();
        talk.exchange(ASKS, answer);
        talk.exchange(POST, FORBIDDEN);
        assert_eq!(known(&talk.finish()), [expected]);
    }
    let mut talk = refused();
    talk.exchange(POST, FORBIDDEN);
    let found = known(&talk.finish());
    assert_eq!(found, [Preflight::Followed, Preflight::Refused]);
}

#[test]
fn a_file_says_what_it_does_not_hold() {
    let live = |post: &str| {
        let mut talk = Talk::new(Options {
            keep_packets: true,
            ..Options::default()
        });
        talk.handshake();
        talk.exchange(ASKS, FORBIDDEN);
        talk.next_connection();
        talk.handshake();
        talk.exchange(post, OK);
        talk.pass(3_000);
        talk.finish()
    };
    for (post, expected) in [
        (POST, Preflight::Followed),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", Preflight::Unfollowed),
    ] {
        let mut cases = live(post);
        let case = cases.remove(0);
        assert_eq!(case.preflight, expected);
        assert_eq!(read_back(&case, |_| {}), [expected]);
        // A file of an earlier version does not say it.
        let forget = |told: &mut Told| {
            if let Told::Around(around) = told {
                around.preflight = Preflight::NotSeen;
            }
        };
        assert_eq!(read_back(&case, forget), [Preflight::Partial]);
    }
}

/// A session in which a preflight was refused a moment ago.
fn refused() -> Talk {
    let mut talk = Talk::new(Options::default());
    talk.handshake();
    talk.exchange(ASKS, FORBIDDEN);
    talk
}

fn known(cases: &[Case]) -> Vec<Preflight> {
    cases.iter().map(|case| case.preflight).collect()
}

/// What is known of a case whose packets, and what was told with them, come from a file.
fn read_back(case: &Case, mut change: impl FnMut(&mut Told)) -> Vec<Preflight> {
    let mut talk = Talk::new(Options::default());
    for told in &case.told {
        let mut told = told.clone();
        change(&mut told);
        if let Told::Around(around) = told {
            talk.pipeline.push(Record::Around(around));
        }
    }
    for packet in &case.packets {
        talk.pipeline.push(Record::Packet(Frame {
            at: packet.at,
            link_type: packet.link_type,
            wire_len: packet.wire_len,
            data: &packet.data,
            vantage: Vantage::default(),
        }));
    }
    talk.pass(60_000);
    known(&talk.finish())
}
