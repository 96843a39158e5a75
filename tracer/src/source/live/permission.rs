//! Whether this process may load and attach probes.

use caps::{CapSet, Capability};

use crate::model::MissingProbe;
use crate::source::{SourceError, probes};

/// What is needed, and what for.
const NEEDED: [(Capability, &str); 3] = [
    (Capability::CAP_BPF, "to load the probes"),
    (Capability::CAP_PERFMON, "to let them read kernel memory"),
    (
        Capability::CAP_NET_ADMIN,
        "to attach them to the network path",
    ),
];

/// Says which capabilities are missing and how to get them.
pub(super) fn require() -> Result<(), SourceError> {
    // Where the kernel cannot be asked, it will answer when the probes are loaded.
    let Ok(held) = caps::read(None, CapSet::Effective) else {
        return Ok(());
    };
    let missing = missing(|capability| held.contains(&capability));
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = missing
        .iter()
        .map(|(cap, what)| format!("{cap} ({what})"))
        .collect();
    Err(SourceError::Live(format!(
        "live capture needs capabilities that this process does not have: {}.\n\
         Run it with sudo, or give them to the program once:\n    \
         sudo setcap cap_bpf,cap_perfmon,cap_net_admin,cap_sys_ptrace,cap_dac_read_search+ep \
         \"$(command -v tracer403)\"\n(The last two are to name processes of other users.)",
        list.join(", ")
    )))
}

/// What the host does not tell this process, and what that costs; `None` where it tells all.
pub(super) fn missing_insight() -> Option<MissingProbe> {
    let held = caps::read(None, CapSet::Effective).ok()?;
    let (probe, costs) = probes::PROC;
    (!held.contains(&Capability::CAP_SYS_PTRACE)).then(|| MissingProbe {
        probe,
        why: "this process lacks CAP_SYS_PTRACE".to_owned(),
        costs,
    })
}

/// `CAP_SYS_ADMIN` stands for the first two, as it did before Linux 5.8 had them.
fn missing(held: impl Fn(Capability) -> bool) -> Vec<(Capability, &'static str)> {
    let admin = held(Capability::CAP_SYS_ADMIN);
    NEEDED
        .into_iter()
        .filter(|&(cap, _)| !held(cap) && (cap == Capability::CAP_NET_ADMIN || !admin))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_exactly_what_is_missing() {
        let names = |held: &[Capability]| {
            let missing = missing(|cap| held.contains(&cap));
            missing.into_iter().map(|(cap, _)| cap).collect::<Vec<_>>()
        };
        use Capability::{CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN};
        assert_eq!(names(&[]), [CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN]);
        assert_eq!(names(&[CAP_BPF]), [CAP_PERFMON, CAP_NET_ADMIN]);
        assert_eq!(names(&[CAP_SYS_ADMIN]), [CAP_NET_ADMIN]);
        assert_eq!(names(&[CAP_SYS_ADMIN, CAP_NET_ADMIN]), []);
        assert_eq!(names(&[CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN]), []);
    }
}
