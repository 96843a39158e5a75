//! The conclusion: evidence, verdict, what was compared, and the group.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::chain::StrengthName;
use super::message::WireText;
use super::time::Time;
use crate::model::{
    Case, CauseId, Chain, Confidence, Evidence, Exchange, Finding, Group, Handling, Issuer, Kind,
    Pace, Part, Proves, Side, Span, Verdict,
};
use crate::output::words;

/// A fact, and where it was read.
#[derive(Debug, JsonSchema, Serialize)]
pub struct EvidenceLine<'a> {
    /// What kind of fact, such as `request.csrf_missing`.
    pub id: &'a str,
    /// The hop that it speaks of: its place in `hops`.
    pub hop: usize,
    /// One sentence; it may quote the wire.
    pub fact: &'a str,
    /// How much it says.
    pub strength: StrengthName,
    /// The cause that it speaks for by itself; `null` where it speaks for none.
    #[schemars(extend("examples" = causes()))]
    pub cause: Option<&'static str>,
    /// The product that it speaks of; `null` where it speaks of none.
    pub product: Option<ProductLine<'a>>,
    /// What it says of the product: `generated`, `passed-through`, `not-generated`, `hint` or
    /// `trap`; `null` where there is no product.
    #[schemars(extend("examples" = proves()))]
    pub proves: Option<&'static str>,
    /// Where the bytes are; `null` for what was read from times, addresses and processes.
    pub span: Option<SpanLine<'a>>,
}

/// A product, by name.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ProductLine<'a> {
    /// Its name.
    pub name: &'a str,
    /// What kind of thing it is, such as `reverse-proxy`.
    #[schemars(extend("examples" = kinds()))]
    pub kind: &'static str,
}

/// Where in the exchange of a hop a fact was read.
#[derive(Debug, JsonSchema, Serialize)]
pub struct SpanLine<'a> {
    /// In which message.
    pub message: MessageName,
    /// In which part of it.
    pub part: PartName,
    /// Place of the header field in `headers`, from 0; `null` unless `part` is `field`.
    pub field: Option<usize>,
    /// Name of the header field; `null` unless `part` is `field`.
    pub name: Option<WireText<'a>>,
    /// First byte of the content, from 0; `null` unless `part` is `body`. Counted in the content
    /// as it crossed the wire, its codings removed: where secrets are replaced, the same text
    /// lies elsewhere in what is written here.
    pub from: Option<usize>,
    /// The byte after the last; `null` unless `part` is `body`.
    pub to: Option<usize>,
}

/// One of the two messages of an exchange.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageName {
    /// The request.
    Request,
    /// The final answer.
    Response,
}

/// A part of a message.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartName {
    /// The start line.
    StartLine,
    /// A header field.
    Field,
    /// The content.
    Body,
}

/// The conclusion.
#[derive(Debug, JsonSchema, Serialize)]
pub struct VerdictLine<'a> {
    /// Who made the refusal.
    pub issuer: IssuerLine<'a>,
    /// How the refusal came to the client, at the hop nearest to it that did not make it.
    pub handling: HandlingName,
    /// The side call that said no; `null` unless it was delegated.
    pub delegate: Option<DelegateLine>,
    /// Why it was refused: the cause of the first finding; `null` where it cannot be told.
    #[schemars(extend("examples" = causes()))]
    pub cause: Option<&'static str>,
    /// How sure the cause is.
    pub confidence: ConfidenceName,
    /// Every cause that the evidence may support, best first.
    pub findings: Vec<FindingLine<'a>>,
    /// Why the issuer and the handling are what they are, a sentence each.
    pub reasons: &'a [String],
    /// Why nothing more can be said, a sentence each.
    pub limits: &'a [String],
    /// One thing to do next; empty where there is none.
    pub next_step: &'a str,
}

/// Who made a refusal.
#[derive(Debug, JsonSchema, Serialize)]
pub struct IssuerLine<'a> {
    /// The hop whose server made it: its place in `hops`; `null` where that lies beyond what was
    /// seen.
    pub hop: Option<usize>,
    /// Address and port of that server.
    #[schemars(with = "Option<String>")]
    pub address: Option<SocketAddr>,
    /// The product, where it is known.
    pub product: Option<&'a str>,
    /// What kind of thing the product is, such as `framework`.
    #[schemars(extend("examples" = kinds()))]
    pub kind: Option<&'static str>,
    /// How sure the hop and the product are.
    pub confidence: ConfidenceName,
}

