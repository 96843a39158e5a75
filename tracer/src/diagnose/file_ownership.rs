//! The file, or the link to it, belongs to another account than the server expects.

use super::words::{self, APACHE, Line, NGINX};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::FileOwnership,
    because: "the file, or a link on the way to it, belongs to the wrong account",
    contrast: &[],
    contrast_needs: &[],
    fits: &["request.static_file", "timing.before_body"],
    next_step,
    explain: Explain {
        what: "The mode bits are as they should be, but for another owner: the file belongs to an \
               account or group that the server is not in. Or the server follows a symbolic link \
               only where link and target have the same owner, and here they do not. It is typical \
               after a deploy or a restore that ran as root.",
        recognised: "A call on the file fails with EACCES and its owner and group are not the \
                     worker's. With `disable_symlinks`, nginx opens without following links and \
                     gets ELOOP: its error log says `(40: Too many levels of symbolic links)`. \
                     Apache with SymLinksIfOwnerMatch has no failed call at all, only AH00037 in \
                     its error log.",
        misleads: "From the outside it cannot be told from a missing read permission: only owner, \
                   group and mode of the path, beside the worker's user id, can. AH00037 is also \
                   written where links are switched off altogether.",
        mend: "Give the tree, or the link, to the account that the site is meant to run under, and \
               have the worker in its group. Make the deploy set the owner, or it comes back with \
               the next one.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: NGINX,
        say: "look in the error log of {server} for `(40: Too many levels of symbolic links)` or \
              `(13: Permission denied)`",
    },
    Line {
        of: APACHE,
        say: "look in the error log of {server} for AH00037 (a link that it may not follow) or \
              AH00132",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let path = words::path_or(clues, "the path asked for");
    let account = words::account(clues);
    let look = words::look(clues, LINES).unwrap_or_else(|| {
        format!(
            "look in the error log of {} for a file or link that it could not open",
            words::server(clues)
        )
    });
    words::sentence(format!(
        "{look}, and compare owner and group of the file of {path} (`namei -l` shows links too) \
         with {account}"
    ))
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::said;

    #[test]
    fn names_the_words_of_the_log() {
        assert!(said(&CAUSE, "nginx").contains("`(40: Too many levels of symbolic links)`"));
        assert!(said(&CAUSE, "httpd").contains("AH00037"));
        assert!(said(&CAUSE, "caddy").contains("caddy (pid 40)"));
    }
}
