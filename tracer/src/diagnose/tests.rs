//! Checks of every cause, and what their own tests need.

use super::{CAUSES, Cause, Clues};
use crate::model::{
    CauseId, Chain, Evidence, Kind, Link, LinkRule, OwnerQuality, Part, Product, Proves, Side,
    SideCall, Span, Strength,
};
use crate::testing::{exchange, owner, refused_post, request, response};

#[test]
fn every_cause_is_listed_once_in_order() {
    let listed: Vec<_> = CAUSES.iter().map(|c| c.id).collect();
    assert_eq!(listed, CauseId::ALL);
}

#[test]
fn causes_name_only_evidence_that_there_is() {
    for cause in CAUSES {
        for id in cause.contrast {
            assert!(is_contrast(id), "{}: {id}", cause.id.name());
        }
        for id in cause.fits {
            assert!(FITS.contains(id), "{}: {id}", cause.id.name());
        }
    }
}

#[test]
fn texts_are_whole() {
    for cause in CAUSES {
        let name = cause.id.name();
        assert!(!cause.because.is_empty(), "{name}");
        assert!(!cause.because.ends_with('.'), "{name}");
        assert!(cause.because.starts_with(char::is_lowercase), "{name}");
        let explain = cause.explain;
        for text in [
            explain.what,
            explain.recognised,
            explain.misleads,
            explain.mend,
        ] {
            assert!(text.ends_with('.'), "{name}: {text}");
            assert!(!text.contains("  "), "{name}: {text}");
            assert!((2..=6).contains(&sentences(text)), "{name}: {text}");
        }
    }
}

#[test]
fn a_next_step_is_one_sentence_and_tells_no_secret() {
    for cause in CAUSES {
        for stage in stages() {
            let said = (cause.next_step)(&stage.clues());
            let name = cause.id.name();
            assert!(said.ends_with('.'), "{name}: {said}");
            assert_eq!(sentences(&said), 1, "{name}: {said}");
            assert!(said.starts_with(char::is_uppercase), "{name}: {said}");
            assert!(!said.contains("  "), "{name}: {said}");
            assert!(said.len() < 700, "{name}: {said}");
            assert!(!said.contains("hush"), "{name}: {said}");
        }
    }
}

/// What a cause says of a plain refusal by this process.
pub(super) fn said(cause: &Cause, process: &str) -> String {
    (cause.next_step)(&Stage::plain().served_by(process).clues())
}

/// A chain of one hop, and evidence about it.
pub(super) struct Stage {
    chain: Chain,
    evidence: Vec<Evidence>,
    at: usize,
}

impl Stage {
    /// A plain refusal by nobody who is known.
    pub(super) fn plain() -> Self {
        Self {
            chain: Chain::of(refused_post()),
            evidence: Vec::new(),
            at: 0,
        }
    }

    /// As [`Self::plain`], of this request.
    pub(super) fn new(head: &str, body: &[u8]) -> Self {
        let answer = response("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", b"");
        Self {
            chain: Chain::of(exchange(request(head, body), answer)),
            ..Self::plain()
        }
    }

    pub(super) fn served_by(mut self, comm: &str) -> Self {
        self.chain.reported.exchange.server.owner = Some(owner(comm, 40, OwnerQuality::Exact));
        self
    }

    /// As [`Self::plain`], with this head as the answer.
    pub(super) fn answered(head: &str) -> Self {
        let mut stage = Self::plain();
        stage.chain.reported.exchange.response = Some(Box::new(response(head, b"")));
        stage
    }

    /// Whose server asked somebody else, who answered with this status.
    pub(super) fn asked(mut self, comm: &str, status: u16) -> Self {
        let mut exchange = refused_post();
        exchange.server.owner = Some(owner(comm, 40, OwnerQuality::Exact));
        if let Some(response) = &mut exchange.response {
            response.status = status;
        }
        let link = Link {
            rule: LinkRule::SameProcess,
            strength: Strength::Strong,
            agree: Vec::new(),
            ambiguous_with: 0,
        };
        self.chain
            .reported
            .side_calls
            .push(SideCall { exchange, link });
        self
    }

    /// With a previous hop of this request, served by this process.
    pub(super) fn after(mut self, head: &str, comm: &str) -> Self {
        let mut outer = Self::new(head, b"").served_by(comm).chain.reported;
        std::mem::swap(&mut outer, &mut self.chain.reported);
        self.chain.after.push(outer);
        self.at = 1;
        self
    }

    pub(super) fn marked(self, name: &str, kind: Kind, strength: Strength) -> Self {
        let product = Product {
            name: name.to_owned(),
            kind,
        };
        let mark = Some((Proves::Generated, product));
        self.with(Evidence {
            product: mark,
            strength,
            ..evidence("fingerprint.some-row")
        })
    }

    /// With the answer's first field as an id to ask for.
    pub(super) fn referenced(self) -> Self {
        self.with(Evidence {
            span: Some(Span {
                message: Side::Response,
                part: Part::Field(0),
            }),
            ..evidence("response.reference")
        })
    }

    /// With evidence of this id.
    pub(super) fn seen(self, id: &'static str) -> Self {
        self.with(evidence(id))
    }

    pub(super) fn clues(&self) -> Clues<'_> {
        Clues::new(&self.chain, self.at, &self.evidence)
    }

    fn with(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }
}

