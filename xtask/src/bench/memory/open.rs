//! Many connections that are open at the same time, traced.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tracer_tests::Place;

use crate::bench::Bench;
use crate::bench::live::stand::{PORT, Stand, path};
use crate::bench::live::watcher::Running;

/// How many.
pub(super) const OPEN: u32 = 100_000;
/// Connections to each address of the server: fewer than there are ports for its clients.
const EACH: u32 = 10_000;
/// Descriptors for anything else.
const OTHER_FILES: u32 = 1_000;
const REQUEST: &str = "HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 2\r\n\r\n{}";

/// What the tool takes for them.
#[derive(Debug, Serialize)]
pub(super) struct Open {
    pub(super) connections: u32,
    /// In userspace, resident.
    pub(super) resident: u64,
    /// Of the tool's maps, as the kernel counts them.
    pub(super) maps: u64,
}

impl Open {
    /// Opens them, with one exchange on each, and asks while they are open.
    pub(super) fn measure(bench: &Bench) -> Result<Self> {
        let wanted = raise_open_files()?;
        let stand = Stand::start()?;
        let tracer = Running::start(&stand, bench, &[])?;
        let opened = Place::in_netns(stand.netns()).run_on_thread(|| Some(open_all(wanted)));
        let connections = opened.context("moving into the namespace")??;
        let open = Self {
            connections: u32::try_from(connections.len())?,
            resident: tracer.resident_bytes()?,
            maps: map_bytes(tracer.pid())?,
        };
        drop(connections);
        tracer.stop()?;
        Ok(open)
    }
}

fn open_all(wanted: u32) -> Result<Vec<TcpStream>> {
    let request = format!("POST {} {REQUEST}", path::NONE);
    let mut answer = [0; 1024];
    (0..wanted)
        .map(|number| {
            let host = u8::try_from(number / EACH)?;
            let address = SocketAddr::from(([127, 0, 1, host], PORT));
            let mut stream = TcpStream::connect(address)
                .with_context(|| format!("connection {number} to {address}"))?;
            stream.write_all(request.as_bytes())?;
            ensure!(stream.read(&mut answer)? > 0, "connection {number} closed");
            Ok(stream)
        })
        .collect()
}

/// How many connections this process and its children, which need a descriptor for each, may have:
/// all, where the limit of open files can be raised so far, else as many as it allows.
fn raise_open_files() -> Result<u32> {
    let most = u64::from(OPEN + OTHER_FILES);
    let set = |limit: libc::rlimit| {
        // SAFETY: `limit` is a valid rlimit for the length of the call.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0 }
    };
    let wanted = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    if set(wanted) {
        return Ok(OPEN);
    }
    let mut allowed = wanted;
    // SAFETY: `allowed` is a valid rlimit that is written to during the call.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut allowed) == 0 };
    allowed.rlim_cur = allowed.rlim_max;
    ensure!(
        known && set(allowed),
        "open files: {}",
        std::io::Error::last_os_error()
    );
    let connections = allowed.rlim_max.saturating_sub(OTHER_FILES.into());
    Ok(u32::try_from(connections)?.min(OPEN))
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
