//! Which processes have a socket open.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

/// How long the search may take. A hundred thousand descriptors take well under a second.
const SEARCH: Duration = Duration::from_secs(5);

/// Holders kept of each socket. Prefork servers have tens of workers.
const HOLDERS: usize = 64;

/// The processes that have a socket open, by the socket's inode number; each list in ascending
/// order of process ids.
pub(super) fn holders(wanted: &BTreeSet<u64>) -> BTreeMap<u64, Vec<u32>> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return found;
    }
    let until = now() + SEARCH;
    let mut denied = 0_u64;
    for pid in process_ids() {
        if now() >= until {
            tracing::warn!("too many processes: not every open connection has its process");
            break;
        }
        match sockets_of(pid, wanted, until) {
            Ok(inodes) => {
                for inode in inodes {
                    let pids: &mut Vec<u32> = found.entry(inode).or_default();
                    if pids.len() < HOLDERS {
                        pids.push(pid);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied += 1,
            // It has ended meanwhile.
            Err(_) => {}
        }
    }
    if denied > 0 {
        tracing::debug!(denied, "processes whose open files may not be looked at");
    }
    found
}

/// The processes there are, in ascending order.
pub(super) fn process_ids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids
}

/// Which of the wanted sockets a process has open.
fn sockets_of(pid: u32, wanted: &BTreeSet<u64>, until: Instant) -> io::Result<BTreeSet<u64>> {
    let mut inodes = BTreeSet::new();
    for (n, entry) in fs::read_dir(format!("/proc/{pid}/fd"))?
        .flatten()
        .enumerate()
    {
        if n % 1_024 == 1_023 && now() >= until {
            break;
        }
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        if let Some(inode) = socket_inode(target.as_os_str().as_bytes())
            && wanted.contains(&inode)
        {
            inodes.insert(inode);
        }
    }
    Ok(inodes)
}

/// `socket:[12345]`.
fn socket_inode(target: &[u8]) -> Option<u64> {
    let digits = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "bounds a search of the live host; no answer depends on it"
)]
fn now() -> Instant {
    Instant::now()
}