fn evidence(id: &'static str) -> Evidence {
    Evidence {
        id: id.into(),
        hop: 0,
        fact: "It was seen.".to_owned(),
        strength: Strength::Fair,
        cause: None,
        product: None,
        span: None,
    }
}

fn stages() -> Vec<Stage> {
    let mut stages = vec![Stage::plain(), Stage::plain().referenced()];
    // Nothing seen of the request; and a hop that is not there.
    let mut blind = Stage::plain();
    blind.chain.reported.exchange.request = None;
    blind.chain.reported.exchange.response = None;
    stages.push(blind);
    stages.push(Stage {
        at: 9,
        ..Stage::plain()
    });
    for comm in [
        "nginx",
        "apache2",
        "haproxy",
        "lighttpd",
        "php-fpm8.2",
        "envoy",
        "squid",
        "java",
        "gunicorn",
    ] {
        stages.push(secretive().served_by(comm));
        let marked = secretive().served_by(comm).referenced();
        stages.push(marked.marked("ModSecurity", Kind::WafModule, Strength::Strong));
    }
    for product in PRODUCTS {
        stages.push(secretive().marked(product, Kind::Framework, Strength::Strong));
    }
    for id in FITS {
        stages.push(secretive().served_by("nginx").seen(id));
    }
    stages
}

/// A request full of secrets.
fn secretive() -> Stage {
    Stage::new(
        "POST /a/.htaccess?api_key=hush HTTP/1.1\r\nHost: shop.example\r\n\
         Authorization: Bearer hush\r\nX-API-Key: hush\r\nCookie: session=hush\r\n\
         X-CSRFToken: hush\r\nOrigin: https://user:hush@other.example/?t=hush\r\n\
         Referer: https://other.example/page?token=hush\r\nUser-Agent: curl/8.5.0\r\n\
         Content-Type: application/json\r\nContent-Length: 18\r\n\r\n",
        b"{\"password\":\"hush\"}",
    )
}

/// Full stops that end a sentence.
fn sentences(text: &str) -> usize {
    let inner = text
        .as_bytes()
        .windows(2)
        .filter(|w| matches!(w, [b'.' | b'!' | b'?', b' ']));
    inner.count() + 1
}

fn is_contrast(id: &str) -> bool {
    if ["pace.burst", "sibling.same"].contains(&id) {
        return true;
    }
    let what = id
        .strip_prefix("sibling.only_")
        .or_else(|| id.strip_prefix("sibling.differs_"));
    what.is_some_and(|what| DIFFERENCES.contains(&what) || what.starts_with("header_"))
}

const DIFFERENCES: &[&str] = &[
    "credential_missing",
    "credential_other",
    "cookie_missing",
    "cookie_other",
    "csrf_missing",
    "csrf_other",
    "origin",
    "referer",
    "user_agent",
    "client",
    "body_type",
    "body",
    "body_size",
    "query",
    "hop",
];

const FITS: &[&str] = &[
    "request.credential",
    "request.no_credential",
    "request.jwt",
    "request.jwt_expired",
    "request.jwt_not_yet",
    "request.jwt_malformed",
    "request.signature_skew",
    "request.signature_expired",
    "request.csrf_missing",
    "request.csrf_cookie_missing",
    "request.csrf_mismatch",
    "request.csrf_present",
    "request.origin_foreign",
    "request.origin_null",
    "request.origin_scheme",
    "request.cross_site",
    "request.preflight",
    "request.preflight_unfollowed",
    "request.referer_foreign",
    "request.referer_missing",
    "request.user_agent_tool",
    "request.user_agent_missing",
    "request.attack",
    "request.body_mismatch",
    "request.content_type_missing",
    "request.directory",
    "request.static_file",
    "request.hidden_path",
    "request.forwarded_for",
    "request.client_translated",
    "response.challenge_scope",
    "response.challenge_token",
    "response.challenge",
    "response.rate_headers",
    "response.empty",
    "response.no_cors",
    "response.words_csrf",
    "response.words_rate",
    "response.words_expired",
    "response.words_token",
    "response.words_scope",
    "response.words_key_missing",
    "response.words_permission",
    "response.words_ip",
    "response.words_origin",
    "response.words_blocked",
    "response.words_user_agent",
    "response.words_referer",
    "response.words_subscription",
    "response.words_method",
    "response.words_certificate",
    "response.reference",
    "timing.before_body",
    "timing.after_body",
    "sibling.same",
    "chain.side_call_refused",
    "chain.side_call_failed",
];

const PRODUCTS: &[&str] = &[
    "Cloudflare",
    "AWS API Gateway",
    "AWS ALB",
    "Apache APISIX",
    "Apache Tomcat",
    "Django",
    "Django REST framework",
    "Spring Security (servlet)",
    "Kong",
    "Tyk",
    "Apinto (APIPark data plane)",
    "Traefik",
    "IIS",
    "NAXSI",
    "Coraza",
    "mod_evasive",
    "Rails",
    "Jenkins",
    "Tornado / Jupyter",
    "rack-protection (Sinatra)",
    "Phoenix (Plug)",
    "Amazon S3",
    "Google APIs",
    "GitHub API",
    "WordPress",
    "Apigee",
    "GitHub API",
];
