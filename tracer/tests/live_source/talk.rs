//! What a process that serves a traced port says to peers that are not traced.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::thread;

use tracer403::model::{Talk, Unread, UnreadPeer};

use crate::scene::Scene;
use crate::seen::Seen;
use crate::traffic::{request, response};
use crate::{PORT, capture};

/// Of a service that could be traced, but is not.
const OTHER: u16 = PORT + 10;

#[test]
fn who_serves_a_traced_port_and_asks_an_untraced_one_is_told() {
    let scene = Scene::new("asks");
    let authoriser = TcpListener::bind((Ipv4Addr::LOCALHOST, OTHER)).unwrap();
    let database = TcpListener::bind((Ipv4Addr::LOCALHOST, 6379)).unwrap();
    let mut asking = 0;
    let seen = capture(scene.attach(), || {
        asking = serve(|| {
            // Before any of these the server has received, so it is known as one.
            for listener in [&authoriser, &database] {
                ask(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
            }
            // SAFETY: takes nothing and changes nothing.
            unsafe { libc::gettid() }.unsigned_abs()
        });
    });
    assert_eq!(seen.watching.len(), 1);
    assert_eq!(seen.lost, []);
    let peer = |port, why| UnreadPeer {
        addr: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        path: None,
        why,
    };
    assert_eq!(
        peers(&seen),
        [
            &peer(OTHER, Unread::PortNotTraced),
            &peer(6379, Unread::NotHttp)
        ]
    );
    for Talk { at, pid, tid, .. } in own(&seen) {
        assert_eq!((*pid, *tid), (std::process::id(), asking));
        assert!(*at > seen.watching[0]);
    }
}

#[test]
fn who_tries_in_vain_is_told() {
    let scene = Scene::new("vain");
    let seen = capture(scene.attach(), || {
        serve(|| TcpStream::connect((Ipv4Addr::LOCALHOST, OTHER)).unwrap_err());
    });
    let asked: Vec<_> = peers(&seen).iter().map(|peer| peer.addr).collect();
    assert_eq!(
        asked,
        [Some(SocketAddr::from((Ipv4Addr::LOCALHOST, OTHER)))]
    );
}

#[test]
fn who_answers_on_another_port_asks_nobody_there() {
    let scene = Scene::new("answers");
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, OTHER)).unwrap();
    let seen = capture(scene.attach(), || {
        serve(|| ());
        // Not by a thread that ends: where it listens is looked up as the record is read.
        thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut client = TcpStream::connect(other.local_addr().unwrap()).unwrap();
                client.read_exact(&mut [0; 6]).unwrap();
            });
            let (mut stream, _) = other.accept().unwrap();
            stream.write_all(b"answer").unwrap();
            client.join().unwrap();
        });
    });
    // The client is of this process too.
    let asked: Vec<_> = peers(&seen).iter().map(|peer| peer.addr).collect();
    assert_eq!(
        asked,
        [Some(SocketAddr::from((Ipv4Addr::LOCALHOST, OTHER)))]
    );
}

#[test]
fn who_serves_and_asks_nobody_is_silent() {
    let scene = Scene::new("silent");
    let (mut one, mut other) = UnixStream::pair().unwrap();
    let udp = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let seen = capture(scene.attach(), || {
        serve(|| {
            // A pair of one's own, and a datagram.
            one.write_all(b"x").unwrap();
            other.read_exact(&mut [0]).unwrap();
            udp.send_to(b"x", udp.local_addr().unwrap()).unwrap();
        });
    });
    assert_eq!(seen.watching.len(), 1);
    assert_eq!(peers(&seen), <[&UnreadPeer; 0]>::default());
}

#[test]
fn a_unix_socket_is_named_by_its_path() {
    use std::os::linux::net::SocketAddrExt as _;
    let scene = Scene::new("unix");
    let dir = std::env::temp_dir().join(format!("t403-unix-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let (stream_path, datagram_path) = (dir.join("stream"), dir.join("datagram"));
    let listener = UnixListener::bind(&stream_path).unwrap();
    let datagrams = UnixDatagram::bind(&datagram_path).unwrap();
    let abstract_name = format!("t403-{}", std::process::id());
    let name = std::os::unix::net::SocketAddr::from_abstract_name(&abstract_name).unwrap();
    let abstract_listener = UnixListener::bind_addr(&name).unwrap();
    let seen = capture(scene.attach(), || {
        serve(|| {
            let mut stream = UnixStream::connect(&stream_path).unwrap();
            stream.write_all(b"?").unwrap();
            // The answer goes to a peer without a name: it is not told.
            let (mut served, _) = listener.accept().unwrap();
            served.write_all(b"!").unwrap();
            let datagram = UnixDatagram::unbound().unwrap();
            datagram.connect(&datagram_path).unwrap();
            datagram.send(b"?").unwrap();
            let mut stream = UnixStream::connect_addr(&name).unwrap();
            stream.write_all(b"?").unwrap();
        });
    });
    drop((listener, datagrams, abstract_listener));
    std::fs::remove_dir_all(&dir).unwrap();
    let paths: Vec<_> = peers(&seen)
        .into_iter()
        .map(|peer| {
            assert_eq!((peer.addr, peer.why), (None, Unread::UnixSocket));
            peer.path.as_deref().unwrap()
        })
        .collect();
    assert_eq!(
        paths,
        [
            stream_path.to_str().unwrap(),
            datagram_path.to_str().unwrap(),
            &format!("@{abstract_name}")
        ]
    );
}

#[test]
fn a_burst_is_told_a_few_times_each_millisecond() {
    let scene = Scene::new("burst");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, OTHER)).unwrap();
    let seen = capture(scene.attach(), || {
        serve(|| {
            let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            for _ in 0..1000 {
                stream.write_all(b"x").unwrap();
            }
        });
    });
    let talks: Vec<_> = own(&seen).collect();
    assert!(talks.iter().any(|talk| talk.more));
    // Four are told, the last of them for what follows, until a millisecond after the first.
    for five in talks.windows(5).filter(|five| five[3].more) {
        assert!(five[..3].iter().all(|talk| !talk.more), "{five:?}");
        let apart = five[4].at.since(five[0].at);
        assert!(apart >= Talk::SPEAKS_FOR, "{five:?}");
    }
}

/// What this process said: the probes see every process of the host that serves such a port.
fn own(seen: &Seen) -> impl Iterator<Item = &Talk> {
    let own = std::process::id();
    seen.talks.iter().filter(move |talk| talk.pid == own)
}

/// Whom it talked to: that a connection begins and what is sent on it are told.
fn peers(seen: &Seen) -> Vec<&UnreadPeer> {
    let mut peers: Vec<_> = own(seen).map(|talk| &talk.peer).collect();
    peers.dedup();
    peers
}

/// Sends a request to a server in this process, which calls `meanwhile` before it refuses.
fn serve<T: Send>(meanwhile: impl FnOnce() -> T + Send) -> T {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            stream
                .read_exact(&mut vec![0; request(b"a=1").len()])
                .unwrap();
            let result = meanwhile();
            stream.write_all(&response(b"no")).unwrap();
            result
        });
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).unwrap();
        stream.write_all(&request(b"a=1")).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        server.join().unwrap()
    })
}

fn ask(mut stream: TcpStream) {
    stream.write_all(b"may it?").unwrap();
}
