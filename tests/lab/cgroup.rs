//! Control groups: children of the cgroup2 mount that kill what is left in them.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::wait::Deadline;

/// Every group that the lab makes starts with this, then the process id of its maker.
const PREFIX: &str = "tracer403-lab-";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A process is in one group at a time.
static VISITING: Mutex<()> = Mutex::new(());

/// A control group of its own; whatever still runs in it is killed when it is dropped.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    procs: File,
}

impl Cgroup {
    /// Makes one below the cgroup2 mount, and removes those of lab processes that were killed.
    ///
    /// # Errors
    /// Without root, or where no cgroup2 is mounted.
    pub fn new() -> Result<Self> {
        let mount = cgroup2_mount()?;
        remove_orphans(&mount);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = mount.join(format!("{PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&path)
            .with_context(|| format!("making {}: this needs root", path.display()))?;
        let procs = File::options()
            .write(true)
            .open(path.join("cgroup.procs"))
            .with_context(|| format!("opening cgroup.procs of {}", path.display()))?;
        Ok(Self { path, procs })
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves this process in, until the visit is dropped; a second visit waits for that. Sockets
    /// stay in the group in which they were made.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn visit(&self) -> Result<Visit> {
        let alone = VISITING.lock().unwrap_or_else(PoisonError::into_inner);
        let mount = cgroup2_mount()?;
        let own = fs::read_to_string("/proc/self/cgroup").context("/proc/self/cgroup")?;
        let own = own
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .context("this process is in no cgroup2")?;
        let home = mount.join(own).join("cgroup.procs");
        fs::write(self.path.join("cgroup.procs"), "0").context("moving into the control group")?;
        Ok(Visit {
            home,
            _alone: alone,
        })
    }
}

/// This process's time in a control group that is not its own.
#[derive(Debug)]
pub struct Visit {
    /// `cgroup.procs` of its own group.
    home: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        // To stay would be death: what is left in a group of the lab is killed with it.
        if let Err(why) = fs::write(&self.home, "0") {
            eprintln!("lab: cannot go back to {}: {why}", self.home.display());
            std::process::exit(1);
        }
    }
}

impl AsFd for Cgroup {
    /// The open `cgroup.procs`: a process that writes `0` to it moves in.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.procs.as_fd()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if let Err(why) = kill_and_remove(&self.path) {
            eprintln!("lab: {} stays behind: {why:#}", self.path.display());
        }
    }
}

/// Where cgroup2 is mounted, from /proc/self/mountinfo.
fn cgroup2_mount() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    mounts
        .lines()
        .find_map(|line| {
            let (mount, kind) = line.split_once(" - ")?;
            kind.starts_with("cgroup2 ")
                .then(|| mount.split(' ').nth(4).map(PathBuf::from))?
        })
        .context("no cgroup2 is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified")
}

fn kill_and_remove(path: &Path) -> Result<()> {
    fs::write(path.join("cgroup.kill"), "1").context("cgroup.kill (Linux 5.14 or later)")?;
    Deadline::usual().wait_for(
        "the processes in the control group end",
        || match fs::remove_dir(path) {
            Ok(()) => Ok(Some(())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Some(())),
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => Ok(None),
            Err(e) => Err(e.into()),
        },
    )
}

/// Removes the groups of lab processes that are gone without having cleaned up.
fn remove_orphans(mount: &Path) {
    for entry in fs::read_dir(mount).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name
            .to_str()
            .and_then(|n| n.strip_prefix(PREFIX))
            .and_then(|n| n.split('-').next());
        if let Some(pid) = maker
            && !Path::new("/proc").join(pid).exists()
        {
            drop(kill_and_remove(&entry.path()));
        }
    }
}
