//! The object file into the kernel.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use aya::maps::{MapData, RingBuf};
use aya::programs::{BtfTracePoint, CgroupSkb, ProgramError, SchedClassifier};
use aya::{Btf, Ebpf, EbpfLoader};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;
use tracer_common::hold::{ENDS_WORDS, WAYS, method};
use tracer_common::{
    EVENTS, METHODS_MAX, PORT_WORDS, SETS, SLOTS, SNAP_LEN_MAX, STATUS_WORDS, global,
};

use super::attach::Target;
use super::object;
use super::{Attached, Capture, Hold, Options, Started};
use crate::host;
use crate::model::MissingProbe;
use crate::ports::Ports;
use crate::source::SourceError;
use crate::source::probes::{self, Kind, Need, PROBES, Probe};

/// The kernel side in the kernel. Probes of processes are attached, those of packets are not yet.
pub(super) struct Loaded {
    pub(super) ebpf: Ebpf,
    pub(super) started: Started,
    pub(super) is_holding: bool,
}

/// Creates the maps and loads every probe that serves this target.
pub(super) fn load(options: &Options, target: &Target) -> Result<Loaded, SourceError> {
    let mut loaded = load_packets(options, target).map_err(|why| refused(&why))?;
    attach_tracepoints(&mut loaded.ebpf, &mut loaded.started);
    Ok(loaded)
}

/// The same, but for the probes of processes.
fn load_packets(options: &Options, target: &Target) -> Result<Loaded, String> {
    let hold = match &options.capture {
        Capture::All => None,
        Capture::Hold(hold) | Capture::HoldOrAll(hold) => Some(hold),
    };
    match load_some(options, target, hold) {
        Err(why) if matches!(options.capture, Capture::HoldOrAll(_)) => {
            let mut loaded = load_some(options, target, None)?;
            let (probe, costs) = probes::HOLD;
            let missing = MissingProbe { probe, why, costs };
            loaded.started.missing.push(missing);
            Ok(loaded)
        }
        loaded => loaded,
    }
}

/// Without what only newer kernels give, if need be.
fn load_some(options: &Options, target: &Target, hold: Option<&Hold>) -> Result<Loaded, String> {
    let mut started = Started::default();
    let (mut ebpf, packets) = load_with(options, target, hold, NetnsCookie::Wanted)?;
    if let Err(why) = packets {
        let (second, packets) = load_with(options, target, hold, NetnsCookie::Without)?;
        packets?;
        ebpf = second;
        let (probe, costs) = probes::NETNS_COOKIE;
        started.missing.push(MissingProbe { probe, why, costs });
    }
    Ok(Loaded {
        ebpf,
        started,
        is_holding: hold.is_some(),
    })
}

/// Whether packet probes ask for the cookie of the network namespace, as they can since Linux 6.15.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NetnsCookie {
    Wanted,
    Without,
}

