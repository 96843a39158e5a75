//! Which eBPF objects a process holds, and whether they are still in the kernel after its end.

mod call;
mod empty;
mod run_time;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::wait::Deadline;
pub use empty::EmptyPrograms;
pub use run_time::{RunTime, RunTimes};

/// Programs, links and maps, by their kernel ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BpfObjects {
    /// Kind and id, in order.
    ids: BTreeSet<(Kind, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Program,
    Map,
    Link,
}

impl Kind {
    const fn of_field(name: &str) -> Option<Self> {
        match name.as_bytes() {
            b"prog_id" => Some(Self::Program),
            b"map_id" => Some(Self::Map),
            b"link_id" => Some(Self::Link),
            _ => None,
        }
    }

    /// The command of bpf(2) that opens an object of this kind by its id.
    const fn open_command(self) -> libc::c_long {
        match self {
            Self::Program => 13,
            Self::Map => 14,
            Self::Link => 30,
        }
    }
}

impl BpfObjects {
    /// What a process holds, from /proc/PID/fdinfo.
    ///
    /// # Errors
    /// Where the process is gone, or holds no program: then there is nothing to look for.
    pub fn of_process(pid: u32) -> Result<Self> {
        Ok(Self { ids: held_by(pid)? })
    }

    /// Waits until the kernel has none of them any more.
    ///
    /// # Errors
    /// Where some stay: what they are.
    pub fn wait_until_gone(&self) -> Result<()> {
        Deadline::usual()
            .wait_for("every eBPF object is gone", || {
                Ok(self.left()?.ids.is_empty().then_some(()))
            })
            .with_context(|| format!("left in the kernel: {:?}", self.left()))
    }

    /// Those that the kernel still has.
    fn left(&self) -> Result<Self> {
        let mut ids = BTreeSet::new();
        for (kind, id) in &self.ids {
            if exists(*kind, *id)? {
                ids.insert((*kind, *id));
            }
        }
        Ok(Self { ids })
    }
}

/// Kinds and ids of what a process holds, from /proc/PID/fdinfo.
fn held_by(pid: u32) -> Result<BTreeSet<(Kind, u32)>> {
    let mut ids = BTreeSet::new();
    let directory = format!("/proc/{pid}/fdinfo");
    for entry in fs::read_dir(&directory).context(directory)? {
        // A descriptor may close between the listing and the look.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        for line in text.lines() {
            if let Some((name, id)) = line.split_once(':')
                && let Some(kind) = Kind::of_field(name)
            {
                ids.insert((kind, id.trim().parse()?));
            }
        }
    }
    if !ids.iter().any(|(kind, _)| *kind == Kind::Program) {
        bail!("process {pid} holds no eBPF program");
    }
    Ok(ids)
}

fn exists(kind: Kind, id: u32) -> Result<bool> {
    // union bpf_attr as the *_GET_FD_BY_ID commands read it: id, next id, open flags.
    match call::open(kind.open_command(), &mut [id, 0, 0]) {
        Ok(_) => Ok(true),
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(e) => Err(e).context("asking the kernel for an eBPF object: this needs root"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsRawFd;

    use super::{Kind, exists};

    #[test]
    fn an_object_exists_as_long_as_somebody_holds_it() {
        let map = make_map();
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_raw_fd())).unwrap();
        let id = text
            .lines()
            .find_map(|l| l.strip_prefix("map_id:"))
            .unwrap();
        let id = id.trim().parse().unwrap();
        assert!(exists(Kind::Map, id).unwrap());
        drop(map);
        // The kernel frees it in its own time.
        crate::Deadline::usual()
            .wait_for("the map is gone", || {
                Ok((!exists(Kind::Map, id)?).then_some(()))
            })
            .unwrap();
    }

    fn make_map() -> File {
        // BPF_MAP_CREATE: array, key 4 bytes, value 4 bytes, one entry.
        super::call::open(0, &mut [2_u32, 4, 4, 1, 0, 0, 0, 0])
            .unwrap()
            .into()
    }

    #[test]
    fn programs_are_counted_while_asked_for() {
        let cgroup = crate::Cgroup::new().unwrap();
        let netns = crate::Netns::new().unwrap();
        let empty = super::EmptyPrograms::attach(&cgroup).unwrap();
        let _counting = super::RunTimes::count().unwrap();
        assert_eq!(empty.run_time().unwrap().runs, 0);
        let inside = crate::Place::inside(&netns, &cgroup);
        // Nobody listens there: that it is asked is enough.
        drop(inside.output("curl", &["-sm1", "http://127.0.0.1:9"]));
        let ran = empty.run_time().unwrap();
        assert!(ran.runs > 0 && ran.nanos > 0, "{ran:?}");
        let held = super::RunTime::of_process(std::process::id()).unwrap();
        assert!(held.contains_key("lab_empty"), "{held:?}");
    }
}
