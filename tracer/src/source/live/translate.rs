//! Records of the kernel side in the words of the pipeline.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;

use tracer_common as kernel;
use tracer_common::{ExecRecord, OwnerRecord, PacketRecord, TalkRecord};

use super::clock::KernelClock;
use super::{Attach, cgroup};
use crate::host::{Listening, OwnerEvent, ProcessTable};
use crate::model::{Settled, Talk, Unread, UnreadPeer};
use crate::ports::Ports;
use crate::source::{Frame, Hook, Record, SocketOwner, SocketUse, Vantage, unread};

const _: () = assert!(kernel::TALK_INTERVAL_NS as u128 == Talk::SPEAKS_FOR.as_nanos());

/// Translates records, and keeps what is known of the processes in them.
pub(super) struct Translator {
    clock: KernelClock,
    processes: ProcessTable,
    listening: Listening,
    scope: Scope,
    ports: Ports,
}

/// Of which processes it is told that they use sockets.
///
/// The kernel side hears of every process. But packets are seen of those in the cgroup only, so
/// one outside of it is as one on another host: what it asks whom is not seen.
#[derive(Clone, Debug, Default)]
pub(super) enum Scope {
    /// Of all.
    #[default]
    Host,
    /// Of those in this cgroup (its path below the mount) and below it.
    Cgroup(String),
}

impl Scope {
    /// What attaching there shows.
    pub(super) fn of(attach: &Attach) -> Self {
        let Attach::Cgroup(Some(path)) = attach else {
            return Self::Host;
        };
        let below = cgroup::root()
            .ok()
            .zip(std::fs::canonicalize(path).ok())
            .and_then(|(root, path)| Some(path.strip_prefix(root).ok()?.to_path_buf()));
        match below.as_deref().and_then(Path::to_str) {
            None | Some("") => Self::Host,
            Some(path) => Self::Cgroup(format!("/{path}")),
        }
    }

