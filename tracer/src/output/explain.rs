//! What `tracer403 explain` prints: the causes, in words.

use anstyle::Style;
use serde::Serialize;

use crate::diagnose::{CAUSES, Cause};
use crate::model::CauseId;

/// Columns that a line has at least, however narrow the terminal.
const NARROWEST: usize = 30;

/// One cause, or a line for each, in lines of at most `width` columns.
pub fn text(cause: Option<CauseId>, width: usize, colour: bool) -> String {
    let strong = if colour {
        Style::new().bold()
    } else {
        Style::new()
    };
    match cause {
        Some(id) => one(id, find(id), width, strong),
        None => list(width, strong),
    }
}

/// The same as JSON: an object for one cause, an array of them for all.
pub fn json(cause: Option<CauseId>) -> Explained {
    match cause {
        Some(id) => Explained::One(Entry::new(id)),
        None => Explained::All(CauseId::ALL.map(Entry::new).into()),
    }
}

/// What [`json`] gives.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Explained {
    /// One cause.
    One(Entry),
    /// Every cause.
    All(Vec<Entry>),
}

/// A cause, in words. What this version has no words for is `null`.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Its name.
    pub cause: &'static str,
    /// What it is, in words that complete "It was refused because …".
    pub because: Option<&'static str>,
    /// What it is.
    pub what: Option<&'static str>,
    /// How it is recognised.
    pub recognised: Option<&'static str>,
    /// What looks like it and is not, and what hides it.
    pub misleads: Option<&'static str>,
    /// How to mend it.
    pub mend: Option<&'static str>,
}

impl Entry {
    fn new(id: CauseId) -> Self {
        let cause = find(id);
        let explain = cause.map(|cause| cause.explain);
        Self {
            cause: id.name(),
            because: cause.map(|cause| cause.because),
            what: explain.map(|e| e.what),
            recognised: explain.map(|e| e.recognised),
            misleads: explain.map(|e| e.misleads),
            mend: explain.map(|e| e.mend),
        }
    }
}

fn find(id: CauseId) -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| cause.id == id)
}

fn one(id: CauseId, cause: Option<&Cause>, width: usize, strong: Style) -> String {
    let name = id.name();
    let Some(cause) = cause else {
        return format!("{strong}{name}{strong:#}\n  This version has no words for it.\n");
    };
    let because = wrapped(
        &format!("It was refused because {}.", cause.because),
        width,
        "  ",
    );
    let mut out = format!("{strong}{name}{strong:#}\n{because}");
    for (title, text) in [
        ("What it is", cause.explain.what),
        ("How it is recognised", cause.explain.recognised),
        ("What misleads", cause.explain.misleads),
        ("How to mend it", cause.explain.mend),
    ] {
        let text = wrapped(text, width, "  ");
        out.push_str(&format!("\n{strong}{title}{strong:#}\n{text}"));
    }
    out
}

fn list(width: usize, strong: Style) -> String {
    let names = CauseId::ALL.map(CauseId::name);
    let column = names.iter().map(|name| name.len()).max().unwrap_or(0) + 2;
    let indent = " ".repeat(column);
    let mut out = String::new();
    for id in CauseId::ALL {
        let name = id.name();
        let because = find(id).map_or("", |cause| cause.because);
        let text = wrapped(because, width, &indent);
        let text = text.get(column..).unwrap_or("\n");
        out.push_str(&format!("{strong}{name:column$}{strong:#}{text}"));
    }
    out
}

/// The paragraphs of a text, each line with `indent` before it and a line feed after it.
fn wrapped(text: &str, width: usize, indent: &str) -> String {
    let room = width.max(NARROWEST).saturating_sub(indent.len());
    let mut out = String::new();
    for paragraph in text.lines() {
        let mut used = 0;
        for word in paragraph.split_whitespace() {
            let len = word.chars().count();
            if used > 0 && used + 1 + len > room {
                out.push('\n');
                used = 0;
            }
            out.push_str(if used == 0 { indent } else { " " });
            out.push_str(word);
            used += len + usize::from(used > 0);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::Explain;

    const CAUSE: Cause = Cause {
        id: CauseId::CsrfToken,
        because: "the token against forged requests is missing or wrong",
        contrast: &[],
        contrast_needs: &[],
        fits: &[],
        next_step: |_| String::new(),
        explain: Explain {
            what: "A form carries a token that the server gave out before.",
            recognised: "The answer says so.\nThe request has none.",
            misleads: "A cookie that expired.",
            mend: "Send the token, however long the word averyveryverylongwordthatfitsnowhere is.",
        },
    };

    #[test]
    fn one_cause() {
        let text = one(CAUSE.id, Some(&CAUSE), 40, Style::new());
        insta::assert_snapshot!(text);
        let too_long = |l: &&str| l.chars().count() > 40;
        let long: Vec<&str> = text.lines().filter(too_long).collect();
        assert!(long.is_empty(), "{long:?}");
    }

    #[test]
    fn a_narrow_terminal_is_no_trouble() {
        for width in 0..50 {
            let text = one(CAUSE.id, Some(&CAUSE), width, Style::new());
            assert!(text.contains("averyveryverylongwordthatfitsnowhere"));
            list(width, Style::new());
        }
    }

    #[test]
    fn every_cause_is_listed_and_can_be_asked_for() {
        let list = text(None, 80, false);
        let all = serde_json::to_value(json(None)).unwrap();
        for (i, id) in CauseId::ALL.into_iter().enumerate() {
            let name = id.name();
            let of_its_own = |line: &str| line.split_whitespace().next() == Some(name);
            assert!(list.lines().any(of_its_own), "{name}");
            assert!(text(Some(id), 80, true).contains(name));
            assert_eq!(all[i]["cause"], name);
            let one = serde_json::to_value(json(Some(id))).unwrap();
            assert_eq!(one, all[i]);
        }
    }
}
