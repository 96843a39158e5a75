//! Stand-in for the lookups in /proc and the socket tables; the real one replaces this file.
#![allow(missing_docs)]

use std::net::SocketAddr;

use crate::model::{Owner, OwnerQuality, Timestamp};
use crate::ports::Ports;
use crate::source::{SocketKey, SocketOwner, SocketUse};

pub struct OwnerEvent<'a> {
    pub at: Timestamp,
    pub cookie: u64,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub used: SocketUse,
    pub pid: u32,
    pub tid: u32,
    pub uid: u32,
    pub start_boottime_ns: u64,
    pub cgroup_id: u64,
    pub comm: &'a [u8],
    pub thread_comm: &'a [u8],
}

#[derive(Default)]
pub struct ProcessTable {}

impl ProcessTable {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn exec(&mut self, _pid: u32, _filename: &[u8], _comm: &[u8]) {}

    pub fn owner(&mut self, event: &OwnerEvent<'_>) -> SocketOwner {
        SocketOwner {
            at: event.at,
            socket: SocketKey {
                cookie: event.cookie,
                local: Some(event.local),
                remote: Some(event.remote),
            },
            used: event.used,
            owner: Owner {
                pid: event.pid,
                tid: event.tid,
                uid: event.uid,
                started_at: None,
                comm: String::from_utf8_lossy(event.comm).into(),
                exe: None,
                cgroup: None,
                container: None,
                quality: OwnerQuality::Exact,
            },
        }
    }
}

pub fn existing_sockets(
    _ports: &Ports,
    _table: &mut ProcessTable,
    _at: Timestamp,
) -> Vec<SocketOwner> {
    Vec::new()
}

pub struct KernelOffsets {
    pub group_leader: u32,
    pub start_boottime: u32,
    pub comm: u32,
    /// `filename` in `struct linux_binprm`.
    pub binprm_filename: u32,
}

pub fn kernel_offsets() -> Option<KernelOffsets> {
    Some(KernelOffsets {
        group_leader: 1328,
        start_boottime: 1560,
        comm: 1752,
        binprm_filename: 96,
    })
}
