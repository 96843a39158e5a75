//! A directory without an index file.

use super::words::{self, APACHE, Line, NGINX};
use super::{Cause, Clues, Explain};
use crate::model::CauseId;

pub(super) const CAUSE: Cause = Cause {
    id: CauseId::MissingIndex,
    because: "the path is a directory that has no index file",
    contrast: &[],
    contrast_needs: &[],
    fits: &["request.directory", "timing.before_body"],
    next_step,
    explain: Explain {
        what: "The path leads to a directory, none of the index files is in it, and listing is \
               off. For a POST that mostly means that it should never have come here: an \
               application was to get it, and it fell through to the static files.",
        recognised: "The path ends in `/`. nginx looks for each index file, gets ENOENT, finds the \
                     directory itself, and writes `directory index of … is forbidden` to its error \
                     log. lighttpd makes the same look-ups and logs nothing. Apache logs AH01276, \
                     but for GET only.",
        misleads: "Servers differ by method: nginx and lighttpd refuse a POST, Apache answers it \
                   with 404 (AH00129), Caddy with 404 too. An index file that is there but cannot \
                   be read is a matter of permission. Turning on listing helps a GET and leaves \
                   the POST refused, as listings answer GET and HEAD only.",
        mend: "Send the POST to the real URL of its handler, or route this location to the \
               application. Add an index file only if static content is really meant.",
    },
};

const LINES: &[Line] = &[
    Line {
        of: NGINX,
        say: "look in the error log of {server} for `directory index of`",
    },
    Line {
        of: APACHE,
        say: "look in the error log of {server} for AH01276 or AH00129",
    },
    Line {
        of: &["lighttpd"],
        say: "look in the configuration of {server} (it logs no refusal) at index-file.names",
    },
];

fn next_step(clues: &Clues<'_>) -> String {
    let path = words::path_or(clues, "this path");
    let look = words::look(clues, LINES).unwrap_or_else(|| {
        format!(
            "look in the error log of {} for a directory without index",
            words::server(clues)
        )
    });
    words::sentence(format!(
        "{look}, and if a POST to {path} is meant for an application, route it there instead of \
         to the static files"
    ))
}

#[cfg(test)]
mod tests {
    use super::CAUSE;
    use crate::diagnose::tests::said;

    #[test]
    fn names_the_words_of_the_log() {
        assert!(said(&CAUSE, "nginx").contains("`directory index of`"));
        assert!(said(&CAUSE, "apache2").contains("AH01276"));
        assert!(said(&CAUSE, "nginx").contains("a POST to /orders"));
    }
}
