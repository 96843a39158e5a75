//! Cases with a chain and a verdict, as the pipeline would hand them to the outputs.

use std::time::Duration;

use super::{START, case, endpoint, exchange, owner, refused_post, request, response};
use crate::model::{
    Asked, Case, CauseId, ClientAddress, ClientSource, Confidence, ConnId, Endpoint, Evidence,
    Exchange, Finding, Group, Handling, Hop, Issuer, Kind, Link, LinkRule, OwnerQuality, Pace,
    Part, Product, Proves, Side, SideCall, Span, Strength, Unread, UnreadPeer, Verdict,
};

/// nginx passes a request on to Django, which refuses it for want of a token; nginx puts a header
/// of its own to the answer.
pub(crate) fn relayed() -> Case {
    let mut case = behind_nginx();
    case.siblings = vec![passed().into()];
    case.pace = Pace {
        passed: 1,
        refused: 2,
        within: Duration::from_secs(10),
    };
    case.evidence = vec![
        fact("request.csrf_missing", "No X-CSRFToken was sent.", 1)
            .for_cause(CauseId::CsrfToken, Strength::Fair)
            .at(Side::Request, Part::Field(2)),
        fact(
            "body.django_csrf",
            "The page says \"CSRF verification failed\".",
            1,
        )
        .for_cause(CauseId::CsrfToken, Strength::Strong)
        .of(Proves::Generated, "Django", Kind::Framework)
        .at(Side::Response, Part::Body(4, 28)),
        fact("request.session_cookie", "A session cookie was sent.", 0)
            .for_cause(CauseId::AppAuthorization, Strength::Weak)
            .at(Side::Request, Part::StartLine),
    ]
    .into_iter()
    .map(|fact| fact.0)
    .collect();
    case.verdict = Verdict {
        issuer: Issuer {
            hop: Some(1),
            product: product("Django", Kind::Framework),
            confidence: Confidence::Proven,
        },
        handling: Handling::Relayed,
        findings: vec![
            Finding {
                cause: CauseId::CsrfToken,
                confidence: Confidence::Likely,
                supports: vec![0, 1],
                against: vec![2],
                next_step: "Send the token of the form in X-CSRFToken.".to_owned(),
            },
            Finding {
                cause: CauseId::AppAuthorization,
                confidence: Confidence::Possible,
                supports: vec![2],
                against: Vec::new(),
                next_step: String::new(),
            },
        ],
        reasons: vec!["The next hop gave the same answer, 300 µs earlier.".to_owned()],
        limits: vec!["What Django asked its database was not read.".to_owned()],
        next_step: "Send the token of the form in X-CSRFToken.".to_owned(),
        delegate: None,
    };
    case
}

/// As [`relayed`], but the inner hop answers 500, and it is the reported one; the outer hop is
/// linked to it by content alone.
pub(crate) fn replaced() -> Case {
    let mut case = behind_nginx();
    let outer = case.chain.reported.clone();
    case.chain.reported = case.chain.after.remove(0);
    case.chain.before = vec![outer];
    let outer = case.chain.before.first_mut().unwrap();
    let answer = response(
        "HTTP/1.1 502 Bad Gateway\r\nServer: nginx\r\nContent-Length: 4\r\n\r\n",
        b"oops",
    );
    outer.exchange.response = Some(answer.into());
    case.chain.reported.link = Some(Link {
        ambiguous_with: 2,
        ..link(LinkRule::SameContent, Strength::Weak, &["body"])
    });
    case.verdict = Verdict {
        issuer: Issuer {
            hop: Some(1),
            product: None,
            confidence: Confidence::Possible,
        },
        handling: Handling::Replaced,
        ..Verdict::default()
    };
    case
}

