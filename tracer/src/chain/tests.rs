//! Chains of exchanges made by hand.

use std::time::Duration;

use super::*;
use crate::model::{ConnId, LinkRule, Owner, OwnerQuality, Strength};
use crate::testing;

#[test]
fn a_proxy_and_its_next_hop_are_one_chain() {
    let outer = exchange(1, 0..100, "POST /a HTTP/1.1", ("curl", 1), ("nginx", 2));
    let inner = exchange(2, 10..50, "POST /a HTTP/1.1", ("nginx", 2), ("app", 3));
    let chain = chain(&outer, &[&inner, &outer]).unwrap();
    assert_eq!(chain.len(), 2);
    assert_eq!(chain.reported.asked, Asked::NextHop);
    let link = chain.after[0].link.as_ref().unwrap();
    assert_eq!(
        (link.rule, link.strength, link.ambiguous_with),
        (LinkRule::SameProcess, Strength::Strong, 0)
    );
    assert!(link.agree.contains(&"path"));
}

#[test]
fn the_inner_one_is_reported_with_the_outer_one_or_below_it() {
    let outer = exchange(1, 0..100, "POST /a HTTP/1.1", ("curl", 1), ("nginx", 2));
    let inner = exchange(2, 10..50, "POST /a HTTP/1.1", ("nginx", 2), ("app", 3));
    let all = [&outer, &inner];
    let pool = Pool::new(all);
    assert!(pool.chain(&inner, &Limits::default(), |_| true).is_none());
    let chain = pool.chain(&inner, &Limits::default(), |_| false).unwrap();
    assert_eq!((chain.before.len(), chain.reported_at()), (1, 1));
    assert!(chain.reported.link.is_some());
}

#[test]
fn a_link_is_doubted_unless_both_hops_carry_the_same_id() {
    let link = |id: &str| {
        let line = format!("POST /a HTTP/1.1\r\nHost: x{id}");
        let outer = exchange(1, 0..100, &line, ("curl", 1), ("nginx", 2));
        let inner = exchange(2, 10..50, &line, ("nginx", 2), ("app", 3));
        let chain = chain(&outer, &[&inner, &outer]).unwrap();
        let mut link = chain.after[0].link.clone().unwrap();
        doubt(&mut link);
        (link.strength, link.ambiguous_with)
    };
    assert_eq!(link(""), (Strength::Fair, 1));
    assert_eq!(link("\r\nX-Request-Id: 12345"), (Strength::Strong, 0));
}

#[test]
fn two_requests_to_one_server_are_no_hops_unless_it_asks_itself() {
    let line = "POST /a HTTP/1.1\r\nX-Request-Id: 4711-0815";
    let mut first = exchange(1, 0..100, line, ("curl", 1), ("nginx", 2));
    let mut second = exchange(2, 10..50, line, ("nginx", 2), ("nginx", 2));
    second.server.addr = first.server.addr;
    assert_eq!(chain(&first, &[&first, &second]).unwrap().len(), 2);
    for exchange in [&mut first, &mut second] {
        exchange.client.owner = None;
    }
    for reported in [&first, &second] {
        let chain = chain(reported, &[&first, &second]).unwrap();
        assert_eq!((chain.len(), &chain.reported.asked), (1, &Asked::Unknown));
    }
}

#[test]
fn a_flood_of_requests_that_are_alike_is_not_compared_one_with_each() {
    let outer = exchange(0, 0..900, "POST /a HTTP/1.1", ("curl", 1), ("nginx", 2));
    let calls: Vec<_> = (1..=512)
        .map(|n| exchange(n, 10..50, "GET /a HTTP/1.1", ("nginx", 2), ("app", 3)))
        .collect();
    for (calls, few) in [(&calls[..100], true), (&calls, false)] {
        let pool: Vec<_> = std::iter::once(&outer).chain(calls).collect();
        let chain = chain(&outer, &pool).unwrap();
        assert_eq!(chain.reported.side_calls.len(), if few { 100 } else { 0 });
        let ambiguous = Asked::Ambiguous(512);
        let asked = if few { Asked::Unknown } else { ambiguous };
        assert_eq!(chain.reported.asked, asked);
    }
}

#[test]
fn a_call_with_another_method_is_a_side_call() {
    let outer = exchange(1, 0..100, "POST /a HTTP/1.1", ("curl", 1), ("nginx", 2));
    let auth = exchange(2, 10..50, "GET /auth HTTP/1.1", ("nginx", 2), ("auth", 3));
    let chain = chain(&outer, &[&outer, &auth]).unwrap();
    assert_eq!((chain.len(), chain.reported.side_calls.len()), (1, 1));
}

#[test]
fn another_process_or_another_time_is_no_part_of_it() {
    let outer = exchange(1, 0..100, "POST /a HTTP/1.1", ("curl", 1), ("nginx", 2));
    let stranger = exchange(2, 10..50, "POST /a HTTP/1.1", ("haproxy", 9), ("app", 3));
    let earlier = exchange(3, -50..-10, "POST /a HTTP/1.1", ("nginx", 2), ("app", 3));
    let later = exchange(4, 110..150, "POST /a HTTP/1.1", ("nginx", 2), ("app", 3));
    let chain = chain(&outer, &[&outer, &stranger, &earlier, &later]).unwrap();
    assert_eq!(chain.len(), 1);
    assert!(chain.reported.side_calls.is_empty());
}

