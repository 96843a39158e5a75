use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::*;

#[test]
fn a_running_process_is_looked_up() {
    let child = Started::start(&mut Command::new("cat"));
    let mut table = ProcessTable::new();
    let found = table.owner(&child.event());
    assert_eq!(found.socket.cookie, 7);
    assert_eq!(found.used, SocketUse::Sent);
    let owner = found.owner;
    assert_eq!((owner.pid, owner.tid, owner.uid), (child.pid(), 77, 1234));
    assert_eq!(&*owner.comm, "kernel's name");
    assert!(owner.exe.unwrap().ends_with("/cat"));
    assert!(owner.cgroup.unwrap().starts_with('/'));
    assert_eq!(owner.quality, OwnerQuality::Exact);
}

#[test]
fn a_start_is_wall_clock_time() {
    let before = wall_clock();
    let child = Started::start(&mut Command::new("cat"));
    let mut table = ProcessTable::new();
    let started_at = table.owner(&child.event()).owner.started_at.unwrap();
    let tick = Duration::from_millis(10);
    assert!(started_at.plus(tick * 2) >= before, "{started_at} {before}");
    assert!(started_at <= wall_clock().plus(tick), "{started_at}");

    let unknown = OwnerEvent {
        start_boottime_ns: 0,
        ..child.event()
    };
    let read = table.owner(&unknown).owner.started_at.unwrap();
    assert!(started_at.since(read) <= tick, "{started_at} {read}");
}

#[test]
fn a_process_is_looked_up_once() {
    let child = Started::start(&mut Command::new("cat"));
    let event = child.event();
    let mut table = ProcessTable::new();
    let first = table.owner(&event);
    child.end();
    assert_eq!(table.owner(&event), first, "although it is gone");
}

#[test]
fn a_process_that_is_gone_is_named_by_what_it_started() {
    let child = Started::start(&mut Command::new("cat"));
    let event = OwnerEvent {
        comm: b"cat\0\0\0\0",
        ..child.event()
    };
    child.end();
    let mut table = ProcessTable::new();
    let owner = table.owner(&event).owner;
    assert_eq!(
        (owner.pid, &*owner.comm, owner.exe),
        (event.pid, "cat", None)
    );

    table.exec(event.pid, b"/opt/bin/cat", b"cat");
    let owner = table.owner(&event).owner;
    assert_eq!(owner.exe.as_deref(), Some("/opt/bin/cat"));
    assert!(owner.started_at.is_some());

    let another = OwnerEvent {
        comm: b"dog",
        start_boottime_ns: 1,
        ..event
    };
    assert_eq!(table.owner(&another).owner.exe, None);
}

#[test]
fn a_later_process_with_the_same_id_inherits_nothing() {
    let child = Started::start(&mut Command::new("cat"));
    let mut table = ProcessTable::new();
    let event = child.event();
    let earlier = OwnerEvent {
        start_boottime_ns: event.start_boottime_ns - 10_000_000,
        ..event
    };
    assert_eq!(
        table.owner(&earlier).owner.exe,
        None,
        "what runs now is another"
    );
    assert!(table.owner(&event).owner.exe.is_some());
    assert_eq!(
        table.owner(&earlier).owner.exe,
        None,
        "nor by having been looked up"
    );

    assert!(table.owner(&event).owner.exe.is_some());
    child.end();
    let unknown = OwnerEvent {
        start_boottime_ns: 0,
        ..event
    };
    assert_eq!(
        table.owner(&unknown).owner.exe,
        None,
        "nobody knows which it was"
    );
}

#[test]
fn a_process_that_starts_another_program_is_looked_up_again() {
    let mut child = Started::start(Command::new("sh").args(["-c", "read line && exec cat"]));
    let event = child.event();
    let mut table = ProcessTable::new();
    let shell = table.owner(&event).owner.exe.unwrap();
    assert!(!shell.ends_with("/cat"), "{shell}");

    child.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    while fs::read(format!("/proc/{}/comm", child.pid())).unwrap() != b"cat\n" {
        std::thread::yield_now();
    }
    table.exec(child.pid(), b"cat", b"cat");
    assert!(table.owner(&event).owner.exe.unwrap().ends_with("/cat"));
}

