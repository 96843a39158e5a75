//! Many connections that are open at the same time, traced.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Result, ensure};
use serde::Serialize;
use tracer_tests::{Client, Place};

use crate::bench::Bench;
use crate::bench::live::stand::{PORT, Stand, path};
use crate::bench::live::watcher::Running;
use crate::exec::{self, cargo};

/// How many.
const OPEN: u32 = CLIENTS * EACH;
/// Processes that open them, each to an address of the server of its own.
const CLIENTS: u32 = 10;
/// Connections of each: fewer than there are ports for the clients of one address.
const EACH: u32 = 10_000;
/// Processes of the server: as the clients', none needs more open files than is usual.
const WORKERS: u32 = 10;

/// What the tool takes for them.
#[derive(Debug, Serialize)]
pub(super) struct Open {
    pub(super) connections: u32,
    /// In userspace, resident, without what is mapped of the maps.
    pub(super) resident: u64,
    /// Of the tool's maps, as the kernel counts them.
    pub(super) maps: u64,
}

impl Open {
    /// Opens them, with one exchange on each, and asks while they are open.
    pub(super) fn measure(bench: &Bench) -> Result<Self> {
        exec::run(cargo().args(["build", "--locked", "-p", "tracer-tests"]))?;
        raise_open_files()?;
        let stand = Stand::with_workers(WORKERS)?;
        let tracer = Running::start(&stand, bench, &[])?;
        let mut clients = Vec::new();
        for host in 1..=CLIENTS {
            let (to, requests) = (format!("127.0.1.{host}:{PORT}"), EACH.to_string());
            let shape = ["--shape", "parked", "--hold", "--path", path::NONE];
            let what = ["--to", &to, "--requests", &requests];
            let client = Client::start(
                Place::in_netns(stand.netns()),
                &[&shape[..], &what].concat(),
            )?;
            clients.push(client);
        }
        for client in &mut clients {
            client.wait_until_held()?;
        }
        let open = Self {
            connections: OPEN,
            resident: tracer.resident_bytes()?,
            maps: map_bytes(tracer.pid())?,
        };
        for client in clients {
            let answers = client.finish()?.answers;
            let passed = answers.iter().filter(|answer| answer.status == 200);
            ensure!(
                passed.count() == EACH as usize,
                "not every connection was answered"
            );
        }
        tracer.stop()?;
        Ok(open)
    }
}

/// Raises this process's limit of open files, and that of its children, as far as that goes.
fn raise_open_files() -> Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid rlimit that is written to during the call.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit for the length of the call.
    let raised = known && unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0 };
    ensure!(raised, "open files: {}", std::io::Error::last_os_error());
    Ok(())
}

/// What the maps of a process hold in the kernel; each counts once.
fn map_bytes(pid: u32) -> Result<u64> {
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse::<u64>().ok()
        };
        if let (Some(id), Some(bytes)) = (field("map_id:"), field("memlock:")) {
            maps.insert(id, bytes);
        }
    }
    Ok(maps.values().sum())
}
