//! The client's address is not allowed.

use super::words::{self, APACHE, Line, NGINX};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::IpRestriction,
    because: "the client's address is not allowed",
    contrast: &["sibling.only_client", "sibling.differs_client"],
    contrast_needs: &[],
    fits: &[
        "request.forwarded_for",
        "request.client_translated",
        "response.words_ip",
        "timing.before_body",
    ],
    next_step,
    explain: Explain {
        what: "The outcome follows the address that the request comes from, or the country it is \
               in, and not what it says. A list of allowed or denied addresses decides, at the \
               edge, in a gateway, in the web server or in the application.",
        recognised: "The same request passes from another address. It is refused before the body \
                     is read, and no next hop is asked. nginx logs `access forbidden by rule` and \
                     names the address it judged after `client:`. Apache logs AH01630 or AH01797. \
                     Traefik logs `Rejecting IP`, at debug level only. Gateways mostly say so in \
                     the body.",
        misleads: "Many such rules hit the wrong address: if the log names a load balancer, the \
                   real address was never restored (real_ip in nginx, RemoteIP in Apache), and if \
                   it names a node or a gateway, addresses are translated on the way (NAT). A rule \
                   that denies everybody logs the same line. A firewall of the network drops or \
                   resets the connection, and gives no 403.",
        mend: "Allow the caller's real address in the layer that refused it, and only there. Or \
               make that layer take the address from the forwarding header, but from trusted \
               proxies alone.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: NGINX,
        say: "look in the error log of {server} for `access forbidden by rule`, and see the \
              address after `client:`",
    },
    Line {
        of: APACHE,
        say: "look in the error log of {server} for AH01630 or AH01797, and see the address in \
              `[client …]`",
    },
    Line {
        of: &["traefik"],
        say: "look in the log (debug level) of {server} for `Rejecting IP`",
    },
    Line {
        of: &["kong", "apisix", "tyk"],
        say: "find the plugin that restricts addresses on this route in {server}",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let judged = match (words::client(clues), words::said_client(clues)) {
        (Some(peer), Some(said)) => format!(
            "whether it judged {peer}, which is its peer, or {said}, which a header names as the \
             client"
        ),
        (Some(peer), None) => format!("whether its rules let {peer} in"),
        (None, _) => "which address it judged".to_owned(),
    };
    let step = match words::look(clues, LINES) {
        Some(look) => format!("{look}, to learn {judged}"),
        None => format!(
            "find the rule on addresses in the configuration of {} and check {judged}",
            words::server(clues)
        ),
    };
    words::sentence(step)
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::said;

    #[test]
    fn names_the_address_that_was_judged() {
        let nginx = said(&CAUSE, "nginx");
        assert!(nginx.contains("`access forbidden by rule`"));
        assert!(nginx.contains("whether its rules let 10.0.0.7 in"));
        assert!(said(&CAUSE, "apache2").contains("AH01797"));
    }
}
