//! Who refused it, and why: evidence, what it supports, and the conclusion.

use std::borrow::Cow;

/// How much a piece of evidence says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// Seen with many things.
    #[default]
    Weak,
    /// Seen mostly with this.
    Fair,
    /// Hardly ever seen with anything else.
    Strong,
    /// Cannot be otherwise.
    Proof,
}

/// How sure a conclusion is. The rules are in [`diagnose`](crate::diagnose).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Nothing tells.
    #[default]
    Unknown,
    /// It fits what was seen, and so may something else.
    Possible,
    /// The evidence points to it, and nothing that was seen points elsewhere.
    Likely,
    /// What was seen leaves no other explanation.
    Proven,
}

/// A fact, and where it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// What kind of fact, such as `request.csrf_missing`; unique to its gatherer.
    pub id: Cow<'static, str>,
    /// The hop it speaks of: its place in [`Chain::hops`](super::Chain::hops).
    pub hop: usize,
    /// One sentence. It may quote the wire: outputs escape it.
    pub fact: String,
    /// How much it says.
    pub strength: Strength,
    /// The cause that it speaks for by itself, where there is one.
    pub cause: Option<CauseId>,
    /// What it says of a product, where it does.
    pub product: Option<(Proves, Product)>,
    /// Where the bytes are; `None` for what was read from times, addresses and processes.
    pub span: Option<Span>,
}

/// Where in an exchange a fact was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// In which message.
    pub message: Side,
    /// In which part of it.
    pub part: Part,
}

/// One of the two messages of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The request.
    Request,
    /// The final answer.
    Response,
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The start line.
    StartLine,
    /// The header field with this index, from 0.
    Field(usize),
    /// Bytes of the content with its codings removed: first byte and end.
    Body(usize, usize),
}

/// What a mark says of the product that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Proves {
    /// The product made this answer.
    Generated,
    /// The message went through the product, which says nothing of who made the answer.
    PassedThrough,
    /// The product did not make this answer: something behind it did.
    NotGenerated,
    /// It goes with a cause, whoever made the answer.
    Hint,
    /// It looks like something that it is not.
    Trap,
}

/// What kind of thing answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A CDN, or the WAF at its edge.
    CdnWaf,
    /// A WAF inside a web server or proxy, or an appliance.
    WafModule,
    /// A bot manager.
    BotManager,
    /// A rate limiter.
    RateLimiter,
    /// An API gateway.
    ApiGateway,
    /// A reverse proxy or load balancer.
    ReverseProxy,
    /// A web server.
    WebServer,
    /// A framework of applications.
    Framework,
    /// An application or a platform for them.
    AppPlatform,
    /// An object store.
    ObjectStore,
}

/// A product, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// What kind of thing it is.
    pub kind: Kind,
}

/// Why a request was refused. Each has its own file in [`diagnose`](crate::diagnose).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CauseId {
    /// The server may not read the file or search the directory.
    FilePermission,
    /// The file or link belongs to the wrong account.
    FileOwnership,
    /// A `.htaccess` file denies it.
    HtaccessDeny,
    /// A rule in the configuration of the web server denies it.
    NginxDeny,
    /// A directory without an index file.
    MissingIndex,
    /// A web application firewall took it for an attack.
    WafBlock,
    /// The client's address is not allowed.
    IpRestriction,
    /// No key, token or session was sent.
    ApiKeyMissing,
    /// The key or token is not valid, or no longer.
    ApiKeyInvalid,
    /// The key or token is valid, but not for this.
    ApiKeyScope,
    /// The origin may not call across origins.
    CorsPolicy,
    /// The token against forged requests is missing or wrong.
    CsrfToken,
    /// The body is not what its header says.
    MalformedPayload,
    /// The application does not allow this account to do this.
    AppAuthorization,
    /// A rule or an authoriser of a gateway or proxy denies it.
    GatewayPolicy,
    /// The path, host or method has no route.
    GatewayRouting,
    /// Too many requests.
    RateLimit,
    /// The application has no approved subscription.
    ApprovalRequired,
    /// The page that the request comes from is not allowed.
    HotlinkReferer,
    /// The user agent is not allowed.
    UserAgentBlock,
    /// The client certificate is missing or not accepted.
    ClientCertificate,
}

/// What a hop did about the refusal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Handling {
    /// It was made there, without asking anybody.
    Issued,
    /// It was made by the next hop, and passed on as it was.
    Relayed,
    /// The next hop's answer was another one: another body, or another status.
    Replaced,
    /// Somebody else was asked whether to allow the request, and said no or nothing.
    Delegated,
    /// It cannot be told.
    #[default]
    Unknown,
}

/// A cause that the evidence may support.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The cause.
    pub cause: CauseId,
    /// How sure it is.
    pub confidence: Confidence,
    /// Indices of the evidence for it.
    pub supports: Vec<usize>,
    /// Indices of the evidence against it.
    pub against: Vec<usize>,
    /// One thing to do next.
    pub next_step: String,
}

