//! The application has no approved subscription.

use super::words::{self, Line};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::ApprovalRequired,
    because: "this application has no approved subscription for the service",
    contrast: &[
        "sibling.only_credential_other",
        "sibling.differs_credential_other",
    ],
    contrast_needs: &[],
    fits: &["request.credential", "response.words_subscription"],
    next_step,
    explain: Explain {
        what: "The key is known, but the application that it belongs to has not been granted this \
               service. In API portals an application subscribes, and the owner of the service \
               approves. Here that was not done, is pending, or has run out.",
        recognised: "The gateway answers by itself and asks no next hop, and this application has \
                     not used the service with success before. Apinto (the data plane of APIPark) \
                     answers `Forbidden` with the misspelt type `text/plan`. Google says \
                     `SERVICE_DISABLED`, Apigee that no API product matched.",
        misleads: "A subscription that is missing, pending or expired gives the same bytes: only \
                   the portal can tell. A faulty key is a 401 in Apinto, so its 403 means that the \
                   key was accepted.",
        mend: "Subscribe the application to the service in the portal, and have the owner of the \
               service approve it. If it was approved once, renew it.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: &["apinto", "apipark"],
        say: "see in the portal of {server} whether the application's subscription to the service \
              is approved, pending or expired",
    },
    Line {
        of: &["google"],
        say: "enable the service that the answer names (`SERVICE_DISABLED`) for the project in the \
              API console",
    },
    Line {
        of: &["apigee"],
        say: "see whether an API product holds this path and method, and whether the key of the \
              application is approved for it",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let step = match words::look(clues, LINES) {
        Some(look) => format!("for {request}, {look}"),
        None => format!(
            "ask the owner of the service behind {} whether the application that sent {request} \
             has an approved subscription, and have it approved or renewed",
            words::server(clues)
        ),
    };
    words::sentence(step)
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::{Stage, said};
    use crate::model::{Kind, Strength};

    #[test]
    fn names_the_portal() {
        let stage = Stage::plain().marked("Apinto", Kind::ApiGateway, Strength::Strong);
        let said = (CAUSE.next_step)(&stage.clues());
        assert!(said.contains("in the portal of Apinto"));
        assert!(said.contains("pending"));
    }

    #[test]
    fn asks_the_owner_otherwise() {
        assert!(said(&CAUSE, "gateway").starts_with("Ask the owner"));
    }
}
