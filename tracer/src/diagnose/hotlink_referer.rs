//! The page that the request comes from is not allowed.

use super::words::{self, APACHE, Line, NGINX};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::HotlinkReferer,
    because: "the page that the request comes from (its Referer) is not allowed",
    contrast: &["sibling.only_referer", "sibling.differs_referer"],
    contrast_needs: &[],
    fits: &[
        "request.referer_foreign",
        "request.referer_missing",
        "response.words_referer",
        "timing.before_body",
    ],
    next_step,
    explain: Explain {
        what: "A rule against embedding from foreign sites looks at the Referer, and this one is \
               of another host, or missing where one is demanded. Such rules are meant for images \
               and downloads; a POST is hit when the rule covers a whole location.",
        recognised: "The same call with a Referer of the site itself passes. nginx \
                     (valid_referers) and Apache (a RewriteCond with [F]) answer with their stock \
                     page, make no call on a file and log nothing. nginx answers before the body \
                     is in. APISIX says that the referer host is not allowed, Google \
                     `API_KEY_HTTP_REFERRER_BLOCKED`.",
        misleads: "A page with `Referrer-Policy: no-referrer` strips the header from honest \
                   clients. Django's words about the Referer are its check against forged \
                   requests, and not this. A silent 403 may be any other rule that logs nothing.",
        mend: "Add the calling site, or the empty Referer, to the list of what is allowed. Keep \
               such rules off the routes of an API.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: NGINX,
        say: "look in the configuration of {server} (`nginx -T`: it logs no refusal of this kind) \
              for valid_referers and $invalid_referer",
    },
    Line {
        of: APACHE,
        say: "look in the configuration and `.htaccess` files of {server} (it logs no refusal of \
              this kind) for a RewriteCond on HTTP_REFERER",
    },
    Line {
        of: &["apisix"],
        say: "find the referer-restriction plugin in {server}",
    },
    Line {
        of: &["google"],
        say: "find the websites that the key is restricted to in the API console",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let referer = match words::field(clues, "referer") {
        None => "a request without Referer".to_owned(),
        Some(text) => match words::origin(&text) {
            Some(origin) => format!("a Referer of `{origin}`"),
            None => "this Referer".to_owned(),
        },
    };
    let step = match words::look(clues, LINES) {
        Some(look) => format!("{look}, and see whether {referer} may send {request}"),
        None => format!(
            "look in the configuration of {} for a rule on the Referer, and see whether {referer} \
             may send {request}",
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
    fn names_the_site_but_not_the_page() {
        let stage = Stage::new(
            "POST /a HTTP/1.1\r\nReferer: https://other.example/p?token=hush\r\n\r\n",
            b"",
        );
        let said = (CAUSE.next_step)(&stage.clues());
        assert!(said.contains("a Referer of `https://other.example`"));
        assert!(!said.contains("hush"));
    }

    #[test]
    fn names_the_rule_to_look_for() {
        assert!(said(&CAUSE, "nginx").contains("valid_referers"));
        assert!(said(&CAUSE, "apache2").contains("HTTP_REFERER"));
        assert!(said(&CAUSE, "nginx").contains("without Referer"));
    }
}