/// nginx asks an authoriser, which says no.
pub(crate) fn delegated() -> Case {
    let mut case = case(through_nginx());
    let mut asked = exchange(
        request(
            "GET /check HTTP/1.0\r\nHost: auth\r\nX-Original-URI: /orders\r\n\r\n",
            b"",
        ),
        response("HTTP/1.0 403 Forbidden\r\nServer: auth\r\n\r\n", b""),
    );
    asked.conn = ConnId(9);
    asked.client = process("127.0.0.1:40002", "nginx", 812);
    asked.server = process("127.0.0.1:9001", "python3", 5005);
    case.chain.reported.side_calls = vec![SideCall {
        exchange: asked,
        link: link(LinkRule::SameProcess, Strength::Strong, &[]),
    }];
    case.verdict = Verdict {
        issuer: Issuer {
            hop: Some(0),
            product: product("nginx", Kind::ReverseProxy),
            confidence: Confidence::Proven,
        },
        handling: Handling::Delegated,
        delegate: Some((0, 0)),
        findings: vec![Finding {
            cause: CauseId::GatewayPolicy,
            confidence: Confidence::Likely,
            supports: Vec::new(),
            against: Vec::new(),
            next_step: String::new(),
        }],
        reasons: vec!["nginx asked 127.0.0.1:9001, and was told 403.".to_owned()],
        next_step: "Look at the log of the authoriser at 127.0.0.1:9001.".to_owned(),
        ..Verdict::default()
    };
    case
}

/// A server that asked nobody, and does not say why.
pub(crate) fn issued_for_unknown_reasons() -> Case {
    let mut case = case(through_nginx());
    case.chain.reported.asked = Asked::Nobody;
    case.verdict = Verdict {
        issuer: Issuer {
            hop: Some(0),
            product: None,
            confidence: Confidence::Likely,
        },
        handling: Handling::Issued,
        limits: vec!["The answer has no mark of any cause.".to_owned()],
        ..Verdict::default()
    };
    case
}

/// A server that asked somebody on a port that is not traced.
pub(crate) fn next_hop_not_read() -> Case {
    let mut case = case(through_nginx());
    let peer = |addr: Option<&str>, why| UnreadPeer {
        addr: addr.map(|addr| addr.parse().unwrap()),
        path: None,
        why,
    };
    case.chain.reported.asked = Asked::Unread(vec![
        peer(Some("127.0.0.1:9000"), Unread::PortNotTraced),
        peer(None, Unread::UnixSocket),
    ]);
    case.verdict.limits = vec!["nginx asked 127.0.0.1:9000, which is not traced.".to_owned()];
    case.verdict.next_step = "Run it again with -p 8080,9000.".to_owned();
    case
}

/// A client of this host, refused by a CDN elsewhere.
pub(crate) fn refused_by_a_cdn() -> Case {
    let mut exchange = refused_post();
    exchange.client = process("10.0.0.7:51234", "curl", 77);
    exchange.server = endpoint("203.0.113.80:80");
    let mut case = case(exchange);
    case.chain.reported.asked = Asked::ServerNotSeen;
    case.verdict = Verdict {
        issuer: Issuer {
            hop: Some(0),
            product: product("Cloudflare", Kind::CdnWaf),
            confidence: Confidence::Likely,
        },
        handling: Handling::Unknown,
        findings: vec![Finding {
            cause: CauseId::WafBlock,
            confidence: Confidence::Possible,
            supports: Vec::new(),
            against: Vec::new(),
            next_step: String::new(),
        }],
        limits: vec!["The server is on another host.".to_owned()],
        ..Verdict::default()
    };
    case
}

/// The same case as the `count`th of a group that began with case 3.
pub(crate) fn in_group(mut case: Case, count: u64) -> Case {
    let began = START.plus(Duration::from_secs(count - 1));
    case.number = count + 2;
    case.group = Group {
        first_case: 3,
        count,
        first_at: START,
        last_at: began,
    };
    case
}

/// Text that somebody else chose, wherever evidence and verdict can hold it.
pub(crate) fn with_text_everywhere(text: &str) -> Case {
    let mut case = relayed();
    for evidence in &mut case.evidence {
        evidence.fact = text.to_owned();
        evidence.id = text.to_owned().into();
        if let Some((_, product)) = &mut evidence.product {
            product.name = text.to_owned();
        }
    }
    let verdict = &mut case.verdict;
    verdict.issuer.product = product(text, Kind::Framework);
    verdict.limits = vec![text.to_owned()];
    verdict.reasons = vec![text.to_owned()];
    verdict.next_step = text.to_owned();
    for finding in &mut verdict.findings {
        finding.next_step = text.to_owned();
    }
    let owner = case.chain.reported.exchange.server.owner.as_mut().unwrap();
    owner.comm = text.into();
    case
}

