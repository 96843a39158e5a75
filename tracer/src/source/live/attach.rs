//! Packet probes to their places: a cgroup, or interfaces as they come and go.

use std::fs::File;
use std::path::{Path, PathBuf};

use aya::Ebpf;
use aya::programs::tc::{NlOptions, SchedClassifierLinkId, TcAttachOptions};
use aya::programs::{
    CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, LinkOrder, Program, ProgramError,
    SchedClassifier, TcAttachType,
};
use aya::util::KernelVersion;

use super::interfaces::{self, Interface, LinkLayer};
use super::load::reason;
use super::qdisc::{self, Clsact};
use super::{Attach, Attached, Interfaces, Started, cgroup};
use crate::model::MissingProbe;
use crate::source::SourceError;
use crate::source::probes::{self, Kind};

/// Where packet probes shall go.
pub(super) enum Target {
    Cgroup {
        path: PathBuf,
        dir: File,
        is_root: bool,
    },
    Interfaces(Interfaces),
}

impl Target {
    /// Looks that it is there.
    pub(super) fn find(attach: &Attach) -> Result<Self, SourceError> {
        let path = match attach {
            Attach::Interfaces(which) => return Ok(Self::Interfaces(which.clone())),
            Attach::Cgroup(Some(path)) => path.clone(),
            Attach::Cgroup(None) => cgroup::root()?,
        };
        let dir = File::open(&path).map_err(|error| {
            SourceError::Live(format!(
                "cannot open the cgroup {}: {error}",
                path.display()
            ))
        })?;
        let is_root = !path.join("cgroup.type").exists() && path.join("cgroup.procs").exists();
        Ok(Self::Cgroup { path, dir, is_root })
    }

    /// Whether every socket of the host is below: then what comes in over loopback was seen going
    /// out.
    pub(super) fn is_whole_host(&self) -> bool {
        matches!(self, Self::Cgroup { is_root: true, .. })
    }

    /// Whether a probe of this kind goes there.
    pub(super) fn takes(&self, kind: Kind) -> bool {
        match kind {
            Kind::CgroupIngress | Kind::CgroupEgress => matches!(self, Self::Cgroup { .. }),
            Kind::TcIngress | Kind::TcEgress | Kind::TcIngressIp | Kind::TcEgressIp => {
                matches!(self, Self::Interfaces(_))
            }
            Kind::BtfTracepoint(_) => false,
        }
    }
}

/// The packet probes that are attached.
pub(super) enum Attachments {
    Cgroup,
    Interfaces {
        which: Interfaces,
        attached: Vec<AttachedInterface>,
    },
    /// Taken away.
    None,
}

/// The probes of one interface.
pub(super) struct AttachedInterface {
    interface: Interface,
    links: Vec<(&'static str, SchedClassifierLinkId)>,
    /// Dropped last: removing the qdisc takes the filters with it.
    _qdisc: Option<Clsact>,
}

impl Attachments {
    /// Attaches the packet probes.
    pub(super) fn attach(
        ebpf: &mut Ebpf,
        target: Target,
        started: &mut Started,
    ) -> Result<Self, SourceError> {
        match target {
            Target::Cgroup { path, dir, .. } => attach_cgroup(ebpf, &path, &dir, started),
            Target::Interfaces(which) => attach_interfaces(ebpf, which, started),
        }
    }

    /// Attaches to interfaces that have appeared, and says which it could not attach to.
    pub(super) fn follow(&mut self, ebpf: &mut Ebpf) -> Vec<MissingProbe> {
        let Self::Interfaces { which, attached } = self else {
            return Vec::new();
        };
        let there = match interfaces::list() {
            Ok(there) => there,
            Err(error) => {
                tracing::warn!("cannot list the interfaces: {error}");
                return Vec::new();
            }
        };
        let gone = attached.extract_if(.., |old| !there.contains(&old.interface));
        for interface in gone {
            tracing::info!("interface {} went away", interface.interface.name);
            interface.detach(ebpf);
        }
        let mut missing = Vec::new();
        for interface in there {
            let known = attached.iter().any(|old| old.interface == interface);
            if known || !wanted(which, &interface) {
                continue;
            }
            tracing::info!("interface {} appeared", interface.name);
            match AttachedInterface::attach(ebpf, interface, Method::of_kernel()) {
                Ok(new) => attached.push(new),
                Err(why) => missing.push(why),
            }
        }
        missing
    }

