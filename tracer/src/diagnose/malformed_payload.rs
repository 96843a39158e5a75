//! The body is not what its header says.

use super::words::{self, Line};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::MalformedPayload,
    because: "the body is not what its Content-Type says, or is of a type that is not allowed",
    contrast: &[
        "sibling.only_body_type",
        "sibling.only_body_size",
        "sibling.differs_body_type",
        "sibling.differs_body_size",
    ],
    contrast_needs: &["request.body_mismatch", "request.content_type_missing"],
    fits: &[
        "request.body_mismatch",
        "request.content_type_missing",
        "timing.after_body",
    ],
    next_step,
    explain: Explain {
        what: "The body cannot be read the way its header says: broken JSON, a form under a JSON \
               type, a multipart body cut short or with another boundary. Or its type or length is \
               missing, or is not on the list of what is allowed.",
        recognised: "Normally that is a 400, 415 or 422. A 403 for it comes from a firewall's \
                     rules on the protocol, from a signed upload policy of an object store \
                     (`Policy Condition failed`), or from an application that maps all invalid \
                     input to 403. The core rules log 920180 for a missing length, 920340 or \
                     920640 for a missing type, 920420 for a type that is not allowed, and 922… or \
                     200004 for multipart.",
        misleads: "A type that is legal but not on the list, such as a vendor's JSON type, is \
                   refused though the body is fine. Rule 200002 (body cannot be parsed) denies \
                   with 400 as it is recommended, so a 403 there is a local change. WordPress \
                   shows its page about an expired link when an upload was too large and the form \
                   arrived empty.",
        mend: "Make Content-Type, length and boundary agree with the bytes that are sent. Or add \
               the type, if it is a legitimate one, to the list of what is allowed.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: &[
            "modsecurity",
            "crs",
            "nginx",
            "openresty",
            "httpd",
            "apache2",
        ],
        say: "look in the error or audit log of {server} for `[id \"920…\"]`, `[id \"922…\"]` or \
              `[id \"200004\"]` of a firewall module",
    },
    Line {
        of: &["s3", "minio"],
        say: "read in the answer's body which condition of the upload policy failed",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let content_type = words::field(clues, "content-type");
    let step = match (content_type, clues.find("request.body_mismatch")) {
        (None, _) => format!("send {request} again with a Content-Type that fits its body"),
        (Some(t), Some(_)) => format!(
            "make the body of {request} agree with its Content-Type (`{}`) and send it again",
            words::media_type(&t)
        ),
        (Some(t), None) => format!(
            "check whether {} allows the type `{}` for {request} and can read its body",
            words::server(clues),
            words::media_type(&t)
        ),
    };
    let step = match words::look(clues, LINES) {
        Some(look) => format!("{step}, and {look}"),
        None => step,
    };
    words::sentence(step)
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::{Stage, said};

    #[test]
    fn names_the_type() {
        let stage = Stage::plain().seen("request.body_mismatch");
        let said = (CAUSE.next_step)(&stage.clues());
        assert!(said.contains("agree with its Content-Type (`application/json`)"));
        let stage = Stage::new("POST /a HTTP/1.1\r\n\r\n", b"x");
        assert!((CAUSE.next_step)(&stage.clues()).contains("with a Content-Type that fits"));
    }

    #[test]
    fn names_the_rules_of_the_log() {
        assert!(said(&CAUSE, "nginx").contains("[id \"920…\"]"));
    }
}
