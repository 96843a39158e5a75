//! What the refusal says in words, whoever made it.
//!
//! Stock pages that servers send for every cause alike ("You don't have permission to access this
//! resource") say nothing here; fingerprints know them.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use memchr::{memchr, memmem};

use super::super::note::{Notes, answered};
use super::super::parts::content;
use super::super::pattern_set::PatternSet;
use crate::memo::Texts;
use crate::model::CauseId::{
    ApiKeyInvalid, ApiKeyMissing, ApiKeyScope, AppAuthorization, ApprovalRequired,
    ClientCertificate, CorsPolicy, CsrfToken, GatewayRouting, HotlinkReferer, IpRestriction,
    RateLimit, UserAgentBlock, WafBlock,
};
use crate::model::Strength::{Fair, Strong, Weak};
use crate::model::{CauseId, Part, Response, Strength};

/// How much of a body is read, in bytes.
const LOOKED_AT: usize = 16 << 10;
/// A longer body, in bytes, is a page about something rather than a refusal.
const LONG: u64 = 32 << 10;

/// A pattern, the id that it gives, what it speaks for, and how much.
struct Row {
    pattern: &'static str,
    id: &'static str,
    cause: CauseId,
    strength: Strength,
}

const fn row(id: &'static str, cause: CauseId, strength: Strength, pattern: &'static str) -> Row {
    Row {
        pattern,
        id,
        cause,
        strength,
    }
}

