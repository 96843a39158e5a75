//! What the path asks for.

use super::super::note::{Notes, asked, quote};
use super::super::parts::Parts;
use super::super::text::{lower, percent_decode};
use crate::model::{CauseId, Part, Strength};

/// Longest path that is looked at, in bytes.
const LOOKED_AT: usize = 4096;

/// Ends of names that servers mostly have as files.
const STATIC: &[&str] = &[
    ".avif", ".css", ".csv", ".doc", ".docx", ".eot", ".gif", ".gz", ".htm", ".html", ".ico",
    ".jpeg", ".jpg", ".js", ".map", ".mp3", ".mp4", ".pdf", ".png", ".svg", ".tar", ".ttf", ".txt",
    ".webp", ".woff", ".woff2", ".xls", ".xlsx", ".zip",
];

/// Names that servers are told to keep to themselves.
const DENIED: &[&str] = &[
    "cgi-bin",
    "composer.json",
    "composer.lock",
    "meta-inf",
    "node_modules",
    "phpinfo.php",
    "phpmyadmin",
    "server-info",
    "server-status",
    "web-inf",
    "web.config",
    "wp-config.php",
    "xmlrpc.php",
];

/// Ends of names that servers are told to keep to themselves.
const DENIED_ENDS: &[&str] = &["~", ".bak", ".inc", ".ini", ".log", ".old", ".sql", ".swp"];

/// Looks at the segments of the path.
pub(super) fn gather(parts: &Parts<'_>, notes: &mut Notes<'_>) {
    let path = parts.path();
    let path = percent_decode(path.get(..LOOKED_AT).unwrap_or(path), false);
    let segments = || path.split(|b| *b == b'/').filter(|s| !s.is_empty());
    let at = asked(Part::StartLine);
    if path.ends_with(b"/") {
        notes.add(
            "request.directory",
            Strength::Weak,
            CauseId::MissingIndex,
            at,
            "The path ends in a slash, as directories do.",
        );
    }
    if let Some(hidden) = segments().find(|segment| is_hidden(segment)) {
        notes.add(
            "request.hidden_path",
            Strength::Weak,
            CauseId::NginxDeny,
            at,
            format!(
                "The path holds {}, which servers are often told to deny.",
                quote(hidden)
            ),
        );
    }
    if let Some(last) = segments().next_back().filter(|_| !path.ends_with(b"/")) {
        let name = lower(last, 256);
        if STATIC.iter().any(|end| name.ends_with(end)) {
            notes.add(
                "request.static_file",
                Strength::Weak,
                CauseId::FilePermission,
                at,
                format!("The path names what is mostly a file: {}.", quote(last)),
            );
        }
    }
}

fn is_hidden(segment: &[u8]) -> bool {
    let name = lower(segment, 256);
    let dotted = name.starts_with('.') && !matches!(&*name, "." | ".." | ".well-known");
    dotted || DENIED.contains(&&*name) || DENIED_ENDS.iter().any(|end| name.ends_with(end))
}
