//! Where a test takes place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracer403::source::live::Attach;

/// A network namespace for the thread of a test, which ends with it, and a cgroup for this process,
/// which the end of the scene removes. A process is in one cgroup, so one scene is on at a time.
pub(crate) struct Scene {
    pub(crate) cgroup: PathBuf,
    home: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

impl Scene {
    pub(crate) fn new(name: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: takes a number and concerns this thread alone.
        let unshared = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(
            unshared,
            0,
            "live tests need root: {}",
            std::io::Error::last_os_error()
        );
        let home = own_cgroup();
        let cgroup = home.join(format!("t403-live-{name}-{}", std::process::id()));
        fs::create_dir(&cgroup).unwrap();
        let scene = Self {
            cgroup,
            home,
            _turn: turn,
        };
        move_to(&scene.cgroup);
        scene.ip("link set lo up");
        scene
    }

    pub(crate) fn attach(&self) -> Attach {
        Attach::Cgroup(Some(self.cgroup.clone()))
    }

    /// Runs `ip` in the namespace of this thread.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let output = Command::new("ip")
            .args(arguments.split(' '))
            .output()
            .unwrap();
        assert!(output.status.success(), "ip {arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        move_to(&self.home);
        fs::remove_dir(&self.cgroup).unwrap();
    }
}

fn move_to(cgroup: &Path) {
    fs::write(cgroup.join("cgroup.procs"), std::process::id().to_string()).unwrap();
}

/// The directory of this process's cgroup (version 2).
fn own_cgroup() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = mounts
        .lines()
        .find(|line| line.contains(" - cgroup2 "))
        .expect("cgroup2 is mounted");
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .unwrap();
    Path::new(mount.split(' ').nth(4).unwrap()).join(own)
}