    fn holds(&self, cgroup: Option<&str>) -> bool {
        match (self, cgroup) {
            (Self::Host, _) | (_, None) => true,
            (Self::Cgroup(scope), Some(cgroup)) => cgroup
                .strip_prefix(scope.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

impl Translator {
    pub(super) fn new(clock: KernelClock, scope: Scope, ports: Ports) -> Self {
        Self {
            clock,
            processes: ProcessTable::new(),
            listening: Listening::new(),
            scope,
            ports,
        }
    }

    pub(super) fn processes(&mut self) -> &mut ProcessTable {
        &mut self.processes
    }

    /// What is told of an owner.
    pub(super) fn owner(&self, owner: SocketOwner) -> Option<Record<'static>> {
        let is_told = self.scope.holds(owner.owner.cgroup.as_deref());
        is_told.then_some(Record::Owner(owner))
    }

    /// Hands out what an entry of the ring buffer says.
    pub(super) fn hand_out(&mut self, entry: &[u8], sink: &mut dyn FnMut(Record<'_>)) {
        match kernel::Record::from_bytes(entry) {
            Some(kernel::Record::Packet(header, data)) => {
                sink(Record::Packet(self.frame(&header, data)));
            }
            Some(kernel::Record::Owner(owner)) => {
                let owner = self.processes.owner(&owner_event(&owner, self.clock));
                if let Some(record) = self.owner(owner) {
                    sink(record);
                }
            }
            Some(kernel::Record::Exec(ExecRecord {
                pid,
                comm,
                filename,
                ..
            })) => {
                self.processes
                    .exec(pid, until_nul(&filename), until_nul(&comm));
            }
            Some(kernel::Record::Talk(talk)) => {
                if let Some(talk) = self.talk(&talk) {
                    sink(Record::Talk(talk));
                }
            }
            None => tracing::warn!(
                "kernel side: a record of {} bytes makes no sense",
                entry.len()
            ),
        }
    }

    /// To whom somebody talked; `None` where it was a log, or a client that it serves on another
    /// port.
    fn talk(&mut self, talk: &TalkRecord) -> Option<Talk> {
        let &TalkRecord { pid, tid, .. } = talk;
        let at = self.clock.wall(talk.at_ns);
        let mut peer = peer(talk)?;
        // What is said on a traced port is told only where it was left out.
        if talk.family != kernel::AF_UNIX && self.ports.contains(talk.remote_port) {
            peer.why = Unread::LeftOut;
        }
        let is_accepted = talk.local_port != 0 && self.listening.on(pid, tid, talk.local_port, at);
        let more = talk.more != 0;
        (!is_accepted).then_some(Talk {
            at,
            pid,
            tid,
            peer,
            more,
        })
    }

    fn frame<'a>(&self, header: &PacketRecord, data: &'a [u8]) -> Frame<'a> {
        const ETHERNET: u16 = 1;
        const RAW_IP: u16 = 101;
        Frame {
            at: self.clock.wall(header.at_ns),
            link_type: if header.link == kernel::LINK_ETHERNET {
                ETHERNET
            } else {
                RAW_IP
            },
            wire_len: header.wire_len,
            data,
            vantage: Vantage {
                hook: match header.hook {
                    kernel::HOOK_INGRESS => Hook::Ingress,
                    kernel::HOOK_EGRESS => Hook::Egress,
                    _ => Hook::Unknown,
                },
                cookie: header.cookie,
                netns: header.netns,
                ifindex: header.ifindex,
                settled: (header.settled != 0).then_some(Settled {
                    own: header.settled_own,
                    peer: header.settled_peer,
                }),
                lost: header.lost,
            },
        }
    }
}

fn owner_event(owner: &OwnerRecord, clock: KernelClock) -> OwnerEvent<'_> {
    let address = |bytes: [u8; 16], port| SocketAddr::new(ip(owner.family, bytes), port);
    OwnerEvent {
        at: clock.wall(owner.at_ns),
        cookie: owner.cookie,
        local: address(owner.local_addr, owner.local_port),
        remote: address(owner.remote_addr, owner.remote_port),
        used: if owner.used == kernel::USED_SENT {
            SocketUse::Sent
        } else {
            SocketUse::Received
        },
        pid: owner.pid,
        tid: owner.tid,
        uid: owner.uid,
        start_boottime_ns: owner.start_boottime_ns,
        cgroup_id: owner.cgroup_id,
        comm: until_nul(&owner.comm),
        thread_comm: until_nul(&owner.thread_comm),
    }
}

/// To whom it was said; `None` where that is no matter.
fn peer(talk: &TalkRecord) -> Option<UnreadPeer> {
    if talk.family == kernel::AF_UNIX {
        let len = usize::from(talk.path_len);
        return unread::unix_peer(talk.path.get(..len)?);
    }
    let addr = SocketAddr::new(ip(talk.family, talk.remote_addr), talk.remote_port);
    Some(unread::tcp_peer(addr))
}

/// The address as its packets show it: an IPv6 socket that talks IPv4 has a mapped one.
fn ip(family: u32, bytes: [u8; 16]) -> IpAddr {
    if family == kernel::AF_INET {
        let [a, b, c, d, ..] = bytes;
        return IpAddr::from([a, b, c, d]);
    }
    Ipv6Addr::from(bytes).to_canonical()
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_packets() {
        let mut mapped = [0; 16];
        mapped[10..].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]);
        let v4 = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(ip(kernel::AF_INET6, mapped), v4);
        assert_eq!(
            ip(
                kernel::AF_INET,
                [127, 0, 0, 1, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0]
            ),
            v4
        );
        assert_eq!(ip(kernel::AF_INET6, [0; 16]), IpAddr::from([0; 16]));
    }

    #[test]
    fn names_end_at_the_nul() {
        assert_eq!(until_nul(b"nginx\0rest"), b"nginx");
        assert_eq!(until_nul(b"\0stale"), b"");
        assert_eq!(until_nul(b"sixteen bytes..."), b"sixteen bytes...");
    }

    #[test]
    fn a_process_outside_of_the_cgroup_is_not_told_of() {
        let scope = Scope::Cgroup("/a/b".to_owned());
        for (cgroup, told) in [
            (Some("/a/b"), true),
            (Some("/a/b/c"), true),
            (Some("/a/bc"), false),
            (Some("/a"), false),
            (None, true),
        ] {
            assert_eq!(scope.holds(cgroup), told, "{cgroup:?}");
        }
        assert!(Scope::Host.holds(Some("/x")));
    }

    #[test]
    fn a_talk_with_a_traced_port_is_one_that_was_left_out() {
        let ports: Ports = "8080".parse().unwrap();
        let mut translator = Translator::new(KernelClock::new(), Scope::Host, ports);
        for (remote_port, why) in [(8080, Unread::LeftOut), (8081, Unread::PortNotTraced)] {
            let talk = TalkRecord {
                kind: kernel::KIND_TALK,
                family: kernel::AF_INET,
                at_ns: 1,
                cookie: 2,
                pid: 3,
                tid: 4,
                local_port: 0,
                remote_port,
                path_len: 0,
                more: 0,
                local_addr: [0; 16],
                remote_addr: [127; 16],
                path: [0; kernel::UNIX_PATH_LEN],
            };
            assert_eq!(translator.talk(&talk).unwrap().peer.why, why);
        }
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let mut translator = Translator::new(KernelClock::new(), Scope::Host, Ports::default());
        translator.hand_out(&[0xff; 64], &mut |record| panic!("{record:?}"));
    }
}
