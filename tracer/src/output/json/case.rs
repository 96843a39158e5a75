//! A line of type `case`.

use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::Serialize;

use super::chain::{self, HopLine};
use super::message::{RequestMessage, ResponseMessage};
use super::time::Time;
use super::verdict::{EvidenceLine, GroupLine, PaceLine, SiblingLine, VerdictLine};
use super::{JsonOptions, SCHEMA};
use crate::model::{Anomaly, Case, ClientAddress, ClientSource, Endpoint, Owner, OwnerQuality};
use crate::output::words;

/// An exchange that the filter let pass, the way of its request through this host, and the
/// conclusion. Without further word, a key describes the exchange that the filter let pass.
#[derive(Debug, JsonSchema, Serialize)]
pub struct CaseLine<'a> {
    /// Version of this format.
    pub schema: u32,
    /// Its number in this session, from 1.
    pub case: u64,
    /// Number of the connection in this session.
    pub connection: u64,
    /// Place of the exchange on its connection, from 0.
    pub index: u64,
    /// When its first byte was seen.
    pub started_at: Time,
    /// From the first byte of the request to the first byte of the final answer; `null` where one
    /// of them was not seen.
    pub time_to_first_byte_ns: Option<u64>,
    /// Whether the final answer began before the last byte of the request; `null` where that
    /// cannot be told.
    pub answered_early: Option<bool>,
    /// Whether both messages are there from the first byte to the last.
    pub complete: bool,
    /// Records that were lost anywhere in the session while the exchange was under way: where this
    /// is not 0, "was not seen" does not mean "was not there".
    pub lost_meanwhile: u64,
    /// The end that asked.
    pub client: Side<'a>,
    /// The end that answered.
    pub server: Side<'a>,
    /// Every address that somebody gave for the client, the peer of the socket first.
    pub client_addresses: Vec<ClientRow<'a>>,
    /// The request; `null` where it was not seen.
    pub request: Option<RequestMessage<'a>>,
    /// Answers before the final one (1xx).
    pub interim: Vec<ResponseMessage<'a>>,
    /// The final answer; `null` where none was seen.
    pub response: Option<ResponseMessage<'a>>,
    /// What was odd about the exchange: names such as `early_response`.
    #[schemars(extend("examples" = anomalies()))]
    pub anomalies: Vec<&'static str>,
    /// Who refused it, and why.
    pub verdict: VerdictLine<'a>,
    /// The hops that the request took, from the client inwards; at least one.
    pub hops: Vec<HopLine<'a>>,
    /// Which of the hops the filter let pass: its place in `hops`. Its messages are those of the
    /// line, and are not written a second time.
    pub reported: usize,
    /// Facts that speak for or against a cause.
    pub evidence: Vec<EvidenceLine<'a>>,
    /// Exchanges of the same method and route that were not refused, the most alike first.
    pub siblings: Vec<SiblingLine<'a>>,
    /// What the same client asked for just before.
    pub pace: PaceLine,
    /// The cases of the same shape so far; `null` where they are not counted.
    pub group: Option<GroupLine>,
}

/// One end of a connection.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Endpoint")]
pub struct Side<'a> {
    /// Its IP address.
    #[schemars(with = "String")]
    pub address: IpAddr,
    /// Its TCP port.
    pub port: u16,
    /// The address and port by which the other end knows it; `null` where it is the same: else the
    /// address is translated on the way (NAT, the address of a service, a published port).
    #[schemars(with = "Option<String>")]
    pub seen_as: Option<SocketAddr>,
    /// The kernel's cookie of its socket; `null` where no probe on this host saw it.
    pub socket_cookie: Option<u64>,
    /// The process behind it; `null` where it is on another host, or was not seen.
    pub process: Option<Process<'a>>,
}

/// A process at one end.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Process<'a> {
    /// Process id, in the host's pid namespace.
    pub pid: u32,
    /// Thread id; the process id where the thread is not known.
    pub tid: u32,
    /// User id, in the host's user namespace.
    pub uid: u32,
    /// When it started.
    pub started_at: Option<Time>,
    /// Its name, at most 15 bytes.
    pub comm: &'a str,
    /// Its executable.
    pub exe: Option<&'a str>,
    /// Its cgroup, below the mount.
    pub cgroup: Option<&'a str>,
    /// Its container.
    pub container: Option<ContainerId<'a>>,
    /// How this is known.
    pub quality: Quality,
}

/// A container.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ContainerId<'a> {
    /// What runs it: `docker`, `containerd`, `cri-o` or `podman`.
    pub runtime: &'static str,
    /// Its id, in full.
    pub id: &'a str,
}

/// How the process behind a socket is known.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// The kernel named it while it was sending or receiving on that very socket.
    Exact,
    /// Read from the kernel's tables some time before or after.
    Relaxed,
    /// Several processes hold the socket, or only the listening socket is known.
    Guess,
}

