//! The table of the kernel side's probes: what each is, and what the user loses without it.
//!
//! `tracer-ebpf/src/main.rs` has the programs of the same names.

/// One probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its name: that of the program in the object file.
    pub name: &'static str,
    /// How it attaches.
    pub kind: Kind,
    /// Whether a session can do without it.
    pub need: Need,
    /// What the user loses where it is missing, in the user's terms.
    pub costs: &'static str,
}

/// How a probe attaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To a cgroup, at its sockets' packets in. By link since Linux 5.7.
    CgroupIngress,
    /// To a cgroup, at its sockets' packets out.
    CgroupEgress,
    /// To an interface with Ethernet headers, at packets in. By link (tcx) since Linux 6.6, as a
    /// filter of a clsact qdisc before.
    TcIngress,
    /// To an interface with Ethernet headers, at packets out.
    TcEgress,
    /// To an interface without link header, at packets in.
    TcIngressIp,
    /// To an interface without link header, at packets out.
    TcEgressIp,
    /// To a kernel tracepoint with typed arguments, of this name.
    BtfTracepoint(&'static str),
}

/// Whether a session can do without a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// No: where it was asked for and is missing there is no session.
    Required,
    /// Yes, and the report says what was lost by it.
    Optional,
}

const NO_PACKETS: &str = "packets in this direction are not seen, so nothing can be reported";
const NO_OWNER: &str = "the process on an end is looked up in /proc and may be missing, or be the \
                        listening process instead of the worker that answered; and whether a \
                        server asked somebody on a port that is not traced, or on a Unix socket, \
                        is not seen, so `it asked nobody` is never said";

/// Every probe, in the order of the object file's list.
pub const PROBES: [Probe; 10] = [
    packets("cgroup_ingress", Kind::CgroupIngress),
    packets("cgroup_egress", Kind::CgroupEgress),
    packets("tc_ingress", Kind::TcIngress),
    packets("tc_egress", Kind::TcEgress),
    packets("tc_ingress_ip", Kind::TcIngressIp),
    packets("tc_egress_ip", Kind::TcEgressIp),
    tracepoint("owner_sent", "sock_send_length", NO_OWNER),
    tracepoint("owner_received", "sock_recv_length", NO_OWNER),
    tracepoint(
        "connecting",
        "inet_sock_set_state",
        "whether a server tried in vain to reach somebody on a port that is not traced is not \
         seen, so `it asked nobody` is never said",
    ),
    tracepoint(
        "exec",
        "sched_process_exec",
        "processes that end within milliseconds may be shown without their executable",
    ),
];

const fn packets(name: &'static str, kind: Kind) -> Probe {
    Probe {
        name,
        kind,
        need: Need::Required,
        costs: NO_PACKETS,
    }
}

const fn tracepoint(name: &'static str, tracepoint: &'static str, costs: &'static str) -> Probe {
    Probe {
        name,
        kind: Kind::BtfTracepoint(tracepoint),
        need: Need::Optional,
        costs,
    }
}

/// A help of the kernel that newer ones give to packet probes; not a probe of its own.
pub const NETNS_COOKIE: (&str, &str) = (
    "netns_cookie",
    "two connections with the same addresses in different network namespaces are told apart by \
     their sockets alone",
);

/// The hold of requests in the kernel; not a probe of its own.
pub const HOLD: (&str, &str) = (
    "hold",
    "every packet of the traced ports is copied, as with --capture all, which costs a busy host more",
);

/// The process table; not a probe of its own.
pub const PROC: (&str, &str) = (
    "/proc",
    "processes of other users are shown without their executable, and connections that were open \
     before without their process",
);

/// What the user loses where an interface has no probes in a session that others have.
pub const NO_INTERFACE: &str = "what passes through this interface alone is not seen";

/// What can be missing in a session, by its name, and what that costs: for sessions that are read
/// from a file.
pub fn costs_of(name: &str) -> Option<(&'static str, &'static str)> {
    let probes = PROBES.iter().map(|probe| match probe.kind {
        Kind::TcIngress | Kind::TcEgress | Kind::TcIngressIp | Kind::TcEgressIp => {
            (probe.name, NO_INTERFACE)
        }
        _ => (probe.name, probe.costs),
    });
    probes
        .chain([NETNS_COOKIE, HOLD, PROC])
        .find(|(known, _)| *known == name)
}

/// The probe of this kind.
pub fn of_kind(kind: Kind) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| probe.kind == kind)
}

#[cfg(all(test, feature = "live"))]
mod tests {
    use std::collections::BTreeSet;

    use super::super::live::OBJECT;
    use super::*;

    #[test]
    fn the_table_and_the_object_file_list_the_same_probes() {
        let object = aya_obj::Object::parse(OBJECT).unwrap();
        let programs: BTreeSet<String> = object.programs.into_keys().collect();
        let table: BTreeSet<String> = PROBES.iter().map(|probe| probe.name.to_owned()).collect();
        assert_eq!(programs, table);
        assert_eq!(table.len(), PROBES.len(), "a name twice");
    }

    #[test]
    fn each_probe_is_of_the_kind_that_the_table_says() {
        use aya_obj::ProgramSection as Section;
        let object = aya_obj::Object::parse(OBJECT).unwrap();
        for Probe {
            name,
            kind,
            need,
            costs,
        } in PROBES
        {
            let section = &object.programs[name].section;
            let fits = match kind {
                Kind::CgroupIngress | Kind::CgroupEgress => {
                    matches!(section, Section::CgroupSkb { .. })
                }
                Kind::BtfTracepoint(_) => matches!(section, Section::BtfTracePoint),
                _ => matches!(section, Section::SchedClassifier),
            };
            assert!(fits, "{name} is {section:?}");
            assert!(costs.len() > 20, "{name}");
            assert!(costs_of(name).is_some_and(|(known, _)| known == name));
            assert_eq!(
                need == Need::Optional,
                matches!(kind, Kind::BtfTracepoint(_)),
                "{name}"
            );
            assert_eq!(of_kind(kind).map(|probe| probe.name), Some(name));
        }
    }
}
