//! No key, token or session was sent.

use super::words::{self, ENVOY, Line};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::ApiKeyMissing,
    because: "the request carries no key, token or session",
    contrast: &[
        "sibling.only_credential_missing",
        "sibling.only_cookie_missing",
        "sibling.differs_credential_missing",
        "sibling.differs_cookie_missing",
    ],
    contrast_needs: &[],
    fits: &[
        "request.no_credential",
        "response.challenge",
        "response.words_key_missing",
    ],
    next_step,
    explain: Explain {
        what: "The request says nothing of who sends it: no Authorization, no API key, no session \
               cookie. Whoever answers wants to know. By the book that is a 401, but several \
               frameworks and gateways say 403.",
        recognised: "Requests to the same route that pass carry a credential, and this one does \
                     not. Django REST framework says so in its body, with 403 when its first \
                     authenticator has no challenge to offer. FastAPI before 0.122 sends 403 for a \
                     missing bearer token. AWS API Gateway says only `Forbidden`. Spring Security \
                     sends an empty 403 and logs `Pre-authenticated entry point called`.",
        misleads: "Kong, APISIX, Tyk, Apinto and Azure API Management answer a missing key with \
                   401, so a 403 of theirs has another cause. API Gateway's `Missing \
                   Authentication Token` mostly means a URL that it does not know. The client may \
                   have sent the credential, and a proxy on the way dropped it: compare the hops.",
        mend: "Send the credential in the header and form that the one who refused expects. If it \
               left the client and did not arrive, mend the hop that strips it.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: &["spring", "tomcat", "java"],
        say: "look in the log (debug level for Spring Security) of {server} for `Pre-authenticated \
              entry point called`",
    },
    Line {
        of: ENVOY,
        say: "look in the access log of {server} for `ext_authz_denied` or `rbac_access_denied` in \
              the response details",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let server = words::server(clues);
    let step = match (words::dropped(clues), words::look(clues, LINES)) {
        (Some((name, dropper)), _) => format!(
            "have {dropper} pass {name} on to {server}: it came with the request and was not sent \
             further"
        ),
        (None, Some(look)) => format!(
            "send {request} again with the credential that {server} expects, and if that does not \
             help, {look}"
        ),
        (None, None) => format!(
            "send {request} again with the credential that {server} expects (Authorization, an \
             API key header or a session cookie)"
        ),
    };
    words::sentence(step)
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::{Stage, said};

    #[test]
    fn says_what_to_send_and_to_whom() {
        let said = said(&CAUSE, "gunicorn");
        assert!(said.contains("POST /orders again"));
        assert!(said.contains("gunicorn (pid 40)"));
    }

    #[test]
    fn names_the_hop_that_dropped_it() {
        let outer = "POST /a HTTP/1.1\r\nAuthorization: Bearer hush\r\n\r\n";
        let stage = Stage::plain().served_by("gunicorn").after(outer, "nginx");
        let said = (CAUSE.next_step)(&stage.clues());
        assert!(said.starts_with("Have nginx (pid 40) at 10.0.0.2:8080 pass Authorization on"));
        assert!(!said.contains("hush"));
    }

    #[test]
    fn names_the_words_of_the_log() {
        assert!(said(&CAUSE, "java").contains("`Pre-authenticated entry point called`"));
    }
}
