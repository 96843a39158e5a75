//! Which cgroup a process is in: from its `cgroup` file, or from the id that the kernel side gave.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::container::container;
use super::recent::Recent;
use crate::model::{Container, Timestamp};

/// A process's place in the cgroup tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) path: Option<Arc<str>>,
    pub(super) container: Option<Arc<Container>>,
}

impl Membership {
    /// From the lines of `/proc/PID/cgroup`, `hierarchy:controllers:path`.
    ///
    /// The path is the one in the version 2 hierarchy. Where there is none, or only its root, as on
    /// hosts that use version 1 for everything, it is the path in the hierarchy of systemd, else
    /// the one that names a container.
    pub(super) fn parse(lines: &str) -> Self {
        let hierarchies = || {
            lines.lines().filter_map(|line| {
                let mut parts = line.splitn(3, ':');
                let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
                // What the kernel appends when the cgroup was removed under a dying process.
                let path = path.strip_suffix(" (deleted)").unwrap_or(path);
                Some((id, controllers, path))
            })
        };
        let unified = || hierarchies().find(|(id, ..)| *id == "0");
        let systemd = || hierarchies().find(|(_, c, _)| *c == "name=systemd");
        let found = hierarchies().find_map(|(.., path)| Some((path, container(path)?)));

        let deep = |path: &&str| *path != "/";
        let path = unified()
            .map(|(.., path)| path)
            .filter(deep)
            .or_else(|| systemd().map(|(.., path)| path).filter(deep))
            .or_else(|| found.as_ref().map(|(path, _)| *path))
            .or_else(|| unified().or_else(systemd).map(|(.., path)| path));
        Self {
            path: path.map(Arc::from),
            container: found.map(|(_, container)| Arc::new(container)),
        }
    }

    fn at(path: Arc<str>) -> Self {
        Self {
            container: container(&path).map(Arc::new),
            path: Some(path),
        }
    }
}

/// The tree of version 2 cgroups by their ids, for processes that are gone. An id is the inode
/// number of the cgroup's directory, and is not used again.
#[derive(Debug)]
pub(super) struct CgroupTree {
    mount: Option<PathBuf>,
    paths: Recent<u64, Option<Arc<str>>>,
    walked_at: Option<Timestamp>,
}

/// Cgroups remembered, and looked at in one walk. A host with hundreds of pods has some thousands.
const CGROUPS: usize = 32_768;

/// From one walk to the next: bounds a host where short-lived cgroups come and go all the time.
const BETWEEN_WALKS: Duration = Duration::from_secs(1);

impl CgroupTree {
    pub(super) fn new() -> Self {
        Self {
            mount: mount_point(),
            paths: Recent::new(CGROUPS),
            walked_at: None,
        }
    }

    /// Remembers where a cgroup is, so that it is known when it is gone.
    pub(super) fn learn(&mut self, id: u64, membership: &Membership) {
        if id != 0
            && let Some(path) = &membership.path
        {
            self.paths.insert(id, Some(path.clone()));
        }
    }

    /// The cgroup with this id. An id that is not known makes the tree be walked again, at most
    /// once for each id and once a second of capture time.
    pub(super) fn find(&mut self, id: u64, at: Timestamp) -> Membership {
        if id == 0 {
            return Membership::default();
        }
        if let Some(known) = self.paths.get(&id) {
            return known.clone().map(Membership::at).unwrap_or_default();
        }
        if self
            .walked_at
            .is_some_and(|last| at.since(last) < BETWEEN_WALKS)
        {
            return Membership::default();
        }
        self.walked_at = Some(at);
        self.walk();
        if let Some(found) = self.paths.get(&id) {
            return found.clone().map(Membership::at).unwrap_or_default();
        }
        self.paths.insert(id, None);
        Membership::default()
    }

    fn walk(&mut self) {
        let Some(mount) = &self.mount else { return };
        if let Ok(root) = fs::metadata(mount) {
            self.paths.insert(root.ino(), Some("/".into()));
        }
        let mut left = CGROUPS;
        let mut directories = VecDeque::from([(mount.clone(), String::new())]);
        while let Some((directory, path)) = directories.pop_front() {
            let Ok(entries) = fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                if !entry.file_type().is_ok_and(|t| t.is_dir()) {
                    continue;
                }
                let Some(fewer) = left.checked_sub(1) else {
                    tracing::debug!(CGROUPS, "more cgroups than are looked at");
                    return;
                };
                left = fewer;
                let path = format!("{path}/{}", entry.file_name().to_string_lossy());
                self.paths.insert(entry.ino(), Some(path.as_str().into()));
                directories.push_back((entry.path(), path));
            }
        }
    }
}

