//! Which container a cgroup belongs to, by the names that container runtimes give their cgroups.

use crate::model::Container;

/// The container that the cgroup at `path` belongs to; `None` for a process of the host, and for
/// the monitors (`conmon`) that sit beside a container.
///
/// Of containers in containers it is the innermost, which is the one that the process itself is
/// in. A name without a runtime in it (`/kubepods/burstable/pod…/<id>`, from the `cgroupfs` driver)
/// gives the runtime `kubernetes`: several runtimes name their cgroups so.
pub fn container(path: &str) -> Option<Container> {
    let mut found = None;
    let mut parent = "";
    let mut in_kubepods = false;
    for name in path.split('/') {
        if MONITORS.iter().any(|monitor| name.starts_with(monitor)) {
            found = None;
        } else if let Some((runtime, id)) = own_name(name)
            .or_else(|| in_namespace(parent, name))
            .or_else(|| {
                id(name)
                    .filter(|_| in_kubepods)
                    .map(|id| ("kubernetes", id))
            })
        {
            found = Some((runtime, id));
        }
        in_kubepods |= name.contains("kubepods");
        parent = name;
    }
    found.map(|(runtime, id)| Container {
        runtime,
        id: id.to_owned(),
    })
}

/// What stands before the id in a cgroup's own name.
const PREFIXES: &[(&str, &str)] = &[
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "cri-o"),
    ("libpod-payload-", "podman"),
    ("libpod-", "podman"),
];

/// Cgroups that hold one cgroup per container, which has the bare id for a name.
const NAMESPACES: &[(&str, &str)] = &[
    ("docker", "docker"),
    ("k8s.io", "containerd"),
    ("default", "containerd"),
    ("libpod_parent", "podman"),
];

/// Names between the colons of `<slice>:<name>:<id>`: what a runtime makes with the `cgroupfs`
/// driver of a path that was meant for the `systemd` driver.
const COLON_NAMES: &[(&str, &str)] = &[
    ("docker", "docker"),
    ("cri-containerd", "containerd"),
    ("nerdctl", "containerd"),
    ("crio", "cri-o"),
    ("libpod", "podman"),
];

/// Processes of the host that look after a container.
const MONITORS: &[&str] = &["crio-conmon-", "libpod-conmon-"];

/// `docker-<id>.scope`, `crio-<id>`, `kubepods-….slice:cri-containerd:<id>`.
fn own_name(name: &str) -> Option<(&'static str, &str)> {
    let unit = name.strip_suffix(".scope").unwrap_or(name);
    let by_prefix = PREFIXES
        .iter()
        .find_map(|(prefix, runtime)| Some((*runtime, id(unit.strip_prefix(prefix)?)?)));
    by_prefix.or_else(|| {
        let (rest, last) = unit.rsplit_once(':')?;
        let (_, middle) = rest.rsplit_once(':')?;
        let (_, runtime) = COLON_NAMES.iter().find(|(word, _)| *word == middle)?;
        Some((*runtime, id(last)?))
    })
}

fn in_namespace<'a>(parent: &str, name: &'a str) -> Option<(&'static str, &'a str)> {
    let (_, runtime) = NAMESPACES.iter().find(|(word, _)| *word == parent)?;
    Some((*runtime, id(name)?))
}

