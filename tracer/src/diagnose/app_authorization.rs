//! The application does not allow this account to do this.

use super::words::{self, Line};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::AppAuthorization,
    because: "the application does not allow this account to do this",
    contrast: &[
        "sibling.only_cookie_other",
        "sibling.only_credential_other",
        "sibling.differs_cookie_other",
        "sibling.differs_credential_other",
    ],
    contrast_needs: &[],
    fits: &[
        "request.credential",
        "request.csrf_present",
        "response.words_permission",
        "timing.after_body",
    ],
    next_step,
    explain: Explain {
        what: "The application knows who is asking, and its own rules say no. The account lacks a \
               role, the object belongs to somebody else, or the tenant in the request is not the \
               one of the session.",
        recognised: "The credential works for other routes, the application's own process writes \
                     the status, and the proxies in front only relay it. Frameworks have words of \
                     their own for it: Django REST framework says that you do not have permission \
                     to perform this action, Laravel that this action is unauthorized, NestJS \
                     `Forbidden resource`, Kubernetes `is forbidden: User`. Otherwise it is the \
                     application's own JSON.",
        misleads: "The frameworks' stock pages give no reason: Flask's speaks of read protection \
                   whatever the cause is. A list of addresses or hours written into the code looks \
                   just the same. This is also what is left when nothing else fits, so do not take \
                   it for more than that.",
        mend: "Give this account the role or the ownership that the handler checks. Or correct the \
               check, if it refuses the wrong people.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: &["httpd", "apache2"],
        say: "look in the error log of {server} for AH01631 (a user who may not), or else in the \
              application's log behind it",
    },
    Line {
        of: &["wordpress"],
        say: "read the code in the answer's body (`rest_forbidden` and the like), which names the \
              permission that was checked",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let step = match (words::look(clues, LINES), words::reference(clues)) {
        (Some(look), _) => format!("for {request}, {look}"),
        (None, Some(id)) => format!(
            "look in the application log of {} for `{id}` and for the check that {request} \
             failed",
            words::server(clues)
        ),
        (None, None) => format!(
            "look in the application log of {} for {request} at that time, and compare the \
             account's roles and ownership with what the handler checks",
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
    fn sends_to_the_log_of_the_application() {
        let said = said(&CAUSE, "gunicorn");
        assert!(said.contains("gunicorn (pid 40) at 10.0.0.2:8080"));
        assert!(said.contains("POST /orders"));
    }

    #[test]
    fn an_id_of_the_answer_is_what_to_look_for() {
        let stage = Stage::plain().referenced();
        assert!((CAUSE.next_step)(&stage.clues()).contains("`Server nginx`"));
    }
}
