use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use super::*;

#[test]
fn both_ends_of_an_open_connection_are_found() {
    let pair = Pair::open("127.0.0.1:0");
    for stream in [&pair.client, &pair.server] {
        let found = settled(&pair, stream, OwnerQuality::Relaxed);
        assert_eq!(found.at, AT);
        assert_eq!(found.used, SocketUse::Held);
        assert_eq!(found.socket.cookie, kernel_cookie(stream));
        assert_eq!(found.owner.pid, std::process::id());
        let exe = std::env::current_exe().unwrap();
        assert_eq!(found.owner.exe.as_deref(), exe.to_str());
        assert!(found.owner.started_at.is_some());
    }
}

#[test]
fn v4_mapped_connections_show_as_ipv4() {
    let listener = TcpListener::bind("[::]:0").unwrap();
    let client = TcpStream::connect(("127.0.0.1", listener.local_addr().unwrap().port()));
    let pair = Pair {
        client: client.unwrap(),
        server: listener.accept().unwrap().0,
        _listener: listener,
    };
    assert!(pair.server.local_addr().unwrap().is_ipv6());
    let found = settled(&pair, &pair.server, OwnerQuality::Relaxed);
    assert!(found.socket.local.unwrap().is_ipv4());
}

#[test]
fn ipv6_connections_are_found() {
    let pair = Pair::open("[::1]:0");
    settled(&pair, &pair.server, OwnerQuality::Relaxed);
}

#[test]
fn of_several_holders_the_youngest_is_the_guess() {
    let pair = Pair::open("127.0.0.1:0");
    let shared = OwnedFd::from(pair.server.try_clone().unwrap());
    let mut child = Command::new("cat")
        .stdin(Stdio::from(shared))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // A process that another test starts holds everything until it becomes its program.
    let mut looks = (0..100).map(|_| settled(&pair, &pair.server, OwnerQuality::Guess));
    let found = looks.find(|found| found.owner.pid == child.id()).unwrap();
    assert_eq!(&*found.owner.comm, "cat");
    settled(&pair, &pair.client, OwnerQuality::Relaxed);
    drop(pair);
    child.wait().unwrap();
}

#[test]
fn other_ports_and_closed_connections_are_left_out() {
    let pair = Pair::open("127.0.0.1:0");
    let other: Ports = "1".parse().unwrap();
    let mut table = ProcessTable::new();
    assert_eq!(existing_sockets(&other, &mut table, AT), []);
    let ports = pair.ports();
    assert_eq!(existing_sockets(&ports, &mut table, AT).len(), 2);
    drop(pair);
    let left = (0..100).map(|_| existing_sockets(&ports, &mut table, AT));
    assert!(left.into_iter().any(|sockets| sockets.is_empty()));
}

#[test]
fn connections_in_other_network_namespaces_are_found() {
    let (to_test, from_thread) = mpsc::channel();
    let (done, wait) = mpsc::channel::<()>();
    let own = fs_inode("/proc/self/ns/net");
    let elsewhere = thread::spawn(move || {
        // SAFETY: changes the network namespace of this thread alone.
        let left = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(
            left,
            0,
            "this test needs root: {}",
            io::Error::last_os_error()
        );
        let up = Command::new("ip")
            .args(["link", "set", "lo", "up"])
            .status();
        assert!(up.unwrap().success());
        let pair = Pair::open("127.0.0.1:0");
        // A process that lives there: the namespace of a thread alone is not looked for.
        let mut resident = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        to_test.send((pair, resident.id())).unwrap();
        wait.recv().unwrap();
        drop(resident.stdin.take());
        resident.wait().unwrap();
    });
    let (pair, resident) = from_thread.recv().unwrap();
    assert_ne!(fs_inode(&format!("/proc/{resident}/ns/net")), own);
    let found = settled(&pair, &pair.server, OwnerQuality::Relaxed);
    assert_eq!(found.owner.pid, std::process::id());
    assert_eq!(found.socket.cookie, kernel_cookie(&pair.server));
    assert_eq!(
        fs_inode("/proc/thread-self/ns/net"),
        own,
        "we stay where we are"
    );
    done.send(()).unwrap();
    elsewhere.join().unwrap();
}

const AT: Timestamp = Timestamp::from_nanos(5);

struct Pair {
    client: TcpStream,
    server: TcpStream,
    _listener: TcpListener,
}

impl Pair {
    fn open(addr: &str) -> Self {
        let listener = TcpListener::bind(addr).unwrap();
        Self {
            client: TcpStream::connect(listener.local_addr().unwrap()).unwrap(),
            server: listener.accept().unwrap().0,
            _listener: listener,
        }
    }

    fn ports(&self) -> Ports {
        let port = self.client.peer_addr().unwrap().port();
        port.to_string().parse().unwrap()
    }
}

/// What is found of a stream. A child that another test starts at this moment holds every socket
/// until it has become its program, so what is found can take a few looks to settle.
fn settled(pair: &Pair, stream: &TcpStream, quality: OwnerQuality) -> SocketOwner {
    let mut looks = Vec::new();
    for _ in 0..100 {
        let found = existing_sockets(&pair.ports(), &mut ProcessTable::new(), AT);
        assert_eq!(found.len(), 2, "{found:?}");
        let local = canonical(stream.local_addr().unwrap());
        let remote = canonical(stream.peer_addr().unwrap());
        let this =
            |f: &&SocketOwner| f.socket.local == Some(local) && f.socket.remote == Some(remote);
        let found = found.iter().find(this).unwrap().clone();
        if found.owner.quality == quality {
            return found;
        }
        looks.push(found.owner);
    }
    panic!("never {quality:?}: {looks:?}");
}

fn kernel_cookie(stream: &TcpStream) -> u64 {
    use std::os::fd::AsRawFd;
    let mut cookie = 0_u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: `cookie` and `length` are valid for the length of the call and agree.
    let done = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    assert_eq!(done, 0);
    cookie
}

fn fs_inode(path: &str) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().ino()
}
