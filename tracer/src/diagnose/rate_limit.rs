//! Too many requests.

use super::words::{self, APACHE, Line, NGINX};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::RateLimit,
    because: "this client or key has sent too many requests",
    contrast: &["pace.burst", "sibling.same"],
    contrast_needs: &[],
    fits: &["response.rate_headers", "response.words_rate"],
    next_step,
    explain: Explain {
        what: "Somebody counts the requests of a client, a key or a route, and the count is over \
               the limit or the quota. The usual status is 429, but some send 403.",
        recognised: "The same request passed several times and then no more, and it passes again \
                     after a pause. The answer may carry Retry-After, or a remaining limit of 0. \
                     GitHub, Tyk, Azure API Management, Apinto and some Google APIs use 403 for \
                     limits or quotas. nginx logs `limiting requests, excess`, and sends 403 only \
                     with `limit_req_status 403`: the default is 503. mod_evasive leaves a file \
                     `dos-` and the address in its log directory.",
        misleads: "A bot manager also refuses in bursts that clear by themselves. mod_evasive \
                   writes the words of a plain deny to Apache's log, but without an AH code. Some \
                   limits start anew with each retry, so that trying again keeps the block alive.",
        mend: "Slow down, and wait as long as the answer says. Or raise the limit for this client \
               in the layer that counts.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: &["evasive"],
        say: "look in the syslog for `Blacklisting address`, and in /tmp (or the DOSLogDir of \
              mod_evasive) for a file `dos-` and the address",
    },
    Line {
        of: NGINX,
        say: "look in the error log of {server} for `limiting requests, excess` and the zone that \
              it names",
    },
    Line {
        of: APACHE,
        say: "look in the error log of {server} for `client denied by server configuration` \
              without an AH code (mod_evasive)",
    },
    Line {
        of: &["kong", "apisix", "tyk", "apinto", "envoy"],
        say: "find the rate limit or quota of this route and key in {server}",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let who = words::client(clues).map_or_else(|| "this client".to_owned(), |ip| ip.to_string());
    let wait = match words::answer_field(clues, "retry-after") {
        Some(after) => format!("wait as Retry-After says (`{after}`)"),
        None => "wait some minutes".to_owned(),
    };
    let step = match words::look(clues, LINES) {
        Some(look) => format!("{wait} before {who} sends {request} again, and {look}"),
        None => format!(
            "{wait} before {who} sends {request} again, and find the limit in the configuration \
             of {}",
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
    fn names_the_words_of_the_log() {
        let nginx = said(&CAUSE, "nginx");
        assert!(nginx.contains("`limiting requests, excess`"));
        assert!(nginx.contains("before 10.0.0.7 sends POST /orders again"));
        assert!(said(&CAUSE, "apache2").contains("without an AH code"));
    }

    #[test]
    fn says_how_long_to_wait_where_the_answer_does() {
        let stage = Stage::answered("HTTP/1.1 403 Forbidden\r\nRetry-After: 30\r\n\r\n");
        assert!((CAUSE.next_step)(&stage.clues()).contains("(`30`)"));
    }
}
