//! What the applications of the tests' stages are made of: a Python environment and a
//! `node_modules` of their own below `target/lab`, from the lists in `tests/stages`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::exec;
use crate::setup::{Step, apt};

/// The steps for the lists that there are.
pub(crate) fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    if list("requirements.txt").is_file() {
        steps.push(Step {
            name: "Python packages of the tests' stages",
            why: "frameworks that refuse as they do in production",
            cost: "1 minute; 100 MB below target/lab",
            there: Box::new(|| python_is_there().then(|| shown(&python()))),
            install: Box::new(install_python),
        });
    }
    if list("package.json").is_file() {
        steps.push(Step {
            name: "Node packages of the tests' stages",
            why: "frameworks that refuse as they do in production",
            cost: "1 minute; 50 MB below target/lab",
            there: Box::new(|| node_is_there().then(|| shown(&node().join("node_modules")))),
            install: Box::new(install_node),
        });
    }
    steps
}

fn python_is_there() -> bool {
    same(
        &list("requirements.txt"),
        &python().join("requirements.txt"),
    ) && exec::succeeds(Command::new(python().join("bin/python")).arg("--version"))
}

fn install_python() -> Result<()> {
    let home = python();
    // What an older list asked for must not stay.
    remove(&home)?;
    // Debian keeps what makes environments in a package of its own.
    if !exec::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        apt::install(&["python3-venv"])?;
    }
    exec::run(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    exec::run(
        Command::new(home.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .arg("-r")
            .arg(list("requirements.txt")),
    )?;
    // Last: it is the mark of a finished installation.
    copy("requirements.txt", &home)
}

fn node_is_there() -> bool {
    let mark = node().join("node_modules/.package.json");
    same(&list("package.json"), &mark)
}

fn install_node() -> Result<()> {
    let home = node();
    remove(&home)?;
    fs::create_dir_all(&home)?;
    copy("package.json", &home)?;
    copy("package-lock.json", &home)?;
    exec::run(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&home),
    )
    .context("`npm` is needed (Debian: npm)")?;
    let modules = home.join("node_modules");
    fs::create_dir_all(&modules)?;
    fs::copy(list("package.json"), modules.join(".package.json"))?;
    Ok(())
}

fn python() -> PathBuf {
    exec::target().join("lab/python")
}

fn node() -> PathBuf {
    exec::target().join("lab/node")
}

fn list(name: &str) -> PathBuf {
    exec::root().join("tests/stages").join(name)
}

fn copy(name: &str, home: &Path) -> Result<()> {
    fs::copy(list(name), home.join(name)).with_context(|| format!("copying {name}"))?;
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    Ok(())
}

fn same(a: &Path, b: &Path) -> bool {
    fs::read(a).is_ok_and(|a| fs::read(b).is_ok_and(|b| a == b))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