#[test]
fn the_name_is_the_process_not_the_thread() {
    let child = Started::start(&mut Command::new("cat"));
    let mut table = ProcessTable::new();
    let from_proc = OwnerEvent {
        comm: b"",
        ..child.event()
    };
    assert_eq!(&*table.owner(&from_proc).owner.comm, "cat");
    let renamed = OwnerEvent {
        comm: b"caf\xe9\0rest",
        ..child.event()
    };
    assert_eq!(&*table.owner(&renamed).owner.comm, "caf\u{fffd}");
    child.end();
    let gone = OwnerEvent {
        start_boottime_ns: 5,
        ..from_proc
    };
    assert_eq!(
        &*table.owner(&gone).owner.comm,
        "worker",
        "better than nothing"
    );
}

#[test]
fn a_program_that_was_replaced_is_said_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("server");
    let cat = ["/bin/cat", "/usr/bin/cat"]
        .into_iter()
        .find(|p| fs::exists(p).unwrap());
    // By another process: a test beside this one that forks now would keep the copy open for
    // writing, and then it cannot be run.
    let copied = Command::new("cp")
        .arg(cat.unwrap())
        .arg(&program)
        .status()
        .unwrap();
    assert!(copied.success());
    let child = Started::start(&mut Command::new(&program));
    fs::remove_file(&program).unwrap();
    let exe = ProcessTable::new().owner(&child.event()).owner.exe.unwrap();
    assert_eq!(&*exe, format!("{} (deleted)", program.display()));
}

#[test]
fn a_process_that_is_gone_has_the_container_of_its_cgroup() {
    let id = "3f4b1c0de9a8f7e6d5c4b3a2918070605f4e3d2c1b0a99887766554433221100";
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts
        .lines()
        .find(|line| line.contains(" cgroup2 "))
        .unwrap();
    let mount = mount.split(' ').nth(1).unwrap();
    let group = format!("/tracer403-host-{}-docker", std::process::id());
    let path = format!("{group}/docker-{id}.scope");
    fs::create_dir_all(format!("{mount}{path}")).unwrap();
    let cgroup_id = fs::metadata(format!("{mount}{path}")).unwrap().ino();

    let child = Started::start(&mut Command::new("cat"));
    let event = OwnerEvent {
        cgroup_id,
        ..child.event()
    };
    child.end();
    let owner = ProcessTable::new().owner(&event).owner;
    fs::remove_dir(format!("{mount}{path}")).unwrap();
    fs::remove_dir(format!("{mount}{group}")).unwrap();

    assert_eq!(owner.cgroup.as_deref(), Some(&*path));
    let container = owner.container.unwrap();
    assert_eq!((container.runtime, &*container.id), ("docker", id));
}

#[test]
fn v4_mapped_addresses_become_ipv4() {
    let child = Started::start(&mut Command::new("cat"));
    let event = OwnerEvent {
        local: "[::ffff:127.0.0.1]:80".parse().unwrap(),
        ..child.event()
    };
    let socket = ProcessTable::new().owner(&event).socket;
    assert_eq!(socket.local, Some("127.0.0.1:80".parse().unwrap()));
}

/// A child process that runs until its standard input ends.
struct Started(Child);

impl Started {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    /// What the kernel would say of it; half a tick after the tick that `/proc` prints.
    fn event(&self) -> OwnerEvent<'static> {
        let ticks = Running::open(self.pid()).unwrap().start_ticks();
        OwnerEvent {
            at: Timestamp::from_nanos(1_000_000_000),
            cookie: 7,
            local: "127.0.0.1:80".parse().unwrap(),
            remote: "127.0.0.1:5000".parse().unwrap(),
            used: SocketUse::Sent,
            pid: self.pid(),
            tid: 77,
            uid: 1234,
            start_boottime_ns: BootClock::new().ticks_to_ns(ticks) + 5_000_000,
            cgroup_id: 0,
            comm: b"kernel's name\0\0\0",
            thread_comm: b"worker\0\0",
        }
    }

    fn end(self) {}
}

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "compares with what the kernel says"
)]
fn wall_clock() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_nanos(now.as_nanos() as u64)
}
