//! The key or token is not valid, or no longer.

use super::words::{self, ENVOY, Line};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::ApiKeyInvalid,
    because: "the key, token or signature is not valid, or no longer",
    contrast: &[
        "sibling.only_credential_other",
        "sibling.differs_credential_other",
    ],
    contrast_needs: &[],
    fits: &[
        "request.credential",
        "request.jwt",
        "request.jwt_expired",
        "request.jwt_not_yet",
        "request.jwt_malformed",
        "request.signature_skew",
        "request.signature_expired",
        "response.challenge_token",
        "response.words_token",
        "response.words_expired",
    ],
    next_step,
    explain: Explain {
        what: "A credential was sent, and it was not accepted. The key is unknown or switched off, \
               the token has expired, or the signature does not fit the request or is too old.",
        recognised: "The same route accepts other credentials. A JWT shows its times without any \
                     secret: `exp` before the request is enough. A signed AWS request shows its \
                     date, and S3 and MinIO answer a clock that is off with \
                     `RequestTimeTooSkewed`, an unknown key with `InvalidAccessKeyId`. Tyk says \
                     that access to this API has been disallowed, or that the key is inactive.",
        misleads: "Tyk's sentence also covers a key that is fine but has no right to that API. \
                   `SignatureDoesNotMatch` behind a proxy mostly means that the proxy changed the \
                   Host or the path after signing, and not that the key is wrong. Envoy's JWT \
                   filter sends 403 for the audience only, and 401 for every other fault.",
        mend: "Issue or refresh the credential. Set the clock of the signer. Let no proxy change \
               the parts of the request that are signed.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: ENVOY,
        say: "look in the access log of {server} for `jwt_authn_access_denied`, which names the \
              reason",
    },
    Line {
        of: &["tyk", "kong", "apisix", "apinto"],
        say: "look in the log of {server} for why it refused the key",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let any = |ids: &[&str]| ids.iter().any(|id| clues.find(id).is_some());
    let server = words::server(clues);
    let step = if any(&["request.signature_skew", "request.signature_expired"]) {
        "compare the clock of the machine that signs with real time (`chronyc tracking`), and \
         sign the request again right before it is sent"
            .to_owned()
    } else if any(&["request.jwt_expired"]) {
        format!("get a new token before calling {server}: this one had expired when it was sent")
    } else if any(&["request.jwt_not_yet"]) {
        "compare the clocks of the token's issuer and of this host: the token was not yet valid"
            .to_owned()
    } else if let Some(look) = words::look(clues, LINES) {
        format!("for {}, {look}", words::request(clues))
    } else {
        format!(
            "send {} with a fresh credential of the same account, and if it passes, find out in \
             the log of {server} what was wrong with the old one",
            words::request(clues)
        )
    };
    words::sentence(step)
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::{Stage, said};

    #[test]
    fn says_what_the_times_show() {
        let said = |id| (CAUSE.next_step)(&Stage::plain().seen(id).clues());
        assert!(said("request.signature_skew").contains("clock"));
        assert!(said("request.jwt_expired").contains("new token"));
        assert!(said("request.jwt_not_yet").contains("not yet valid"));
    }

    #[test]
    fn names_the_words_of_the_log() {
        assert!(said(&CAUSE, "envoy").contains("`jwt_authn_access_denied`"));
    }
}