/// Container ids are 32 random bytes in lower-case hexadecimal.
fn id(text: &str) -> Option<&str> {
    let hexadecimal = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == 64 && text.bytes().all(hexadecimal)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtimes_and_their_drivers() {
        let pod = "pod2d3c9ff4-0b7b-4c8a-9c0e-7c1b2d0e4a11";
        let slice = "kubepods-burstable-pod2d3c9ff4_0b7b_4c8a_9c0e_7c1b2d0e4a11.slice";
        let user = "/user.slice/user-1000.slice/user@1000.service/user.slice";
        let kube = format!("/kubepods.slice/kubepods-burstable.slice/{slice}");
        let rows = [
            (format!("/docker/{A}"), "docker"),
            (format!("/system.slice/docker-{A}.scope"), "docker"),
            (format!("{user}/docker-{A}.scope"), "docker"),
            (
                format!("/system.slice/docker-{A}.scope/init.scope"),
                "docker",
            ),
            (format!("{kube}/docker-{A}.scope"), "docker"),
            (format!("/system.slice:docker:{A}"), "docker"),
            (format!("{kube}/cri-containerd-{A}.scope"), "containerd"),
            (
                format!("/system.slice/containerd.service/{slice}:cri-containerd:{A}"),
                "containerd",
            ),
            (format!("/k8s.io/{A}"), "containerd"),
            (format!("/default/{A}"), "containerd"),
            (format!("/system.slice/nerdctl-{A}.scope"), "containerd"),
            (format!("{kube}/crio-{A}.scope"), "cri-o"),
            (format!("{kube}/crio-{A}.scope/container"), "cri-o"),
            (format!("/kubepods/besteffort/{pod}/crio-{A}"), "cri-o"),
            (format!("/machine.slice/libpod-{A}.scope"), "podman"),
            (
                format!("/machine.slice/libpod-{A}.scope/container"),
                "podman",
            ),
            (format!("{user}/libpod-{A}.scope/container"), "podman"),
            (format!("/libpod_parent/libpod-{A}"), "podman"),
            (
                format!("/system.slice/web.service/libpod-payload-{A}"),
                "podman",
            ),
            (
                format!("/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope"),
                "podman",
            ),
            (format!("/kubepods/burstable/{pod}/{A}"), "kubernetes"),
            (format!("/kubepods/{pod}/{A}"), "kubernetes"),
            (format!("/kubepods.slice/{slice}/{A}"), "kubernetes"),
        ];
        for (path, runtime) in rows {
            assert_eq!(container(&path), expected(runtime, A), "{path}");
        }
    }

    #[test]
    fn the_innermost_of_several_counts() {
        let rows = [
            (format!("/docker/{B}/docker/{A}"), "docker"),
            (
                format!("/docker/{B}/kubepods/burstable/pod12/{A}"),
                "kubernetes",
            ),
            (
                format!(
                    "/system.slice/docker-{B}.scope/kubelet.slice/kubelet-kubepods.slice/\
                     kubelet-kubepods-pod12.slice/cri-containerd-{A}.scope"
                ),
                "containerd",
            ),
            (
                format!("/machine.slice/libpod-{B}.scope/docker/{A}"),
                "docker",
            ),
        ];
        for (path, runtime) in rows {
            assert_eq!(container(&path), expected(runtime, A), "{path}");
        }
    }

    #[test]
    fn processes_of_the_host_have_none() {
        let rows = [
            String::new(),
            "/".to_owned(),
            "/init.scope".to_owned(),
            "/system.slice/docker.service".to_owned(),
            "/system.slice/nginx.service".to_owned(),
            "/user.slice/user-1000.slice/session-2.scope".to_owned(),
            format!("/machine.slice/libpod-conmon-{A}.scope"),
            format!("/kubepods.slice/kubepods-pod12.slice/crio-conmon-{A}.scope"),
            format!("/libpod_parent/conmon/{A}"),
            "/machine.slice/libpod-short.scope".to_owned(),
            format!("/builds/{A}"),
            format!("/docker/{}", A.to_uppercase()),
            format!("/docker/{A}0"),
            "/docker/é".to_owned(),
            format!("/machine.slice/machine-libpod_pod_{A}.slice"),
            "/kubepods/burstable/pod12".to_owned(),
        ];
        for path in rows {
            assert_eq!(container(&path), None, "{path}");
        }
    }

    const A: &str = "3f4b1c0de9a8f7e6d5c4b3a2918070605f4e3d2c1b0a99887766554433221100";
    const B: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn expected(runtime: &'static str, id: &str) -> Option<Container> {
        Some(Container {
            runtime,
            id: id.to_owned(),
        })
    }
}
