//! The cgroup hierarchy (version 2).

use std::fs;
use std::path::PathBuf;

use crate::source::SourceError;

/// Where its root is mounted.
pub(super) fn root() -> Result<PathBuf, SourceError> {
    let mounts =
        fs::read_to_string("/proc/self/mountinfo").map_err(|source| SourceError::Read {
            path: "/proc/self/mountinfo".to_owned(),
            source,
        })?;
    mount_point(&mounts).ok_or_else(|| {
        SourceError::Live(
            "no cgroup hierarchy of version 2 is mounted here (`mount -t cgroup2 none \
             /sys/fs/cgroup/unified` mounts one; in a container, mount the host's). With -i the \
             packets are taken from interfaces instead"
                .to_owned(),
        )
    })
}

/// The mount point of the root of a cgroup2 file system; proc(5) has the format. A mount of a part
/// of the hierarchy (in a container) serves where there is none of the whole.
fn mount_point(mountinfo: &str) -> Option<PathBuf> {
    let mounts = || {
        mountinfo.lines().filter_map(|line| {
            let (mount, kind) = line.split_once(" - ")?;
            let mut fields = mount.split(' ').skip(3);
            let (root, point) = (fields.next()?, fields.next()?);
            (kind.split(' ').next() == Some("cgroup2")).then(|| (root, unescape(point)))
        })
    };
    let whole = mounts().find(|&(root, _)| root == "/");
    whole
        .or_else(|| mounts().next())
        .map(|(_, point)| PathBuf::from(point))
}

/// Undoes the octal escapes of white space.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_hierarchy_on_its_own_and_beside_version_1() {
        let unified = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(mount_point(unified), Some("/sys/fs/cgroup".into()));
        let hybrid = "31 24 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(hybrid), Some("/sys/fs/cgroup/unified".into()));
    }

    #[test]
    fn the_whole_hierarchy_goes_before_a_part_of_it() {
        let both = "30 24 0:26 /system.slice /part rw - cgroup2 cgroup2 rw\n\
                    31 24 0:26 / /with\\040space rw - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_point(both), Some("/with space".into()));
        assert_eq!(
            mount_point(both.lines().next().unwrap()),
            Some("/part".into())
        );
    }

    #[test]
    fn version_1_alone_is_none() {
        assert_eq!(
            mount_point("31 24 0:27 / /sys/fs/cgroup rw - cgroup cgroup rw\n"),
            None
        );
    }
}
