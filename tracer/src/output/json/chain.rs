//! The way of the request: hops, what links them, and what they changed.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::JsonOptions;
use super::case::{ClientRow, Side};
use super::message::{Field, RequestMessage, ResponseMessage, WireText};
use super::time::Time;
use crate::model::{self, Asked, Case, Exchange, Link, LinkRule, Strength, Unread, UnreadPeer};
use crate::output::changes::{BodyChange, Changes, MessageChanges};
use crate::output::words;

/// A hop: one exchange of the chain.
#[derive(Debug, JsonSchema, Serialize)]
pub struct HopLine<'a> {
    /// Its messages and its ends.
    #[serde(flatten)]
    pub exchange: ExchangeLine<'a>,
    /// How it is known to carry the request of the hop before; `null` for the first.
    pub link: Option<LinkLine<'a>>,
    /// What its server asked others beside passing the request on: authorisers, look-ups.
    pub side_calls: Vec<SideCallLine<'a>>,
    /// Whom its server asked while it served this request.
    pub asked: AskedLine<'a>,
    /// What its server changed between this hop and the next; `null` for the last.
    pub changes: Option<ChangesLine<'a>>,
}

/// One request and its answer.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ExchangeLine<'a> {
    /// Number of the connection in this session.
    pub connection: u64,
    /// Place of the exchange on its connection, from 0.
    pub index: u64,
    /// When its first byte was seen.
    pub started_at: Time,
    /// The end that asked.
    pub client: Side<'a>,
    /// The end that answered.
    pub server: Side<'a>,
    /// Every address that somebody gave this hop for the client, the peer of the socket first.
    pub client_addresses: Vec<ClientRow<'a>>,
    /// The status of the final answer; `null` where none was seen.
    pub status: Option<u16>,
    /// The request; `null` where it was not seen, and at the hop that is `reported`: its request
    /// is that of the line.
    pub request: Option<RequestMessage<'a>>,
    /// Answers before the final one (1xx); at the hop that is `reported` those of the line.
    pub interim: Vec<ResponseMessage<'a>>,
    /// The final answer; `null` where none was seen, and at the hop that is `reported`: its answer
    /// is that of the line.
    pub response: Option<ResponseMessage<'a>>,
    /// What was odd about it: names as in `anomalies` of the line.
    pub anomalies: Vec<&'static str>,
}

/// An exchange that the server of a hop began on its own account.
#[derive(Debug, JsonSchema, Serialize)]
pub struct SideCallLine<'a> {
    /// Its messages and its ends.
    #[serde(flatten)]
    pub exchange: ExchangeLine<'a>,
    /// How it is known to belong to the hop.
    pub link: LinkLine<'a>,
}

/// How two exchanges are known to belong together.
#[derive(Debug, JsonSchema, Serialize)]
pub struct LinkLine<'a> {
    /// The rule that found it.
    pub rule: RuleName,
    /// How sure it is.
    pub strength: StrengthName,
    /// What the two requests have in common, such as `path` or `body`.
    pub agree: &'a [&'static str],
    /// Other requests that were under way in the same process and could as well have caused it.
    pub ambiguous_with: u32,
}

/// The rules by which exchanges are linked.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleName {
    /// The process that served the one called the other, while it served.
    SameProcess,
    /// Both carry the same request id or trace id.
    RequestId,
    /// Both carry the same method and body, one within the other.
    SameContent,
    /// The inner one names the outer one's client in `X-Forwarded-For` or `Forwarded`.
    ForwardedFor,
}

/// How much a fact says.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StrengthName {
    /// Seen with many things.
    Weak,
    /// Seen mostly with this.
    Fair,
    /// Hardly ever seen with anything else.
    Strong,
    /// Cannot be otherwise.
    Proof,
}

/// Whom the server of a hop asked while it served a request.
#[derive(Debug, JsonSchema, Serialize)]
pub struct AskedLine<'a> {
    /// Whom.
    pub what: AskedWhat,
    /// Those whose traffic was not read; empty unless `what` is `unread`.
    pub unread: Vec<UnreadLine<'a>>,
    /// Records that were lost meanwhile; 0 unless `what` is `lost`.
    pub lost: u64,
}

/// Whom the server of a hop asked.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedWhat {
    /// The next hop of the chain.
    NextHop,
    /// Nobody: its process was watched all the time, and nothing was lost.
    Nobody,
    /// Somebody whose traffic was not read.
    Unread,
    /// It cannot be told.
    Unknown,
    /// It cannot be told: its process served several requests at once.
    Ambiguous,
    /// It cannot be told: the server is on another host, or its process is not known.
    ServerNotSeen,
    /// It cannot be told: records were lost meanwhile.
    Lost,
    /// It cannot be told: the capture does not say what the process did on other ports.
    OtherPortsNotSeen,
}