/// In any letter case, on text without tags. The first row of an id that matches is told.
const ROWS: &[Row] = &[
    row(
        "response.words_csrf",
        CsrfToken,
        Strong,
        r"\b(?:csrf|xsrf)[\s_-]+(?:verification|token|cookie|check|validation|protection)?[\s_:-]*(?:is\s+|was\s+|value\s+)?(?:failed|missing|invalid|incorrect|mismatch|not\s+set|not\s+valid|not\s+found|expired|required|error|does\s+not\s+match|cannot\s+be\s+found)",
    ),
    row(
        "response.words_csrf",
        CsrfToken,
        Strong,
        r"\b(?:invalid|missing|incorrect|bad|expired|no|missing\s+or\s+invalid|invalid\s+or\s+missing|expected)[\s_-]+(?:csrf|xsrf|anti-?forgery|authenticity)[\s_-]*(?:token|cookie|crumb)?|\bno\s+valid\s+crumb\b",
    ),
    row(
        "response.words_csrf",
        CsrfToken,
        Strong,
        r"\bcsrf\s+failed\b|'_xsrf'\s+argument\s+missing|cross-?site\s+post\s+form\s+submissions\s+are\s+forbidden|cross-origin\s+request\s+detected|\b(?:origin|referer)\s+checking\s+failed|rest_cookie_invalid_nonce|\bfst_csrf_|\bebadcsrftoken\b",
    ),
    row(
        "response.words_csrf",
        CsrfToken,
        Fair,
        r"cross-?site\s+request\s+forgery|\banti-?forgery\s+token",
    ),
    row(
        "response.words_rate",
        RateLimit,
        Strong,
        r"\btoo\s+many\s+requests\b|\brate[\s_-]?limit(?:s|ed|ing)?[\s_-]+(?:has\s+been\s+|was\s+|is\s+)?(?:exceeded|reached|hit)|\byou\s+(?:are|have)\s+(?:being\s+|been\s+)?rate[\s-]?limited\b|\b(?:user)?ratelimitexceeded\b|\brate\s+limit\s+of\s+\w+\s+exceeded",
    ),
    row(
        "response.words_rate",
        RateLimit,
        Strong,
        r"\bquota\b[^<>]{0,60}\bper[\s_-]+(?:second|minute|hour|day|week|month)\b|\b(?:requests?|calls?|quer(?:y|ies)|rate)[\s_]+quota\b|\bquota\s+(?:of|for)\s+(?:requests|calls|queries)\b|\bout\s+of\s+call\s+volume\s+quota\b|\bexceeded\s+(?:your|the|its)\s+(?:\w+\s+){0,2}(?:rate|limit)",
    ),
    row(
        "response.words_rate",
        RateLimit,
        Fair,
        r"\brequest\s+(?:was\s+)?throttled\b|\bthrottl(?:ed|ing)\b|\bslow\s?down\b|\btoo\s+many\s+(?:attempts|login)",
    ),
    // A quota may as well be one of space, of seats or of things that are made.
    row(
        "response.words_rate",
        RateLimit,
        Weak,
        r"\bquota(?:\s+has\s+been|\s+is|\s+was)?[\s_]*(?:exceeded|exhausted|reached)|\bexceeded\s+(?:your|the|its)\s+(?:\w+\s+){0,2}quota",
    ),
    row(
        "response.words_certificate",
        ClientCertificate,
        Strong,
        r"\bclient\s+certificate\s+(?:\w+\s+){0,2}(?:required|missing|invalid|expired|revoked|not\s+\w+)|\bno\s+required\s+ssl\s+certificate|\bssl\s+certificate\s+error\b|\bcertificate\s+(?:has\s+)?(?:expired|been\s+revoked)|\b(?:requires|missing|invalid|without)\s+(?:a\s+)?(?:valid\s+)?client\s+certificate",
    ),
    row(
        "response.words_certificate",
        ClientCertificate,
        Fair,
        r"\bclient\s+certificate\b|\bcertificate\s+(?:is\s+)?(?:not\s+trusted|untrusted|rejected)",
    ),
    row(
        "response.words_expired",
        ApiKeyInvalid,
        Strong,
        r"\b(?:token|jwt|signature|api[\s_-]?key|credentials?|signed\s+url|assertion)\s+(?:\w+\s+){0,4}?(?:has\s+|is\s+|have\s+|was\s+)?expired\b|\bexpired[\s_]?token\b|\brequest\s+has\s+expired\b|\brequesttimetooskewed\b|\bpolicy\s+expired\b|\bexpired\s+(?:access\s+|api\s+|auth\w*\s+)?(?:token|key|signature|jwt|credentials?)\b",
    ),
    row(
        "response.words_expired",
        ApiKeyInvalid,
        Fair,
        r"\bsession\s+(?:has\s+|is\s+)?(?:expired|timed\s+out)|\blink\s+(?:\w+\s+){0,4}?(?:has\s+)?expired\b",
    ),
    row(
        "response.words_token",
        ApiKeyInvalid,
        Strong,
        r"\b(?:invalid|bad|incorrect|malformed|revoked|unknown|wrong)[\s_]+(?:or\s+\w+\s+)?(?:access[\s_]|api[\s_-]?|auth\w*[\s_]|bearer[\s_]|security[\s_]|id[\s_]|refresh[\s_]|session[\s_]|jwt[\s_])?(?:token|keys?|jwt|credentials|signature|hmac|apikey)\b",
    ),
    row(
        "response.words_token",
        ApiKeyInvalid,
        Strong,
        r"\b(?:token|jwt|api[\s_-]?key|signature|credentials)\s+(?:\w+\s+){0,4}?(?:is|are|was|has\s+been)\s+(?:invalid|not\s+valid|revoked|malformed|inactive|disabled|incorrect)\b|\binvalidaccesskeyid\b|\bsignaturedoesnotmatch\b|\binvalidsignatureexception\b|\bsignature\s+(?:we\s+calculated\s+)?does\s+not\s+match\b|\bkey\s+(?:is\s+inactive|not\s+authori[sz]ed)\b|\bjwt\s+(?:verification|validation)\s+failed|\bfailed\s+jwt\s+authentication",
    ),
    row(
        "response.words_scope",
        ApiKeyScope,
        Strong,
        r"\binsufficient[\s_]scope|\baccess_token_scope_insufficient\b|\binsufficient\s+authentication\s+scopes\b|\brequired\s+scopes?\b|\b(?:missing|lacks?|without)\s+(?:the\s+)?(?:required\s+|necessary\s+)?scopes?\b|\bnot\s+accessible\s+by\s+(?:integration|personal\s+access\s+token)|\bapi_key_service_blocked\b|\baudiences?\s+in\s+jwt\s+are\s+not\s+allowed|\bmismatched\s+audience\b|\brequired\s+audience\b|\bscope\s+(?:\S+\s+){0,3}(?:is\s+)?(?:required|missing|not\s+granted)",
    ),
    row(
        "response.words_scope",
        ApiKeyScope,
        Strong,
        r"\bnot\s+authorized\s+to\s+perform:\s*execute-api|\btoken\s+does\s+not\s+(?:have|grant|allow)\b|\b(?:api\s+)?key\s+does\s+not\s+have\s+(?:\w+\s+){0,3}(?:access|permissions?)\b",
    ),
    row(
        "response.words_key_missing",
        ApiKeyMissing,
        Strong,
        r"\bauthentication\s+credentials\s+were\s+not\s+provided|\b(?:no|missing|absent)\s+(?:\w+\s+)?(?:api[\s_-]?key|authorization\s+header|bearer\s+token|credentials|access\s+token|jwe\s+token|auth\s+token)\b|\b(?:api[\s_-]?key|authorization\s+(?:header|field)|access\s+token|bearer\s+token|token|credentials)\s+(?:\w+\s+)?(?:is|are|was|were)?\s*(?:missing|required|not\s+(?:provided|supplied|found|present|set))\b|\bno\s+token\s+provided\b",
    ),
    row(
        "response.words_key_missing",
        ApiKeyMissing,
        Fair,
        r"\bnot\s+(?:authenticated|logged\s+in|login)\b|\b(?:authentication|login)\s+(?:is\s+)?required\b|\b(?:please|must|need\s+to)\s+(?:be\s+logged\s+in|log\s?in|sign\s+in|authenticate)\b|system:anonymous|\bunauthenticated\b",
    ),
    row(
        "response.words_ip",
        IpRestriction,
        Strong,
        r"\b(?:your|this|client|remote|source)\s+ip(?:\s+address)?\b(?:[^.<>]|\.[0-9a-f]){0,60}\b(?:blocked|banned|denied|not\s+(?:\w+\s+)?(?:allowed|permitted|authori[sz]ed|whitelisted)|blacklisted|forbidden|disallowed|restricted)|\bip(?:\s+address)?\s+(?:is\s+)?(?:not\s+(?:allowed|permitted|whitelisted|in\s+the\s+(?:allow|white)\s?list)|blocked|banned|denied|forbidden)\b|\billegal\s+ip\b|\bip[\s_]?denied(?:access)?\b|\bapi_key_ip_address_blocked\b|\baccess\s+from\s+this\s+ip\b",
    ),
    row(
        "response.words_ip",
        IpRestriction,
        Strong,
        r"\b(?:access|requests?|connections?)\s+from\s+your\s+(?:country|region|location|network|ip)\b|\bnot\s+available\s+in\s+your\s+(?:country|region)\b|\bblocked\s+(?:\w+\s+){0,3}your\s+(?:country|ip\s+address)\b",
    ),
    row(
        "response.words_origin",
        CorsPolicy,
        Strong,
        r"\binvalid\s+cors\s+request\b|\bnot\s+allowed\s+by\s+cors\b|\bcors\b[^.<>]{0,40}\b(?:not\s+allowed|denied|rejected|blocked|forbidden|failed|error)\b|\bcorsresponse\b|\borigin\s+(?:\S+\s+)?(?:is\s+)?not\s+(?:allowed|permitted|authori[sz]ed)|\b(?:disallowed|forbidden|unknown|untrusted)\s+origin\b",
    ),
    row(
        "response.words_user_agent",
        UserAgentBlock,
        Strong,
        r"\b(?:bad|invalid|forbidden|missing|unsupported|empty|blocked|no)[\s_]+user[\s_-]?agent|\buser[\s_-]?agent\b[^.<>]{0,50}\b(?:not\s+(?:allowed|permitted|accepted|supported)|blocked|forbidden|denied|missing|required|rejected)\b|\bmake\s+sure\s+your\s+request\s+has\s+a\s+user-agent",
    ),
    row(
        "response.words_user_agent",
        UserAgentBlock,
        Fair,
        r"\b(?:bots?|crawlers?|scrapers?|robots)\s+(?:are\s+|is\s+)?(?:not\s+(?:allowed|permitted|welcome)|blocked|forbidden|denied)|\bautomated\s+(?:access|clients?)\s+(?:is|are)\s+not\s+(?:allowed|permitted)",
    ),
    row(
        "response.words_referer",
        HotlinkReferer,
        Strong,
        r"\bhot-?link(?:ing)?\b|\breferr?er\b(?:\s+(?:host|header))?\s+(?:\S+\s+)?(?:is\s+|was\s+)?(?:not\s+(?:allowed|permitted|authori[sz]ed)|denied|blocked|invalid|forbidden|missing)\b|\b(?:invalid|bad|forbidden|missing|empty)[\s_]+referr?er\b|\bapi_key_http_referrer_blocked\b|\brequests?\s+from\s+referer\s+\S+\s+(?:are|is)\s+blocked",
    ),
    row(
        "response.words_subscription",
        ApprovalRequired,
        Strong,
        r"\bnot\s+subscribed\b|\bno\s+(?:active|valid|approved)\s+subscription\b|\bsubscription\s+(?:\w+\s+){0,3}?(?:is\s+|has\s+)?(?:required|missing|expired|inactive|not\s+(?:found|approved|active|valid)|pending)|\b(?:pending|awaiting|requires|waiting\s+for)\s+approval\b|\bnot\s+(?:been\s+)?(?:yet\s+)?approved\b|\bapproval\s+(?:is\s+)?(?:required|pending)\b|\bservice_disabled\b|\bhas\s+not\s+been\s+used\s+in\s+project\b",
    ),
    row(
        "response.words_subscription",
        ApprovalRequired,
        Fair,
        r"\bupgrade\s+your\s+(?:plan|account|subscription)\b|\byour\s+(?:current\s+)?plan\s+does\s+not\s+(?:include|allow|support)|\b(?:account|application|app)\s+(?:is\s+|has\s+been\s+)?(?:suspended|not\s+activated|deactivated|disabled|inactive)\b",
    ),
    row(
        "response.words_method",
        GatewayRouting,
        Fair,
        r"\bmethod\s+(?:\S+\s+)?(?:is\s+)?not\s+(?:allowed|supported|permitted)\b|\bnot\s+configured\s+to\s+allow\s+the\s+http\s+request\s+method\b|\bunsupported\s+(?:http\s+)?method\b",
    ),
    row(
        "response.words_blocked",
        WafBlock,
        Strong,
        r"\bweb\s+application\s+firewall\b|\bmod_?security\b|\bblocked\s+by\s+(?:the\s+|our\s+|a\s+)?(?:\w+\s+)?(?:waf|firewall|security)\b|\b(?:triggered|violat\w+)\s+(?:by\s+)?(?:a\s+|the\s+|our\s+)?security\s+(?:rule|policy|solution)|\bsorry,\s+you\s+have\s+been\s+blocked\b|\brequested\s+url\s+was\s+rejected\b|\bdue\s+to\s+a\s+security\s+(?:rule|policy)\b|\bpotential(?:ly)?\s+(?:threats?|unsafe|malicious)\b|\bmalicious\s+(?:activit|request|payload|content|input)",
    ),
    row(
        "response.words_blocked",
        WafBlock,
        Fair,
        r"\b(?:your\s+|the\s+|this\s+)?request\s+(?:was|is|has\s+been|were)\s+(?:\w+\s+)?(?:blocked|rejected|flagged)\b|\brequest\s+(?:blocked|rejected)\b|\byou(?:r\s+access)?\s+(?:have|has)\s+been\s+blocked\b|\bsuspicious\s+(?:activity|request|behaviou?r)|\bunusual\s+(?:traffic|activity)\b|\bcaptcha\b|\bsecurity\s+check(?:point)?\b|\bsite\s+is\s+using\s+a\s+security\s+service\b",
    ),
    row(
        "response.words_permission",
        AppAuthorization,
        Strong,
        r"\b(?:do|does)\s+not\s+have\s+(?:the\s+)?(?:\w+\s+)?(?:permissions?|privileges?|rights?|role)\s+(?:to\s+)?(?:perform|do|create|edit|update|delete|write|post|modify|manage|for\s+this\s+action|on\s+this)\b|\bthis\s+action\s+is\s+unauthori[sz]ed\b|\bnot\s+(?:authori[sz]ed|allowed|permitted)\s+to\s+(?:perform|do|create|edit|update|delete|write|modify|manage)\b|\brest_forbidden\b|\bis\s+forbidden:\s+user\b|\bis\s+unauthori[sz]ed\s+for\b|\brequires?\s+(?:the\s+)?\S{0,40}\s*(?:role|privileges?|admin\w*)\b",
    ),
    row(
        "response.words_permission",
        AppAuthorization,
        Strong,
        r"\byou\s+(?:do\s+not|don't)\s+own\b|\byou\s+are\s+not\s+(?:an?\s+|the\s+)?(?:owner|author|member|editor|admin\w*)\b|\bonly\s+(?:the\s+)?(?:owners?|authors?|members?|editors?|admin\w*)\s+(?:\w+\s+){0,4}?(?:can|may)\b|\b(?:does|do)\s+not\s+belong\s+to\s+you\b",
    ),
    row(
        "response.words_permission",
        AppAuthorization,
        Fair,
        r"\bbelongs?\s+to\s+(?:another|a\s+different|someone\s+else|somebody\s+else)\b|\b(?:does|do)\s+not\s+belong\s+to\b|\bnot\s+(?:owned\s+by|the\s+owner)\b",
    ),
    row(
        "response.words_permission",
        AppAuthorization,
        Fair,
        r"\binsufficient[\s_]+(?:permissions?|privileges?|rights)\b|\bpermission[\s_]denied\b|\bno\s+permission\b|\baccess_denied\b|\bforbidden\s+resource\b|\byou\s+cannot\s+consume\s+this\s+service\b|\bsqlstate\s*42501\b|\bpermission\s+denied\s+for\s+(?:table|relation|schema)",
    ),
];

