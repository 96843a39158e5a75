//! The live source against real sockets: each test in a network namespace and a cgroup of its own.
//! They need root (or the capabilities that `LiveSource::start` names).
#![cfg(feature = "live")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failure of the test or of its helpers is a panic"
)]

mod scene;
mod seen;
mod talk;
mod traffic;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tracer403::model::LossPlace;
use tracer403::source::live::{Attach, Interfaces, LiveSource, Options};
use tracer403::source::{Hook, Record, Source as _};

use crate::scene::Scene;
use crate::seen::{ACK, FIN, SYN, Seen};
use crate::traffic::{post, request, response};

const PORT: u16 = 18_403;

#[test]
fn a_cgroup_shows_the_packets_and_both_processes() {
    let scene = Scene::new("both");
    let seen = capture(scene.attach(), || {
        post(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)), b"a=1", b"no");
    });
    assert_eq!(seen.lost, []);
    let client = seen.stream(Hook::Egress, |from, to| from != PORT && to == PORT);
    let server = seen.stream(Hook::Egress, |from, to| from == PORT && to != PORT);
    assert_eq!(client, request(b"a=1"));
    assert_eq!(server, response(b"no"));
    assert_eq!(client, seen.stream(Hook::Ingress, |_, to| to == PORT));
    assert!(
        seen.packets
            .iter()
            .all(|packet| packet.cookie != 0 && packet.link_type == 101)
    );
    // 3 to open, request, answer and their acknowledgements, and the end: all are there.
    for flag in [SYN, FIN, ACK] {
        assert!(
            seen.packets
                .iter()
                .any(|packet| packet.tcp_flags() & flag != 0),
            "{flag:#x}"
        );
    }
    seen.expect_owners_of_the_senders();
}

#[test]
fn ipv6_has_owners_too() {
    let scene = Scene::new("v6");
    let seen = capture(scene.attach(), || {
        post(SocketAddr::from((Ipv6Addr::LOCALHOST, PORT)), b"six", b"no");
    });
    assert_eq!(
        seen.stream(Hook::Egress, |_, to| to == PORT),
        request(b"six")
    );
    assert!(
        seen.owners
            .iter()
            .all(|o| o.socket.local.is_some_and(|addr| addr.is_ipv6()))
    );
    seen.expect_owners_of_the_senders();
}

#[test]
fn writes_larger_than_any_packet_arrive_byte_for_byte() {
    let scene = Scene::new("gso");
    let body: Vec<u8> = (0..1_000_000u32)
        .flat_map(|n| (n as u16).to_be_bytes())
        .collect();
    let seen = capture(scene.attach(), || {
        post(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)), &body, b"no");
    });
    assert_eq!(seen.lost, []);
    assert!(
        seen.packets
            .iter()
            .all(|packet| packet.wire_len as usize == packet.data.len())
    );
    let longest = seen.packets.iter().map(|packet| packet.data.len()).max();
    assert!(
        longest > Some(32 << 10),
        "offload made packets of {longest:?} bytes only"
    );
    assert!(seen.stream(Hook::Egress, |_, to| to == PORT) == request(&body));
}

#[test]
fn interfaces_show_the_packets_with_their_link_header() {
    let _scene = Scene::new("tc");
    let lo = Attach::Interfaces(Interfaces::Named(vec!["lo".to_owned()]));
    let seen = capture(lo, || {
        post(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)), b"a=1", b"no");
    });
    assert!(
        seen.packets
            .iter()
            .all(|packet| packet.link_type == 1 && packet.ifindex == 1)
    );
    assert_eq!(
        seen.stream(Hook::Egress, |_, to| to == PORT),
        request(b"a=1")
    );
    assert_eq!(
        seen.stream(Hook::Ingress, |_, to| to == PORT),
        request(b"a=1")
    );
    assert_eq!(
        seen.stream(Hook::Egress, |from, _| from == PORT),
        response(b"no")
    );
    seen.expect_owners_of_the_senders();
}