    /// Takes every probe away. Whether there were any: the second time there is nothing to do.
    pub(super) fn detach(&mut self, ebpf: &mut Ebpf) -> bool {
        match std::mem::replace(self, Self::None) {
            Self::None => return false,
            Self::Interfaces { attached, .. } => {
                for interface in attached {
                    interface.detach(ebpf);
                }
            }
            Self::Cgroup => {}
        }
        for (name, program) in ebpf.programs_mut() {
            let unloaded = match program {
                Program::CgroupSkb(program) => program.unload(),
                Program::SchedClassifier(program) => program.unload(),
                Program::BtfTracePoint(program) => program.unload(),
                _ => continue,
            };
            if let Err(error) = unloaded {
                tracing::debug!("{name} was not loaded: {}", reason(&error));
            }
        }
        true
    }
}

fn attach_cgroup(
    ebpf: &mut Ebpf,
    path: &Path,
    dir: &File,
    started: &mut Started,
) -> Result<Attachments, SourceError> {
    for (kind, direction) in [
        (Kind::CgroupIngress, CgroupSkbAttachType::Ingress),
        (Kind::CgroupEgress, CgroupSkbAttachType::Egress),
    ] {
        let probe = name(kind);
        // A link of its own stands beside the programs of others (systemd's, say) and replaces
        // none; the mode is for attaching without one.
        program::<CgroupSkb>(ebpf, probe)
            .and_then(|program| program.attach(dir, direction, CgroupAttachMode::Single))
            .map_err(|error| {
                SourceError::Live(format!(
                    "cannot attach {probe} to the cgroup {}: {}. It must be a directory of a \
                     cgroup2 file system (Linux 5.7 or later)",
                    path.display(),
                    reason(&error)
                ))
            })?;
        started.attached.push(Attached {
            probe,
            to: format!("cgroup {}", path.display()),
        });
    }
    Ok(Attachments::Cgroup)
}

fn attach_interfaces(
    ebpf: &mut Ebpf,
    which: Interfaces,
    started: &mut Started,
) -> Result<Attachments, SourceError> {
    let there = interfaces::list()
        .map_err(|error| SourceError::Live(format!("cannot list the interfaces: {error}")))?;
    if let Interfaces::Named(names) = &which
        && let Some(absent) = names
            .iter()
            .find(|name| there.iter().all(|i| i.name != **name))
    {
        let names: Vec<_> = there
            .iter()
            .map(|interface| interface.name.as_str())
            .collect();
        return Err(SourceError::Live(format!(
            "there is no interface {absent} in this network namespace; there are {}",
            names.join(", ")
        )));
    }
    let mut attached = Vec::new();
    for interface in there
        .into_iter()
        .filter(|interface| wanted(&which, interface))
    {
        let to = format!("interface {}", interface.name);
        match AttachedInterface::attach(ebpf, interface, Method::of_kernel()) {
            Ok(new) => {
                let probes = new.links.iter().map(|&(probe, _)| probe);
                started.attached.extend(probes.map(|probe| Attached {
                    probe,
                    to: to.clone(),
                }));
                attached.push(new);
            }
            Err(missing) if which == Interfaces::Any => started.missing.push(missing),
            Err(missing) => return Err(SourceError::Live(missing.why)),
        }
    }
    Ok(Attachments::Interfaces { which, attached })
}

fn wanted(which: &Interfaces, interface: &Interface) -> bool {
    match which {
        Interfaces::Any => interface.link_layer != LinkLayer::Other,
        Interfaces::Named(names) => names.contains(&interface.name),
    }
}

/// How probes are attached to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// By link (tcx), since Linux 6.6.
    Link,
    /// As filters under a clsact qdisc.
    Qdisc,
}

impl Method {
    fn of_kernel() -> Self {
        match KernelVersion::current() {
            Ok(version) if version >= KernelVersion::new(6, 6, 0) => Self::Link,
            _ => Self::Qdisc,
        }
    }
}