/// Whom the decision was left to.
#[derive(Debug, JsonSchema, Serialize)]
pub struct DelegateLine {
    /// Address and port that were asked.
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// The hop whose server asked: its place in `hops`.
    pub hop: usize,
    /// The place in `side_calls` of that hop.
    pub side_call: usize,
}

/// How a refusal came to the client.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HandlingName {
    /// It was made there, without asking anybody.
    Issued,
    /// It was made by the next hop, and passed on as it was.
    Relayed,
    /// The next hop's answer was another one: another body, or another status.
    Replaced,
    /// Somebody else was asked whether to allow the request, and said no or nothing.
    Delegated,
    /// It cannot be told.
    Unknown,
}

/// How sure a conclusion is.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfidenceName {
    /// What was seen leaves no other explanation.
    Proven,
    /// The evidence points to it, and nothing that was seen points elsewhere.
    Likely,
    /// It fits what was seen, and so may something else.
    Possible,
    /// Nothing tells.
    Unknown,
}

/// A cause that the evidence may support.
#[derive(Debug, JsonSchema, Serialize)]
pub struct FindingLine<'a> {
    /// The cause.
    #[schemars(extend("examples" = causes()))]
    pub cause: &'static str,
    /// What it is, in words that complete "It was refused because …"; `null` where this version
    /// has none.
    pub because: Option<&'static str>,
    /// How sure it is.
    pub confidence: ConfidenceName,
    /// The evidence for it: places in `evidence`.
    pub supports: &'a [usize],
    /// The evidence against it: places in `evidence`.
    pub against: &'a [usize],
    /// One thing to do next; empty where there is none.
    pub next_step: &'a str,
}

/// An exchange of the same method and route that was not refused.
#[derive(Debug, JsonSchema, Serialize)]
pub struct SiblingLine<'a> {
    /// When its first byte was seen.
    pub started_at: Time,
    /// The status of its answer; `null` where none was seen.
    pub status: Option<u16>,
    /// Address and port of its client.
    #[schemars(with = "String")]
    pub client: SocketAddr,
    /// Its target, as written; `null` where its request was not seen.
    pub target: Option<WireText<'a>>,
}

/// How fast the client asked for the same route, counted up to the reported exchange.
#[derive(Debug, JsonSchema, Serialize)]
pub struct PaceLine {
    /// Its requests that were not refused, within the time.
    pub passed: u32,
    /// Those that were refused, within the same time.
    pub refused: u32,
    /// The time in which they came.
    pub within_ns: u64,
}

/// The cases of the same method, route, status, issuer and cause so far.
#[derive(Debug, JsonSchema, Serialize)]
pub struct GroupLine {
    /// Number of the first case.
    pub first_case: u64,
    /// How many there were, with this one; in the summary, with the last one.
    pub count: u64,
    /// When the first began.
    pub first_at: Time,
    /// When this one began; in the summary, when the last one began.
    pub last_at: Time,
}

fn causes() -> [Vec<&'static str>; 1] {
    [CauseId::ALL.map(CauseId::name).to_vec()]
}

fn kinds() -> [Vec<&'static str>; 1] {
    [Kind::ALL.map(Kind::name).to_vec()]
}

fn proves() -> [Vec<&'static str>; 1] {
    [Proves::ALL.map(Proves::name).to_vec()]
}

impl<'a> EvidenceLine<'a> {
    pub(super) fn new(evidence: &'a Evidence, chain: &'a Chain) -> Self {
        let exchange = chain.hop(evidence.hop).map(|hop| &hop.exchange);
        let product = evidence.product.as_ref();
        Self {
            id: &evidence.id,
            hop: evidence.hop,
            fact: &evidence.fact,
            strength: StrengthName::from(evidence.strength),
            cause: evidence.cause.map(CauseId::name),
            product: product.map(|(_, product)| ProductLine {
                name: &product.name,
                kind: product.kind.name(),
            }),
            proves: product.map(|(proves, _)| proves.name()),
            span: evidence.span.map(|span| SpanLine::new(span, exchange)),
        }
    }
}

