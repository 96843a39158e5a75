//! The first line and the last.

use schemars::JsonSchema;
use serde::Serialize;

use super::SCHEMA;
use super::time::Time;
use super::verdict::GroupLine;
use crate::model::{Health, LossPlace};
use crate::output::groups::Groups;
use crate::output::redact::Secrets;
use crate::output::{Mode, Session};

/// What is known before the first case.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Start<'a> {
    /// Version of this format.
    pub schema: u32,
    /// Version of the tool.
    pub version: &'static str,
    /// Where the traffic comes from.
    pub mode: SessionMode,
    /// Interfaces, the cgroup, or files.
    pub inputs: &'a [String],
    /// Ports of the servers, such as `80,8000-8100`; `null` where every port counts.
    pub ports: Option<&'a str>,
    /// The filter, in words.
    pub filter: &'a str,
    /// Whether the cases hold their secrets.
    pub secrets_shown: bool,
}

/// Where the traffic comes from.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionMode {
    /// From this host, now.
    Live,
    /// From capture files.
    Read,
}

impl<'a> Start<'a> {
    pub(super) fn new(session: &'a Session, secrets: Secrets) -> Self {
        Self {
            schema: SCHEMA,
            version: session.version,
            mode: match session.mode {
                Mode::Live => SessionMode::Live,
                Mode::Read => SessionMode::Read,
            },
            inputs: &session.inputs,
            ports: session.ports.as_deref(),
            filter: &session.filter,
            secrets_shown: secrets == Secrets::Shown,
        }
    }
}

/// What the session saw, and what it could not see. Every number is a count from the start of the
/// session.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Summary<'a> {
    /// Version of this format.
    pub schema: u32,
    /// When the first packet was captured; `null` where there was none.
    pub first_packet_at: Option<Time>,
    /// When the last packet was captured.
    pub last_packet_at: Option<Time>,
    /// Packets that reached the tool.
    pub packets: u64,
    /// Bytes of these packets.
    pub packet_bytes: u64,
    /// TCP connections.
    pub connections: u64,
    /// Requests.
    pub requests: u64,
    /// Final responses.
    pub responses: u64,
    /// Exchanges, complete or not.
    pub exchanges: u64,
    /// Exchanges that the filter let pass: lines of type `case`.
    pub cases: u64,
    /// What came of the requests that were held in the kernel; `null` where none are.
    pub held: Option<HeldLine>,
    /// What was not seen, or not understood.
    pub not_seen: NotSeen<'a>,
    /// The groups of cases, the oldest first; at most 64.
    pub groups: Vec<GroupLine>,
    /// Groups that are not in `groups`, because it was full.
    pub groups_not_listed: u64,
}

/// What came of the requests that were held in the kernel (`--capture hold`).
#[derive(Debug, JsonSchema, Serialize)]
pub struct HeldLine {
    /// Requests that were held.
    pub requests: u64,
    /// Of those, requests that were let go with their answer, unread.
    pub let_go: u64,
    /// Of those, requests that were shipped.
    pub shipped: u64,
    /// Of those that were shipped, requests that were neither refused nor failed: some of each route.
    pub sampled: u64,
    /// Connections that could not be followed there, and were shipped whole.
    pub whole_connections: u64,
    /// Packets that were shipped for want of room to follow their connection.
    pub packets_without_room: u64,
}

