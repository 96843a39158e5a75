//! The network namespaces of this host.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

/// Namespaces that are entered. One per pod or container is usual.
const NAMESPACES: usize = 1_024;

/// Does `work` in every network namespace that a process of this host lives in or that has a name
/// in `/run/netns`, the caller's own first. Those that may not be entered are left out.
///
/// A thread of its own enters them and ends with this call, so no other thread changes its
/// namespace.
pub(super) fn in_each<T: Send>(work: impl Fn() -> Vec<T> + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let visitor = thread::Builder::new().name("namespaces".to_owned());
        let visit = visitor.spawn_scoped(scope, || visit(&work)).ok()?;
        visit.join().ok()
    })
    .unwrap_or_default()
}

fn visit<T>(work: &impl Fn() -> Vec<T>) -> Vec<T> {
    let mut results = work();
    let mut seen = BTreeSet::new();
    seen.extend(inode(Path::new("/proc/thread-self/ns/net")));
    let (mut denied, mut unseen) = (0_u64, 0_u64);
    for path in candidates() {
        let Some(inode) = inode(&path) else {
            unseen += 1;
            continue;
        };
        if seen.contains(&inode) {
            continue;
        }
        if seen.len() >= NAMESPACES {
            tracing::debug!(NAMESPACES, "more network namespaces than are looked into");
            break;
        }
        match enter(&path) {
            Ok(()) => results.extend(work()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(_) => denied += 1,
        }
        seen.insert(inode);
    }
    if denied > 0 || unseen > 0 {
        tracing::debug!(
            denied,
            unseen,
            "network namespaces that could not be entered"
        );
    }
    results
}

fn candidates() -> impl Iterator<Item = PathBuf> {
    let processes = super::holders::process_ids()
        .into_iter()
        .map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
    let named = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    processes.chain(named.map(|entry| entry.path()))
}

fn inode(namespace: &Path) -> Option<u64> {
    Some(fs::metadata(namespace).ok()?.ino())
}

fn enter(namespace: &Path) -> io::Result<()> {
    let file = File::open(namespace)?;
    // SAFETY: the descriptor is open for the length of the call; the call changes nothing but the
    // network namespace of this thread, which ends with the visit.
    if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
