//! The way of one request through the proxies of this host.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::{Exchange, Owner, Strength, Timestamp};

/// One request, on its way from the client inwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Hops nearer to the client than the reported one, which the filter did not let pass; the one
    /// nearest the client first.
    pub before: Vec<Hop>,
    /// The hop nearest the client that the filter let pass.
    pub reported: Hop,
    /// The hops behind it, inwards.
    pub after: Vec<Hop>,
}

/// One exchange of a chain, and what its server was seen to do for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// The exchange.
    pub exchange: Exchange,
    /// How it is known to carry the request of the hop before; `None` for the first.
    pub link: Option<Link>,
    /// What its server asked others beside passing the request on: authorisers, look-ups.
    pub side_calls: Vec<SideCall>,
    /// Whom its server asked while it served this request.
    pub asked: Asked,
}

/// An exchange that the server of a hop began on its own account.
#[derive(Clone, Debug, PartialEq)]
pub struct SideCall {
    /// The exchange.
    pub exchange: Exchange,
    /// How it is known to belong to the hop.
    pub link: Link,
}

/// How two exchanges are known to belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The rule that found it.
    pub rule: LinkRule,
    /// How sure it is.
    pub strength: Strength,
    /// What the two requests have in common, in words: `X-Request-ID`, `path`, `body`.
    pub agree: Vec<&'static str>,
    /// Other requests that were under way in the same process and could as well have caused it.
    pub ambiguous_with: u32,
}

/// The rules by which exchanges are linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkRule {
    /// The process that served the one called the other, while it served.
    SameProcess,
    /// Both carry the same request id or trace id.
    RequestId,
    /// Both carry the same method and body, one within the other.
    SameContent,
    /// The inner one names the outer one's client in `X-Forwarded-For` or `Forwarded`.
    ForwardedFor,
}

/// Whom the server of a hop asked while it served a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asked {
    /// The next hop of the chain.
    NextHop,
    /// Nobody: its process was watched all the time, and nothing was lost.
    Nobody,
    /// Somebody whose traffic was not read.
    Unread(Vec<UnreadPeer>),
    /// It cannot be told, because of this.
    #[default]
    Unknown,
    /// It cannot be told: so many calls of its process may have been for this request, or for
    /// another one that was under way.
    Ambiguous(u32),
    /// It cannot be told: the server is on another host, or its process is not known.
    ServerNotSeen,
    /// It cannot be told: this many records were lost meanwhile.
    Lost(u64),
    /// It cannot be told: the capture does not say what the process did on other ports.
    OtherPortsNotSeen,
}

/// Somebody whom a process talked to without this tool reading what was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadPeer {
    /// Its address; `None` for a Unix socket.
    pub addr: Option<SocketAddr>,
    /// What a Unix socket is bound to: a path, or `@` and an abstract name; `None` for TCP, and
    /// where not known.
    pub path: Option<Arc<str>>,
    /// Why it was not read.
    pub why: Unread,
}

/// Why the talk with a peer was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unread {
    /// Its port is not among the traced ones.
    PortNotTraced,
    /// A Unix socket: it has no packets.
    UnixSocket,
    /// TLS.
    Tls,
    /// HTTP/2.
    Http2,
    /// A service that does not speak HTTP, by its port: a database, a cache, a directory. It cannot
    /// have answered the request.
    NotHttp,
    /// A protocol that is not recognised, such as FastCGI.
    Unrecognised,
    /// The exchange was left out on purpose, as its answer was no refusal and no error.
    LeftOut,
}

/// A process sent bytes to a peer that is not traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talk {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub pid: u32,
    /// The thread.
    pub tid: u32,
    /// To whom.
    pub peer: UnreadPeer,
    /// Whether this one stands for all that the thread sent to this peer within
    /// [`SPEAKS_FOR`](Self::SPEAKS_FOR): where it came shortly before a request, the next may be
    /// missing.
    pub more: bool,
}

impl Talk {
    /// How long one talk may stand for those that follow.
    pub const SPEAKS_FOR: Duration = Duration::from_millis(1);
}

impl Chain {
    /// A chain of which only the reported exchange is known.
    pub fn of(exchange: Exchange) -> Self {
        Self {
            before: Vec::new(),
            reported: Hop::new(exchange),
            after: Vec::new(),
        }
    }

    /// The hops from the client inwards.
    pub fn hops(&self) -> impl Iterator<Item = &Hop> {
        self.before
            .iter()
            .chain(std::iter::once(&self.reported))
            .chain(&self.after)
    }

    /// The hops from the client inwards.
    pub fn hops_mut(&mut self) -> impl Iterator<Item = &mut Hop> {
        self.before
            .iter_mut()
            .chain(std::iter::once(&mut self.reported))
            .chain(&mut self.after)
    }

    /// The place of the reported hop, from 0.
    pub fn reported_at(&self) -> usize {
        self.before.len()
    }

    /// How many hops there are; at least 1.
    pub fn len(&self) -> usize {
        self.before.len() + 1 + self.after.len()
    }

    /// Never: the reported hop is always there.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The hop at this place, from the client inwards.
    pub fn hop(&self, at: usize) -> Option<&Hop> {
        self.hops().nth(at)
    }

    /// Every exchange: the hops and their side calls.
    pub fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.hops().flat_map(|hop| {
            std::iter::once(&hop.exchange).chain(hop.side_calls.iter().map(|c| &c.exchange))
        })
    }
}

impl Hop {
    /// A hop of which only the exchange is known.
    pub fn new(exchange: Exchange) -> Self {
        Self {
            exchange,
            link: None,
            side_calls: Vec::new(),
            asked: Asked::Unknown,
        }
    }

    /// The process that served it.
    pub fn server(&self) -> Option<&Owner> {
        self.exchange.server.owner.as_ref()
    }

    /// The server in words: its process, or its address where that is not known.
    pub fn server_name(&self) -> String {
        match self.server() {
            Some(owner) => format!("{} (pid {})", owner.comm, owner.pid),
            None => format!("the server at {}", self.exchange.server.addr),
        }
    }

    /// The status of its final answer.
    pub fn status(&self) -> Option<u16> {
        self.exchange.response.as_ref().map(|r| r.status)
    }
}
