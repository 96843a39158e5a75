//! The live source against real sockets: each test in a network namespace and a cgroup of its own.
//! They need root (or the capabilities that `LiveSource::start` names).
#![cfg(feature = "live")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tracer403::model::{LossPlace, OwnerQuality};
use tracer403::source::live::{Attach, Interfaces, LiveSource, Options};
use tracer403::source::{Frame, Hook, Record, SocketOwner, SocketUse, Source as _};

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
        TcpStream::connect_timeout(&nobody, std::time::Duration::from_secs(20)).is_ok()
    });
    let (mut out, mut back_in) = (false, false);
    while !(out && back_in) && !client.is_finished() {
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
    let before = programs();
    let source = LiveSource::start(&options(scene.attach()), Arc::default()).unwrap();
    let ours: Vec<u32> = programs()
        .into_iter()
        .filter(|id| !before.contains(id))
        .collect();
    assert!(ours.len() >= 2, "{ours:?}");
    drop(source);
    // The kernel frees programs after a grace period of its own; wait for that, not for a time.
    while programs().iter().any(|id| ours.contains(id)) {
        thread::yield_now();
    }
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

// ---------------------------------------------------------------------------------------------

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

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

/// Sends a POST to a server of this process, which answers it with 403, and waits for the end.
fn post(addr: SocketAddr, body: &[u8], answer: &'static [u8]) {
    let listener = TcpListener::bind(addr).unwrap();
    let len = request(body).len();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut vec![0; len]).unwrap();
        stream.write_all(&response(answer)).unwrap();
    });
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(&request(body)).unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    assert_eq!(got, response(answer));
    server.join().unwrap();
}

