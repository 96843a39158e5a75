//! The origin may not call across origins.

use super::words::{self, Line};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::CorsPolicy,
    because: "the page's origin is not allowed to call this across origins",
    contrast: &["sibling.only_origin", "sibling.differs_origin"],
    contrast_needs: &[],
    fits: &[
        "request.origin_foreign",
        "request.origin_null",
        "request.cross_site",
        "request.preflight",
        "request.preflight_unfollowed",
        "response.no_cors",
        "response.words_origin",
    ],
    next_step,
    explain: Explain {
        what: "A browser's page of one origin calls another, and the layer that judges \
               cross-origin calls refuses. It may refuse the POST itself, or the OPTIONS request \
               (preflight) that the browser sends first; then the POST never comes, and that is \
               what its user sees: a POST that failed.",
        recognised: "The request has an Origin whose host is not the Host it asks for, and the \
                     same POST without Origin, from curl say, passes. Spring answers `Invalid CORS \
                     request`, to the real POST too. Tomcat's filter sends an empty text/plain \
                     403. S3 answers the OPTIONS with `AccessForbidden`. After a refused preflight it \
                     is said whether the POST came within 2 s: that it never came shows a browser \
                     that gave up.",
        misleads: "A missing Access-Control-Allow-Origin never makes a 403 by itself: the browser \
                   only keeps the answer from the page. And a 403 that something else made, a \
                   firewall for one, mostly lacks that header too, so the browser's console shows \
                   a CORS error for it. An OPTIONS may also be refused by a layer that wants \
                   credentials, which a preflight never carries. Where the POST comes all the \
                   same, its sender is no browser, and no refused preflight stops it: look at the \
                   POST's own answer.",
        mend: "Add the calling origin, the method and the headers to the CORS policy of the layer \
               that answers. Let OPTIONS pass before authentication.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: &["spring", "tomcat", "java"],
        say: "look in the log of {server} at debug level for what the CORS filter rejected",
    },
    Line {
        of: &["s3", "minio"],
        say: "find the CORS rules of the bucket",
    },
    Line {
        of: &["kong", "apisix", "apinto", "tyk"],
        say: "find the cors plugin on this route in {server}",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let origin = words::field(clues, "origin")
        .as_deref()
        .and_then(words::origin)
        .map_or_else(|| "the calling origin".to_owned(), |o| format!("`{o}`"));
    let request = if clues.find("request.preflight").is_some() {
        format!(
            "answers {} (a preflight) before any login",
            words::request(clues)
        )
    } else {
        format!("allows {} from there", words::request(clues))
    };
    let step = match words::look(clues, LINES) {
        Some(look) => format!("{look}, and see that {origin} is listed and that it {request}"),
        None => format!(
            "find the CORS settings of {} and see that {origin} is listed and that it {request}",
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
    fn names_the_origin_without_what_does_not_belong_there() {
        let stage = Stage::new(
            "POST /a HTTP/1.1\r\nOrigin: https://u:hush@app.example:8443/x\r\n\r\n",
            b"",
        );
        let said = (CAUSE.next_step)(&stage.clues());
        assert!(said.contains("`https://app.example:8443`"));
        assert!(!said.contains("hush"));
    }

    #[test]
    fn names_where_to_look() {
        assert!(said(&CAUSE, "java").contains("debug level"));
        let stage = Stage::plain().seen("request.preflight");
        assert!((CAUSE.next_step)(&stage.clues()).contains("before any login"));
    }
}
