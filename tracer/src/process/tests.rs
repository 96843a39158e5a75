use proptest::prelude::*;

use super::*;
use crate::source::SocketUse::{self, Held, Received, Sent};

#[test]
fn the_first_sender_in_the_interval_goes_first() {
    let mut owners = Owners::new(8);
    owners.tell(1, Sent, 7, 10);
    owners.tell(12, Sent, 7, 11);
    owners.tell(15, Sent, 7, 12);
    assert_eq!(owners.ask(7, 10, 20), Some(11));
    assert_eq!(owners.ask(7, 10, 12), Some(10), "12 is the next message's");
    assert_eq!(owners.ask(7, 12, 12), Some(11), "at the very first byte");
}

#[test]
fn a_report_holds_until_the_next() {
    let mut owners = Owners::new(8);
    owners.tell(1, Sent, 7, 10);
    owners.tell(100, Sent, 7, 11);
    for from in [2, 50, 98] {
        assert_eq!(owners.ask(7, from, from + 1), Some(10));
    }
    assert_eq!(owners.ask(7, 1_000, 1_001), Some(11));
}

#[test]
fn a_late_report_still_names_the_sender() {
    let mut owners = Owners::new(8);
    owners.tell(4, Received, 7, 10);
    assert_eq!(
        owners.ask(7, 5, 9),
        Some(10),
        "as long as nothing better is known"
    );
    owners.tell(8, Sent, 7, 11);
    assert_eq!(owners.ask(7, 5, 9), Some(11));
}

#[test]
fn a_first_report_after_the_next_message_still_names_the_sender() {
    let mut owners = Owners::new(8);
    owners.tell(10, Sent, 7, 11);
    assert_eq!(owners.ask(7, 5, 9), Some(11));
    owners.tell(20, Sent, 7, 12);
    assert_eq!(owners.ask(7, 5, 9), Some(11), "and a later one does not");
}

#[test]
fn what_is_said_again_is_nothing_new() {
    let mut owners = Owners::new(8);
    for at in 10..100 {
        owners.tell(at, Sent, 7, 11);
    }
    assert_eq!(owners.ask(7, 11, 12), Some(11));
}

#[test]
fn reports_may_come_out_of_order() {
    let mut owners = Owners::new(8);
    owners.tell(30, Sent, 7, 12);
    owners.tell(10, Sent, 7, 10);
    owners.tell(20, Sent, 7, 11);
    assert_eq!(owners.ask(7, 9, 15), Some(10));
    assert_eq!(owners.ask(7, 15, 25), Some(11));
    assert_eq!(owners.ask(7, 25, 29), Some(11));
}

#[test]
fn a_worker_that_sends_goes_before_the_master_that_received() {
    let mut owners = Owners::new(8);
    owners.tell(1, Received, 7, 10);
    owners.tell(3, Sent, 7, 11);
    assert_eq!(owners.ask(7, 2, 5), Some(11));
    owners.tell(6, Received, 7, 12);
    assert_eq!(
        owners.ask(7, 7, 9),
        Some(11),
        "it sent before and no other has"
    );
}

#[test]
fn exact_goes_before_relaxed_and_relaxed_before_nothing() {
    let mut owners = Owners::new(8);
    owners.learn(report(1, Held, 7, CONN, 10, OwnerQuality::Relaxed));
    let found = owners.sender(end(7), between(5, 6)).unwrap();
    assert_eq!((found.pid, found.quality), (10, OwnerQuality::Relaxed));

    owners.learn(report(2, Sent, 7, CONN, 11, OwnerQuality::Guess));
    assert_eq!(owners.ask(7, 5, 6), Some(11), "it used the socket");
    owners.tell(3, Received, 7, 12);
    let found = owners.sender(end(7), between(5, 6)).unwrap();
    assert_eq!((found.pid, found.quality), (12, OwnerQuality::Exact));
}

#[test]
fn the_very_socket_may_be_found_held_after_the_message() {
    let mut owners = Owners::new(8);
    owners.learn(report(9, Held, 7, CONN, 10, OwnerQuality::Relaxed));
    assert_eq!(owners.ask(7, 5, 6), Some(10));
    assert_eq!(
        owners.ask(0, 5, 6),
        None,
        "the addresses had another user then"
    );
}

