//! What program sent the request, by its own words.

use std::sync::LazyLock;

use super::super::note::{Notes, asked, quote};
use super::super::parts::Parts;
use super::super::pattern_set::PatternSet;
use crate::model::{CauseId, Part, Strength};

/// Longest user agent that is looked at, in bytes.
const LOOKED_AT: usize = 512;

/// What user agents of programs other than browsers hold, in lower case, and what they are.
const TOOLS: &[(&str, &str)] = &[
    ("acunetix", "a scanner"),
    ("dirbuster", "a scanner"),
    ("ffuf", "a scanner"),
    ("fuzz faster", "a scanner"),
    ("gobuster", "a scanner"),
    ("masscan", "a scanner"),
    ("nessus", "a scanner"),
    ("nikto", "a scanner"),
    ("nmap", "a scanner"),
    ("nuclei", "a scanner"),
    ("openvas", "a scanner"),
    ("sqlmap", "a scanner"),
    ("wpscan", "a scanner"),
    ("zgrab", "a scanner"),
    ("headlesschrome", "a browser without a screen"),
    ("phantomjs", "a browser without a screen"),
    ("selenium", "a driven browser"),
    ("ahrefsbot", "a crawler"),
    ("bingbot", "a crawler"),
    ("bytespider", "a crawler"),
    ("ccbot", "a crawler"),
    ("claudebot", "a crawler"),
    ("facebookexternalhit", "a crawler"),
    ("googlebot", "a crawler"),
    ("gptbot", "a crawler"),
    ("mj12bot", "a crawler"),
    ("petalbot", "a crawler"),
    ("scrapy", "a crawler"),
    ("semrushbot", "a crawler"),
    ("yandexbot", "a crawler"),
    ("apachebench", "a load generator"),
    ("k6/", "a load generator"),
    ("locust", "a load generator"),
    ("vegeta", "a load generator"),
    ("wrk/", "a load generator"),
    ("elb-healthchecker", "a health check"),
    ("googlehc", "a health check"),
    ("kube-probe", "a health check"),
    ("aiohttp/", "a library"),
    ("apache-httpclient", "a library"),
    ("axios/", "a library"),
    ("dart:io", "a library"),
    ("go-http-client", "a library"),
    ("got (", "a library"),
    ("guzzlehttp", "a library"),
    ("java-http-client", "a library"),
    ("java/", "a library"),
    ("libwww-perl", "a library"),
    ("mechanize", "a library"),
    ("node-fetch", "a library"),
    ("okhttp", "a library"),
    ("python-httpx", "a library"),
    ("python-requests", "a library"),
    ("python-urllib", "a library"),
    ("reqwest/", "a library"),
    ("restsharp", "a library"),
    ("ruby", "a library"),
    ("undici", "a library"),
    ("winhttp", "a library"),
    ("curl/", "a command-line tool"),
    ("httpie", "a command-line tool"),
    ("insomnia", "a tool for developers"),
    ("postmanruntime", "a tool for developers"),
    ("powershell", "a command-line tool"),
    ("wget/", "a command-line tool"),
];

/// Names the program, where it is no browser.
pub(super) fn gather(parts: &Parts<'_>, notes: &mut Notes<'_>) {
    let (at, value) = match parts.field("user-agent") {
        Some((at, value)) if !value.is_empty() => (at, value),
        other => {
            notes.add(
                "request.user_agent_missing",
                Strength::Weak,
                CauseId::UserAgentBlock,
                other.map(|(at, _)| asked(Part::Field(at))),
                "The request does not say what program sent it: no User-Agent.",
            );
            return;
        }
    };
    if let Some(kind) = tool(value.get(..LOOKED_AT).unwrap_or(value)) {
        notes.add(
            "request.user_agent_tool",
            Strength::Weak,
            CauseId::UserAgentBlock,
            asked(Part::Field(at)),
            format!("The user agent is {kind}: {}.", quote(value)),
        );
    }
}

/// What it is by the first row of [`TOOLS`] that is in a user agent, in any letter case.
fn tool(agent: &[u8]) -> Option<&'static str> {
    static NAMES: LazyLock<PatternSet> =
        LazyLock::new(|| PatternSet::new(TOOLS.iter().map(|(name, _)| regex::escape(name))));
    let row = NAMES.all_in(agent).next()?;
    TOOLS.get(row).map(|(_, kind)| *kind)
}
