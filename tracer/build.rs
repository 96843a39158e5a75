//! Builds the kernel side (`tracer-ebpf`) and leaves its object file in `OUT_DIR`, from where
//! `source/live` embeds it.
//!
//! It is a build of its own: another target, `core` built from source, and so a compiler that
//! takes unstable options and has that source. Which one serves is looked up here; what is missing
//! is for `cargo xtask setup` to install.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use anyhow::{Context as _, Result, bail};

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_LIVE").is_none() {
        return Ok(());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for input in [
        "tracer-ebpf/src",
        "tracer-ebpf/Cargo.toml",
        "tracer-ebpf/Cargo.lock",
    ]
    .into_iter()
    .chain(["tracer-common/src", "tracer-common/Cargo.toml"])
    {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    let object = build(&root.join("tracer-ebpf"), &target_dir(&out_dir)?)?;
    fs::copy(&object, out_dir.join("tracer-ebpf.o"))
        .with_context(|| format!("cannot copy {}", object.display()))?;
    Ok(())
}

/// Beside the `OUT_DIR`s of this script, of which `build`, `check` and `clippy` have one each, so
/// that they share one build of `core`. Cargo locks it.
fn target_dir(out_dir: &Path) -> Result<PathBuf> {
    let builds = out_dir
        .ancestors()
        .nth(2)
        .context("OUT_DIR lies in a directory of builds")?;
    Ok(builds.join("tracer-ebpf"))
}

/// Builds the kernel side and says where its object file is.
fn build(manifest_dir: &Path, target_dir: &Path) -> Result<PathBuf> {
    let target = match env::var("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    // The registers that a probe's context holds differ by machine. No type information (BTF) of
    // our own: nothing here needs it, and kernels refuse the names that Rust's generic unions get.
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    let flags = format!("--cfg=bpf_target_arch=\"{arch}\"");

    require_linker()?;
    let mut cargo = compiler()?.cargo();
    cargo
        .args([
            "build",
            "--release",
            "--locked",
            "-Zbuild-std=core",
            "--target",
            target,
        ])
        .arg("--manifest-path")
        .arg(manifest_dir.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags);
    let output = cargo
        .output()
        .with_context(|| format!("cannot run {cargo:?}"))?;
    if !output.status.success() {
        bail!(
            "the kernel side of tracer403 does not build. `cargo xtask setup` mends its \
             toolchain.\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(target_dir.join(target).join("release/tracer-ebpf"))
}

/// A compiler that can build `core` from source.
enum Compiler {
    /// A toolchain of rustup, with the component `rust-src`.
    Rustup(String),
    /// One of the distribution, with its package of the library's source. It is a stable one,
    /// so it takes unstable options only when told to.
    Distribution(PathBuf),
}

fn compiler() -> Result<Compiler> {
    let nightly = rustup_toolchains()
        .into_iter()
        .filter(|name| name.starts_with("nightly"))
        .find(|name| serves(|| rustup_rustc(name)));
    if let Some(name) = nightly {
        return Ok(Compiler::Rustup(name));
    }
    let distribution = PathBuf::from("/usr/bin/rustc");
    if serves(|| Command::new(&distribution)) {
        return Ok(Compiler::Distribution(distribution));
    }
    bail!(
        "the kernel side of tracer403 needs a Rust compiler with the source of its library: a \
         nightly toolchain with the component rust-src, or the distribution's rustc with its \
         source. There is none. Run this once:\n\n    cargo xtask setup\n\nor leave live capture \
         out: cargo build --no-default-features"
    )
}

fn rustup_toolchains() -> Vec<String> {
    let list = clean(Command::new("rustup").args(["toolchain", "list", "--quiet"])).output();
    let stdout = list.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn rustup_rustc(toolchain: &str) -> Command {
    let mut rustc = Command::new("rustup");
    rustc.args(["run", toolchain, "rustc"]);
    rustc
}

/// The LLVM inside bpf-linker 0.10; what a later one writes it cannot read.
const LLVM: u32 = 22;

/// Whether a compiler has the source of `core` at its side and writes what the linker reads.
fn serves(rustc: impl Fn() -> Command) -> bool {
    let ask = |what: &[&str]| {
        let Output { status, stdout, .. } = clean(rustc().args(what)).output().ok()?;
        status
            .success()
            .then(|| String::from_utf8_lossy(&stdout).into_owned())
    };
    let has_source = ask(&["--print", "sysroot"]).is_some_and(|sysroot| {
        Path::new(sysroot.trim())
            .join("lib/rustlib/src/rust/library/core/src/lib.rs")
            .is_file()
    });
    let llvm = ask(&["-vV"]).and_then(|version| {
        let version = version
            .lines()
            .find_map(|line| line.strip_prefix("LLVM version: "))?;
        version.split('.').next()?.parse::<u32>().ok()
    });
    has_source && llvm.is_some_and(|llvm| llvm <= LLVM)
}

impl Compiler {
    fn cargo(&self) -> Command {
        match self {
            Self::Rustup(name) => {
                let mut cargo = Command::new("rustup");
                clean(cargo.args(["run", name, "cargo"]));
                cargo
            }
            Self::Distribution(rustc) => {
                let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
                clean(&mut cargo)
                    .env("RUSTC", rustc)
                    .env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
        }
    }
}

fn require_linker() -> Result<()> {
    let mut linker = Command::new("bpf-linker");
    if clean(linker.arg("--version"))
        .output()
        .is_ok_and(|output| output.status.success())
    {
        return Ok(());
    }
    bail!(
        "the kernel side of tracer403 is linked with bpf-linker, which is not there (or does not \
         run). Run this once:\n\n    cargo xtask setup\n\nor leave live capture out: cargo build \
         --no-default-features"
    )
}

/// Takes from a command's environment what this build says about itself and would mislead
/// another: flags, wrappers (clippy's, for one), the package's own variables. What concerns the
/// network, the registries and cargo's home stays. Programs that `cargo install` put in cargo's
/// home are found also where that is not in `PATH`.
fn clean(command: &mut Command) -> &mut Command {
    const OURS: [&str; 10] = [
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_LINKER",
        "RUSTC_BOOTSTRAP",
        "RUSTDOC",
        "RUSTFLAGS",
        "RUSTDOCFLAGS",
        "RUSTUP_TOOLCHAIN",
        "CLIPPY_ARGS",
    ];
    const KEPT: [&str; 5] = [
        "CARGO_HOME",
        "CARGO_MAKEFLAGS",
        "CARGO_NET",
        "CARGO_HTTP",
        "CARGO_REGISTR",
    ];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_cargo = text.starts_with("CARGO") && !KEPT.iter().any(|kept| text.starts_with(kept));
        if of_cargo || OURS.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    if let (Some(home), Some(path)) = (home, env::var_os("PATH")) {
        let dirs = env::split_paths(OsStr::new(&path)).chain([home.join("bin")]);
        if let Ok(path) = env::join_paths(dirs) {
            command.env("PATH", path);
        }
    }
    command
}
