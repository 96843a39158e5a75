//! A rule in the configuration of the web server denies it.

use super::words::{self, APACHE, Line, NGINX};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::NginxDeny,
    because: "a rule in the web server's configuration denies this path or method",
    contrast: &[],
    contrast_needs: &[],
    fits: &["request.hidden_path", "timing.before_body"],
    next_step,
    explain: Explain {
        what: "The web server refused by its own configuration: in nginx a `deny`, a \
               `limit_except` or a `return 403` of the location that the URI selects, in others \
               the like. It looked at no file and asked no next hop.",
        recognised: "nginx answers before the body of the request is in, with its stock page or \
                     its error_page, without a call on the file and without a connection to a next \
                     hop. For `deny` and `limit_except` the error log says `access forbidden by \
                     rule`; `return 403`, an `if` and `valid_referers` log nothing. Apache logs \
                     AH01630 for a Require in its main configuration. lighttpd is silent.",
        misleads: "The page of ModSecurity 3 in nginx is the same to the byte. Where another nginx \
                   sits behind, a version in the page that is not this server's means that the \
                   other one made it. Behind a proxy `deny` judges the proxy's address, and then \
                   one rule hits every client.",
        mend: "Find the location that this URI selects and change the rule in it. Where a proxy is \
               in front, set real_ip first, or the rule judges the wrong address. `nginx -T` \
               prints the whole configuration with its includes.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: NGINX,
        say: "look in the error log of {server} for `access forbidden by rule` (`return 403` logs \
              nothing), then in its configuration (`nginx -T`) for a deny, limit_except or `return \
              403`",
    },
    Line {
        of: APACHE,
        say: "look in the error log of {server} for AH01630 or AH01797, then in its configuration \
              for a Require, a Deny or a RewriteRule with [F]",
    },
    Line {
        of: &["lighttpd"],
        say: "look in the configuration of {server} (it logs no refusal) for a url.access-deny",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let look = words::look(clues, LINES).unwrap_or_else(|| {
        format!(
            "look in the error log and the configuration of {} for a rule that denies",
            words::server(clues)
        )
    });
    words::sentence(format!("{look} in the block that {request} selects"))
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::said;

    #[test]
    fn names_the_words_of_the_log() {
        let nginx = said(&CAUSE, "nginx");
        assert!(nginx.contains("`access forbidden by rule`"));
        assert!(nginx.contains("that POST /orders selects"));
        assert!(said(&CAUSE, "apache2").contains("AH01630"));
        assert!(said(&CAUSE, "lighttpd").contains("url.access-deny"));
    }
}