/// What was not seen, or not understood.
#[derive(Debug, JsonSchema, Serialize)]
pub struct NotSeen<'a> {
    /// Refusals that were not seen, at most, as requests were held in the kernel (`--capture hold`):
    /// requests of which nothing came before the end, or that were pushed out by others.
    pub refusals_at_most: u64,
    /// Answers that were reported without their request, which was held no longer.
    pub answers_without_request: u64,
    /// Records that were lost on their way to the tool, by place; empty where none were.
    pub lost: Vec<Lost>,
    /// Probes that are not there, and what that costs.
    pub missing_probes: Vec<Missing<'a>>,
    /// Gaps in connections.
    pub gaps: u64,
    /// Bytes in these gaps.
    pub gap_bytes: u64,
    /// Packets of which only the beginning was captured.
    pub cut_packets: u64,
    /// Packets that could not be decoded.
    pub malformed_packets: u64,
    /// Packets that are not TCP over IP.
    pub not_tcp_packets: u64,
    /// Segments that were seen before (retransmissions, or one packet at two places).
    pub duplicate_segments: u64,
    /// Connections whose first packets are missing.
    pub connections_started_in_middle: u64,
    /// Connections that speak HTTP/2, which is not read.
    pub http2_connections: u64,
    /// Connections that speak TLS, which is not read.
    pub tls_connections: u64,
    /// Connections that became tunnels: an upgrade such as WebSocket, or CONNECT.
    pub tunnels: u64,
    /// Connections on which no HTTP was recognised.
    pub not_http_connections: u64,
    /// Connections dropped because there were too many (`--limit-connections`).
    pub evicted_connections: u64,
    /// Connections dropped because memory was short (`--limit-memory`).
    pub evicted_for_memory: u64,
    /// Bytes that arrived ahead of a gap and were dropped over their bound.
    pub evicted_bytes: u64,
    /// Packets not kept for `-w` over their bound (`--limit-packets`).
    pub evicted_packets: u64,
}

/// Records lost at one place.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Lost {
    /// Where.
    pub place: Place,
    /// How many.
    pub records: u64,
}

/// Where records are lost.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
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

/// A probe that is not there.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Missing<'a> {
    /// Its name.
    pub probe: &'static str,
    /// Why it is not there.
    pub why: &'a str,
    /// What is lost by it.
    pub costs: &'static str,
}

impl<'a> Summary<'a> {
    pub(super) fn new(health: &'a Health, groups: &Groups<()>) -> Self {
        Self {
            schema: SCHEMA,
            first_packet_at: health.first_at.map(Time),
            last_packet_at: health.last_at.map(Time),
            packets: health.packets,
            packet_bytes: health.bytes,
            connections: health.connections,
            requests: health.requests,
            responses: health.responses,
            exchanges: health.exchanges,
            cases: health.cases,
            held: health.held.map(|held| HeldLine {
                requests: held.requests,
                let_go: held.let_go,
                shipped: held.shipped,
                sampled: held.sampled,
                whole_connections: held.whole,
                packets_without_room: held.no_room,
            }),
            not_seen: NotSeen {
                refusals_at_most: health.held.map_or(0, |held| held.unanswered()),
                answers_without_request: health.held.map_or(0, |held| held.unheld),
                lost: health.lost.iter().map(|l| lost(*l)).collect(),
                missing_probes: health
                    .missing
                    .iter()
                    .map(|m| Missing {
                        probe: m.probe,
                        why: &m.why,
                        costs: m.costs,
                    })
                    .collect(),
                gaps: health.gaps,
                gap_bytes: health.gap_bytes,
                cut_packets: health.cut,
                malformed_packets: health.malformed,
                not_tcp_packets: health.not_tcp,
                duplicate_segments: health.duplicates,
                connections_started_in_middle: health.started_in_middle,
                http2_connections: health.http2,
                tls_connections: health.tls,
                tunnels: health.tunnels,
                not_http_connections: health.not_http,
                evicted_connections: health.evicted_connections,
                evicted_for_memory: health.evicted_memory,
                evicted_bytes: health.evicted_bytes,
                evicted_packets: health.evicted_packets,
            },
            groups: groups
                .rows()
                .iter()
                .filter_map(|row| GroupLine::new(row.group))
                .collect(),
            groups_not_listed: groups.not_listed(),
        }
    }
}

fn lost((place, records): (LossPlace, u64)) -> Lost {
    let place = match place {
        LossPlace::RingPacket => Place::RingPacket,
        LossPlace::RingOwner => Place::RingOwner,
        LossPlace::RingExec => Place::RingExec,
        LossPlace::RingTalk => Place::RingTalk,
        LossPlace::PacketUnreadable => Place::PacketUnreadable,
        LossPlace::CaptureFile => Place::CaptureFile,
    };
    Lost { place, records }
}