#[test]
fn interfaces_that_appear_later_are_attached_to() {
    let scene = Scene::new("any");
    let options = options(Attach::Interfaces(Interfaces::Any));
    let stop = Arc::new(AtomicBool::new(false));
    let mut source = LiveSource::start(&options, stop).unwrap();
    scene.ip("link add t403v0 type veth peer name t403v1");
    let index = |name: &str| {
        let index = scene.ip(&format!("-o link show {name}"));
        index.split(':').next().unwrap().parse::<u32>().unwrap()
    };
    let (near, far) = (index("t403v0"), index("t403v1"));
    scene.ip("addr add 10.77.0.1/24 dev t403v0");
    scene.ip("link set t403v0 up");
    scene.ip("link set t403v1 up");
    scene.ip("neigh add 10.77.0.2 lladdr 02:00:00:00:00:01 dev t403v0");
    // Nobody answers there, so the client sends its SYN again and again.
    let client = thread::spawn(move || {
        let nobody = SocketAddr::from(([10, 77, 0, 2], PORT));
        TcpStream::connect_timeout(&nobody, Duration::from_secs(20)).is_ok()
    });
    let (mut out, mut back_in) = (false, false);
    while !(out && back_in || client.is_finished()) {
        source
            .next(&mut |record| {
                if let Record::Packet(frame) = record {
                    out |= frame.vantage.ifindex == near && frame.vantage.hook == Hook::Egress;
                    back_in |= frame.vantage.ifindex == far && frame.vantage.hook == Hook::Ingress;
                }
            })
            .unwrap();
    }
    assert!(out && back_in, "out {out}, in {back_in}");
}

#[test]
fn tunnels_show_packets_that_begin_with_the_ip_header() {
    let scene = Scene::new("tun");
    scene.ip("tuntap add dev t403tun mode tun");
    scene.ip("addr add 10.78.0.1/24 dev t403tun");
    scene.ip("link set t403tun up");
    let tun = Attach::Interfaces(Interfaces::Named(vec!["t403tun".to_owned()]));
    let seen = capture(tun, || {
        // Nobody reads the tunnel's far end; the SYN goes in, and that is enough.
        let nobody = SocketAddr::from(([10, 78, 0, 2], PORT));
        TcpStream::connect_timeout(&nobody, Duration::from_millis(1)).unwrap_err();
    });
    let syn = seen.packets.first().expect("the SYN is seen");
    assert_eq!(
        (syn.link_type, syn.data[0] >> 4, syn.ports().1),
        (101, 4, PORT)
    );
    assert_eq!((syn.hook, syn.tcp_flags() & SYN), (Hook::Egress, SYN));
}

#[test]
fn other_ports_are_left_alone() {
    let scene = Scene::new("ports");
    let seen = capture(scene.attach(), || {
        post(
            SocketAddr::from((Ipv4Addr::LOCALHOST, PORT + 1)),
            b"secret",
            b"no",
        );
        post(
            SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            b"traced",
            b"no",
        );
    });
    assert!(
        seen.packets
            .iter()
            .all(|packet| packet.ports().0 == PORT || packet.ports().1 == PORT)
    );
    assert_eq!(
        seen.stream(Hook::Egress, |_, to| to == PORT),
        request(b"traced")
    );
    assert!(seen.owners.iter().all(|owner| {
        [owner.socket.local, owner.socket.remote]
            .into_iter()
            .flatten()
            .any(|a| a.port() == PORT)
    }));
}

#[test]
fn the_snap_length_cuts_and_says_so() {
    let scene = Scene::new("snap");
    let options = Options {
        snap_len: 100,
        ..options(scene.attach())
    };
    let seen = capture_with(&options, || {
        post(
            SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
            &[b'x'; 5000],
            b"no",
        );
    });
    assert!(seen.packets.iter().all(|packet| packet.data.len() <= 100));
    let cut = seen
        .packets
        .iter()
        .find(|packet| packet.wire_len > 100)
        .unwrap();
    assert_eq!(cut.data.len(), 100);
}