/// Who made the refusal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Issuer {
    /// The hop whose server made it; `None` where that lies beyond what was seen.
    pub hop: Option<usize>,
    /// The product, where it is known.
    pub product: Option<Product>,
    /// How sure the hop and the product are.
    pub confidence: Confidence,
}

/// The conclusion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Who made the refusal.
    pub issuer: Issuer,
    /// How the refusal came to the client.
    pub handling: Handling,
    /// The side call that said no, where it was delegated: hop and index of the side call.
    pub delegate: Option<(usize, usize)>,
    /// The findings, best first; the first is the cause.
    pub findings: Vec<Finding>,
    /// Why nothing more can be said, a sentence each.
    pub limits: Vec<String>,
    /// Why the issuer and the handling are what they are, a sentence each.
    pub reasons: Vec<String>,
    /// One thing to do next.
    pub next_step: String,
}

impl Verdict {
    /// Nothing is known, as nobody wanted to know.
    pub fn not_asked_for() -> Self {
        Self {
            limits: vec!["no verdict was asked for.".to_owned()],
            ..Self::default()
        }
    }

    /// The cause, where there is one.
    pub fn cause(&self) -> Option<&Finding> {
        self.findings.first()
    }
}

impl CauseId {
    /// Every cause.
    pub const ALL: [Self; 21] = [
        Self::FilePermission,
        Self::FileOwnership,
        Self::HtaccessDeny,
        Self::NginxDeny,
        Self::MissingIndex,
        Self::WafBlock,
        Self::IpRestriction,
        Self::ApiKeyMissing,
        Self::ApiKeyInvalid,
        Self::ApiKeyScope,
        Self::CorsPolicy,
        Self::CsrfToken,
        Self::MalformedPayload,
        Self::AppAuthorization,
        Self::GatewayPolicy,
        Self::GatewayRouting,
        Self::RateLimit,
        Self::ApprovalRequired,
        Self::HotlinkReferer,
        Self::UserAgentBlock,
        Self::ClientCertificate,
    ];

    /// Its name in outputs, arguments and data files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FilePermission => "file-permission",
            Self::FileOwnership => "file-ownership",
            Self::HtaccessDeny => "htaccess-deny",
            Self::NginxDeny => "nginx-deny",
            Self::MissingIndex => "missing-index",
            Self::WafBlock => "waf-block",
            Self::IpRestriction => "ip-restriction",
            Self::ApiKeyMissing => "api-key-missing",
            Self::ApiKeyInvalid => "api-key-invalid-or-expired",
            Self::ApiKeyScope => "api-key-scope",
            Self::CorsPolicy => "cors-policy",
            Self::CsrfToken => "csrf-token",
            Self::MalformedPayload => "malformed-payload",
            Self::AppAuthorization => "app-authorization",
            Self::GatewayPolicy => "gateway-policy",
            Self::GatewayRouting => "gateway-routing",
            Self::RateLimit => "rate-limit",
            Self::ApprovalRequired => "approval-required",
            Self::HotlinkReferer => "hotlink-referer",
            Self::UserAgentBlock => "user-agent-block",
            Self::ClientCertificate => "mtls-client-cert",
        }
    }

    /// The cause of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::CdnWaf,
        Self::WafModule,
        Self::BotManager,
        Self::RateLimiter,
        Self::ApiGateway,
        Self::ReverseProxy,
        Self::WebServer,
        Self::Framework,
        Self::AppPlatform,
        Self::ObjectStore,
    ];

    /// Its name in outputs and data files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CdnWaf => "cdn-waf",
            Self::WafModule => "waf-module",
            Self::BotManager => "bot-manager",
            Self::RateLimiter => "rate-limiter",
            Self::ApiGateway => "api-gateway",
            Self::ReverseProxy => "reverse-proxy",
            Self::WebServer => "web-server",
            Self::Framework => "framework",
            Self::AppPlatform => "app-platform",
            Self::ObjectStore => "object-store",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Proves {
    /// Every value.
    pub const ALL: [Self; 5] = [
        Self::Generated,
        Self::PassedThrough,
        Self::NotGenerated,
        Self::Hint,
        Self::Trap,
    ];

    /// Its name in outputs and data files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::PassedThrough => "passed-through",
            Self::NotGenerated => "not-generated",
            Self::Hint => "hint",
            Self::Trap => "trap",
        }
    }

    /// The value of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|proves| proves.name() == name)
    }
}

impl Confidence {
    /// Its name: `proven`, `likely`, `possible` or `unknown`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Proven => "proven",
        }
    }
}

impl Handling {
    /// Its name: `issued`, `relayed`, `replaced`, `delegated` or `unknown`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Relayed => "relayed",
            Self::Replaced => "replaced",
            Self::Delegated => "delegated",
            Self::Unknown => "unknown",
        }
    }
}

impl Strength {
    /// Every strength, weakest first.
    pub const ALL: [Self; 4] = [Self::Weak, Self::Fair, Self::Strong, Self::Proof];

    /// The strength of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|strength| strength.name() == name)
    }

    /// Its name: `weak`, `fair`, `strong` or `proof`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weak => "weak",
            Self::Fair => "fair",
            Self::Strong => "strong",
            Self::Proof => "proof",
        }
    }
}
