//! Conversations on one connection, written down: see `transcripts/README.md`.

#![allow(clippy::expect_used, reason = "a test may panic")]

#[path = "support/transcript.rs"]
mod transcript;

use std::fs;
use std::path::{Path, PathBuf};

use transcript::{parse, run_transcript, show};

#[test]
fn transcripts_give_what_is_expected_in_any_chunking() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = Vec::new();
    let paths = paths();
    for path in &paths {
        let text = fs::read_to_string(path).expect("a transcript");
        let transcript = parse(&text);
        let whole = show(&run_transcript(&transcript, || usize::MAX));
        for len in [1, 2, 3, 7] {
            let cut = show(&run_transcript(&transcript, || len));
            if cut != whole {
                wrong.push(difference(path, &format!("cut by {len}"), &whole, &cut));
            }
        }
        let expected_path = path.with_extension("expected");
        if update {
            fs::write(&expected_path, &whole).expect("written");
        }
        let expected = fs::read_to_string(&expected_path).unwrap_or_default();
        if expected != whole {
            wrong.push(difference(path, "whole", &expected, &whole));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(paths.len() >= 50, "{} transcripts were found", paths.len());
}

fn paths() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let entries = fs::read_dir(dir).expect("the directory");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "http"))
        .collect();
    paths.sort();
    paths
}

fn difference(path: &Path, how: &str, expected: &str, found: &str) -> String {
    let name = path.display();
    format!("--- {name}, {how}: expected\n{expected}--- found\n{found}")
}
