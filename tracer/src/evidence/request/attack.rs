//! Text that firewalls take for an attack: what kind, and where.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::LazyLock;

use super::super::note::{Notes, asked};
use super::super::parts::{Media, Parts};
use super::super::pattern_set::PatternSet;
use super::super::text::{lower, percent_decode};
use crate::memo::Texts;
use crate::model::{CauseId, Part, Span, Strength};

/// How much of a query, a body or all headers together is looked at, in bytes.
const LOOKED_AT: usize = 8 << 10;
/// How much of one header field, in bytes.
const FIELD_MAX: usize = 1 << 10;
/// Most places that are told of.
const TOLD_MAX: usize = 4;

/// What it looks like, and the pattern: on text whose escapes are undone, in any letter case.
const PATTERNS: &[(&str, &str)] = &[
    (
        "SQL: union select",
        r"\bunion\s+(?:all\s+)?(?:select\b|\(\s*select)",
    ),
    (
        "SQL: a condition that always holds",
        r#"['"]?\s*\bor\s+['"]?(\d+|true)['"]?\s*=\s*['"]?(\d+|true)\b|['"]\s*or\s+['"][^'"]{0,16}['"]\s*=\s*['"]"#,
    ),
    (
        "SQL: a call that waits",
        r"\b(?:sleep|benchmark|pg_sleep)\s*\(\s*\d|\bwaitfor\s+delay\b",
    ),
    (
        "SQL: a quote and a comment",
        r"'\s*(?:;\s*)?(?:--(?:\s|$)|#\s*$|/\*)",
    ),
    (
        "SQL: a second statement",
        r"['\d)]\s*;\s*(?:drop|delete|insert|update|alter|shutdown|exec)\s+\w",
    ),
    (
        "SQL: its catalogue",
        r"\binformation_schema\.|\bxp_cmdshell\b|\bsqlite_master\b",
    ),
    ("script: a tag", r"<\s*script[\s/>]"),
    (
        "script: an event handler",
        r#"<\w[^>]{0,200}\son(?:error|load|click|mouseover|focus|toggle|begin)\s*="#,
    ),
    (
        "script: a script URL",
        r"\bjavascript\s*:\s*\w|\bdata:text/html",
    ),
    (
        "script: an embedding tag",
        r"<\s*(?:iframe|object|embed|svg)[\s/>]",
    ),
    (
        "traversal: ../",
        r"(?:^|[/\\=\s])(?:\.\.[/\\]){2,}|[/\\]\.\.[/\\]|=\.\.[/\\]",
    ),
    (
        "traversal: a system file",
        r"/etc/(?:passwd|shadow|hosts)\b|\bboot\.ini\b|/proc/self/environ|\bwin\.ini\b",
    ),
    (
        "shell: a command substitution",
        r"\$\(\s*[a-z/]|`\s*(?:id|whoami|cat|ls|curl|wget|uname|sleep)\b[^`]*`",
    ),
    (
        "shell: a chained command",
        r"(?:;|\|\|?|&&)\s*(?:cat|id|ls|whoami|uname|wget|curl|nc|bash|sh|ping|sleep|powershell)(?:\s+[\w/.\-]|\s*$)|/bin/(?:ba)?sh\b",
    ),
    (
        "template: an expression",
        r"\{\{\s*(?:\d+\s*\*\s*\d+|[^}]{0,60}__class__|config\b)|\$\{\s*\d+\s*\*\s*\d+\s*\}|<%=\s*\d+\s*\*",
    ),
    (
        "template: a JNDI look-up",
        r"\$\{(?:jndi|\$\{lower:|\$\{::-)",
    ),
    ("PHP: a stream wrapper", r"\b(?:php|phar|expect|zip)://"),
    (
        "PHP: code",
        r"<\?php|\b(?:eval|assert|system|passthru|shell_exec)\s*\(\s*(?:\$_|base64_decode|['\x22])",
    ),
    (
        "XML: an external entity",
        r"<!entity\s|<!doctype\s[^>]{0,100}\[|\bsystem\s+['\x22]file:",
    ),
    (
        "serialised: an object",
        r#"\bO:\d+:"[\w\\]+":\d+:\{|\brO0AB[A-Za-z0-9+/]"#,
    ),
    ("link-local metadata", r"\b169\.254\.169\.254\b"),
    ("a null byte", r"\x00"),
];

