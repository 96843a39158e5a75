//! Debian's and Ubuntu's packages.

use std::process::Command;

use anyhow::{Result, bail};

use crate::exec;
use crate::setup::policy::NoServices;

/// Installs packages without what they merely recommend, without questions and without starting
/// any service; asks first what else would happen.
///
/// # Errors
/// Where this is no Debian or Ubuntu, root is missing, or installing would remove a package.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    if !exec::in_path("apt-get") {
        bail!(
            "this is no Debian or Ubuntu: install what these packages have there: {}",
            packages.join(" ")
        );
    }
    let mut install = root_command(&["apt-get", "install", "--yes", "--no-install-recommends"])?;
    install.args(packages);
    refuse_removals(packages)?;
    let _no_services = NoServices::enforce()?;
    exec::run(&mut install)
}

/// A dry run; package lists that are missing or old are fetched on the way.
fn refuse_removals(packages: &[&str]) -> Result<()> {
    let mut plan = Command::new("apt-get");
    plan.args(["install", "--simulate", "--no-install-recommends"])
        .args(packages);
    plan.env("LC_ALL", "C");
    let planned = match exec::output(&mut plan) {
        Ok(planned) => planned,
        Err(_) => {
            exec::run(&mut root_command(&["apt-get", "update", "--quiet"])?)?;
            exec::output(&mut plan)?
        }
    };
    let removed: Vec<&str> = planned
        .lines()
        .filter_map(|line| line.strip_prefix("Remv ")?.split(' ').next())
        .collect();
    if !removed.is_empty() {
        bail!(
            "installing {} would remove {}: nothing was changed. If those may go, run `{}`",
            packages.join(" "),
            removed.join(" "),
            format_args!(
                "sudo apt-get install --no-install-recommends {}",
                packages.join(" ")
            )
        );
    }
    Ok(())
}

/// A command as root: directly, or through sudo where it asks for no password.
///
/// # Errors
/// Where neither is possible.
pub(crate) fn root_command(words: &[&str]) -> Result<Command> {
    // tshark's package asks whether everybody may capture; the default (no) is right.
    let environment = "DEBIAN_FRONTEND=noninteractive";
    if exec::is_root() {
        let mut command = Command::new("env");
        command.arg(environment).args(words);
        return Ok(command);
    }
    if exec::succeeds(Command::new("sudo").args(["-n", "true"])) {
        let mut command = Command::new("sudo");
        command.args(["-n", "env", environment]).args(words);
        return Ok(command);
    }
    bail!(
        "this needs root: run `sudo {}` with the packages above yourself",
        words.join(" ")
    )
}
