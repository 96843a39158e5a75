//! A web application firewall took it for an attack.

use super::words::{self, Line};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::WafBlock,
    because: "a web application firewall took it for an attack",
    contrast: &[
        "sibling.only_body",
        "sibling.only_query",
        "sibling.differs_body",
        "sibling.differs_query",
    ],
    contrast_needs: &["request.attack"],
    fits: &[
        "request.attack",
        "response.words_blocked",
        "response.reference",
        "timing.after_body",
    ],
    next_step,
    explain: Explain {
        what: "A firewall that reads requests refused this one. It sits at a CDN's edge, in the \
               web server as a module, or within the application. It found text that looks like an \
               attack, or a form that its rules do not allow.",
        recognised: "The same route with the same credentials lets a harmless body pass: only the \
                     content differs. Edges show a page of their own, often with an id that keys \
                     their log. ModSecurity shows the stock page of its server, and its log says \
                     `ModSecurity: Access denied with code 403`; NAXSI logs `NAXSI_FMT` with \
                     `block=1`, Coraza `Coraza: Access denied`. A rule on the body cannot answer \
                     before the body is in; one on the headers can.",
        misleads: "949110 and 949111 only say that the score was reached: the rules that hit are \
                   in the `Warning` lines before, with the same unique_id. A `Warning` line alone \
                   blocked nothing. 959100 and 959101 judge the answer, so the application did \
                   run. The marks that a CDN puts on every answer do not show that it refused.",
        mend: "Look up the rule by the id of the transaction. Then exclude that one rule for that \
               one parameter and route, or stop sending the text that sets it off. Leave the \
               engine on.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: &["modsecurity", "crs"],
        say: "look in the error or audit log of {server} for `ModSecurity: Access denied`, then \
              for the `Warning` lines with the same unique_id, which name the rules",
    },
    Line {
        of: &["coraza"],
        say: "look in the log of {server} for `Coraza: Access denied`",
    },
    Line {
        of: &["naxsi"],
        say: "look in the error log of {server} for `NAXSI_FMT` with `block=1`",
    },
    Line {
        of: &["nginx", "openresty", "httpd", "apache2"],
        say: "look in the error log of {server} for `ModSecurity: Access denied` or `NAXSI_FMT`, \
              and for the ids of the rules there",
    },
    Line {
        of: &["google"],
        say: "look in the log of the load balancer for enforcedSecurityPolicy, which names the \
              rule",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let request = words::request(clues);
    let mut step = match (words::reference(clues), words::look(clues, LINES)) {
        (Some(id), None) => format!(
            "ask whoever runs the firewall which rule refused {request}, and give them `{id}`"
        ),
        (Some(id), Some(look)) => format!("for {request}, {look} (the answer shows `{id}`)"),
        (None, Some(look)) => format!("for {request}, {look}"),
        (None, None) => format!(
            "look in the log of the firewall at or before {} for the rule that refused {request}",
            words::server(clues)
        ),
    };
    if clues.find("request.attack").is_some() {
        step.push_str(", and compare it with the suspicious text that the evidence points to");
    }
    words::sentence(step)
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::{Stage, said};
    use crate::model::{Kind, Strength};

    #[test]
    fn names_the_log_of_the_engine() {
        assert!(said(&CAUSE, "nginx").contains("`ModSecurity: Access denied`"));
        let stage = Stage::plain().served_by("nginx");
        let stage = stage.marked("NAXSI", Kind::WafModule, Strength::Strong);
        assert!((CAUSE.next_step)(&stage.clues()).contains("`block=1`"));
    }

    #[test]
    fn asks_a_foreign_edge_by_the_id_that_it_shows() {
        let stage = Stage::plain().referenced().seen("request.attack");
        let said = (CAUSE.next_step)(&stage.clues());
        assert!(said.contains("give them `Server nginx`"));
        assert!(said.contains("suspicious text"));
    }
}
