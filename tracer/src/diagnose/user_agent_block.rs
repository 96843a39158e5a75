//! The user agent is not allowed.

use super::words::{self, Line};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::UserAgentBlock,
    because: "the client's User-Agent is not allowed, or it was taken for a bot",
    contrast: &["sibling.only_user_agent", "sibling.differs_user_agent"],
    contrast_needs: &[],
    fits: &[
        "request.user_agent_tool",
        "request.user_agent_missing",
        "response.words_user_agent",
        "response.reference",
    ],
    next_step,
    explain: Explain {
        what: "The client was judged by what it says it is: its User-Agent is missing, or is that \
               of a library, a script or a scanner. Bot managers also judge by the order of the \
               headers and the TLS handshake.",
        recognised: "The same request with the User-Agent of a browser passes. Cloudflare shows \
                     error 1010, APISIX `Not allowed`, Kong's bot detection `Forbidden`; DataDome \
                     and HUMAN answer with the parts of their captcha. The core rules log 913100 \
                     for a scanner, 920320 or 920330 for a missing or empty User-Agent.",
        misleads: "Bot managers set their cookies on every answer: that shows that they are there, \
                   not that they refused. With them a new User-Agent alone does not help. GitHub \
                   and HAProxy both speak of administrative rules.",
        mend: "Send an honest and stable User-Agent, and have the operator allow it. Or use the \
               host for APIs, which is exempt from such checks.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: &["cloudflare"],
        say: "look in Cloudflare's security events for error 1010 or the rule that matched",
    },
    Line {
        of: &["modsecurity", "crs"],
        say: "look in the error or audit log of {server} for `[id \"913100\"]`, `[id \"920320\"]` \
              or `[id \"920330\"]`",
    },
    Line {
        of: &["kong", "apisix"],
        say: "find the plugin that restricts user agents on this route in {server}",
    },
    Line {
        of: &[
            "nginx",
            "openresty",
            "httpd",
            "apache2",
            "haproxy",
            "lighttpd",
        ],
        say: "look in the configuration of {server} for a rule on the user agent (such rules \
              mostly log nothing)",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let agent = match words::field(clues, "user-agent") {
        Some(agent) => format!("`{}`", words::first_word(&agent)),
        None => "a request without User-Agent".to_owned(),
    };
    let id = words::reference(clues)
        .map(|id| format!(" (the answer shows `{id}`)"))
        .unwrap_or_default();
    let step = match words::look(clues, LINES) {
        Some(look) => format!("{look}, and see whether {agent} may send {request}{id}"),
        None => format!(
            "send {request} once more with a browser's User-Agent instead of {agent}, and if that \
             passes, have whoever runs {} allow the client{id}",
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
    fn names_the_agent() {
        let head = "POST /a HTTP/1.1\r\nUser-Agent: curl/8.5.0 (x)\r\n\r\n";
        let stage = Stage::new(head, b"");
        assert!((CAUSE.next_step)(&stage.clues()).contains("instead of `curl/8.5.0`,"));
        assert!(said(&CAUSE, "node").contains("a request without User-Agent"));
    }

    #[test]
    fn names_where_the_rule_is() {
        let stage = Stage::plain().marked("Cloudflare", Kind::CdnWaf, Strength::Strong);
        assert!((CAUSE.next_step)(&stage.clues()).contains("error 1010"));
        assert!(said(&CAUSE, "haproxy").contains("a rule on the user agent"));
    }
}