fn request(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn response(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What a capture handed out.
#[derive(Default)]
struct Seen {
    packets: Vec<Packet>,
    owners: Vec<SocketOwner>,
    lost: Vec<(LossPlace, u64)>,
}

struct Packet {
    hook: Hook,
    cookie: u64,
    ifindex: u32,
    link_type: u16,
    wire_len: u32,
    data: Vec<u8>,
}

impl Seen {
    /// Reads until the source ends, and checks what holds for every capture.
    fn read(source: &mut LiveSource) -> Self {
        let mut seen = Self::default();
        let mut ticked = None;
        let mut go_on = true;
        while go_on {
            go_on = source
                .next(&mut |record| match record {
                    Record::Packet(frame) => {
                        assert!(Some(frame.at) >= ticked, "a packet from before a tick");
                        seen.packets.push(Packet::from(frame));
                    }
                    Record::Owner(owner) => {
                        assert!(Some(owner.at) >= ticked, "an owner from before a tick");
                        seen.owners.push(owner);
                    }
                    Record::Lost { count, place } => seen.lost.push((place, count)),
                    Record::Missing(missing) => panic!("{missing:?}"),
                    Record::Tick { at } => ticked = Some(at),
                })
                .unwrap();
        }
        assert!(ticked.is_some(), "no tick at the end");
        seen
    }

    /// The bytes that went from one port to another, put in order by sequence number.
    fn stream(&self, hook: Hook, way: impl Fn(u16, u16) -> bool) -> Vec<u8> {
        let mut segments: Vec<(u32, &[u8])> = self
            .packets
            .iter()
            .filter(|packet| packet.hook == hook && way(packet.ports().0, packet.ports().1))
            .map(|packet| (packet.sequence(), packet.payload()))
            .filter(|(_, payload)| !payload.is_empty())
            .collect();
        let first = segments.first().map_or(0, |&(sequence, _)| sequence);
        segments.sort_by_key(|(sequence, _)| sequence.wrapping_sub(first));
        segments.dedup();
        segments
            .into_iter()
            .flat_map(|(_, payload)| payload)
            .copied()
            .collect()
    }

    /// For the socket of each packet with payload that went out, this process is named exactly.
    fn expect_owners_of_the_senders(&self) {
        let senders = self.packets.iter().filter(|packet| {
            packet.hook == Hook::Egress && packet.cookie != 0 && !packet.payload().is_empty()
        });
        let mut cookies: Vec<u64> = senders.map(|packet| packet.cookie).collect();
        cookies.sort_unstable();
        cookies.dedup();
        assert_eq!(cookies.len(), 2, "a client and a server");
        for cookie in cookies {
            for used in [SocketUse::Sent, SocketUse::Received] {
                let owner = self
                    .owners
                    .iter()
                    .find(|owner| owner.socket.cookie == cookie && owner.used == used)
                    .unwrap_or_else(|| panic!("nobody {used:?} on socket {cookie}"));
                assert_eq!(owner.owner.pid, std::process::id());
                assert_eq!(owner.owner.quality, OwnerQuality::Exact);
                let ports = [owner.socket.local, owner.socket.remote].map(|a| a.unwrap().port());
                assert!(ports.contains(&PORT) && ports[0] != ports[1], "{ports:?}");
            }
        }
    }
}

impl From<Frame<'_>> for Packet {
    fn from(frame: Frame<'_>) -> Self {
        Self {
            hook: frame.vantage.hook,
            cookie: frame.vantage.cookie,
            ifindex: frame.vantage.ifindex,
            link_type: frame.link_type,
            wire_len: frame.wire_len,
            data: frame.data.to_vec(),
        }
    }
}

impl Packet {
    fn tcp(&self) -> &[u8] {
        let ip = if self.link_type == 1 {
            &self.data[14..]
        } else {
            &self.data[..]
        };
        if ip[0] >> 4 == 4 {
            &ip[usize::from(ip[0] & 15) * 4..]
        } else {
            &ip[40..]
        }
    }

    fn ports(&self) -> (u16, u16) {
        let tcp = self.tcp();
        (
            u16::from_be_bytes([tcp[0], tcp[1]]),
            u16::from_be_bytes([tcp[2], tcp[3]]),
        )
    }

    fn sequence(&self) -> u32 {
        u32::from_be_bytes(self.tcp()[4..8].try_into().unwrap())
    }

    fn tcp_flags(&self) -> u8 {
        self.tcp()[13]
    }

    fn payload(&self) -> &[u8] {
        let tcp = self.tcp();
        &tcp[usize::from(tcp[12] >> 4) * 4..]
    }
}

/// A network namespace for the thread of a test, which ends with it, and a cgroup for this process,
/// which the end of the scene removes. A process is in one cgroup, so one scene is on at a time.
struct Scene {
    cgroup: PathBuf,
    home: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Scene {
    fn new(name: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: takes a number and concerns this thread alone.
        let unshared = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(
            unshared,
            0,
            "live tests need root: {}",
            std::io::Error::last_os_error()
        );
        let home = own_cgroup();
        let cgroup = home.join(format!("t403-live-{name}-{}", std::process::id()));
        fs::create_dir(&cgroup).unwrap();
        let scene = Self {
            cgroup,
            home,
            _turn: turn,
        };
        move_to(&scene.cgroup);
        scene.ip("link set lo up");
        scene
    }

    fn attach(&self) -> Attach {
        Attach::Cgroup(Some(self.cgroup.clone()))
    }

    /// Runs `ip` in the namespace of this thread.
    fn ip(&self, arguments: &str) -> String {
        let output = Command::new("ip")
            .args(arguments.split(' '))
            .output()
            .unwrap();
        assert!(output.status.success(), "ip {arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        move_to(&self.home);
        fs::remove_dir(&self.cgroup).unwrap();
    }
}

fn move_to(cgroup: &Path) {
    fs::write(cgroup.join("cgroup.procs"), std::process::id().to_string()).unwrap();
}

/// The directory of this process's cgroup (version 2).
fn own_cgroup() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts
        .lines()
        .find(|line| line.contains(" - cgroup2 "))
        .expect("cgroup2 is mounted");
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .unwrap();
    Path::new(mount.split(' ').nth(4).unwrap()).join(own)
}

/// Ids of the programs that are loaded in the kernel.
fn programs() -> Vec<u32> {
    aya::programs::loaded_programs()
        .map(|program| program.unwrap().id())
        .collect()
}
