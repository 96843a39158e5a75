//! Records in, cases out.

mod held;
mod preflight;
mod talk;

use super::*;
use crate::model::{Anomaly, ClientSource, Direction, LossPlace, OwnerQuality, Unread};
use crate::select::{MethodPattern, StatusPattern};
use crate::source::SocketUse;
use crate::testing::owner;

use talk::{CLIENT, SERVER, Talk, at};

const POST: &str = "POST /orders HTTP/1.1\r\nHost: shop.example\r\nX-Real-IP: 203.0.113.9\r\n\
                    Content-Length: 10\r\n\r\n{\"item\":1}";
const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

#[test]
fn a_refused_post_is_a_case() {
    let mut talk = Talk::new(Options::default());
    talk.handshake();
    talk.exchange(POST, OK);
    talk.exchange(POST, FORBIDDEN);
    let cases = talk.finish();
    let [case] = &cases[..] else {
        panic!("{cases:?}")
    };
    assert_eq!((case.number, case.lost_meanwhile), (1, 0));
    let exchange = case.exchange();
    assert!(exchange.is_complete());
    assert_eq!((exchange.index, exchange.anomalies.len()), (1, 0));
    assert_eq!(exchange.client.addr, talk.addr(CLIENT));
    assert_eq!(exchange.server.addr, talk.addr(SERVER));
    let request = exchange.request.as_ref().unwrap();
    assert_eq!(request.message.body.kept, b"{\"item\":1}");
    assert_eq!(exchange.response.as_ref().unwrap().status, 403);
    let sources = exchange.client_addresses.iter().map(|a| a.source);
    assert!(sources.eq([ClientSource::SocketPeer, ClientSource::XRealIp]));
}

#[test]
fn health_counts_what_was_seen() {
    let mut talk = Talk::new(Options::default());
    talk.handshake();
    talk.exchange(POST, OK);
    talk.say(CLIENT, POST);
    talk.repeat_last();
    talk.say(SERVER, FORBIDDEN);
    talk.frame(&[0x45]);
    talk.frame(&talk::ipv4(17, b"12345678"));
    talk.finish();
    let health = talk.pipeline.health();
    let lens = [0, 0, 0, POST.len(), OK.len(), POST.len(), POST.len()];
    let tcp = lens.iter().sum::<usize>() + FORBIDDEN.len() + 8 * 40;
    let expected = Health {
        first_at: Some(at(1)),
        last_at: Some(at(10)),
        packets: 10,
        bytes: tcp as u64 + 1 + 28,
        not_tcp: 1,
        malformed: 1,
        connections: 1,
        duplicates: 1,
        requests: 2,
        responses: 2,
        exchanges: 2,
        cases: 1,
        ..Health::default()
    };
    assert_eq!(health, expected);
}

#[test]
fn an_owner_that_is_reported_after_the_packets_is_found() {
    let mut talk = Talk::new(Options::default());
    talk.handshake();
    talk.exchange(POST, FORBIDDEN);
    talk.used(CLIENT, SocketUse::Sent, "curl");
    talk.used(SERVER, SocketUse::Sent, "nginx");
    assert_eq!(
        talk.cases(),
        [],
        "it waits for what is still to be reported"
    );
    talk.pass(300);
    assert_eq!(owners(&talk.cases()), [["curl", "nginx"]]);
}

#[test]
fn the_owner_of_the_next_exchange_is_not_taken() {
    let mut talk = Talk::new(Options::default());
    talk.handshake();
    talk.used(SERVER, SocketUse::Sent, "worker-1");
    talk.exchange(POST, FORBIDDEN);
    talk.say(CLIENT, POST);
    talk.used(CLIENT, SocketUse::Sent, "wget");
    talk.say(SERVER, OK);
    talk.used(SERVER, SocketUse::Sent, "worker-2");
    // Of the client there is nothing earlier; it is the same socket, so better than nothing.
    assert_eq!(owners(&talk.finish()), [["wget", "worker-1"]]);
}

