//! `cargo xtask demo`: real servers, real refusals, traced live; or, without root, the recording
//! of such a session.

mod scene;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::exec::{self, cargo};
use crate::setup;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Also record the session as the capture that is replayed where there is no root
    #[arg(long)]
    record: bool,
    /// Replay the recording, as without root
    #[arg(long, conflicts_with = "record")]
    replay: bool,
    /// Take the servers and the toolchain as they are
    #[arg(long)]
    no_setup: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if exec::is_root() && !arguments.replay {
        if !arguments.no_setup {
            setup::for_demo()?;
        }
        live(arguments.record.then(recording))
    } else {
        if arguments.record {
            bail!(
                "recording needs root, as tracing does: `sudo -E env PATH=\"$PATH\" cargo xtask demo --record`"
            );
        }
        replay()
    }
}

fn live(record: Option<PathBuf>) -> Result<()> {
    build(&[])?;
    if let Some(file) = &record {
        let directory = file.parent().context("the recording has no directory")?;
        std::fs::create_dir_all(directory)?;
    }
    scene::play(&binary(), record.as_deref())?;
    if let Some(file) = record {
        exec::say(&format!("demo: recorded in {}", file.display()))?;
    }
    Ok(())
}

fn replay() -> Result<()> {
    if !exec::is_root() {
        exec::say(
            "demo: tracing live needs root (eBPF, a network namespace), and this is not root: \
             this is a recording of the scene instead. Live: \
             `sudo -E env PATH=\"$PATH\" cargo xtask demo`",
        )?;
    }
    let recording = recording();
    if !recording.is_file() {
        bail!(
            "there is no recording at {}: `cargo xtask demo --record` as root makes one",
            recording.display()
        );
    }
    // The offline half needs no compiler for the kernel side, which only root could install.
    build(&["--no-default-features"])?;
    exec::run(Command::new(binary()).arg("read").arg(recording))
}

fn build(more: &[&str]) -> Result<()> {
    let mut build = cargo();
    build
        .args(["build", "--release", "--locked", "-p", "tracer403"])
        .args(more);
    exec::run(&mut build)
}

fn binary() -> PathBuf {
    exec::target().join("release/tracer403")
}

fn recording() -> PathBuf {
    exec::root().join(Path::new("tests/cases/demo/demo.pcapng"))
}