#[test]
fn in_an_event_loop_each_request_gets_its_own() {
    let outer_a = exchange(1, 0..100, "POST /a HTTP/1.1", ("curl", 1), ("nginx", 2));
    let outer_b = exchange(2, 1..101, "POST /b HTTP/1.1", ("curl", 7), ("nginx", 2));
    let inner_b = exchange(3, 10..50, "POST /b HTTP/1.1", ("nginx", 2), ("app", 3));
    let inner_a = exchange(4, 11..51, "POST /a HTTP/1.1", ("nginx", 2), ("app", 3));
    let all = [&outer_a, &outer_b, &inner_b, &inner_a];
    for (outer, conn) in [(&outer_a, 4), (&outer_b, 3)] {
        let chain = chain(outer, &all).unwrap();
        assert_eq!(chain.after[0].exchange.conn, ConnId(conn));
        assert_eq!(chain.after[0].link.as_ref().unwrap().ambiguous_with, 0);
    }
}

#[test]
fn what_cannot_be_told_apart_is_said_to_be_ambiguous() {
    let one = exchange(1, 0..100, "POST /a HTTP/1.1", ("curl", 1), ("nginx", 2));
    let other = exchange(2, 1..101, "POST /a HTTP/1.1", ("curl", 7), ("nginx", 2));
    let inner = exchange(3, 10..50, "POST /a HTTP/1.1", ("nginx", 2), ("app", 3));
    let all = [&one, &other, &inner];
    let link = chain(&one, &all).unwrap().after.remove(0).link.unwrap();
    assert_eq!((link.ambiguous_with, link.strength), (1, Strength::Fair));
    let other = chain(&other, &all).unwrap();
    assert_eq!(
        (other.len(), other.reported.asked),
        (1, Asked::Ambiguous(1))
    );
}

#[test]
fn as_many_calls_as_requests_that_are_all_alike_are_given_out_in_turn() {
    let one = exchange(1, 0..100, "POST /a HTTP/1.1", ("curl", 1), ("nginx", 2));
    let other = exchange(2, 1..101, "POST /a HTTP/1.1", ("curl", 7), ("nginx", 2));
    let first = exchange(3, 10..50, "POST /a HTTP/1.1", ("nginx", 2), ("app", 3));
    let second = exchange(4, 11..51, "POST /a HTTP/1.1", ("nginx", 2), ("app", 3));
    let all = [&one, &other, &first, &second];
    for (outer, conn) in [(&one, 3), (&other, 4)] {
        let chain = chain(outer, &all).unwrap();
        assert_eq!(chain.after[0].exchange.conn, ConnId(conn));
        assert!(chain.reported.side_calls.is_empty());
    }
}

#[test]
fn a_call_that_another_request_has_no_need_of_may_be_for_this_one() {
    // Rewritten on the way, so that both calls look like those of the other one.
    let this = exchange(
        1,
        0..100,
        "POST /kept/key HTTP/1.1",
        ("curl", 1),
        ("nginx", 2),
    );
    let other = exchange(
        2,
        1..101,
        "POST /app/key HTTP/1.1",
        ("curl", 7),
        ("nginx", 2),
    );
    let call = |conn| {
        exchange(
            conn,
            10..50,
            "POST /app/key HTTP/1.1",
            ("nginx", 2),
            ("app", 3),
        )
    };
    let (first, second) = (call(3), call(4));
    let asked = |pool: &[&Exchange]| chain(&this, pool).unwrap().reported.asked;
    let both = asked(&[&this, &other, &first, &second]);
    assert!(matches!(both, Asked::Ambiguous(_)), "{both:?}");
    assert_eq!(asked(&[&this, &other, &first]), Asked::Unknown);
}

#[test]
fn without_processes_a_request_id_will_do() {
    let with_id = |conn: u16, time, id: &str| {
        let line = format!("POST /a HTTP/1.1\r\nX-Request-ID: {id}");
        let mut exchange = exchange(conn.into(), time, &line, ("", 0), ("", 0));
        exchange.client.owner = None;
        exchange.server.owner = None;
        exchange.server.addr.set_port(8000 + conn);
        exchange
    };
    let outer = with_id(1, 0..100, "4711-0815");
    let inner = with_id(2, 10..50, "4711-0815");
    let stranger = with_id(3, 10..50, "1234-5678");
    let chain = chain(&outer, &[&outer, &inner, &stranger]).unwrap();
    assert_eq!(chain.len(), 2);
    let rule = chain.after[0].link.as_ref().unwrap().rule;
    assert_eq!(rule, LinkRule::RequestId);
}

fn chain(reported: &Exchange, pool: &[&Exchange]) -> Option<Chain> {
    Pool::new(pool.iter().copied()).chain(reported, &Limits::default(), |_| false)
}

/// An exchange whose request begins and whose answer begins at these milliseconds.
fn exchange(
    conn: u64,
    time: std::ops::Range<i64>,
    line: &str,
    client: (&str, u32),
    server: (&str, u32),
) -> Exchange {
    let mut exchange = testing::exchange(
        testing::request(&format!("{line}\r\nHost: x\r\n\r\n"), b""),
        testing::response("HTTP/1.1 403 Forbidden\r\n\r\n", b""),
    );
    let base = testing::START.plus(Duration::from_secs(1)).as_nanos();
    let at =
        |ms: i64| crate::model::Timestamp::from_nanos(base.saturating_add_signed(ms * 1_000_000));
    exchange.conn = ConnId(conn);
    exchange.request.as_mut().unwrap().message.started_at = at(time.start);
    exchange.response.as_mut().unwrap().message.started_at = at(time.end);
    exchange.client.owner = Some(owner(client));
    exchange.server.owner = Some(owner(server));
    exchange
}

fn owner((name, pid): (&str, u32)) -> Owner {
    testing::owner(name, pid, OwnerQuality::Exact)
}