impl AttachedInterface {
    /// Attaches to both directions.
    fn attach(ebpf: &mut Ebpf, interface: Interface, method: Method) -> Result<Self, MissingProbe> {
        let directions = match interface.link_layer {
            LinkLayer::Ethernet => [Kind::TcIngress, Kind::TcEgress],
            LinkLayer::None => [Kind::TcIngressIp, Kind::TcEgressIp],
            LinkLayer::Other => {
                let why = "its link layer is neither Ethernet nor plain IP";
                return Err(missing(Kind::TcIngress, &interface, why));
            }
        };
        let mut new = Self {
            interface,
            links: Vec::new(),
            _qdisc: None,
        };
        if method == Method::Qdisc {
            let made = qdisc::add_clsact(&new.interface)
                .map_err(|error| missing(Kind::TcIngress, &new.interface, &error.to_string()))?;
            new._qdisc = made;
        }
        for kind in directions {
            let options = match method {
                Method::Link => TcAttachOptions::TcxOrder(LinkOrder::default()),
                Method::Qdisc => TcAttachOptions::Netlink(NlOptions::default()),
            };
            let direction = match kind {
                Kind::TcIngress | Kind::TcIngressIp => TcAttachType::Ingress,
                _ => TcAttachType::Egress,
            };
            let probe = name(kind);
            let link = program::<SchedClassifier>(ebpf, probe).and_then(|program| {
                program.attach_with_options(&new.interface.name, direction, options)
            });
            match link {
                Ok(link) => new.links.push((probe, link)),
                Err(error) => {
                    let why = missing(kind, &new.interface, &reason(&error));
                    new.detach(ebpf);
                    return Err(why);
                }
            }
        }
        Ok(new)
    }

    fn detach(self, ebpf: &mut Ebpf) {
        for (probe, link) in self.links {
            let detached =
                program::<SchedClassifier>(ebpf, probe).and_then(|program| program.detach(link));
            if let Err(error) = detached {
                // The interface is gone, and the link with it.
                tracing::debug!("{probe} at {}: {}", self.interface.name, reason(&error));
            }
        }
    }
}

fn missing(kind: Kind, interface: &Interface, why: &str) -> MissingProbe {
    MissingProbe {
        probe: name(kind),
        why: format!("cannot attach to the interface {}: {why}", interface.name),
        costs: probes::NO_INTERFACE,
    }
}

fn name(kind: Kind) -> &'static str {
    probes::of_kind(kind).map_or("?", |probe| probe.name)
}

fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P, ProgramError>
where
    &'a mut P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    ebpf.program_mut(name)
        .ok_or(ProgramError::NotLoaded)?
        .try_into()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

    use aya::EbpfLoader;
    use aya::maps::RingBuf;
    use tracer_common::{EVENTS, PORT_WORDS, global};

    use super::super::OBJECT;
    use super::*;

    /// Needs root.
    #[test]
    fn each_method_sees_packets_and_leaves_nothing() {
        // SAFETY: takes a number and concerns this thread alone.
        let unshared = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(
            unshared,
            0,
            "needs root: {}",
            std::io::Error::last_os_error()
        );
        run("ip link set lo up");
        for method in [Method::of_kernel(), Method::Qdisc] {
            let mut ebpf = EbpfLoader::new()
                .override_global(global::PORTS, &[u64::MAX; PORT_WORDS], true)
                .load(OBJECT)
                .unwrap();
            for probe in [name(Kind::TcIngress), name(Kind::TcEgress)] {
                program::<SchedClassifier>(&mut ebpf, probe)
                    .unwrap()
                    .load()
                    .unwrap();
            }
            let lo = interfaces::list()
                .unwrap()
                .into_iter()
                .find(|i| i.name == "lo")
                .unwrap();
            let attached = AttachedInterface::attach(&mut ebpf, lo, method).unwrap();
            let qdisc = run("tc qdisc show dev lo");
            assert_eq!(qdisc.contains("clsact"), method == Method::Qdisc, "{qdisc}");

            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.write_all(b"x").unwrap();
            let mut ring = RingBuf::try_from(ebpf.map_mut(EVENTS).unwrap()).unwrap();
            let mut packets = 0;
            while ring.next().is_some() {
                packets += 1;
            }
            // Three to open and one with data, each going out and coming in.
            assert!(packets >= 8, "{method:?}: {packets} packets");
            attached.detach(&mut ebpf);
            assert!(
                !run("tc qdisc show dev lo").contains("clsact"),
                "{method:?}"
            );
        }
    }

    fn run(command: &str) -> String {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap())
            .args(words)
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}
