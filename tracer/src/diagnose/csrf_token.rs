//! The token against forged requests is missing or wrong.

use super::words::{self, Line};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::CsrfToken,
    because: "the request carries no valid CSRF token",
    contrast: &[
        "sibling.only_csrf_missing",
        "sibling.only_csrf_other",
        "sibling.only_origin",
        "sibling.differs_csrf_missing",
        "sibling.differs_csrf_other",
    ],
    contrast_needs: &[],
    fits: &[
        "request.csrf_missing",
        "request.csrf_cookie_missing",
        "request.csrf_mismatch",
        "request.origin_foreign",
        "request.origin_null",
        "request.origin_scheme",
        "request.cross_site",
        "request.referer_missing",
        "response.words_csrf",
        "timing.after_body",
    ],
    next_step,
    explain: Explain {
        what: "Frameworks let a POST change something only if it shows that it comes from their \
               own page: by a token in a field or header that goes with a cookie, or by its Origin \
               or Referer. This one did not show it.",
        recognised: "A POST with cookies has no token field or header, or no cookie that the token \
                     belongs to, or both differ. Most frameworks say so in the body. Django logs \
                     `Forbidden (CSRF cookie not set.)`, `(CSRF token missing.)`, `(Origin \
                     checking failed` or `(Referer checking failed`. Spring logs `Invalid CSRF \
                     token found for`, at debug level only. A check of a field cannot answer \
                     before the body is in.",
        misleads: "The client may be innocent: where a proxy ends TLS and does not pass on scheme \
                   or host, Django, SvelteKit and Astro take an honest Origin for a foreign one. \
                   That a GET works fits a firewall and a rule on methods as well. Rails answers \
                   this with 422, Laravel with 419, Flask-WTF and ASP.NET Core with 400: a 403 of \
                   theirs has another cause.",
        mend: "Send the framework's token together with its cookie. If both are right, have the \
               proxy forward scheme and host (X-Forwarded-Proto and Host), and list the public \
               origin among the trusted ones.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: &["django"],
        say: "look in the log of {server} (logger django.security.csrf) for `Forbidden (CSRF` or \
              `Forbidden (Origin checking failed`, which names the reason",
    },
    Line {
        of: &["spring", "tomcat", "java"],
        say: "look in the log of {server} at debug level for `Invalid CSRF token found for`",
    },
    Line {
        of: &["tornado", "jupyter"],
        say: "look in the log of {server} for `'_xsrf' argument missing from POST`",
    },
    Line {
        of: &["rack", "sinatra"],
        say: "look in the log of {server} for `attack prevented by Rack::Protection`",
    },
    Line {
        of: &["jenkins"],
        say: "look in the log of {server} for `No valid crumb was included in request`",
    },
    Line {
        of: &["phoenix"],
        say: "look in the log of {server} for `Plug.CSRFProtection.InvalidCSRFTokenError`",
    },
    Line {
        of: &["gunicorn", "uwsgi", "uvicorn", "python"],
        say: "look in the log of {server} for `Forbidden (CSRF` or `Forbidden (Origin checking \
              failed` if it runs Django",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let server = words::server(clues);
    let request = words::request(clues);
    let has = |id: &str| clues.find(id).is_some();
    let step = if has("request.origin_scheme") {
        format!(
            "have the hop before {server} send `X-Forwarded-Proto: https` and the client's Host, \
             and the application trust them: the Origin says https and this hop was asked by http"
        )
    } else if has("request.csrf_cookie_missing") {
        format!(
            "send the cookie that the CSRF token belongs to with {request} (the token is there)"
        )
    } else if has("request.csrf_mismatch") {
        format!(
            "fetch the form or token anew and send {request} with the cookie and the token of \
             that one answer: they differ here"
        )
    } else if let Some(look) = words::look(clues, LINES) {
        format!("for {request}, {look}")
    } else {
        format!(
            "send {request} with the framework's CSRF token and its cookie, and if it is refused \
             again, look in the application log of {server} for `CSRF`"
        )
    };
    words::sentence(step)
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::{Stage, said};

    #[test]
    fn says_which_half_is_wrong() {
        let said = |id| (CAUSE.next_step)(&Stage::plain().seen(id).clues());
        assert!(said("request.origin_scheme").contains("X-Forwarded-Proto"));
        assert!(said("request.csrf_cookie_missing").contains("the token is there"));
        assert!(said("request.csrf_mismatch").contains("they differ here"));
    }

    #[test]
    fn names_the_words_of_the_log() {
        assert!(said(&CAUSE, "gunicorn").contains("`Forbidden (CSRF`"));
        assert!(said(&CAUSE, "java").contains("`Invalid CSRF token found for`"));
    }
}
