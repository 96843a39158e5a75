//! Connections between 192.0.2.1 and 192.0.2.2 port 80, as frames of raw IP. Each record comes a
//! millisecond after the one before.

use std::net::SocketAddr;

use super::{Case, LossPlace, Options, OwnerQuality, Pipeline, Record, SocketUse, owner};
use crate::model::{Settled, Timestamp};
use crate::source::{Frame, Hook, SocketKey, SocketOwner, Vantage};

/// The end that connects, as an index.
pub(super) const CLIENT: usize = 0;
/// The end that listens.
pub(super) const SERVER: usize = 1;

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;
const LINKTYPE_RAW: u16 = 101;

pub(super) struct Talk {
    pub(super) pipeline: Pipeline,
    now_ms: u64,
    client_port: u16,
    next: [u32; 2],
    /// Last number of the address under which the server's packets show.
    pub(super) answers_from: u8,
    /// Cookies of the sockets that send.
    pub(super) cookies: [u64; 2],
    /// The next packet says that nothing more will come before it.
    says_settled: bool,
    last: Vec<u8>,
}

impl Talk {
    pub(super) fn new(options: Options) -> Self {
        Self {
            pipeline: Pipeline::new(options),
            now_ms: 0,
            client_port: 40_000,
            next: [1_000, u32::MAX - 5],
            answers_from: 2,
            cookies: [0, 0],
            says_settled: false,
            last: Vec::new(),
        }
    }

    pub(super) fn addr(&self, end: usize) -> SocketAddr {
        match end {
            CLIENT => SocketAddr::from(([192, 0, 2, 1], self.client_port)),
            _ => SocketAddr::from(([192, 0, 2, 2], 80)),
        }
    }

    /// From here on it is another connection.
    pub(super) fn next_connection(&mut self) {
        self.client_port += 1;
    }

    pub(super) fn handshake(&mut self) {
        self.segment(CLIENT, SYN, "");
        self.segment(SERVER, SYN | ACK, "");
        self.segment(CLIENT, ACK, "");
    }

    pub(super) fn exchange(&mut self, request: &str, response: &str) {
        self.say(CLIENT, request);
        self.say(SERVER, response);
    }

    pub(super) fn say(&mut self, end: usize, text: &str) {
        self.segment(end, ACK, text);
    }

    /// The last segment once more.
    pub(super) fn repeat_last(&mut self) {
        let last = self.last.clone();
        self.frame(&last);
    }

    /// So many bytes of one end were not captured.
    pub(super) fn miss(&mut self, end: usize, len: u32) {
        self.next[end] = self.next[end].wrapping_add(len);
    }

    /// The server ends the connection. Its kernel says that what was missed was left out.
    pub(super) fn close_settled(&mut self) {
        self.says_settled = true;
        self.segment(SERVER, FIN | ACK, "");
        self.says_settled = false;
    }

    pub(super) fn frame(&mut self, data: &[u8]) {
        self.frame_from(data, Vantage::default());
    }

    fn frame_from(&mut self, data: &[u8], vantage: Vantage) {
        self.now_ms += 1;
        self.pipeline.push(Record::Packet(Frame {
            at: at(self.now_ms),
            link_type: LINKTYPE_RAW,
            wire_len: u32::try_from(data.len()).unwrap(),
            data,
            vantage,
        }));
    }

    /// The host reports a process that used the socket of one end.
    pub(super) fn used(&mut self, end: usize, used: SocketUse, comm: &str) {
        self.now_ms += 1;
        self.pipeline.push(Record::Owner(SocketOwner {
            at: at(self.now_ms),
            socket: SocketKey {
                cookie: 0,
                local: Some(self.addr(end)),
                remote: Some(self.addr(1 - end)),
            },
            used,
            owner: owner(comm, 100, OwnerQuality::Exact),
        }));
    }

    pub(super) fn lose(&mut self, count: u64) {
        self.pipeline.push(Record::Lost {
            count,
            place: LossPlace::RingPacket,
        });
    }

    /// Nothing happens for so many milliseconds.
    pub(super) fn pass(&mut self, millis: u64) {
        self.now_ms += millis;
        let at = at(self.now_ms);
        self.pipeline.push(Record::Tick { at });
    }

    pub(super) fn turn_back(&mut self, millis: u64) {
        self.now_ms -= millis;
    }

    pub(super) fn cases(&mut self) -> Vec<Case> {
        std::iter::from_fn(|| self.pipeline.next_case()).collect()
    }

    pub(super) fn finish(&mut self) -> Vec<Case> {
        self.pipeline.finish();
        self.cases()
    }

    fn segment(&mut self, end: usize, flags: u8, text: &str) {
        let ports = [self.addr(end), self.addr(1 - end)].map(|addr| addr.port().to_be_bytes());
        let mut segment = ports.concat();
        segment.extend(self.next[end].to_be_bytes());
        segment.extend(self.next[1 - end].to_be_bytes());
        segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(text.as_bytes());
        let len = u32::try_from(text.len()).unwrap() + u32::from(flags & SYN != 0);
        self.next[end] = self.next[end].wrapping_add(len);
        let mut packet = ipv4(6, &segment);
        if end == SERVER {
            packet[15] = self.answers_from;
            packet[19] = 1;
        }
        let [own, peer] = [self.next[end], self.next[1 - end]];
        let vantage = match self.cookies[end] {
            0 => Vantage::default(),
            cookie => Vantage {
                hook: Hook::Egress,
                cookie,
                settled: self.says_settled.then_some(Settled { own, peer }),
                ..Vantage::default()
            },
        };
        self.frame_from(&packet, vantage);
        self.last = packet;
    }
}

/// From 192.0.2.1 to 192.0.2.2.
pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![
        0x45, 0, total[0], total[1], 0, 1, 0x40, 0, 64, protocol, 0, 0,
    ];
    packet.extend([192, 0, 2, 1, 192, 0, 2, 2]);
    packet.extend(payload);
    packet
}

pub(super) fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}