#[test]
fn a_later_connection_of_the_same_addresses_inherits_nothing() {
    let mut owners = Owners::new(8);
    owners.tell(1, Sent, 7, 10);
    assert_eq!(owners.ask(8, 5, 6), None);
    owners.tell(5, Sent, 8, 11);
    assert_eq!(owners.ask(8, 5, 6), Some(11));
    assert_eq!(owners.ask(7, 5, 6), Some(10));
}

#[test]
fn a_cookie_counts_more_than_addresses() {
    let mut owners = Owners::new(8);
    let translated = ("10.0.0.1:5000", "10.96.0.1:80");
    owners.learn(report(1, Sent, 7, translated, 10, OwnerQuality::Exact));
    assert_eq!(owners.ask(7, 2, 3), Some(10));
    assert_eq!(owners.ask(0, 2, 3), None);
}

#[test]
fn a_socket_that_connects_again_is_filed_under_its_new_addresses() {
    let mut owners = Owners::new(8);
    owners.tell(1, Sent, 7, 10);
    let second = ("10.0.0.1:5001", "10.0.0.2:80");
    owners.learn(report(5, Sent, 7, second, 11, OwnerQuality::Exact));
    assert_eq!(owners.ask(0, 2, 3), None);
    let there = SocketEnd {
        cookie: 0,
        local: second.0.parse().unwrap(),
        remote: second.1.parse().unwrap(),
    };
    assert_eq!(owners.sender(there, between(5, 6)).unwrap().pid, 11);
    assert_eq!(
        owners.ask(7, 2, 3),
        Some(10),
        "by cookie the past is still known"
    );
}

#[test]
fn without_a_cookie_the_nearest_report_before_the_end_decides() {
    let mut owners = Owners::new(8);
    owners.tell(1, Sent, 7, 10);
    owners.tell(20, Sent, 8, 11);
    owners.tell(40, Sent, 9, 12);
    let found = owners.sender(end(0), between(21, 30)).unwrap();
    assert_eq!((found.pid, found.quality), (11, OwnerQuality::Guess));
    let found = owners.sender(end(0), between(2, 3)).unwrap();
    assert_eq!(
        (found.pid, found.quality),
        (10, OwnerQuality::Exact),
        "the only one by then"
    );
}

#[test]
fn reports_without_a_cookie_are_found_by_address() {
    let mut owners = Owners::new(8);
    owners.tell(1, Sent, 0, 10);
    owners.tell(5, Sent, 0, 11);
    assert_eq!(owners.ask(0, 2, 3), Some(10));
    assert_eq!(
        owners.ask(9, 5, 6),
        Some(11),
        "the packets know more than the report"
    );
    assert_eq!(owners.sockets.len(), 1);
}

#[test]
fn v4_mapped_addresses_are_those_of_the_packets() {
    let mut owners = Owners::new(8);
    let mapped = ("[::ffff:10.0.0.1]:5000", "[::ffff:10.0.0.2]:80");
    owners.learn(report(1, Sent, 0, mapped, 10, OwnerQuality::Exact));
    assert_eq!(owners.ask(0, 2, 3), Some(10));
}

#[test]
fn a_report_by_cookie_alone_is_found_by_cookie_alone() {
    let mut owners = Owners::new(8);
    let mut nowhere = report(1, Sent, 7, CONN, 10, OwnerQuality::Exact);
    nowhere.socket.remote = None;
    owners.learn(nowhere.clone());
    assert_eq!(owners.ask(7, 2, 3), Some(10));
    assert_eq!(owners.ask(0, 2, 3), None);
    nowhere.socket.cookie = 0;
    owners.learn(nowhere);
    assert_eq!(owners.sockets.len(), 1);
}

#[test]
fn the_oldest_socket_goes_first_and_leaves_nothing_behind() {
    let mut owners = Owners::new(3);
    for cookie in 1..=3 {
        owners.tell(cookie, Sent, cookie, cookie as u32);
    }
    assert_eq!(owners.ask(1, 4, 5), Some(1), "which keeps it");
    for cookie in 4..=5 {
        owners.tell(cookie, Sent, cookie, cookie as u32);
    }
    let left = [1, 2, 3, 4, 5].map(|cookie| owners.ask(cookie, 9, 10));
    assert_eq!(left, [Some(1), None, None, Some(4), Some(5)]);
    assert_eq!(owners.sockets.len(), 3);
    assert_eq!(owners.by_cookie.len(), 3);
    assert_eq!(owners.by_address.len(), 1);
}