/// Somebody whom a process talked to without this tool reading what was said.
#[derive(Debug, JsonSchema, Serialize)]
pub struct UnreadLine<'a> {
    /// Address and port; `null` for a Unix socket.
    #[schemars(with = "Option<String>")]
    pub address: Option<SocketAddr>,
    /// What a Unix socket is bound to: a path, or `@` and an abstract name; `null` where not known.
    pub path: Option<&'a str>,
    /// Why it was not read.
    pub why: UnreadWhy,
}

/// Why the talk with a peer was not read.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreadWhy {
    /// Its port is not among the traced ones.
    PortNotTraced,
    /// A Unix socket: it has no packets.
    UnixSocket,
    /// TLS.
    Tls,
    /// HTTP/2.
    Http2,
    /// Something that is not HTTP, such as FastCGI or a database.
    NotHttp,
    /// A protocol that is not recognised, such as FastCGI.
    Unrecognised,
    /// The exchange was left out on purpose, as its answer was no refusal and no error
    /// (`--capture hold`).
    LeftOut,
}

/// What a server changed between the hop that it answered and the hop that it asked.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ChangesLine<'a> {
    /// Of the request, on its way inwards; `null` where one of the two was not seen.
    pub request: Option<RequestChangesLine<'a>>,
    /// Of the answer, on its way back; `null` where one of the two was not seen.
    pub response: Option<ResponseChangesLine<'a>>,
}

/// Changes of a request.
#[derive(Debug, JsonSchema, Serialize)]
pub struct RequestChangesLine<'a> {
    /// The method; `null` where it is the same.
    pub method: Option<Rewrite<'a>>,
    /// The path and query; `null` where they are the same.
    pub target: Option<Rewrite<'a>>,
    /// The host; `null` where it is the same.
    pub host: Option<Rewrite<'a>>,
    /// Everything else.
    #[serde(flatten)]
    pub message: MessageChangesLine<'a>,
}

/// Changes of an answer.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ResponseChangesLine<'a> {
    /// The status; `null` where it is the same.
    pub status: Option<StatusRewrite>,
    /// Everything else.
    #[serde(flatten)]
    pub message: MessageChangesLine<'a>,
}

/// Changes of header fields (all but `Host`) and content.
#[derive(Debug, JsonSchema, Serialize)]
pub struct MessageChangesLine<'a> {
    /// Header fields that the server added.
    pub added: Vec<Field<'a>>,
    /// Header fields that it left out.
    pub dropped: Vec<Field<'a>>,
    /// Header fields that it gave other values.
    pub rewritten: Vec<FieldRewrite<'a>>,
    /// Whether it changed the content, whatever the content coding; `null` where that cannot be
    /// told.
    pub body_changed: Option<bool>,
}

/// A text before and after.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Rewrite<'a> {
    /// Before the server had it.
    pub from: WireText<'a>,
    /// After it.
    pub to: WireText<'a>,
}

/// A status before and after.
#[derive(Debug, JsonSchema, Serialize)]
pub struct StatusRewrite {
    /// Before the server had it.
    pub from: u16,
    /// After it.
    pub to: u16,
}

/// A header field with other values than before.
#[derive(Debug, JsonSchema, Serialize)]
pub struct FieldRewrite<'a> {
    /// Its name.
    pub name: WireText<'a>,
    /// Its values before the server had it.
    pub from: Vec<WireText<'a>>,
    /// Its values after it.
    pub to: Vec<WireText<'a>>,
}

/// Whether the messages are written, or are written elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Messages {
    Here,
    AtTheTop,
}

/// The hops of a case, from the client inwards.
pub(super) fn hops<'a>(case: &'a Case, options: &JsonOptions) -> Vec<HopLine<'a>> {
    let chain = &case.chain;
    let inner = chain.hops().skip(1).map(Some).chain([None]);
    let hops = chain.hops().zip(inner).enumerate();
    hops.map(|(place, (hop, inner))| {
        let messages = if place == chain.reported_at() {
            Messages::AtTheTop
        } else {
            Messages::Here
        };
        HopLine {
            exchange: ExchangeLine::new(&hop.exchange, messages, options),
            link: hop.link.as_ref().map(LinkLine::from),
            side_calls: hop
                .side_calls
                .iter()
                .map(|call| SideCallLine {
                    exchange: ExchangeLine::new(&call.exchange, Messages::Here, options),
                    link: LinkLine::from(&call.link),
                })
                .collect(),
            asked: AskedLine::from(&hop.asked),
            changes: inner
                .map(|inner| ChangesLine::from(Changes::between(&hop.exchange, &inner.exchange))),
        }
    })
    .collect()
}