/// The two hops of [`relayed`], with no verdict.
fn behind_nginx() -> Case {
    let mut inner = exchange(
        request(
            "POST /v1/orders HTTP/1.0\r\nHost: app\r\nX-Forwarded-For: 10.0.0.7\r\n\
             Content-Type: application/json\r\nCookie: sessionid=abcdefgh12345678\r\n\
             Content-Length: 10\r\n\r\n",
            b"{\"item\":1}",
        ),
        response(
            "HTTP/1.1 403 Forbidden\r\nServer: WSGIServer/0.2\r\nContent-Type: text/html\r\n\
             Content-Length: 37\r\n\r\n",
            b"<h1>CSRF verification failed.</h1>\n\n\n",
        ),
    );
    inner.conn = ConnId(8);
    inner.client = process("127.0.0.1:40000", "nginx", 812);
    inner.server = process("127.0.0.1:8001", "python3", 4242);
    inner.client_addresses = vec![
        row(ClientSource::SocketPeer, "127.0.0.1"),
        row(ClientSource::XForwardedFor, "10.0.0.7"),
    ];
    let mut case = case(through_nginx());
    let answer = response(
        "HTTP/1.1 403 Forbidden\r\nServer: nginx\r\nContent-Type: text/html\r\n\
         Content-Length: 37\r\nX-Frame-Options: DENY\r\n\r\n",
        b"<h1>CSRF verification failed.</h1>\n\n\n",
    );
    case.chain.reported.exchange.response = Some(answer.into());
    case.chain.reported.asked = Asked::NextHop;
    let mut hop = Hop::new(inner);
    hop.link = Some(link(
        LinkRule::SameProcess,
        Strength::Proof,
        &["body", "X-Forwarded-For"],
    ));
    hop.asked = Asked::Nobody;
    case.chain.after = vec![hop];
    case
}

/// `POST /orders` to nginx on this host.
fn through_nginx() -> Exchange {
    let mut exchange = refused_post();
    exchange.request = Some(
        request(
            "POST /orders HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\n\
             Cookie: sessionid=abcdefgh12345678\r\nConnection: close\r\nContent-Length: 10\r\n\r\n",
            b"{\"item\":1}",
        )
        .into(),
    );
    exchange.server = process("10.0.0.2:8080", "nginx", 812);
    exchange
}

/// An exchange of the same route that was not refused.
fn passed() -> Exchange {
    let mut exchange = exchange(
        request(
            "POST /orders HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\n\
             Cookie: sessionid=zyxwvuts87654321\r\nX-CSRFToken: qponmlkj11223344\r\n\
             Content-Length: 10\r\n\r\n",
            b"{\"item\":2}",
        ),
        response("HTTP/1.1 201 Created\r\n\r\n", b""),
    );
    exchange.client = endpoint("10.0.0.8:50000");
    exchange
}

struct Fact(Evidence);

fn fact(id: &'static str, text: &str, hop: usize) -> Fact {
    Fact(Evidence {
        id: id.into(),
        hop,
        fact: text.to_owned(),
        strength: Strength::Weak,
        cause: None,
        product: None,
        span: None,
    })
}

impl Fact {
    fn for_cause(mut self, cause: CauseId, strength: Strength) -> Self {
        (self.0.cause, self.0.strength) = (Some(cause), strength);
        self
    }

    fn of(mut self, proves: Proves, name: &str, kind: Kind) -> Self {
        self.0.product = product(name, kind).map(|product| (proves, product));
        self
    }

    fn at(mut self, message: Side, part: Part) -> Self {
        self.0.span = Some(Span { message, part });
        self
    }
}

fn product(name: &str, kind: Kind) -> Option<Product> {
    let name = name.to_owned();
    Some(Product { name, kind })
}

fn link(rule: LinkRule, strength: Strength, agree: &[&'static str]) -> Link {
    Link {
        rule,
        strength,
        agree: agree.to_vec(),
        ambiguous_with: 0,
    }
}

fn row(source: ClientSource, addr: &str) -> ClientAddress {
    ClientAddress {
        source,
        text: addr.to_owned(),
        addr: Some(addr.parse().unwrap()),
    }
}

fn process(addr: &str, comm: &str, pid: u32) -> Endpoint {
    Endpoint {
        owner: Some(owner(comm, pid, OwnerQuality::Exact)),
        ..endpoint(addr)
    }
}