#[test]
fn processes_are_filtered_once_they_are_known() {
    for (pattern, found) in [("nginx", 1), ("haproxy", 0)] {
        let mut options = Options::default();
        options.selection.processes = vec![pattern.parse().unwrap()];
        let mut talk = Talk::new(options);
        talk.handshake();
        talk.exchange(POST, FORBIDDEN);
        talk.used(SERVER, SocketUse::Sent, "nginx");
        assert_eq!(talk.finish().len(), found, "{pattern}");
        assert_eq!(talk.pipeline.health().cases, found as u64);
    }
}

#[test]
fn losses_count_from_the_first_byte_of_the_request() {
    let mut talk = Talk::new(Options::default());
    talk.handshake();
    talk.lose(1);
    talk.pass(1);
    talk.say(CLIENT, POST);
    talk.lose(2);
    talk.say(SERVER, FORBIDDEN);
    talk.lose(4);
    let cases = talk.finish();
    assert_eq!(cases[0].lost_meanwhile, 6);
    assert_eq!(talk.pipeline.health().lost, [(LossPlace::RingPacket, 7)]);
}

#[test]
fn the_packets_of_a_case_are_all_since_the_one_before() {
    let mut talk = Talk::new(Options {
        keep_packets: true,
        ..Options::default()
    });
    talk.handshake();
    talk.exchange(POST, OK);
    talk.exchange(POST, FORBIDDEN);
    talk.exchange(POST, FORBIDDEN);
    let cases = talk.finish();
    let times = |case: &Case| -> Vec<_> { case.packets.iter().map(|p| p.at).collect() };
    assert_eq!(times(&cases[0]), [1, 2, 3, 4, 5, 6, 7].map(at));
    assert_eq!(times(&cases[1]), [8, 9].map(at));
    let directions: Vec<_> = cases[1].packets.iter().map(|p| p.direction).collect();
    assert_eq!(
        directions,
        [Direction::ClientToServer, Direction::ServerToClient]
    );
    assert!(cases[1].packets[0].data.ends_with(POST.as_bytes()));
}

#[test]
fn packets_under_all_addresses_of_a_connection_go_with_its_case() {
    let mut talk = Talk::new(Options {
        keep_packets: true,
        ..Options::default()
    });
    talk.answers_from = 9;
    talk.handshake();
    talk.exchange(POST, FORBIDDEN);
    let cases = talk.finish();
    let case = &cases[0];
    assert!(case.exchange().is_complete());
    assert_eq!(case.exchange().server.seen_as().to_string(), "192.0.2.9:80");
    let of_it = |p: &&crate::model::Packet| p.conn == case.exchange().conn;
    assert_eq!(case.packets.iter().filter(of_it).count(), 5);
}

/// The client's socket may ship it yet, too late.
#[test]
fn what_one_of_two_sockets_lets_go_counts_as_said() {
    for (cookies, answers_from, expected) in [
        ([1, 2], 9, vec![Unread::LeftOut]),
        ([1, 2], 2, vec![]),
        ([0, 2], 9, vec![]),
    ] {
        let mut talk = Talk::new(Options::default());
        (talk.cookies, talk.answers_from) = (cookies, answers_from);
        talk.handshake();
        talk.miss(CLIENT, 100);
        talk.miss(SERVER, 100);
        talk.close_settled();
        let told = talk.pipeline.told.opaques(at(0), at(1_000));
        let told: Vec<_> = told.map(|opaque| opaque.why).collect();
        assert_eq!(told, expected, "{cookies:?} {answers_from}");
    }
}

#[test]
fn without_an_output_for_them_no_packets_are_kept() {
    let mut talk = Talk::new(Options::default());
    talk.handshake();
    talk.exchange(POST, FORBIDDEN);
    assert_eq!(talk.finish()[0].packets, []);
}