#[test]
fn what_does_not_fit_is_counted() {
    let scene = Scene::new("full");
    let mut options = options(scene.attach());
    options.ring_bytes = Options::RING_BYTES_MIN;
    let stop = Arc::new(AtomicBool::new(false));
    let mut source = LiveSource::start(&options, Arc::clone(&stop)).unwrap();
    // Nobody reads meanwhile.
    let body = vec![b'x'; 4 * options.ring_bytes as usize];
    post(SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)), &body, b"no");
    stop.store(true, Ordering::Relaxed);
    let seen = Seen::read(&mut source);
    let lost: u64 = seen.lost.iter().map(|&(_, count)| count).sum();
    assert!(
        lost > 0
            && seen
                .lost
                .iter()
                .any(|&(place, _)| place == LossPlace::RingPacket)
    );
    let packets_lost: u64 = seen
        .lost
        .iter()
        .filter(|(p, _)| *p == LossPlace::RingPacket)
        .map(|&(_, n)| n)
        .sum();
    assert_eq!(
        seen.packets.len() as u64 + packets_lost,
        source.packets_seen().unwrap()
    );
}

#[test]
fn nothing_is_left_behind() {
    let scene = Scene::new("clean");
    let source = LiveSource::start(&options(scene.attach()), Arc::default()).unwrap();
    let ours = programs_of("self");
    assert!(ours.len() >= 2, "{ours:?}");
    drop(source);
    wait_until_freed(&ours);
}

#[test]
fn nothing_is_left_behind_by_a_process_that_is_killed() {
    let scene = Scene::new("killed");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "capture_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("T403_CGROUP", &scene.cgroup)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(
        output
            .lines()
            .any(|line| line.unwrap().contains("capturing")),
        "it starts"
    );
    let ours = programs_of(&child.id().to_string());
    assert!(ours.len() >= 2, "{ours:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until_freed(&ours);
}

/// The process of the test above; not a test.
#[test]
#[ignore = "runs until it is killed"]
fn capture_until_killed() {
    let cgroup = std::env::var_os("T403_CGROUP").expect("its parent says where");
    let options = options(Attach::Cgroup(Some(cgroup.into())));
    let mut source = LiveSource::start(&options, Arc::default()).unwrap();
    println!("capturing");
    while source.next(&mut |_| {}).unwrap() {}
}

#[test]
fn what_is_not_there_is_named() {
    let _scene = Scene::new("absent");
    let start = |attach| match LiveSource::start(&options(attach), Arc::default()) {
        Ok(_) => panic!("started"),
        Err(error) => error.to_string(),
    };
    let message = start(Attach::Interfaces(Interfaces::Named(vec![
        "t403none".to_owned(),
    ])));
    assert!(
        message.contains("t403none") && message.contains("lo"),
        "{message}"
    );
    let message = start(Attach::Cgroup(Some("/t403/none".into())));
    assert!(message.contains("/t403/none"), "{message}");
}

/// Captures while `traffic` runs.
fn capture(attach: Attach, traffic: impl FnOnce()) -> Seen {
    capture_with(&options(attach), traffic)
}

fn capture_with(options: &Options, traffic: impl FnOnce()) -> Seen {
    let stop = Arc::new(AtomicBool::new(false));
    let mut source = LiveSource::start(options, Arc::clone(&stop)).unwrap();
    eprintln!("{}", source.started());
    assert_eq!(source.started().missing, []);
    traffic();
    stop.store(true, Ordering::Relaxed);
    Seen::read(&mut source)
}

fn options(attach: Attach) -> Options {
    Options {
        ports: PORT.to_string().parse().unwrap(),
        attach,
        ..Options::default()
    }
}

/// Ids of the programs that a process (`self` or a number) has loaded and holds.
fn programs_of(process: &str) -> Vec<u32> {
    let descriptors = fs::read_dir(format!("/proc/{process}/fdinfo")).unwrap();
    descriptors
        .filter_map(|descriptor| fs::read_to_string(descriptor.unwrap().path()).ok())
        .filter_map(|info| {
            info.lines()
                .find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok())
        })
        .collect()
}

/// Waits until the kernel has freed these programs, which it does after a grace period of its own.
fn wait_until_freed(ids: &[u32]) {
    // Programs of others come and go meanwhile; one that went is an error here.
    let loaded = || aya::programs::loaded_programs().flatten();
    while loaded().any(|program| ids.contains(&program.id())) {
        thread::yield_now();
    }
}