/// The maps, and whether the packet probes could be loaded.
fn load_with(
    options: &Options,
    target: &Target,
    hold: Option<&Hold>,
    netns_cookie: NetnsCookie,
) -> Result<(Ebpf, Result<(), String>), String> {
    let ports = port_bits(&options.ports);
    let (holding, sets, statuses, methods) = match hold {
        None => (0u32, 1, [0; STATUS_WORDS], [method::ANY; METHODS_MAX]),
        Some(hold) => (1, hold.sets(), status_bits(hold), method_starts(hold)),
    };
    let hold_keys = random_keys();
    let room = hold.map(Hold::room);
    let object = object::with_room(room)?;
    let hold_bytes = room.unwrap_or(Hold::BYTES_MIN);
    let snap_len = options.snap_len.clamp(1, SNAP_LEN_MAX);
    let skip_lo_ingress = u32::from(target.is_whole_host());
    let netns_cookie = u32::from(netns_cookie == NetnsCookie::Wanted);
    let ring_bytes = options
        .ring_bytes
        .clamp(Options::RING_BYTES_MIN, Options::RING_BYTES_MAX)
        .next_power_of_two();
    let wake_bytes = u64::from(ring_bytes / 4);
    let offsets = host::kernel_offsets();
    let offset = |of: fn(&host::KernelOffsets) -> u32| offsets.as_ref().map_or(0, of);
    let group_leader = offset(|o| o.group_leader);
    let start_boottime = offset(|o| o.start_boottime);
    let comm = offset(|o| o.comm);
    let binprm_filename = offset(|o| o.binprm_filename);
    let unix_peer = offset(|o| o.unix.peer);
    let unix_addr = offset(|o| o.unix.addr);
    let unix_address_len = offset(|o| o.unix.address_len);
    let unix_address_name = offset(|o| o.unix.address_name);

    raise_memlock();
    let mut ebpf = EbpfLoader::new()
        .override_global(global::PORTS, &ports, true)
        .override_global(global::HOLDING, &holding, true)
        .override_global(global::HOLD_BYTES, &hold_bytes, true)
        .override_global(global::HOLD_SETS, &sets, true)
        .override_global(global::HOLD_KEYS, &hold_keys, true)
        .override_global(global::STATUSES, &statuses, true)
        .override_global(global::METHODS, &methods, true)
        .override_global(global::SNAP_LEN, &snap_len, true)
        .override_global(global::SKIP_LO_INGRESS, &skip_lo_ingress, true)
        .override_global(global::NETNS_COOKIE, &netns_cookie, true)
        .override_global(global::WAKE_BYTES, &wake_bytes, true)
        .override_global(global::TASK_GROUP_LEADER, &group_leader, true)
        .override_global(global::TASK_START_BOOTTIME, &start_boottime, true)
        .override_global(global::TASK_COMM, &comm, true)
        .override_global(global::BINPRM_FILENAME, &binprm_filename, true)
        .override_global(global::UNIX_PEER, &unix_peer, true)
        .override_global(global::UNIX_ADDR, &unix_addr, true)
        .override_global(global::UNIX_ADDRESS_LEN, &unix_address_len, true)
        .override_global(global::UNIX_ADDRESS_NAME, &unix_address_name, true)
        .map_max_entries(EVENTS, ring_bytes)
        .map_max_entries(SETS, sets)
        .map_max_entries(SLOTS, sets.saturating_mul(WAYS))
        .load(&object)
        .map_err(|error| error.to_string())?;
    let packets = load_packet_probes(&mut ebpf, target);
    Ok((ebpf, packets))
}

/// Keys under which nobody can tell beforehand where a connection is filed.
fn random_keys() -> [u64; ENDS_WORDS] {
    // The library seeds each with random numbers of the system.
    std::array::from_fn(|_| RandomState::new().build_hasher().finish() | 1)
}

fn load_packet_probes(ebpf: &mut Ebpf, target: &Target) -> Result<(), String> {
    for Probe { name, kind, .. } in PROBES {
        if !target.takes(kind) {
            continue;
        }
        let program = ebpf
            .program_mut(name)
            .ok_or_else(|| format!("{name} is not there"))?;
        let loaded = if matches!(kind, Kind::CgroupIngress | Kind::CgroupEgress) {
            <&mut CgroupSkb>::try_from(program).and_then(CgroupSkb::load)
        } else {
            <&mut SchedClassifier>::try_from(program).and_then(SchedClassifier::load)
        };
        loaded.map_err(|error| format!("{name}: {}", reason(&error)))?;
    }
    Ok(())
}

/// Loads and attaches the probes of processes; each can be done without.
fn attach_tracepoints(ebpf: &mut Ebpf, started: &mut Started) {
    let btf = Btf::from_sys_fs().map_err(|error| {
        format!("the kernel has no type information (CONFIG_DEBUG_INFO_BTF): {error}")
    });
    for Probe {
        name,
        kind,
        need,
        costs,
    } in PROBES
    {
        let Kind::BtfTracepoint(tracepoint) = kind else {
            continue;
        };
        debug_assert!(need == Need::Optional);
        let attached = match &btf {
            Ok(btf) => attach_tracepoint(ebpf, name, tracepoint, btf),
            Err(why) => Err(why.clone()),
        };
        match attached {
            Ok(()) => {
                started.attached.push(Attached {
                    probe: name,
                    to: format!("tracepoint {tracepoint}"),
                });
            }
            Err(why) => started.missing.push(MissingProbe {
                probe: name,
                why,
                costs,
            }),
        }
    }
}