#[test]
fn every_bound_holds() {
    let mut owners = Owners::new(100);
    for cookie in 1..=1_000 {
        for at in 0..40 {
            owners.tell(at, Sent, cookie, at as u32);
        }
    }
    assert_eq!(owners.sockets.len(), 100);
    assert_eq!(owners.by_cookie.len(), 100);
    let under_one = owners.by_address.get(&addresses(CONN)).unwrap();
    assert_eq!(under_one.len(), SOCKETS_PER_ADDRESS);
    assert_eq!(
        owners.ask(1_000, 39, 40),
        Some(39),
        "the newest reports are kept"
    );
    assert_eq!(owners.ask(1_000, 3, 4), None, "the oldest are not");
}

proptest! {
    /// Whatever is reported and asked, the indexes and the sockets agree.
    #[test]
    fn the_indexes_agree(
        capacity in 1..6_usize,
        steps in prop::collection::vec((0..9_u64, 0..4_u16, 0..50_u64, any::<bool>()), 0..200),
    ) {
        let mut owners = Owners::new(capacity);
        for (cookie, port, at, ask) in steps {
            let mut told = report(at, Sent, cookie, CONN, 1, OwnerQuality::Exact);
            told.socket.remote = (port > 0).then(|| ([10, 0, 0, 2], port).into());
            if ask {
                owners.sender(SocketEnd { cookie, ..end(0) }, between(at, at + 1));
            }
            owners.learn(told);
            owners.check();
        }
    }
}

const CONN: (&str, &str) = ("10.0.0.1:5000", "10.0.0.2:80");

impl Owners {
    fn check(&self) {
        assert!(self.sockets.len() <= self.capacity);
        let mut filed = (0, 0);
        for (slot, socket) in self.sockets.iter().enumerate() {
            if socket.cookie != 0 {
                assert_eq!(self.by_cookie.get(&socket.cookie), Some(&slot));
                filed.0 += 1;
            }
            if let Some(slots) = socket.addresses.and_then(|a| self.by_address.get(&a)) {
                filed.1 += slots.iter().filter(|&&s| s == slot).count();
            }
        }
        assert_eq!(self.by_cookie.len(), filed.0);
        #[expect(clippy::disallowed_methods, reason = "a sum has no order")]
        let addresses: usize = self.by_address.values().map(Vec::len).sum();
        assert_eq!(addresses, filed.1);
    }

    fn tell(&mut self, at: u64, used: SocketUse, cookie: u64, pid: u32) {
        self.learn(report(at, used, cookie, CONN, pid, OwnerQuality::Exact));
    }

    fn ask(&mut self, cookie: u64, from: u64, until: u64) -> Option<u32> {
        self.sender(end(cookie), between(from, until))
            .map(|owner| owner.pid)
    }
}

fn report(
    at: u64,
    used: SocketUse,
    cookie: u64,
    conn: (&str, &str),
    pid: u32,
    quality: OwnerQuality,
) -> SocketOwner {
    let (local, remote) = addresses(conn);
    SocketOwner {
        at: Timestamp::from_nanos(at),
        socket: SocketKey {
            cookie,
            local: Some(local),
            remote: Some(remote),
        },
        used,
        owner: Owner {
            pid,
            tid: pid,
            uid: 0,
            started_at: None,
            comm: "server".into(),
            exe: None,
            cgroup: None,
            container: None,
            quality,
        },
    }
}

fn addresses((local, remote): (&str, &str)) -> Addresses {
    (local.parse().unwrap(), remote.parse().unwrap())
}

fn end(cookie: u64) -> SocketEnd {
    let (local, remote) = addresses(CONN);
    SocketEnd {
        cookie,
        local,
        remote,
    }
}

fn between(from: u64, until: u64) -> SentBetween {
    SentBetween {
        from: Timestamp::from_nanos(from),
        until: Timestamp::from_nanos(until),
    }
}