/// What is said of credentials is said of a CSRF token in the same words.
const OF_ANY_TOKEN: &[&str] = &[
    "response.words_expired",
    "response.words_key_missing",
    "response.words_token",
];

static ALL: LazyLock<PatternSet> =
    LazyLock::new(|| PatternSet::new(ROWS.iter().map(|row| row.pattern)));

/// A row that matches a body.
struct Found {
    row: &'static Row,
    place: Range<usize>,
    /// The words that matched.
    words: String,
}

thread_local! {
    static KNOWN: RefCell<Texts<Arc<[Found]>>> = RefCell::default();
}

/// Looks at the beginning of the body.
pub(super) fn gather(response: &Response, notes: &mut Notes<'_>) {
    let body = &response.message.body;
    let (bytes, _) = content(body);
    let bytes = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let coded = body.decoded.is_none() && response.message.head.value("content-encoding").is_some();
    if bytes.is_empty() || coded {
        return;
    }
    let length = body.decoded.as_ref().map_or(body.wire_len(), |d| d.len);
    let found = KNOWN.with_borrow_mut(|known| known.of(bytes, |bytes| told(bytes).into()));
    for Found { row, place, words } in &*found {
        let strength = if length > LONG { Weak } else { row.strength };
        notes.add(
            row.id,
            strength,
            row.cause,
            answered(Part::Body(place.start, place.end)),
            ["The refusal says ", &**words, "."].concat(),
        );
    }
}

