//! The key or token is valid, but not for this.

use super::words::{self, ENVOY, Line};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::ApiKeyScope,
    because: "the key or token is valid, but not for this method and route",
    contrast: &[
        "sibling.only_credential_other",
        "sibling.differs_credential_other",
    ],
    contrast_needs: &[],
    fits: &[
        "request.credential",
        "request.jwt",
        "response.challenge_scope",
        "response.words_scope",
        "response.words_permission",
    ],
    next_step,
    explain: Explain {
        what: "The credential is accepted, but it does not reach this far. Its scopes, its \
               audience, its group or its plan do not include what this method and route ask for.",
        recognised: "The same credential works elsewhere, for a GET or on another route, or \
                     another one works here. The clearest sign is a `WWW-Authenticate` with \
                     `insufficient_scope`. GitHub says that the resource is not accessible and \
                     names the permissions it wants in `x-accepted-github-permissions`. Envoy says \
                     that the audiences in the JWT are not allowed, API Gateway that the caller is \
                     not authorized to perform execute-api:Invoke.",
        misleads: "A scope for reading is there and the one for writing is not: then it looks as \
                   if POST were broken. Tyk uses one sentence for an unknown key and for a key \
                   without right to that API.",
        mend: "Grant the key or the token's client the scope, audience or plan that this method \
               and route ask for. Then get a new token: the old one keeps its old scopes.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: ENVOY,
        say: "look in the access log of {server} for `jwt_authn_access_denied`, which names the \
              reason",
    },
    Line {
        of: &["github"],
        say: "read in the answer's `x-accepted-github-permissions` which permission is wanted",
    },
    Line {
        of: &["kong"],
        say: "find the acl plugin on this route in {server} and the groups of the consumer",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let scopes = if clues.find("response.challenge_scope").is_some() {
        "the scope that the answer's WWW-Authenticate names"
    } else if clues.find("request.jwt").is_some() {
        "the scopes and audience of the token (the evidence lists them)"
    } else {
        "the scopes or plan of the key"
    };
    let step = match words::look(clues, LINES) {
        Some(look) => format!("{look}, and compare that with {scopes}"),
        None => format!(
            "compare {scopes} with what {} asks for on {request}, grant what is lacking and get a \
             new token",
            words::server(clues)
        ),
    };
    words::sentence(step)
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::{Stage, said};

    #[test]
    fn says_where_the_scope_is_named() {
        let stage = Stage::plain().seen("response.challenge_scope");
        assert!((CAUSE.next_step)(&stage.clues()).contains("WWW-Authenticate"));
        assert!(said(&CAUSE, "gunicorn").contains("on POST /orders"));
    }

    #[test]
    fn names_the_words_of_the_log() {
        assert!(said(&CAUSE, "envoy").contains("`jwt_authn_access_denied`"));
    }
}