impl<'a> ExchangeLine<'a> {
    fn new(exchange: &'a Exchange, messages: Messages, options: &JsonOptions) -> Self {
        let shown = (messages == Messages::Here).then_some(exchange);
        Self {
            connection: exchange.conn.0,
            index: exchange.index,
            started_at: Time(exchange.started_at()),
            client: Side::from(&exchange.client),
            server: Side::from(&exchange.server),
            client_addresses: exchange
                .client_addresses
                .iter()
                .map(ClientRow::from)
                .collect(),
            status: exchange.response.as_ref().map(|r| r.status),
            request: shown
                .and_then(|e| e.request.as_ref())
                .map(|r| RequestMessage::new(r, options)),
            interim: shown
                .map_or(&[][..], |e| &e.interim)
                .iter()
                .map(|r| ResponseMessage::new(r, options))
                .collect(),
            response: shown
                .and_then(|e| e.response.as_ref())
                .map(|r| ResponseMessage::new(r, options)),
            anomalies: exchange
                .anomalies
                .iter()
                .map(|a| words::anomaly(*a).0)
                .collect(),
        }
    }
}

impl<'a> From<&'a Link> for LinkLine<'a> {
    fn from(link: &'a Link) -> Self {
        Self {
            rule: match link.rule {
                LinkRule::SameProcess => RuleName::SameProcess,
                LinkRule::RequestId => RuleName::RequestId,
                LinkRule::SameContent => RuleName::SameContent,
                LinkRule::ForwardedFor => RuleName::ForwardedFor,
            },
            strength: StrengthName::from(link.strength),
            agree: &link.agree,
            ambiguous_with: link.ambiguous_with,
        }
    }
}

impl From<Strength> for StrengthName {
    fn from(strength: Strength) -> Self {
        match strength {
            Strength::Weak => Self::Weak,
            Strength::Fair => Self::Fair,
            Strength::Strong => Self::Strong,
            Strength::Proof => Self::Proof,
        }
    }
}

impl<'a> From<&'a Asked> for AskedLine<'a> {
    fn from(asked: &'a Asked) -> Self {
        let what = match asked {
            Asked::NextHop => AskedWhat::NextHop,
            Asked::Nobody => AskedWhat::Nobody,
            Asked::Unread(_) => AskedWhat::Unread,
            Asked::Unknown => AskedWhat::Unknown,
            Asked::Ambiguous(_) => AskedWhat::Ambiguous,
            Asked::ServerNotSeen => AskedWhat::ServerNotSeen,
            Asked::Lost(_) => AskedWhat::Lost,
            Asked::OtherPortsNotSeen => AskedWhat::OtherPortsNotSeen,
        };
        let (unread, lost) = match asked {
            Asked::Unread(peers) => (peers.iter().map(UnreadLine::from).collect(), 0),
            Asked::Lost(lost) => (Vec::new(), *lost),
            _ => (Vec::new(), 0),
        };
        Self { what, unread, lost }
    }
}

impl<'a> From<&'a UnreadPeer> for UnreadLine<'a> {
    fn from(peer: &'a UnreadPeer) -> Self {
        Self {
            address: peer.addr,
            path: peer.path.as_deref(),
            why: match peer.why {
                Unread::PortNotTraced => UnreadWhy::PortNotTraced,
                Unread::UnixSocket => UnreadWhy::UnixSocket,
                Unread::Tls => UnreadWhy::Tls,
                Unread::Http2 => UnreadWhy::Http2,
                Unread::NotHttp => UnreadWhy::NotHttp,
                Unread::Unrecognised => UnreadWhy::Unrecognised,
                Unread::LeftOut => UnreadWhy::LeftOut,
            },
        }
    }
}

impl<'a> From<Changes<'a>> for ChangesLine<'a> {
    fn from(changes: Changes<'a>) -> Self {
        let rewrite = |(from, to): (&'a [u8], &'a [u8])| Rewrite {
            from: WireText::from(from),
            to: WireText::from(to),
        };
        Self {
            request: changes.request.map(|request| RequestChangesLine {
                method: request.method.map(rewrite),
                target: request.target.map(rewrite),
                host: request.host.map(rewrite),
                message: MessageChangesLine::from(request.message),
            }),
            response: changes.response.map(|response| ResponseChangesLine {
                status: response.status.map(|(from, to)| StatusRewrite { from, to }),
                message: MessageChangesLine::from(response.message),
            }),
        }
    }
}

impl<'a> From<MessageChanges<'a>> for MessageChangesLine<'a> {
    fn from(changes: MessageChanges<'a>) -> Self {
        let fields = |fields: Vec<model::Field<'a>>| fields.into_iter().map(Field::from).collect();
        let values = |values: Vec<&'a [u8]>| values.into_iter().map(WireText::from).collect();
        Self {
            added: fields(changes.added),
            dropped: fields(changes.dropped),
            rewritten: changes
                .rewritten
                .into_iter()
                .map(|field| FieldRewrite {
                    name: WireText::from(field.name),
                    from: values(field.before),
                    to: values(field.after),
                })
                .collect(),
            body_changed: match changes.body {
                BodyChange::Same => Some(false),
                BodyChange::Changed => Some(true),
                BodyChange::Unknown => None,
            },
        }
    }
}