/// The rows that are told of a body.
fn told(bytes: &[u8]) -> Vec<Found> {
    let text = without_tags(bytes);
    let mut told: Vec<Found> = Vec::new();
    for index in ALL.all_in(&text) {
        let is_told = |id: &str| told.iter().any(|found| found.row.id == id);
        let Some(row) = ROWS.get(index).filter(|row| !is_told(row.id)) else {
            continue;
        };
        if OF_ANY_TOKEN.contains(&row.id) && is_told("response.words_csrf") {
            continue;
        }
        let Some(found) = ALL.find(index, &text) else {
            continue;
        };
        // Of the text, not of the page: no tags between the words.
        let words = text.get(found.range()).unwrap_or_default();
        told.push(Found {
            row,
            place: found.range(),
            words: quoted(words, row.pattern),
        });
    }
    told
}

/// The words that matched. An answer may repeat a secret of the request, as in "the token … is
/// invalid": what the pattern does not spell out itself is left out.
fn quoted(words: &[u8], pattern: &str) -> String {
    /// Most words that are told.
    const WORDS_MAX: usize = 12;
    /// Longest word that is told, in bytes.
    const WORD_MAX: usize = 24;
    /// So many letters at the beginning of a word must be in the pattern.
    const STEM: usize = 5;
    /// Fewer letters in a row are in nearly every pattern: one such run tells nothing, several do.
    const SHORT: usize = 3;
    let spelled = letters(pattern);
    let is_spelled = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let mut runs = word.split(|c: char| !c.is_ascii_alphabetic());
        !word.bytes().any(|b| b.is_ascii_digit())
            && word.len() <= WORD_MAX
            && runs.clone().filter(|run| run.len() < SHORT).count() <= 1
            && runs.all(|run| {
                let stem = run.get(..STEM).unwrap_or(run).to_ascii_lowercase();
                memmem::find(spelled.as_bytes(), stem.as_bytes()).is_some()
            })
    };
    let words = String::from_utf8_lossy(words);
    let words: Vec<&str> = words
        .split_ascii_whitespace()
        .take(WORDS_MAX)
        .map(|word| if is_spelled(word) { word } else { "…" })
        .collect();
    format!("`{}`", words.join(" "))
}

