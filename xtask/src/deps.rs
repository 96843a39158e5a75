//! `cargo xtask deps`: what is linked in must be free to link, come from the registry, and come
//! once.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::exec::{self, cargo};

/// The only registry.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Licences that a binary under MIT OR Apache-2.0 may link.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that the tool links in several versions, with the reason.
const DUPLICATES: &[(&str, &str)] = &[(
    "hashbrown",
    "indexmap and object follow it at a pace of their own; generic code, linked where used",
)];

/// Checks them.
///
/// # Errors
/// With every fault found.
pub(crate) fn run() -> Result<()> {
    let metadata = exec::output(cargo().args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--all-features",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("cargo metadata: no packages")?;
    let linked = exec::output(cargo().args([
        "tree",
        "--locked",
        "--package=tracer403",
        "--all-features",
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--target=x86_64-unknown-linux-gnu",
    ]))?;
    let mut faults = package_faults(packages);
    faults.extend(duplicates(&linked));
    for fault in &faults {
        exec::say(&format!("deps: {fault}"))?;
    }
    if !faults.is_empty() {
        bail!("{} faults in {} packages", faults.len(), packages.len());
    }
    exec::say(&format!("deps: {} packages, all in order", packages.len()))
}

/// Licences and sources that are not on the lists.
fn package_faults(packages: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    for package in packages {
        let text = |key| package.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, version, licence) = (text("name"), text("version"), text("license"));
        if !allowed(licence) {
            faults.push(format!(
                "{name} {version}: licence {licence:?} is not on the list"
            ));
        }
        // Our own have no source.
        let source = text("source");
        if !source.is_empty() && source != REGISTRY {
            faults.push(format!("{name} {version}: comes from {source}"));
        }
    }
    faults
}

/// Crates of which `cargo tree` lists incompatible versions.
fn duplicates(tree: &str) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for line in tree.lines() {
        if let Some((name, rest)) = line.split_once(" v") {
            let version = rest.split(' ').next().unwrap_or_default();
            versions
                .entry(name)
                .or_default()
                .insert(line_of_version(version));
        }
    }
    versions
        .into_iter()
        .filter(|(name, lines)| {
            lines.len() > 1 && !DUPLICATES.iter().any(|(excused, _)| excused == name)
        })
        .map(|(name, lines)| {
            let lines = lines.into_iter().collect::<Vec<_>>().join(", ");
            format!("{name}: several incompatible versions are linked: {lines}")
        })
        .collect()
}

/// Whether an SPDX expression leaves a choice that is all on the list.
fn allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    if plain.trim().is_empty() {
        return false;
    }
    if expression.contains('(') {
        // Parentheses group alternatives: `(A OR B) AND C` needs one of each group.
        return plain
            .split(" AND ")
            .all(|group| group.split(" OR ").any(|l| ALLOWED.contains(&l.trim())));
    }
    plain
        .split(" OR ")
        .any(|choice| choice.split(" AND ").all(|l| ALLOWED.contains(&l.trim())))
}

/// The part of a version within which cargo takes versions for compatible.
fn line_of_version(version: &str) -> String {
    let mut numbers = version.split('.');
    let major = numbers.next().unwrap_or_default();
    match major {
        "0" => format!("0.{}", numbers.next().unwrap_or_default()),
        _ => major.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{REGISTRY, allowed, duplicates, package_faults};

    #[test]
    fn an_expression_needs_one_choice_that_is_allowed() {
        assert!(allowed("MIT OR Apache-2.0"));
        assert!(allowed("GPL-2.0 OR MIT"));
        assert!(allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(allowed("MIT/Apache-2.0"));
        assert!(!allowed("GPL-2.0"));
        assert!(!allowed("MIT AND GPL-2.0"));
        assert!(!allowed("(MIT OR Apache-2.0) AND GPL-3.0"));
        assert!(!allowed(""));
    }

    #[test]
    fn a_git_source_is_a_fault() {
        let package = |source: &str| json!({"name": "c", "license": "MIT", "source": source});
        assert!(package_faults(&[package(REGISTRY)]).is_empty());
        assert_eq!(
            package_faults(&[package("git+https://example.org/c")]).len(),
            1
        );
    }

    #[test]
    fn a_second_version_that_is_not_compatible_is_a_fault() {
        let tree = "a v1.2.0\na v1.9.0\nb v0.2.0 (proc-macro)\nb v0.3.0\nhashbrown v0.1.0\n\
                    hashbrown v0.2.0 (*)";
        assert_eq!(
            duplicates(tree),
            ["b: several incompatible versions are linked: 0.2, 0.3"]
        );
    }
}
