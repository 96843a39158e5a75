//! The processes that use sockets, each looked up in `/proc` once.

use std::net::SocketAddr;
use std::sync::Arc;

use super::cgroups::{CgroupTree, Membership};
use super::clock::BootClock;
use super::recent::Recent;
use super::running::Running;
use crate::model::{Owner, OwnerQuality, Timestamp};
use crate::source::{SocketKey, SocketOwner, SocketUse};

/// What the kernel side says of a process that used a socket.
#[derive(Clone, Debug)]
pub struct OwnerEvent<'a> {
    /// When.
    pub at: Timestamp,
    /// The socket's cookie.
    pub cookie: u64,
    /// The socket's own address.
    pub local: SocketAddr,
    /// Its peer's address.
    pub remote: SocketAddr,
    /// What the process did with it.
    pub used: SocketUse,
    /// Process id, in the host's pid namespace.
    pub pid: u32,
    /// Thread id, in the host's pid namespace.
    pub tid: u32,
    /// User id, in the host's user namespace.
    pub uid: u32,
    /// When the process started, in nanoseconds of the boot-time clock; 0 where not known.
    pub start_boottime_ns: u64,
    /// Id of its version 2 cgroup; 0 where not known.
    pub cgroup_id: u64,
    /// The process's name; empty where not known. Ends at the first NUL.
    pub comm: &'a [u8],
    /// The thread's name. Ends at the first NUL.
    pub thread_comm: &'a [u8],
}

/// What is known about the processes of this host. Bounded; a process is known by its id and its
/// start time, so one that got the id of another inherits nothing.
#[derive(Debug)]
pub struct ProcessTable {
    clock: BootClock,
    cgroups: CgroupTree,
    processes: Recent<u32, Process>,
    images: Recent<u32, Image>,
}

/// Processes and started programs remembered. More than run on most hosts; it is the short-lived
/// ones that this bounds.
const PROCESSES: usize = 16_384;

#[derive(Clone, Debug)]
struct Process {
    start_ticks: u64,
    comm: Arc<str>,
    exe: Option<Arc<str>>,
    membership: Membership,
}

/// The program that a process started last.
#[derive(Debug)]
struct Image {
    path: Arc<str>,
    comm: Arc<str>,
}

impl Default for ProcessTable {
    fn default() -> Self {
        Self::new()
    }
}

impl ProcessTable {
    /// An empty table. Takes the difference of the boot-time clock and the wall clock now, for
    /// good.
    pub fn new() -> Self {
        Self {
            clock: BootClock::new(),
            cgroups: CgroupTree::new(),
            processes: Recent::new(PROCESSES),
            images: Recent::new(PROCESSES),
        }
    }

    /// A process started a program: `filename` as it was given to `execve`, so it can be relative,
    /// or a script. Only where the process is gone before `/proc` was asked is this what is shown.
    pub fn exec(&mut self, pid: u32, filename: &[u8], comm: &[u8]) {
        self.processes.remove(&pid);
        let (path, comm) = (name(filename), name(comm));
        if path.is_empty() {
            self.images.remove(&pid);
        } else {
            self.images.insert(pid, Image { path, comm });
        }
    }

    /// The owner of a socket, from what the kernel said and what `/proc` adds. A process that is
    /// gone still has the name and the ids that the kernel gave.
    pub fn owner(&mut self, event: &OwnerEvent<'_>) -> SocketOwner {
        let process = self.process(event);
        let started_ns = match event.start_boottime_ns {
            0 => process
                .as_ref()
                .map(|p| self.clock.ticks_to_ns(p.start_ticks)),
            known => Some(known),
        };
        let (comm, exe, membership) = match process {
            Some(process) => (process.comm, process.exe, process.membership),
            None => self.vanished(event),
        };
        let owner = Owner {
            pid: event.pid,
            tid: event.tid,
            uid: event.uid,
            started_at: started_ns.map(|ns| self.clock.wall(ns)),
            comm,
            exe,
            cgroup: membership.path,
            container: membership.container,
            quality: OwnerQuality::Exact,
        };
        SocketOwner {
            at: event.at,
            socket: SocketKey {
                cookie: event.cookie,
                local: Some(canonical(event.local)),
                remote: Some(canonical(event.remote)),
            },
            used: event.used,
            owner,
        }
    }