/// The letters that a pattern spells out: without escapes and classes.
fn letters(pattern: &str) -> String {
    let mut letters = String::new();
    let mut chars = pattern.chars();
    let mut in_class = false;
    while let Some(letter) = chars.next() {
        match letter {
            '\\' => {
                chars.next();
            }
            '[' => in_class = true,
            ']' => in_class = false,
            letter if letter.is_ascii_alphabetic() && !in_class => letters.push(letter),
            _ => {}
        }
    }
    letters
}

/// The text of a page: tags, comments, scripts and styles become spaces, so that places stay.
fn without_tags(bytes: &[u8]) -> Vec<u8> {
    let mut text = bytes.to_vec();
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|rest| memchr(b'<', rest)) {
        let from = at + open;
        let rest = text.get(from..).unwrap_or_default();
        let length = tag_length(rest);
        if let Some(tag) = text.get_mut(from..from + length) {
            tag.fill(b' ');
        }
        at = from + length.max(1);
    }
    text
}

/// How many bytes of a text that begins with `<` are a tag with all that is no text; 0 where it is
/// no tag.
fn tag_length(text: &[u8]) -> usize {
    let end = |of: &[u8]| memmem::find(text, of).map_or(text.len(), |at| at + of.len());
    let starts = |with: &[u8]| {
        text.get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    if starts(b"<!--") {
        end(b"-->")
    } else if starts(b"<script") {
        end(b"</script>")
    } else if starts(b"<style") {
        end(b"</style>")
    } else if text
        .get(1)
        .is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'/' | b'!' | b'?'))
    {
        end(b">")
    } else {
        0
    }
}
