//! A compiler that can build `core` for eBPF, in this order: a nightly with its source that is
//! there, one that rustup downloads, the distribution's.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::exec;
use crate::setup::apt;

/// Where rustc's own library source lies below a sysroot.
const CORE: &str = "lib/rustlib/src/rust/library/core/src/lib.rs";

/// The newest LLVM whose output bpf-linker 0.10 reads.
const LLVM: u32 = 22;

/// A nightly by its date: its LLVM is the one that bpf-linker reads. Today's may be ahead.
const NIGHTLY: &str = "nightly-2026-05-20";

/// rustup gives up by itself only after several tries; a mirror that is not there must not cost
/// more than this.
const DOWNLOAD: Duration = Duration::from_secs(90);

/// The distribution's compiler.
const RUSTC: &str = "/usr/bin/rustc";

/// The packages of Debian and Ubuntu that have it and its source. (`rustc-web` is Debian's newer rustc for building
/// browsers; it stands beside a rustup toolchain.)
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// The compiler that is there, if any.
pub(crate) fn find() -> Option<String> {
    rustup_nightly().or_else(distribution)
}

/// Gets one.
///
/// # Errors
/// Where neither rustup nor the distribution has one; with what to do.
pub(crate) fn install() -> Result<()> {
    match download() {
        Ok(()) if rustup_nightly().is_some() => return Ok(()),
        Ok(()) => exec::say("  rustup's nightly came without its library source")?,
        Err(why) => exec::say(&format!("  not through rustup: {why:#}"))?,
    }
    if !exec::in_path("apt-get") {
        bail!(
            "no nightly from rustup, and this is no Debian or Ubuntu: install the distribution's \
             rustc with its library source (Fedora: rust rust-src; Arch: rust rust-src; Alpine: \
             rust rust-src), version 1.88 or later, as /usr/bin/rustc"
        );
    }
    exec::say("  the distribution's rustc with its source instead")?;
    apt::install(&PACKAGES)
}

/// The first installed nightly that serves.
fn rustup_nightly() -> Option<String> {
    let list = exec::output(Command::new("rustup").args(["toolchain", "list"])).ok()?;
    list.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.starts_with("nightly"))
        .find(|name| {
            serves(|| {
                let mut rustc = Command::new("rustup");
                rustc.args(["run", name, "rustc"]);
                rustc
            })
        })
        .map(|name| format!("rustup toolchain {name} with rust-src"))
}

/// The distribution's rustc, where it serves.
fn distribution() -> Option<String> {
    let version = exec::output(Command::new(RUSTC).arg("--version")).ok()?;
    serves(|| Command::new(RUSTC)).then(|| format!("{RUSTC}, {}, with its source", version.trim()))
}

/// Whether a compiler has its library's source and writes what bpf-linker reads: the same test as
/// in `tracer/build.rs`, which has to choose again.
fn serves(rustc: impl Fn() -> Command) -> bool {
    let ask = |what: &[&str]| exec::output(rustc().args(what)).ok();
    let has_source = ask(&["--print", "sysroot"])
        .is_some_and(|sysroot| Path::new(sysroot.trim()).join(CORE).is_file());
    let llvm = ask(&["-vV"]).and_then(|version| {
        let version = version
            .lines()
            .find_map(|line| line.strip_prefix("LLVM version: "))?;
        version.split('.').next()?.parse::<u32>().ok()
    });
    has_source && llvm.is_some_and(|llvm| llvm <= LLVM)
}

fn download() -> Result<()> {
    if !exec::in_path("rustup") {
        bail!("rustup is not installed");
    }
    let mut command = Command::new("rustup");
    command
        .args(["toolchain", "install", NIGHTLY, "--profile", "minimal"])
        .args(["-c", "rust-src", "--no-self-update"])
        // One try tells whether there is a mirror.
        .env("RUSTUP_MAX_RETRIES", "0");
    let output = exec::output_within(&mut command, DOWNLOAD)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said
            .lines()
            .rfind(|l| l.starts_with("error"))
            .unwrap_or("it did not say why");
        bail!("`{}` failed: {last}", exec::line(&command));
    }
    Ok(())
}
