//! Tests of the packet probes in the kernel, with packets made by hand: which of them are shipped,
//! and that they are shipped whole. They need root.

use aya::maps::RingBuf;
use aya::programs::{CgroupSkb, Program, SchedClassifier, TestRun as _, TestRunOptions};
use aya::{Ebpf, EbpfLoader};
use tracer_common::{EVENTS, PORT_WORDS, Record, SNAP_LEN_MAX, global};

use super::OBJECT;

const TRACED: u16 = 80;

#[test]
fn plain_packets_of_either_direction_and_version() {
    let mut probes = Probes::load(0);
    for (from, to, shipped) in [
        (TRACED, 5000, true),
        (5000, TRACED, true),
        (5000, 5001, false),
        (81, 79, false),
    ] {
        let tcp = tcp(from, to);
        assert_eq!(
            probes.ships(&ethernet(&[], IPV4, &ipv4(6, &[], 0, &tcp))),
            shipped
        );
        assert_eq!(probes.ships(&ethernet(&[], IPV6, &ipv6(6, &tcp))), shipped);
        assert!(
            !probes.ships(&ethernet(&[], IPV4, &ipv4(17, &[], 0, &tcp))),
            "UDP"
        );
        assert!(!probes.ships(&ethernet(&[], IPV6, &ipv6(17, &tcp))), "UDP");
    }
}

#[test]
fn headers_between_ethernet_and_tcp() {
    let mut probes = Probes::load(0);
    let tcp = tcp(5000, TRACED);
    let plain = ipv4(6, &[], 0, &tcp);
    assert!(probes.ships(&ethernet(&[0x8100], IPV4, &plain)), "VLAN");
    assert!(
        probes.ships(&ethernet(&[0x88a8, 0x8100], IPV4, &plain)),
        "QinQ"
    );
    assert!(
        !probes.ships(&ethernet(&[0x8100; 3], IPV4, &plain)),
        "more tags than are stepped over"
    );
    assert!(!probes.ships(&ethernet(&[], 0x0806, &plain)), "ARP");
    assert!(
        probes.ships(&ethernet(&[], IPV4, &ipv4(6, &[1; 40], 0, &tcp))),
        "IPv4 options"
    );

    let hop_by_hop = |next: u8, rest: &[u8]| [&[next, 1][..], &[0; 14], rest].concat();
    assert!(
        probes.ships(&ethernet(&[], IPV6, &ipv6(0, &hop_by_hop(6, &tcp)))),
        "hop by hop"
    );
    let destination = hop_by_hop(60, &hop_by_hop(6, &tcp));
    assert!(
        probes.ships(&ethernet(&[], IPV6, &ipv6(0, &destination))),
        "two extensions"
    );
    let authentication = [&[6, 2][..], &[0; 14], &tcp].concat();
    assert!(
        probes.ships(&ethernet(&[], IPV6, &ipv6(51, &authentication))),
        "authentication"
    );
    let mut endless = tcp.clone();
    for _ in 0..20 {
        endless = hop_by_hop(0, &endless);
    }
    assert!(
        !probes.ships(&ethernet(&[], IPV6, &ipv6(0, &endless))),
        "extensions without end"
    );
}

#[test]
fn fragments() {
    let mut probes = Probes::load(0);
    let tcp = tcp(5000, TRACED);
    let more = 0x2000;
    assert!(
        probes.ships(&ethernet(&[], IPV4, &ipv4(6, &[], more, &tcp))),
        "the first"
    );
    assert!(probes.ships(&ethernet(
        &[],
        IPV4,
        &ipv4(6, &[], 100, b"later bytes of it....")
    )));
    assert!(
        !probes.ships(&ethernet(&[], IPV4, &ipv4(17, &[], 100, &tcp))),
        "a later one of UDP"
    );
    let fragment = |offset: u16, rest: &[u8]| {
        [&[6, 0][..], &(offset << 3 | 1).to_be_bytes(), &[0; 4], rest].concat()
    };
    assert!(
        probes.ships(&ethernet(&[], IPV6, &ipv6(44, &fragment(0, &tcp)))),
        "the first"
    );
    assert!(probes.ships(&ethernet(
        &[],
        IPV6,
        &ipv6(44, &fragment(9, b"later bytes"))
    )));
}

#[test]
fn cut_and_senseless_packets_are_left_alone() {
    let mut probes = Probes::load(0);
    let whole = ethernet(&[], IPV4, &ipv4(6, &[1; 8], 0, &tcp(5000, TRACED)));
    // The kernel runs no test with less than both of the first headers.
    for len in 14 + 20..54 {
        assert!(!probes.ships(&whole[..len]), "cut to {len} bytes");
    }
    let mut version = whole.clone();
    version[14] = 0x77;
    assert!(!probes.ships(&version), "IP version 7");
    let mut short = ethernet(&[], IPV6, &ipv6(0, &[0; 4]));
    short.truncate(14 + 40 + 4);
    assert!(!probes.ships(&short), "an extension header that is cut");
}

