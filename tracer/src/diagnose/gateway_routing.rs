//! The path, host or method has no route.

use super::words::{self, APACHE, ENVOY, Line, NGINX};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::GatewayRouting,
    because: "the path, host or method leads to no route, or to the wrong one",
    contrast: &["sibling.only_hop", "sibling.differs_hop"],
    contrast_needs: &[],
    fits: &[
        "request.directory",
        "response.words_method",
        "timing.before_body",
    ],
    next_step,
    explain: Explain {
        what: "The request did not reach the service that owns it. The gateway has no route for \
               this path, host or method, or another route caught it: a slash at the end, a \
               missing stage or version, a host that is not listed.",
        recognised: "No next hop is asked, or another one than for the requests to this route that \
                     pass. AWS API Gateway says `Missing Authentication Token`, CloudFront that \
                     the distribution is not configured to allow the method, Rails `Blocked \
                     hosts`. A web server that looks for files under the path of an API has taken \
                     the POST for a static file. Envoy logs `direct_response`.",
        misleads: "The texts speak of tokens or permission where only the URL is wrong. A page of \
                   a foreign brand may mean that the request went to somebody else's site. After a \
                   rewrite the path is not the one that the client sent: compare both sides.",
        mend: "Correct the URL, the host or the mapping of methods so that the request gets to the \
               service that owns it. Compare the path on the inner hop with the one that the \
               service expects.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: &["rails"],
        say: "look in the log of {server} for `Blocked hosts` and add the host to config.hosts",
    },
    Line {
        of: ENVOY,
        say: "look in the access log of {server} for `direct_response` and find the route that it \
              took",
    },
    Line {
        of: &["tyk", "kong", "apisix", "apinto", "aws", "amazon"],
        say: "find the route in {server} that should match, with its stage or version, its method \
              and the slash at the end",
    },
    Line {
        of: NGINX,
        say: "find the server_name and the location in {server} (`nginx -T`) that match",
    },
    Line {
        of: APACHE,
        say: "find the virtual host in {server} that matches (`apachectl -S`) and look in its \
              error log for AH00127 or AH00669",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let host = words::host(clues).map_or_else(String::new, |h| format!(" on host `{h}`"));
    let step = match words::look(clues, LINES) {
        Some(look) => format!("for {request}{host}, {look}"),
        None => format!(
            "compare {request}{host} with the routes of {}, down to the slash at the end and the \
             method",
            words::server(clues)
        ),
    };
    words::sentence(step)
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::said;

    #[test]
    fn names_what_was_asked_for_and_where_routes_are() {
        let nginx = said(&CAUSE, "nginx");
        assert!(nginx.contains("`nginx -T`"));
        assert!(nginx.contains("POST /orders on host `shop.example`"));
        assert!(said(&CAUSE, "envoy").contains("`direct_response`"));
        assert!(said(&CAUSE, "node").contains("the routes of node (pid 40)"));
    }
}
