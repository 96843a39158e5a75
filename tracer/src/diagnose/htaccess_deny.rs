//! A `.htaccess` file denies it.

use super::words::{self, APACHE, Line};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::HtaccessDeny,
    because: "a .htaccess file on the way to the path denies it",
    contrast: &[],
    contrast_needs: &[],
    fits: &["request.hidden_path"],
    next_step,
    explain: Explain {
        what: "Apache read a `.htaccess` file in one of the directories above the path, and a line \
               in it denies the request. The line may be about everybody, or about some addresses, \
               methods or user agents.",
        recognised: "The worker opens a `.htaccess` with success right before the 403, and never \
                     opens the file asked for. A denial by the main configuration has no such \
                     open: nothing else tells the two apart, as both log AH01630 (Require). Other \
                     lines are AH01797 for Order and Deny, and AH02809 or AH01262 for a script \
                     where none may run.",
        misleads: "`RewriteRule … [F]` and `Redirect 403` deny without a line in the error log. \
                   mod_evasive uses the words of AH01630 without the code, for too many requests. \
                   A `Require ip` is about the client's address, and behind a proxy that may be \
                   the proxy's. A syntax error in the file gives 500, not 403.",
        mend: "Find the `.htaccess` nearest to the path and change the line that denies, so that \
               the clients and methods that you mean are let in. Apache reads the file anew for \
               each request: no restart is needed.",
    },
};

const LINES: &[Line] = &[Line {
    of: APACHE,
    say: "look in the error log of {server} for AH01630, AH01797 or AH02809",
}];

fn next_step(clues: &Clues<'_>) -> String {
    let path = words::path_or(clues, "the path asked for");
    let look = words::look(clues, LINES).unwrap_or_else(|| {
        format!(
            "look in the error log of {} for `client denied by server configuration`",
            words::server(clues)
        )
    });
    words::sentence(format!(
        "{look}, then read each `.htaccess` from the document root down to {path} for Require, \
         Deny, `Redirect 403` or a RewriteRule with [F] (the last two are not logged)"
    ))
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::said;

    #[test]
    fn names_the_line_and_the_path() {
        let said = said(&CAUSE, "apache2");
        assert!(said.contains("AH01630"));
        assert!(said.contains("down to /orders"));
    }
}