/// Where the version 2 hierarchy is mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` beside
/// version 1. Prefers a mount of the whole tree to one of a part.
fn mount_point() -> Option<PathBuf> {
    let mounts = procfs::process::Process::myself().ok()?.mountinfo().ok()?;
    let mut cgroup2 = mounts.into_iter().filter(|m| m.fs_type == "cgroup2");
    let first = cgroup2.next()?;
    if first.root == "/" {
        return Some(first.mount_point);
    }
    let whole = cgroup2.find(|m| m.root == "/");
    Some(whole.unwrap_or(first).mount_point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_2_alone() {
        let found = Membership::parse("0::/system.slice/nginx.service\n");
        assert_eq!(found.path.as_deref(), Some("/system.slice/nginx.service"));
        assert_eq!(found.container, None);
    }

    #[test]
    fn a_container_that_only_version_1_names() {
        let lines = format!("12:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/\n");
        let found = Membership::parse(&lines);
        assert_eq!(found.path.as_deref(), Some(&*format!("/docker/{ID}")));
        assert_eq!(found.container.unwrap().runtime, "docker");

        let found = Membership::parse(&format!("4:memory:/docker/{ID}\n1:name=systemd:/\n0::/\n"));
        assert_eq!(found.path.as_deref(), Some(&*format!("/docker/{ID}")));
    }

    #[test]
    fn hybrid_hosts_have_both() {
        let lines = "3:cpu,cpuacct:/\n1:name=systemd:/system.slice/a.service\n\
                     0::/system.slice/a.service\n";
        let found = Membership::parse(lines);
        assert_eq!(found.path.as_deref(), Some("/system.slice/a.service"));
    }

    #[test]
    fn a_path_may_hold_colons_and_may_be_gone() {
        let lines = format!("0::/x.slice:cri-containerd:{ID} (deleted)\n");
        let found = Membership::parse(&lines);
        assert_eq!(
            found.path.as_deref(),
            Some(&*format!("/x.slice:cri-containerd:{ID}"))
        );
        assert_eq!(found.container.unwrap().runtime, "containerd");
    }

    #[test]
    fn nothing_and_nonsense_are_no_membership() {
        for lines in ["", "\n", "0:", "0:x", "a:b:", "::"] {
            let found = Membership::parse(lines);
            assert_eq!(found.container, None);
        }
        assert_eq!(Membership::parse("").path, None);
        assert_eq!(Membership::parse("0::/\n").path.as_deref(), Some("/"));
    }

    #[test]
    fn the_tree_is_found_by_id() {
        let mount = mount_point().unwrap();
        let name = format!("tracer403-host-test-{}", std::process::id());
        let mut tree = CgroupTree::new();
        assert_eq!(
            tree.find(fs::metadata(&mount).unwrap().ino(), SECOND)
                .path
                .as_deref(),
            Some("/")
        );

        let directory = Removed(mount.join(&name));
        fs::create_dir_all(directory.0.join("inner")).unwrap();
        let id = fs::metadata(directory.0.join("inner")).unwrap().ino();
        assert_eq!(tree.find(id, SECOND).path, None, "walked this second");
        let found = tree.find(id, SECOND.plus(BETWEEN_WALKS));
        assert_eq!(found.path.as_deref(), Some(&*format!("/{name}/inner")));

        drop(directory);
        let found = tree.find(id, SECOND.plus(BETWEEN_WALKS * 9));
        assert_eq!(found.path.as_deref(), Some(&*format!("/{name}/inner")));
    }

    #[test]
    fn an_id_that_is_nowhere_costs_one_walk() {
        let mut tree = CgroupTree::new();
        for n in 1..10 {
            let at = SECOND.plus(BETWEEN_WALKS * n);
            assert_eq!(tree.find(u64::MAX, at), Membership::default());
            assert_eq!(tree.walked_at, Some(SECOND.plus(BETWEEN_WALKS)));
        }
    }

    const ID: &str = "3f4b1c0de9a8f7e6d5c4b3a2918070605f4e3d2c1b0a99887766554433221100";
    const SECOND: Timestamp = Timestamp::from_nanos(1_000_000_000);

    struct Removed(PathBuf);

    impl Drop for Removed {
        fn drop(&mut self) {
            let _ = fs::remove_dir(self.0.join("inner"));
            let _ = fs::remove_dir(&self.0);
        }
    }
}
