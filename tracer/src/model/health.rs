//! How well a session could see.

use super::Timestamp;

/// A place where something can be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LossPlace {
    /// The ring buffer was full: a packet.
    RingPacket,
    /// The ring buffer was full: the owner of a socket.
    RingOwner,
    /// The ring buffer was full: the start of a program.
    RingExec,
    /// The ring buffer was full: a word to a peer that is not traced.
    RingTalk,
    /// The kernel side could not read a packet's bytes.
    PacketUnreadable,
    /// The capture file says that its writer dropped packets.
    CaptureFile,
}

/// What a probe that is missing costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingProbe {
    /// Its name, as in the table of probes.
    pub probe: &'static str,
    /// Why it is not there.
    pub why: String,
    /// What the user loses by it, in the user's terms.
    pub costs: &'static str,
}

/// What came of the requests that the kernel side held: every count starts at 0 and only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldCounts {
    /// Requests that were held.
    pub requests: u64,
    /// Of those, requests that were let go, as their answer was not wanted.
    pub let_go: u64,
    /// Of those, requests that were shipped.
    pub shipped: u64,
    /// Of those that were shipped, requests whose answer was not wanted: some of each route.
    pub sampled: u64,
    /// Connections that could not be followed, and were shipped whole.
    pub whole: u64,
    /// Wanted answers whose request was not held: it was pushed out by others, or sent before the
    /// start. They are reported without it.
    pub unheld: u64,
    /// Packets that could not be followed, as there was no room for their connection; they were
    /// shipped as they were.
    pub no_room: u64,
}

impl HeldCounts {
    /// Requests of which nothing came: they were under way, or pushed out by others. So many
    /// refusals at most were not seen.
    pub const fn unanswered(&self) -> u64 {
        self.requests
            .saturating_sub(self.let_go)
            .saturating_sub(self.shipped)
    }
}

/// How well the session could see: every count starts at 0 and only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// When the first packet was captured; `None` while there was none.
    pub first_at: Option<Timestamp>,
    /// When the latest packet was captured.
    pub last_at: Option<Timestamp>,
    /// Packets that reached the tool.
    pub packets: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Packets that are not TCP over IP.
    pub not_tcp: u64,
    /// Packets that could not be decoded.
    pub malformed: u64,
    /// Packets of which only the beginning was captured.
    pub cut: u64,
    /// TCP connections.
    pub connections: u64,
    /// Connections whose first packets are missing.
    pub started_in_middle: u64,
    /// Segments that were seen before: retransmissions, or the same packet at two places.
    pub duplicates: u64,
    /// Gaps in connections: bytes that the capture lost.
    pub gaps: u64,
    /// Bytes in those gaps.
    pub gap_bytes: u64,
    /// Requests.
    pub requests: u64,
    /// Final responses.
    pub responses: u64,
    /// Exchanges, complete or not.
    pub exchanges: u64,
    /// Exchanges that matched the filter.
    pub cases: u64,
    /// Connections that carry HTTP/2.
    pub http2: u64,
    /// Connections that carry TLS.
    pub tls: u64,
    /// Connections that became tunnels: WebSocket or another upgrade, CONNECT.
    pub tunnels: u64,
    /// Connections on which no HTTP was recognised.
    pub not_http: u64,
    /// Connections dropped because there were more than `limits.connections`.
    pub evicted_connections: u64,
    /// Connections dropped because memory was over `limits.memory`.
    pub evicted_memory: u64,
    /// Bytes of those gaps that were given up before their time, because more waited behind them
    /// than `limits.out_of_order`.
    pub evicted_bytes: u64,
    /// Packets not kept for `-w` over their bound.
    pub evicted_packets: u64,
    /// Records lost before they reached the tool, by place.
    pub lost: Vec<(LossPlace, u64)>,
    /// Probes that are not there.
    pub missing: Vec<MissingProbe>,
    /// What came of the requests that were held in the kernel; `None` where none are.
    pub held: Option<HeldCounts>,
}

impl Health {
    /// Adds to a place's count of lost records.
    pub fn add_lost(&mut self, place: LossPlace, count: u64) {
        match self.lost.iter_mut().find(|(p, _)| *p == place) {
            Some((_, n)) => *n = n.saturating_add(count),
            None => self.lost.push((place, count)),
        }
    }

    /// Records lost in all.
    pub fn lost_total(&self) -> u64 {
        self.lost
            .iter()
            .fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_let_go_nor_shipped_has_no_answer() {
        let held = HeldCounts {
            requests: 10,
            let_go: 6,
            shipped: 3,
            ..HeldCounts::default()
        };
        assert_eq!(held.unanswered(), 1);
        // The counters are read one after the other, while they grow.
        let held = HeldCounts { let_go: 8, ..held };
        assert_eq!(held.unanswered(), 0);
    }
}
