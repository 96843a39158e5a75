//! The tables in `docs/benchmarks.md`, each between two marks.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::machine::Machine;
use super::report::Report;

/// Puts a report where the document has its place.
///
/// # Errors
/// Where the document cannot be read or written, or has no such place.
pub(super) fn update(document: &Path, machine: &Machine, report: &Report) -> Result<()> {
    let text = fs::read_to_string(document).with_context(|| document.display().to_string())?;
    let content = format!("Measured on {}\n\n{}", machine.text(), report.markdown());
    let text = replaced(&text, report.part.name(), &content).with_context(|| {
        format!(
            "{}: no place for `{}`",
            document.display(),
            report.part.name()
        )
    })?;
    fs::write(document, text).with_context(|| document.display().to_string())
}

fn replaced(text: &str, name: &str, content: &str) -> Option<String> {
    let (before, rest) = text.split_once(&format!("<!-- measured: {name} -->\n"))?;
    let (_, after) = rest.split_once("<!-- end -->")?;
    Some(format!(
        "{before}<!-- measured: {name} -->\n{content}<!-- end -->{after}"
    ))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = "a\n<!-- measured: live -->\nold\n<!-- end -->\n<!-- measured: read -->\nx\n<!-- end -->\n";
        assert_eq!(
            replaced(text, "live", "new\n").as_deref(),
            Some(
                "a\n<!-- measured: live -->\nnew\n<!-- end -->\n<!-- measured: read -->\nx\n<!-- end -->\n"
            )
        );
        assert_eq!(replaced(text, "kernel", "new"), None);
    }

    #[test]
    fn the_document_has_a_place_for_every_part() {
        let text = std::fs::read_to_string(crate::exec::root().join("docs/benchmarks.md")).unwrap();
        for part in crate::bench::Part::ALL {
            assert!(
                replaced(&text, part.name(), "").is_some(),
                "{}",
                part.name()
            );
        }
    }
}