    /// A process that holds a socket, as `/proc` shows it now; `None` where it is gone. It is
    /// [`OwnerQuality::Relaxed`] if it is the only one.
    pub(super) fn holder(&mut self, pid: u32) -> Option<Owner> {
        let running = Running::open(pid)?;
        let ticks = running.start_ticks();
        let known = self.processes.get(&pid).filter(|p| p.start_ticks == ticks);
        let process = match known {
            Some(process) => process.clone(),
            None => {
                let process = Process {
                    start_ticks: ticks,
                    comm: name(&running.comm()?),
                    exe: running.exe(),
                    membership: Membership::parse(&running.cgroup_lines()),
                };
                self.processes.insert(pid, process.clone());
                process
            }
        };
        Some(Owner {
            pid,
            tid: pid,
            uid: running.uid()?,
            started_at: Some(self.clock.wall(self.clock.ticks_to_ns(ticks))),
            comm: process.comm,
            exe: process.exe,
            cgroup: process.membership.path,
            container: process.membership.container,
            quality: OwnerQuality::Relaxed,
        })
    }

    /// What is known of the process of an event, read now if need be; `None` where it is gone and
    /// was not known, or where it cannot be told from one that had its id before.
    fn process(&mut self, event: &OwnerEvent<'_>) -> Option<Process> {
        let mut running = None;
        let ticks = match event.start_boottime_ns {
            0 => running.insert(Running::open(event.pid)?).start_ticks(),
            ns => self.clock.ns_to_ticks(ns),
        };
        if let Some(known) = self.processes.get(&event.pid)
            && known.start_ticks == ticks
        {
            let comm = until_nul(event.comm);
            if !comm.is_empty() && comm != known.comm.as_bytes() {
                known.comm = name(comm);
            }
            return Some(known.clone());
        }
        let running = running.or_else(|| Running::open(event.pid));
        let process = match running.filter(|r| r.start_ticks() == ticks) {
            Some(running) => self.look_up(event, &running),
            None => {
                let (comm, exe, membership) = self.vanished(event);
                Process {
                    start_ticks: ticks,
                    comm,
                    exe,
                    membership,
                }
            }
        };
        self.processes.insert(event.pid, process.clone());
        Some(process)
    }

    fn look_up(&mut self, event: &OwnerEvent<'_>, running: &Running) -> Process {
        let proc_comm = || running.comm().unwrap_or_default();
        let comm = match until_nul(event.comm) {
            [] => first_name(&[&proc_comm(), event.thread_comm]),
            comm => name(comm),
        };
        let mut membership = Membership::parse(&running.cgroup_lines());
        if membership.path.is_some() {
            self.cgroups.learn(event.cgroup_id, &membership);
        } else {
            membership = self.cgroups.find(event.cgroup_id, event.at);
        }
        Process {
            start_ticks: running.start_ticks(),
            exe: running.exe().or_else(|| self.image(event.pid, &comm)),
            comm,
            membership,
        }
    }

    /// What can be said of a process that is no longer there.
    fn vanished(&mut self, event: &OwnerEvent<'_>) -> (Arc<str>, Option<Arc<str>>, Membership) {
        let comm = first_name(&[event.comm, event.thread_comm]);
        let exe = self.image(event.pid, &comm);
        (comm, exe, self.cgroups.find(event.cgroup_id, event.at))
    }

    /// The program that the process started last. One that goes by another name can be a later
    /// process with the same id, that started no program of its own.
    fn image(&mut self, pid: u32, comm: &str) -> Option<Arc<str>> {
        let image = self.images.get(&pid)?;
        let same = image.comm.is_empty() || comm.is_empty() || &*image.comm == comm;
        same.then(|| image.path.clone())
    }
}

fn first_name(names: &[&[u8]]) -> Arc<str> {
    let given = names.iter().map(|n| until_nul(n)).find(|n| !n.is_empty());
    name(given.unwrap_or_default())
}

fn name(bytes: &[u8]) -> Arc<str> {
    String::from_utf8_lossy(until_nul(bytes)).into()
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}

/// A v4-mapped address as packets show it.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests;