#[test]
fn every_length_is_shipped_whole() {
    let mut probes = Probes::load(0);
    // Around each of the sizes that entries have, as far as a test packet can be long.
    for around in [54, 128, 256, 512, 1024, 1536, 3072] {
        for len in around - 2..=around + 2 {
            let mut tcp = tcp(5000, TRACED);
            tcp.extend((0..len).map(|n| n as u8));
            let mut packet = ethernet(&[], IPV4, &ipv4(6, &[], 0, &tcp));
            packet.truncate(len.max(54));
            assert!(probes.ships(&packet), "{len} bytes");
        }
    }
}

#[test]
fn what_comes_in_over_loopback_was_seen_going_out() {
    let packet = ethernet(&[], IPV4, &ipv4(6, &[], 0, &tcp(5000, TRACED)));
    for (skip_lo_ingress, ingress) in [(0, true), (1, false)] {
        // A test run's interface is the loopback of its namespace.
        let mut probes = Probes::load(skip_lo_ingress);
        assert_eq!(probes.run("cgroup_ingress", &packet).is_some(), ingress);
        assert!(probes.run("cgroup_egress", &packet).is_some());
    }
}

// ---------------------------------------------------------------------------------------------

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

struct Probes(Ebpf);

impl Probes {
    fn load(skip_lo_ingress: u32) -> Self {
        let mut ports = [0u64; PORT_WORDS];
        ports[usize::from(TRACED / 64)] = 1 << (TRACED % 64);
        let mut ebpf = EbpfLoader::new()
            .override_global(global::PORTS, &ports, true)
            .override_global(global::SNAP_LEN, &SNAP_LEN_MAX, true)
            .override_global(global::SKIP_LO_INGRESS, &skip_lo_ingress, true)
            .load(OBJECT)
            .unwrap();
        for (_, program) in ebpf.programs_mut() {
            match program {
                Program::CgroupSkb(program) => program.load().unwrap(),
                Program::SchedClassifier(program) => program.load().unwrap(),
                _ => {}
            }
        }
        Self(ebpf)
    }

    /// Whether a frame is shipped, by the probes of interfaces and by those of cgroups alike, and
    /// then each byte of it.
    fn ships(&mut self, frame: &[u8]) -> bool {
        let at_interface = self.run("tc_ingress", frame);
        assert_eq!(at_interface, self.run("tc_egress", frame));
        if let Some(shipped) = &at_interface {
            assert_eq!(shipped, frame);
        }
        // A cgroup's packets have no VLAN tags in them.
        if matches!(frame[12..14], [0x08, 0x00] | [0x86, 0xdd]) {
            let at_cgroup = self.run("cgroup_ingress", frame);
            assert_eq!(
                at_cgroup.as_deref(),
                at_interface.as_ref().map(|frame| &frame[14..])
            );
        }
        at_interface.is_some()
    }

    /// Runs a probe on a frame; what it ships.
    fn run(&mut self, name: &str, frame: &[u8]) -> Option<Vec<u8>> {
        let options = || TestRunOptions {
            data_in: Some(frame),
            ..TestRunOptions::new()
        };
        let program = self.0.program_mut(name).unwrap();
        let verdict = match program {
            Program::CgroupSkb(_) => {
                let program: &mut CgroupSkb = program.try_into().unwrap();
                program.test_run(options()).unwrap().return_value
            }
            _ => {
                let program: &mut SchedClassifier = program.try_into().unwrap();
                program.test_run(options()).unwrap().return_value
            }
        };
        assert_eq!(
            verdict,
            if name.starts_with("cgroup") {
                1
            } else {
                u32::MAX
            },
            "it passes"
        );
        let mut ring = RingBuf::try_from(self.0.map_mut(EVENTS).unwrap()).unwrap();
        let entry = ring.next()?;
        let Some(Record::Packet(header, packet)) = Record::from_bytes(&entry) else {
            panic!("no packet");
        };
        assert_eq!(header.wire_len as usize, packet.len());
        Some(packet.to_vec())
    }
}

fn ethernet(tags: &[u16], kind: u16, rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 7]);
    }
    frame.extend(kind.to_be_bytes());
    frame.extend(rest);
    frame
}

fn ipv4(protocol: u8, options: &[u8], fragment: u16, rest: &[u8]) -> Vec<u8> {
    let header_len = 20 + options.len();
    let mut packet = vec![0x40 | (header_len / 4) as u8, 0];
    packet.extend(((header_len + rest.len()) as u16).to_be_bytes());
    packet.extend([0, 1]);
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(options);
    packet.extend(rest);
    packet
}

fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((rest.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([0xfd; 32]);
    packet.extend(rest);
    packet
}

fn tcp(from: u16, to: u16) -> Vec<u8> {
    let mut header = [from.to_be_bytes(), to.to_be_bytes()].concat();
    header.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    header
}
