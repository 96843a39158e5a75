//! The table "who may name whom" of ARCHITECTURE.md, held against the code.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test and its helpers"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module, and the modules of this crate that it may name.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("limits", &[]),
    ("ports", &[]),
    ("source", &["model", "ports", "host"]),
    ("host", &["model", "ports", "source"]),
    ("decode", &["source", "model"]),
    ("reassembly", &["decode", "source", "model", "limits"]),
    ("bytes", &[]),
    ("http", &["bytes", "reassembly", "model", "limits"]),
    ("pair", &["http", "reassembly", "model", "limits"]),
    ("trail", &["source", "model", "limits"]),
    ("process", &["source", "model"]),
    ("client", &["model"]),
    ("chain", &["model", "limits"]),
    ("evidence", &["memo", "model", "limits"]),
    ("diagnose", &["model"]),
    ("select", &["model"]),
    ("memo", &[]),
    ("output", &["bytes", "memo", "diagnose", "model"]),
    (
        "pipeline",
        &[
            "bytes",
            "memo",
            "source",
            "decode",
            "reassembly",
            "http",
            "pair",
            "trail",
            "process",
            "client",
            "chain",
            "evidence",
            "diagnose",
            "select",
            "model",
            "limits",
            "ports",
        ],
    ),
    (
        "cli",
        &["source", "output", "limits", "model", "ports", "select"],
    ),
];

#[test]
fn modules_name_only_what_the_table_allows() {
    let mut broken = Vec::new();
    for (module, allowed) in ARROWS {
        for file in files_of(module) {
            for named in modules_named_in(&code_of(&file)) {
                if named != *module && !allowed.contains(&named.as_str()) {
                    broken.push(format!("{} names {named}", file.display()));
                }
            }
        }
    }
    assert!(
        broken.is_empty(),
        "arrows that the table forbids:\n{}",
        broken.join("\n")
    );
}

#[test]
fn the_table_knows_every_module() {
    let lib = fs::read_to_string(src().join("lib.rs")).unwrap();
    let declared: BTreeSet<&str> = lib
        .lines()
        .filter_map(|line| line.strip_suffix(';'))
        .filter_map(|line| line.strip_prefix("pub mod ").or(line.strip_prefix("mod ")))
        .filter(|module| *module != "testing")
        .collect();
    let listed: BTreeSet<&str> = ARROWS.iter().map(|(module, _)| *module).collect();
    assert_eq!(declared, listed);
}

#[test]
fn the_table_of_the_document_is_this_one() {
    let document = fs::read_to_string(src().join("../../ARCHITECTURE.md")).unwrap();
    for (module, allowed) in ARROWS {
        let row = format!(
            "| {module} | {} |",
            if allowed.is_empty() {
                "nothing of ours".to_owned()
            } else {
                allowed.join(", ")
            }
        );
        assert!(
            document.contains(&row),
            "ARCHITECTURE.md lacks the row:\n{row}"
        );
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// `module.rs` and everything below `module/`, but for tests.
fn files_of(module: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let file = src().join(format!("{module}.rs"));
    if file.exists() {
        files.push(file);
    }
    let mut folders = vec![src().join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.file_stem().is_some_and(|stem| stem == "tests") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "no file for module {module}");
    files
}

/// The text of a file without comments and without its unit tests.
fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The first path segment after each `crate::`, and each of `use crate::{a::…, b::…}`.
fn modules_named_in(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => named.extend(first_segment(&std::mem::take(&mut item))),
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                if c != ',' || depth > 1 {
                    item.push(c);
                }
            }
            named.extend(first_segment(&item));
        } else {
            named.extend(first_segment(rest));
        }
    }
    named
}

fn first_segment(path: &str) -> Option<String> {
    let path = path.trim_start();
    let end = path
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(path.len());
    let segment = &path[..end];
    segment
        .starts_with(|c: char| c.is_ascii_lowercase())
        .then(|| segment.to_owned())
}