/// An address that somebody gave for the client.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ClientRow<'a> {
    /// Who.
    pub source: Source,
    /// What, as written.
    pub text: &'a str,
    /// The IP address in it; `null` where there is none.
    #[schemars(with = "Option<String>")]
    pub address: Option<IpAddr>,
}

/// Where an address of the client was read.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The peer of the server's socket.
    SocketPeer,
    /// The client's own address, where it is translated on the way to the server.
    BeforeTranslation,
    /// The PROXY protocol.
    ProxyProtocol,
    /// `X-Forwarded-For`, from left to right.
    XForwardedFor,
    /// `X-Real-IP`.
    XRealIp,
    /// `Forwarded: for=` (RFC 7239), from left to right.
    Forwarded,
    /// `CF-Connecting-IP`.
    CfConnectingIp,
    /// `True-Client-IP`.
    TrueClientIp,
}

/// A list with every name that there is.
fn anomalies() -> [Vec<&'static str>; 1] {
    let name = |a: &Anomaly| words::anomaly(*a).0;
    [words::ANOMALIES.iter().map(name).collect()]
}

impl<'a> CaseLine<'a> {
    pub(super) fn new(case: &'a Case, options: &JsonOptions) -> Self {
        let exchange = case.exchange();
        Self {
            schema: SCHEMA,
            case: case.number,
            connection: exchange.conn.0,
            index: exchange.index,
            started_at: Time(exchange.started_at()),
            time_to_first_byte_ns: exchange
                .time_to_first_byte()
                .map(|d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
            answered_early: exchange.answered_early(),
            complete: exchange.is_complete(),
            lost_meanwhile: case.lost_meanwhile,
            client: Side::from(&exchange.client),
            server: Side::from(&exchange.server),
            client_addresses: exchange
                .client_addresses
                .iter()
                .map(ClientRow::from)
                .collect(),
            request: exchange
                .request
                .as_ref()
                .map(|r| RequestMessage::new(r, options)),
            interim: exchange
                .interim
                .iter()
                .map(|r| ResponseMessage::new(r, options))
                .collect(),
            response: exchange
                .response
                .as_ref()
                .map(|r| ResponseMessage::new(r, options)),
            anomalies: exchange
                .anomalies
                .iter()
                .map(|a| words::anomaly(*a).0)
                .collect(),
            verdict: VerdictLine::new(case),
            hops: chain::hops(case, options),
            reported: case.chain.reported_at(),
            evidence: case
                .evidence
                .iter()
                .map(|evidence| EvidenceLine::new(evidence, &case.chain))
                .collect(),
            siblings: case
                .siblings
                .iter()
                .map(|s| SiblingLine::from(&**s))
                .collect(),
            pace: PaceLine::from(case.pace),
            group: GroupLine::new(case.group),
        }
    }
}

impl<'a> From<&'a Endpoint> for Side<'a> {
    fn from(end: &'a Endpoint) -> Self {
        Self {
            address: end.addr.ip(),
            port: end.addr.port(),
            seen_as: end.translated,
            socket_cookie: (end.cookie != 0).then_some(end.cookie),
            process: end.owner.as_ref().map(Process::from),
        }
    }
}

impl<'a> From<&'a Owner> for Process<'a> {
    fn from(owner: &'a Owner) -> Self {
        Self {
            pid: owner.pid,
            tid: owner.tid,
            uid: owner.uid,
            started_at: owner.started_at.map(Time),
            comm: &owner.comm,
            exe: owner.exe.as_deref(),
            cgroup: owner.cgroup.as_deref(),
            container: owner.container.as_deref().map(|c| ContainerId {
                runtime: c.runtime,
                id: &c.id,
            }),
            quality: match owner.quality {
                OwnerQuality::Exact => Quality::Exact,
                OwnerQuality::Relaxed => Quality::Relaxed,
                OwnerQuality::Guess => Quality::Guess,
            },
        }
    }
}

impl<'a> From<&'a ClientAddress> for ClientRow<'a> {
    fn from(row: &'a ClientAddress) -> Self {
        Self {
            source: match row.source {
                ClientSource::SocketPeer => Source::SocketPeer,
                ClientSource::BeforeTranslation => Source::BeforeTranslation,
                ClientSource::ProxyProtocol => Source::ProxyProtocol,
                ClientSource::XForwardedFor => Source::XForwardedFor,
                ClientSource::XRealIp => Source::XRealIp,
                ClientSource::Forwarded => Source::Forwarded,
                ClientSource::CfConnectingIp => Source::CfConnectingIp,
                ClientSource::TrueClientIp => Source::TrueClientIp,
            },
            text: &row.text,
            address: row.addr,
        }
    }
}