fn attach_tracepoint(
    ebpf: &mut Ebpf,
    name: &str,
    tracepoint: &str,
    btf: &Btf,
) -> Result<(), String> {
    let program = ebpf
        .program_mut(name)
        .ok_or_else(|| format!("{name} is not there"))?;
    <&mut BtfTracePoint>::try_from(program)
        .and_then(|program| {
            program.load(tracepoint, btf)?;
            program.attach().map(drop)
        })
        .map_err(|error| match error {
            ProgramError::Btf(_) => format!("the kernel has no tracepoint {tracepoint}"),
            error => reason(&error),
        })
}

/// The ring buffer, ready to be waited for. The runtime is for that alone.
pub(super) fn ring(ebpf: &mut Ebpf) -> Result<(Runtime, AsyncFd<RingBuf<MapData>>), SourceError> {
    let failed = |why: String| {
        SourceError::Live(format!(
            "cannot read the kernel side's records ({EVENTS}): {why}"
        ))
    };
    let map = ebpf
        .take_map(EVENTS)
        .ok_or_else(|| failed("no such map".to_owned()))?;
    let ring = RingBuf::try_from(map).map_err(|error| failed(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let entered = runtime.enter();
    // SAFETY: the descriptor is the map's; the ring buffer owns the map, and the `AsyncFd` the ring
    // buffer, so it stays open and the same for as long as it is registered.
    let ring = unsafe { AsyncFd::register(ring) }.map_err(|error| failed(error.to_string()))?;
    drop(entered);
    Ok((runtime, ring))
}

/// Why the kernel refused a program, in a line; what the verifier said goes to the log.
pub(super) fn reason(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => {
            tracing::debug!("{verifier_log}");
            format!("the kernel refused to load it: {io_error}")
        }
        ProgramError::SyscallError(error) => format!("{}: {}", error.call, error.io_error),
        error => error.to_string(),
    }
}

fn refused(why: &str) -> SourceError {
    SourceError::Live(format!(
        "cannot load the kernel side: {why}.\nIt needs Linux 5.8 or later with CONFIG_BPF_SYSCALL, \
         and the permission to use it: a container needs --privileged (or the capabilities and no \
         seccomp filter on bpf), and a kernel in lockdown mode `confidentiality` gives it to nobody \
         (/sys/kernel/security/lockdown). -vv shows what the verifier said"
    ))
}

/// A bit for each port.
fn port_bits(ports: &Ports) -> [u64; PORT_WORDS] {
    let mut bits = [0; PORT_WORDS];
    for port in ports.ranges().flat_map(|(first, last)| first..=last) {
        if let Some(word) = bits.get_mut(usize::from(port / 64)) {
            *word |= 1 << (port % 64);
        }
    }
    bits
}

/// A bit for each status.
fn status_bits(hold: &Hold) -> [u64; STATUS_WORDS] {
    let mut bits = [0; STATUS_WORDS];
    for status in hold
        .statuses
        .iter()
        .flat_map(|(first, last)| *first..=(*last).min(999))
    {
        if let Some(word) = bits.get_mut(usize::from(status / 64)) {
            *word |= 1 << (status % 64);
        }
    }
    bits
}

/// How wanted requests begin.
fn method_starts(hold: &Hold) -> [method::Start; METHODS_MAX] {
    let wanted: Option<Vec<_>> = hold
        .methods
        .iter()
        .map(|name| method::start(name))
        .collect();
    let mut starts = [method::NONE; METHODS_MAX];
    match wanted {
        Some(wanted) if (1..=METHODS_MAX).contains(&wanted.len()) => {
            starts
                .iter_mut()
                .zip(wanted)
                .for_each(|(start, wanted)| *start = wanted);
        }
        _ => starts = [method::ANY; METHODS_MAX],
    }
    starts
}

/// Before Linux 5.11 maps count against a limit that is 64 KiB by default. Where it cannot be
/// raised, creating the ring buffer says so.
fn raise_memlock() {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is a valid rlimit for the length of the call.
    let raised = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    if raised != 0 {
        tracing::debug!("RLIMIT_MEMLOCK stays: {}", std::io::Error::last_os_error());
    }
}

#[cfg(test)]
mod tests {
    use aya::programs::Program;

    use super::super::Interfaces;
    use super::*;

    #[test]
    fn a_bit_for_each_port() {
        let ports: Ports = "1,63-64,65535".parse().unwrap();
        let bits = port_bits(&ports);
        assert_eq!(
            (bits[0], bits[1], bits[1023]),
            (1 << 1 | 1 << 63, 1, 1 << 63)
        );
        assert_eq!(bits.iter().map(|word| word.count_ones()).sum::<u32>(), 4);
    }

    #[test]
    fn what_the_kernel_side_cannot_tell_is_every_method() {
        let starts = |methods: &[&str]| {
            method_starts(&Hold {
                connections: 1,
                bytes: Hold::BYTES_MIN,
                statuses: Vec::new(),
                methods: methods.iter().map(|&name| name.to_owned()).collect(),
            })
        };
        let every = [method::ANY; METHODS_MAX];
        assert_eq!(starts(&[]), every);
        assert_eq!(starts(&["POST", "PROPFIND"]), every);
        assert_eq!(starts(&["A"; METHODS_MAX + 1]), every);
        let [post, put, none, ..] = starts(&["POST", "PUT"]);
        assert_eq!(Some(post), method::start("POST"));
        assert_eq!(Some(put), method::start("PUT"));
        assert_eq!(none, method::NONE);
    }

    /// Needs root.
    #[test]
    fn where_the_kernel_refuses_the_hold_every_packet_is_copied() {
        // More than a table may have.
        let hold = Hold {
            connections: u32::MAX,
            bytes: Hold::BYTES_MIN,
            statuses: Vec::new(),
            methods: Vec::new(),
        };
        let options = |capture| Options {
            capture,
            ..Options::default()
        };
        let target = Target::Interfaces(Interfaces::Any);
        let Loaded {
            started,
            is_holding,
            ..
        } = load_packets(&options(Capture::HoldOrAll(hold.clone())), &target).unwrap();
        assert!(!is_holding);
        let said = started.to_string();
        assert!(
            said.contains("missing: hold (") && said.contains("--capture all"),
            "{said}"
        );
        assert_eq!(said.lines().count(), started.missing.len(), "{said}");
        assert!(load_packets(&options(Capture::Hold(hold)), &target).is_err());
    }

    /// Needs root.
    #[test]
    fn the_verifier_accepts_every_probe() {
        let btf = Btf::from_sys_fs().unwrap();
        let rooms = [
            None,
            Some(Hold::BYTES_MIN),
            Some(4096),
            Some(Hold::BYTES_MAX),
        ];
        for (netns_cookie, room) in [0u32, 1].into_iter().flat_map(|n| rooms.map(|r| (n, r))) {
            let holding = u32::from(room.is_some());
            let hold_bytes = room.unwrap_or_default();
            let mut ebpf = EbpfLoader::new()
                .override_global(global::HOLDING, &holding, true)
                .override_global(global::HOLD_BYTES, &hold_bytes, true)
                .override_global(global::NETNS_COOKIE, &netns_cookie, true)
                .load(&object::with_room(room).unwrap())
                .unwrap();
            for Probe { name, kind, .. } in PROBES {
                let program = ebpf.program_mut(name).unwrap();
                let loaded = match (&mut *program, kind) {
                    (Program::CgroupSkb(program), _) => program.load(),
                    (Program::SchedClassifier(program), _) => program.load(),
                    (Program::BtfTracePoint(program), Kind::BtfTracepoint(tracepoint)) => {
                        program.load(tracepoint, &btf)
                    }
                    (program, _) => panic!("{name} is a {:?}", program.prog_type()),
                };
                if let Err(error) = loaded {
                    panic!("{name}: {error}");
                }
                // Other kernels walk other ways: the limit is a million. Not told before Linux 5.16.
                let walked = program.info().unwrap().verified_instruction_count();
                assert!(walked.unwrap_or(0) < 600_000, "{name}: {walked:?}");
            }
        }
    }
}