impl<'a> SpanLine<'a> {
    fn new(span: Span, exchange: Option<&'a Exchange>) -> Self {
        let (part, field, (from, to)) = match span.part {
            Part::StartLine => (PartName::StartLine, None, (None, None)),
            Part::Field(index) => (PartName::Field, Some(index), (None, None)),
            Part::Body(from, to) => (PartName::Body, None, (Some(from), Some(to))),
        };
        Self {
            message: match span.message {
                Side::Request => MessageName::Request,
                Side::Response => MessageName::Response,
            },
            part,
            field,
            name: exchange
                .and_then(|exchange| words::span_field(exchange, span))
                .map(|field| WireText::from(field.name)),
            from,
            to,
        }
    }
}

impl<'a> VerdictLine<'a> {
    pub(super) fn new(case: &'a Case) -> Self {
        let Verdict {
            issuer,
            handling,
            delegate,
            findings,
            limits,
            reasons,
            next_step,
        } = &case.verdict;
        let cause = case.verdict.cause();
        Self {
            issuer: IssuerLine::new(issuer, &case.chain),
            handling: HandlingName::from(*handling),
            delegate: delegate.and_then(|at| DelegateLine::new(at, &case.chain)),
            cause: cause.map(|finding| finding.cause.name()),
            confidence: cause.map_or(Confidence::Unknown, |c| c.confidence).into(),
            findings: findings.iter().map(FindingLine::from).collect(),
            reasons,
            limits,
            next_step,
        }
    }
}

impl<'a> IssuerLine<'a> {
    fn new(issuer: &'a Issuer, chain: &Chain) -> Self {
        let hop = issuer.hop.and_then(|at| chain.hop(at));
        Self {
            hop: issuer.hop,
            address: hop.map(|hop| hop.exchange.server.addr),
            product: issuer.product.as_ref().map(|product| &*product.name),
            kind: issuer.product.as_ref().map(|product| product.kind.name()),
            confidence: issuer.confidence.into(),
        }
    }
}

impl DelegateLine {
    fn new((hop, side_call): (usize, usize), chain: &Chain) -> Option<Self> {
        let call = chain.hop(hop)?.side_calls.get(side_call)?;
        Some(Self {
            address: call.exchange.server.addr,
            hop,
            side_call,
        })
    }
}

impl From<Handling> for HandlingName {
    fn from(handling: Handling) -> Self {
        match handling {
            Handling::Issued => Self::Issued,
            Handling::Relayed => Self::Relayed,
            Handling::Replaced => Self::Replaced,
            Handling::Delegated => Self::Delegated,
            Handling::Unknown => Self::Unknown,
        }
    }
}

impl From<Confidence> for ConfidenceName {
    fn from(confidence: Confidence) -> Self {
        match confidence {
            Confidence::Proven => Self::Proven,
            Confidence::Likely => Self::Likely,
            Confidence::Possible => Self::Possible,
            Confidence::Unknown => Self::Unknown,
        }
    }
}

impl<'a> From<&'a Finding> for FindingLine<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            cause: finding.cause.name(),
            because: words::because(finding.cause),
            confidence: finding.confidence.into(),
            supports: &finding.supports,
            against: &finding.against,
            next_step: &finding.next_step,
        }
    }
}

impl<'a> From<&'a Exchange> for SiblingLine<'a> {
    fn from(sibling: &'a Exchange) -> Self {
        Self {
            started_at: Time(sibling.started_at()),
            status: sibling.response.as_ref().map(|r| r.status),
            client: sibling.client.addr,
            target: sibling.request.as_ref().map(|r| WireText::from(r.target())),
        }
    }
}

impl From<Pace> for PaceLine {
    fn from(pace: Pace) -> Self {
        Self {
            passed: pace.passed,
            refused: pace.refused,
            within_ns: u64::try_from(pace.within.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

impl GroupLine {
    /// `None` where nobody groups cases.
    pub(super) fn new(group: Group) -> Option<Self> {
        (group.count > 0).then_some(Self {
            first_case: group.first_case,
            count: group.count,
            first_at: Time(group.first_at),
            last_at: Time(group.last_at),
        })
    }
}
