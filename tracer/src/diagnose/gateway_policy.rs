//! A rule or an authoriser of a gateway or proxy denies it.

use super::words::{self, ENVOY, Line, NGINX};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::GatewayPolicy,
    because: "a rule of the gateway or proxy, or the authoriser it asks, denies it",
    contrast: &[],
    contrast_needs: &[],
    fits: &[
        "timing.before_body",
        "response.empty",
        "response.words_method",
        "chain.side_call_refused",
        "chain.side_call_failed",
    ],
    next_step,
    explain: Explain {
        what: "A gateway or proxy refused by a rule of its own: on the method, the path, a header, \
               a claim of the token, an identity in the mesh. Or it asked an authoriser, which \
               said no, or did not answer.",
        recognised: "No next hop is asked, or only an authoriser, by a GET of another path. \
                     HAProxy answers with 93 bytes and no Server, and logs `PR--` and `<NOSRV>`. \
                     Envoy says `RBAC: access denied` and logs `rbac_access_denied` or \
                     `ext_authz_denied`. Squid logs `TCP_DENIED/403`.",
        misleads: "An authoriser that is down looks like one that says no: Envoy and APISIX send \
                   403 by default when it cannot be reached. nginx's auth_request drops what the \
                   authoriser said, so its reason is only in the authoriser's own log, and \
                   authorisers that judge the method see a GET.",
        mend: "Find the rule or the authoriser that the gateway names. Allow this identity, method \
               and path there, or bring the authoriser up again.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: &["haproxy"],
        say: "look in the log of {server} for `<NOSRV>` and `PR--`, and in its configuration for \
              the `http-request deny` that matches",
    },
    Line {
        of: ENVOY,
        say: "look in the access log of {server} for `rbac_access_denied` or `ext_authz_denied` \
              and find the policy that it names",
    },
    Line {
        of: &["squid"],
        say: "look in the access log of {server} for `TCP_DENIED/403`, and in its configuration \
              for the http_access line that denies",
    },
    Line {
        of: NGINX,
        say: "look for an auth_request in the location of {server} that matches (nginx logs \
              nothing where the authoriser says no), and in the authoriser's own log for why",
    },
    Line {
        of: &["kong", "apisix", "tyk", "apinto"],
        say: "find the plugins in {server} that may refuse",
    },
    Line {
        of: &["traefik"],
        say: "find the middlewares (forwardAuth, ipAllowList) in {server} that apply",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let refused = clues.find("chain.side_call_refused").is_some();
    let failed = clues.find("chain.side_call_failed").is_some();
    let step = match words::authoriser(clues) {
        Some(whom) if refused => format!(
            "look in the log of the authoriser {whom} for why it said no: {} asked it about \
             {request}",
            words::server(clues)
        ),
        Some(whom) if failed => format!(
            "bring the authoriser {whom} up again: {} asked it about {request}, got no good \
             answer and refused",
            words::server(clues)
        ),
        _ => match words::look(clues, LINES) {
            Some(look) => format!("for {request}, {look}"),
            None => format!(
                "look in the configuration and log of {} for the rule that matches {request}",
                words::server(clues)
            ),
        },
    };
    words::sentence(step)
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::{Stage, said};

    #[test]
    fn names_the_words_of_the_log() {
        assert!(said(&CAUSE, "haproxy").contains("`PR--`"));
        assert!(said(&CAUSE, "envoy").contains("`rbac_access_denied`"));
        assert!(said(&CAUSE, "nginx").contains("auth_request"));
        assert!(said(&CAUSE, "squid").contains("`TCP_DENIED/403`"));
    }

    #[test]
    fn names_the_authoriser_that_said_no() {
        let asked = |status, id| {
            let stage = Stage::plain().served_by("nginx").asked("auth", status);
            (CAUSE.next_step)(&stage.seen(id).clues())
        };
        let said = asked(401, "chain.side_call_refused");
        assert!(said.contains("the authoriser auth (pid 40) at 10.0.0.2:8080 for why it said no"));
        assert!(asked(502, "chain.side_call_failed").contains("up again"));
    }
}
