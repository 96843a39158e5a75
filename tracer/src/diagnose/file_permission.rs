//! The server may not read the file or search a directory on the way to it.

use super::words::{self, APACHE, Line, NGINX, PHP_FPM};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::FilePermission,
    because: "the server may not read the file, or may not search a directory on the way to it",
    contrast: &[],
    contrast_needs: &[],
    fits: &["request.static_file", "timing.before_body"],
    next_step,
    explain: Explain {
        what: "The path leads to a file, and the kernel refused to let the server's worker open it \
               (EACCES). Either the file itself is closed to that account, or one of the \
               directories above it is.",
        recognised: "The worker's own open or stat call fails with EACCES between reading the \
                     request and writing the answer, and nothing is asked of a next hop. nginx \
                     then writes `failed (13: Permission denied)` to its error log. Apache writes \
                     AH00132 for a file, AH00035 for a directory, and AH00529 for a `.htaccess` \
                     that it cannot read. PHP-FPM answers `Access denied.` and reports that it was \
                     unable to open the primary script. lighttpd logs nothing, so that the failed \
                     call is the only trace.",
        misleads: "An EACCES elsewhere in the process proves nothing: on nginx's body file it \
                   gives 500, on a Unix socket 502. Apache's failing probes for `.htaccess` files \
                   that are not there are normal. The stock text about lacking permission is \
                   printed for every refusal by Apache, and Flask's about read protection for \
                   every plain abort(403). nginx answers 405 to a POST for a static file that it \
                   can read, so a 403 there is this or a rule.",
        mend: "Let the worker's account read the file and search every directory above it. If the \
               mode bits already say so, look at ACLs, SELinux or AppArmor, and mount options. Do \
               not open the tree to everybody. If an application should have got the POST, mend \
               the routing instead.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: PHP_FPM,
        say: "look in the log of {server} for `Unable to open primary script` (nginx has it too, \
              after `FastCGI sent in stderr`)",
    },
    Line {
        of: NGINX,
        say: "look in the error log of {server} for `(13: Permission denied)`",
    },
    Line {
        of: APACHE,
        say: "look in the error log of {server} for AH00132 (file), AH00035 (directory) or AH00529 \
              (`.htaccess`)",
    },
    Line {
        of: &["lighttpd"],
        say: "trace the system calls of {server} (`strace -f -e %file`: it logs no refusal) for \
              EACCES",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let path = words::path_or(clues, "the path asked for");
    let account = words::account(clues);
    let look = words::look(clues, LINES).unwrap_or_else(|| {
        format!(
            "look in the error log of {} for `Permission denied`",
            words::server(clues)
        )
    });
    words::sentence(format!(
        "{look}, and check with `namei -l` that {account} may read the file of {path} and search \
         every directory above it"
    ))
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::said;

    #[test]
    fn names_the_words_of_the_log() {
        assert!(said(&CAUSE, "nginx").contains("`(13: Permission denied)`"));
        assert!(said(&CAUSE, "apache2").contains("AH00132"));
        assert!(said(&CAUSE, "php-fpm8.2").contains("primary script"));
        assert!(said(&CAUSE, "lighttpd").contains("strace"));
        assert!(said(&CAUSE, "nginx").contains("its account (uid 33)"));
    }
}