#[test]
fn a_case_is_handed_out_though_time_steps_back() {
    let mut talk = Talk::new(Options::default());
    talk.pass(3_600_000);
    talk.handshake();
    talk.exchange(POST, FORBIDDEN);
    assert_eq!(talk.cases(), []);
    // The next file begins an hour earlier.
    talk.pipeline.next_source();
    talk.turn_back(3_600_000);
    talk.next_connection();
    talk.handshake();
    assert_eq!(talk.cases().len(), 1);
    talk.exchange(POST, FORBIDDEN);
    talk.pass(300);
    let cases = talk.cases();
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0].number, 2);
}

#[test]
fn a_held_request_comes_late_and_hurries_no_case() {
    let mut talk = Talk::new(Options::default());
    talk.pass(3_600_000);
    talk.handshake();
    talk.exchange(POST, FORBIDDEN);
    // One that was sent a minute before, and is answered by now.
    talk.turn_back(60_000);
    talk.next_connection();
    talk.handshake();
    assert_eq!(talk.cases(), []);
    talk.pass(60_000 + 1_000);
    assert_eq!(talk.cases().len(), 1);
}

#[test]
fn a_request_without_an_answer_has_no_status() {
    for (statuses, found) in [(vec![StatusPattern::Missing], 1), (vec![], 1)] {
        let mut options = Options::default();
        options.selection.statuses = statuses;
        let mut talk = Talk::new(options);
        talk.handshake();
        talk.say(CLIENT, POST);
        let cases = talk.finish();
        assert_eq!(cases.len(), found);
        assert_eq!(cases[0].exchange().response, None);
    }
    let mut talk = Talk::new(Options::default());
    talk.handshake();
    talk.say(CLIENT, POST);
    assert_eq!(talk.finish(), []);
    assert_eq!(talk.pipeline.health().exchanges, 1);
}

#[test]
fn an_early_answer_does_not_wait_for_the_rest_of_the_request() {
    let mut talk = Talk::new(Options::default());
    talk.handshake();
    talk.say(CLIENT, &POST[..POST.len() - 4]);
    talk.say(SERVER, FORBIDDEN);
    talk.pass(300);
    talk.pass(300);
    let cases = talk.cases();
    assert_eq!(cases[0].exchange().anomalies, [Anomaly::EarlyResponse]);
}

#[test]
fn other_ports_are_left_alone() {
    for (ports, found) in [("80", 1), ("40000", 1), ("81-39999", 0)] {
        let mut talk = Talk::new(Options {
            ports: Some(ports.parse().unwrap()),
            ..Options::default()
        });
        talk.handshake();
        talk.exchange(POST, FORBIDDEN);
        assert_eq!(talk.finish().len(), found, "{ports}");
        assert_eq!(talk.pipeline.health().packets, 5);
    }
}

#[test]
fn bodies_are_decoded_for_cases_and_faults_named() {
    let mut options = Options::default();
    options.selection.methods = vec![MethodPattern::Is("GET".to_owned())];
    let mut talk = Talk::new(options);
    talk.handshake();
    talk.exchange(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain",
    );
    let cases = talk.finish();
    assert_eq!(cases[0].exchange().anomalies, [Anomaly::UndecodableBody]);
}

#[test]
fn a_verdict_that_nobody_wants_is_not_come_to() {
    for no_verdict in [true, false] {
        let mut talk = Talk::new(Options {
            no_verdict,
            ..Options::default()
        });
        talk.handshake();
        talk.exchange(POST, OK);
        talk.exchange(POST, FORBIDDEN);
        let cases = talk.finish();
        assert_eq!(cases[0].verdict == Verdict::not_asked_for(), no_verdict);
        assert_eq!(cases[0].evidence.is_empty(), no_verdict);
        assert_eq!(cases[0].siblings.is_empty(), no_verdict);
    }
}

fn owners(cases: &[Case]) -> Vec<[&str; 2]> {
    cases
        .iter()
        .map(|case| {
            [&case.exchange().client, &case.exchange().server]
                .map(|end| end.owner.as_ref().map_or("", |owner| &*owner.comm))
        })
        .collect()
}
