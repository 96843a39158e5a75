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
                        listening process instead of the worker that answered";

/// Every probe, in the order of the object file's list.
pub const PROBES: [Probe; 9] = [
    packets("cgroup_ingress", Kind::CgroupIngress),
    packets("cgroup_egress", Kind::CgroupEgress),
    packets("tc_ingress", Kind::TcIngress),
    packets("tc_egress", Kind::TcEgress),
    packets("tc_ingress_ip", Kind::TcIngressIp),
    packets("tc_egress_ip", Kind::TcEgressIp),
    tracepoint("owner_sent", "sock_send_length", NO_OWNER),
    tracepoint("owner_received", "sock_recv_length", NO_OWNER),
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

/// The probe of this kind.
pub fn of_kind(kind: Kind) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| probe.kind == kind)
}
