//! Suricata, which the stable distribution has too old or not at all: from a newer suite, in a root
//! directory of its own below `target/bench`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::exec;
use crate::setup::{Step, apt};

/// The suite of Debian that has Suricata 8.
const SUITE: &str = "forky";
/// How that suite is installed: as every one since.
const SCRIPT: &str = "/usr/share/debootstrap/scripts/sid";

pub(super) fn step() -> Step {
    Step {
        name: "Suricata",
        why: "what many use to log HTTP from captures; the benchmark reads the same with it",
        cost: "3 minutes; 350 MB below target/bench",
        there: Box::new(|| {
            let root = root();
            let there = root.join("usr/bin/suricata").is_file();
            there.then(|| root.display().to_string())
        }),
        install: Box::new(install),
    }
}

/// Its root directory.
fn root() -> PathBuf {
    exec::target().join("bench/suricata")
}

fn install() -> Result<()> {
    let root = root();
    let partial = root.with_extension("partial");
    fs::create_dir_all(&partial)?;
    let target = fs::canonicalize(&partial)?;
    let mirror = mirror()?;
    let target = target
        .to_str()
        .context("the path of target/ is not UTF-8")?;
    exec::run(&mut apt::root_command(&[
        "debootstrap",
        "--variant=minbase",
        "--include=suricata",
        SUITE,
        target,
        &mirror,
        SCRIPT,
    ])?)?;
    exec::run(&mut apt::root_command(&[
        "mv",
        target,
        &target.replace(".partial", ""),
    ])?)
}

/// The mirror that this machine installs from.
fn mirror() -> Result<String> {
    let mut ask = Command::new("apt-get");
    ask.args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]);
    let mirrors = exec::output(&mut ask)?;
    let first = mirrors.lines().next();
    Ok(first
        .context("apt has no package lists: `apt-get update`")?
        .to_owned())
}
