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
                     authenticator has no challenge to offer. FastAPI before 0.122 sends 403 for \
                     a missing bearer token. AWS API Gateway says only `Forbidden`. Spring \
                     Security sends an empty 403 and logs `Pre-authenticated entry point called`.",
        misleads: "Kong, APISIX, Tyk, Apinto and Azure API Management answer a missing key with \
                   401, so a 403 of theirs has another cause. API Gateway's `Missing \
                   Authentication Token` mostly means a URL that it does not know. The client may \
                   have sent the credential, and a proxy on the way dropped it: compare the hops.",
        mend: "Send the credential in the header and form that the one who refused expects. If \
               it left the client and did not arrive, mend the hop that strips it.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: &["spring", "tomcat", "java"],
        log: "log (debug level for Spring Security)",
        find: "`Pre-authenticated entry point called`",
    },
    Line {
        of: ENVOY,
        log: "access log",
        find: "`ext_authz_denied` or `rbac_access_denied` in the response details",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let mut step = format!(
        "send {request} again with the credential that {} expects (Authorization, an API key \
         header or a session cookie; none arrived)",
        words::server(clues)
    );
    if clues.at > 0 {
        step.push_str(", and check whether the hop before it dropped one");
    } else if let Some(look) = words::look(clues, LINES) {
        step.push_str(", and if that does not help, ");
        step.push_str(&look);
    }
    words::sentence(&step)
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::checks::said;

    #[test]
    fn says_what_to_send_and_to_whom() {
        let said = said(&CAUSE, "gunicorn");
        assert!(said.contains("POST /orders again"));
        assert!(said.contains("gunicorn (pid 40)"));
    }

    #[test]
    fn names_the_words_of_the_log() {
        assert!(said(&CAUSE, "java").contains("`Pre-authenticated entry point called`"));
    }
}
