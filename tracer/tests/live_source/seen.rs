//! What a capture handed out.

use tracer403::model::{LossPlace, OwnerQuality, Talk, Timestamp};
use tracer403::source::live::LiveSource;
use tracer403::source::{Frame, Hook, Record, SocketOwner, SocketUse, Source as _};

use crate::PORT;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const ACK: u8 = 16;

/// What a capture handed out.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) packets: Vec<Packet>,
    pub(crate) owners: Vec<SocketOwner>,
    pub(crate) lost: Vec<(LossPlace, u64)>,
    /// Since when peers that are not traced are told.
    pub(crate) watching: Vec<Timestamp>,
    pub(crate) talks: Vec<Talk>,
}

pub(crate) struct Packet {
    pub(crate) hook: Hook,
    pub(crate) cookie: u64,
    pub(crate) ifindex: u32,
    pub(crate) link_type: u16,
    pub(crate) wire_len: u32,
    pub(crate) data: Vec<u8>,
}

impl Seen {
    /// Reads until the source ends, and checks what holds for every capture.
    pub(crate) fn read(source: &mut LiveSource) -> Self {
        let mut seen = Self::default();
        let mut ticked = None;
        let mut go_on = true;
        while go_on {
            go_on = source
                .next(&mut |record| match record {
                    Record::Packet(frame) => {
                        assert!(Some(frame.at) >= ticked, "a packet from before a tick");
                        seen.packets.push(Packet::from(frame));
                    }
                    Record::Owner(owner) => {
                        assert!(Some(owner.at) >= ticked, "an owner from before a tick");
                        seen.owners.push(owner);
                    }
                    Record::Lost { count, place } => seen.lost.push((place, count)),
                    Record::Watching { at } => seen.watching.push(at),
                    Record::Talk(talk) => {
                        assert!(Some(talk.at) >= ticked, "a talk from before a tick");
                        seen.talks.push(talk);
                    }
                    Record::Around(around) => panic!("{around:?}"),
                    Record::Held { counts, .. } => panic!("{counts:?}"),
                    Record::Missing(missing) => panic!("{missing:?}"),
                    Record::Tick { at } => ticked = Some(at),
                })
                .unwrap();
        }
        assert!(ticked.is_some(), "no tick at the end");
        seen
    }

    /// The bytes that went from one port to another, put in order by sequence number.
    pub(crate) fn stream(&self, hook: Hook, way: impl Fn(u16, u16) -> bool) -> Vec<u8> {
        let mut segments: Vec<(u32, &[u8])> = self
            .packets
            .iter()
            .filter(|packet| packet.hook == hook && way(packet.ports().0, packet.ports().1))
            .map(|packet| (packet.sequence(), packet.payload()))
            .filter(|(_, payload)| !payload.is_empty())
            .collect();
        let first = segments.first().map_or(0, |&(sequence, _)| sequence);
        segments.sort_by_key(|(sequence, _)| sequence.wrapping_sub(first));
        // What was sent again may be cut in other places.
        let mut stream = Vec::new();
        for (sequence, payload) in segments {
            let seen = stream.len() - sequence.wrapping_sub(first) as usize;
            stream.extend(payload.iter().skip(seen));
        }
        stream
    }

    /// For the socket of each packet with payload that went out, this process is named exactly.
    pub(crate) fn expect_owners_of_the_senders(&self) {
        let senders = self.packets.iter().filter(|packet| {
            packet.hook == Hook::Egress && packet.cookie != 0 && !packet.payload().is_empty()
        });
        let mut cookies: Vec<u64> = senders.map(|packet| packet.cookie).collect();
        cookies.sort_unstable();
        cookies.dedup();
        assert_eq!(cookies.len(), 2, "a client and a server");
        for cookie in cookies {
            for used in [SocketUse::Sent, SocketUse::Received] {
                let owner = self
                    .owners
                    .iter()
                    .find(|owner| owner.socket.cookie == cookie && owner.used == used)
                    .unwrap_or_else(|| panic!("nobody {used:?} on socket {cookie}"));
                assert_eq!(owner.owner.pid, std::process::id());
                assert_eq!(owner.owner.quality, OwnerQuality::Exact);
                assert_eq!(*owner.owner.comm, *own_comm());
                let ports = [owner.socket.local, owner.socket.remote].map(|a| a.unwrap().port());
                assert!(ports.contains(&PORT) && ports[0] != ports[1], "{ports:?}");
            }
        }
    }
}

/// The name of this process, as its main thread has it.
fn own_comm() -> String {
    std::fs::read_to_string("/proc/self/comm")
        .unwrap()
        .trim_end()
        .to_owned()
}

impl From<Frame<'_>> for Packet {
    fn from(frame: Frame<'_>) -> Self {
        Self {
            hook: frame.vantage.hook,
            cookie: frame.vantage.cookie,
            ifindex: frame.vantage.ifindex,
            link_type: frame.link_type,
            wire_len: frame.wire_len,
            data: frame.data.to_vec(),
        }
    }
}

impl Packet {
    fn tcp(&self) -> &[u8] {
        let ip = if self.link_type == 1 {
            &self.data[14..]
        } else {
            &self.data[..]
        };
        if ip[0] >> 4 == 4 {
            &ip[usize::from(ip[0] & 15) * 4..]
        } else {
            &ip[40..]
        }
    }

    pub(crate) fn ports(&self) -> (u16, u16) {
        let tcp = self.tcp();
        (
            u16::from_be_bytes([tcp[0], tcp[1]]),
            u16::from_be_bytes([tcp[2], tcp[3]]),
        )
    }

    fn sequence(&self) -> u32 {
        u32::from_be_bytes(self.tcp()[4..8].try_into().unwrap())
    }

    pub(crate) fn tcp_flags(&self) -> u8 {
        self.tcp()[13]
    }

    fn payload(&self) -> &[u8] {
        let tcp = self.tcp();
        &tcp[usize::from(tcp[12] >> 4) * 4..]
    }
}