/// A row that matches, and from where to where.
#[derive(Clone, Copy)]
struct Attack {
    what: &'static str,
    from: usize,
    end: usize,
}

static ALL: LazyLock<PatternSet> =
    LazyLock::new(|| PatternSet::new(PATTERNS.iter().map(|(_, pattern)| *pattern)));

/// Looks at path and query, at header fields and at the body.
pub(super) fn gather(parts: &Parts<'_>, notes: &mut Notes<'_>) {
    let mut told = 0;
    let mut tell = |place: String, (what, span): (&'static str, Span)| {
        if told < TOLD_MAX {
            told += 1;
            notes.add(
                "request.attack",
                Strength::Fair,
                CauseId::WafBlock,
                span,
                format!("{place} holds text that looks like an attack ({what})."),
            );
        }
    };
    let target = parts.request.path_and_query();
    let start = |_, _| Part::StartLine;
    if let Some(found) = find(target, true, start) {
        tell("The path or query".to_owned(), found);
    }

    let mut left = LOOKED_AT;
    for (index, field) in parts.fields.iter().enumerate() {
        let value = field.value.get(..FIELD_MAX).unwrap_or(field.value);
        if left < value.len() {
            break;
        }
        left -= value.len();
        // Opaque by nature, and secret.
        let opaque: [&[u8]; 2] = [b"authorization", b"accept"];
        if opaque
            .iter()
            .any(|name| field.name.eq_ignore_ascii_case(name))
        {
            continue;
        }
        if let Some(found) = find(value, true, |_, _| Part::Field(index)) {
            tell(format!("The field {}", lower(field.name, 64)), found);
        }
    }
    body(parts, tell);
}

/// What is text in a body: files and messages of other kinds hold any bytes.
fn body(parts: &Parts<'_>, mut tell: impl FnMut(String, (&'static str, Span))) {
    let found = if parts.media == Media::Multipart {
        let mut texts = parts.form.iter().filter(|field| is_text(&field.value));
        texts.find_map(|field| find(&field.value, false, |_, _| field.part))
    } else if is_text(parts.content) {
        let escaped = parts.media == Media::Form;
        find(parts.content, escaped, Part::Body)
    } else {
        None
    };
    if let Some(found) = found {
        tell("The body".to_owned(), found);
    }
}

/// Whether these are the first bytes of a text.
fn is_text(bytes: &[u8]) -> bool {
    let cut = |error: std::str::Utf8Error| error.error_len().is_none();
    memchr::memchr(0, bytes).is_none() && std::str::from_utf8(bytes).map_or_else(cut, |_| true)
}

thread_local! {
    /// By whether escapes are undone.
    static KNOWN: [RefCell<Texts<Option<Attack>>>; 2] = Default::default();
}

/// The first row that matches the text, as it is or with its escapes undone once or twice. Where
/// escapes were undone, the place is all of the text.
fn find(
    text: &[u8],
    escaped: bool,
    place: impl Fn(usize, usize) -> Part,
) -> Option<(&'static str, Span)> {
    let text = text.get(..LOOKED_AT).unwrap_or(text);
    let Attack { what, from, end } = KNOWN.with(|[plain, undone]| {
        let known = if escaped { undone } else { plain };
        known.borrow_mut().of(text, |text| search(text, escaped))
    })?;
    Some((what, asked(place(from, end))))
}

fn search(text: &[u8], escaped: bool) -> Option<Attack> {
    let found = first_match(text);
    if found.is_some() || !escaped {
        return found;
    }
    let once = percent_decode(text, true);
    if matches!(once, Cow::Borrowed(_)) {
        return None;
    }
    let twice = percent_decode(&once, false);
    let found = first_match(&once).or_else(|| match &twice {
        Cow::Borrowed(_) => None,
        Cow::Owned(twice) => first_match(twice),
    });
    found.map(|attack| Attack {
        from: 0,
        end: text.len(),
        ..attack
    })
}

/// The first row that matches.
fn first_match(text: &[u8]) -> Option<Attack> {
    let row = ALL.all_in(text).next()?;
    let (what, _) = *PATTERNS.get(row)?;
    let found = ALL.find(row, text)?;
    Some(Attack {
        what,
        from: found.start(),
        end: found.end(),
    })
}
