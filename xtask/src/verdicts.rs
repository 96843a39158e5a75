//! `cargo xtask verdicts`: real servers make 403s whose truth is known, and the tool's verdicts are
//! held against it: live, read back from what it wrote, and from the captures in the repository.

mod claim;
mod noise;
mod play;
mod score;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use tracer_tests::{Stage, Tools};

use crate::exec;
use crate::verdicts::play::Player;
use crate::verdicts::table::Table;

/// How many scenes there must be for a result to mean anything.
const MIN_SCENES: usize = 120;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only this stage; may be repeated
    #[arg(long, value_name = "NAME")]
    stage: Vec<String>,
    /// Only this scene; may be repeated
    #[arg(long, value_name = "NAME")]
    scene: Vec<String>,
    /// Write everything that was found, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the captures in tests/stages anew
    #[arg(long, conflicts_with_all = ["offline_only", "noise", "outer_only"])]
    update: bool,
    /// Judge the captures in tests/stages only: needs no root and no servers
    #[arg(long)]
    offline_only: bool,
    /// With 200 other requests a second through the same servers
    #[arg(long, conflicts_with_all = ["offline_only", "outer_only"])]
    noise: bool,
    /// Trace the port that the client talks to, and no other
    #[arg(long, conflicts_with = "offline_only")]
    outer_only: bool,
    /// With requests held in the kernel (`--capture hold`)
    #[arg(long, conflicts_with_all = ["offline_only", "update"])]
    hold: bool,
    /// Only see that each scene gets its status; nothing is traced
    #[arg(long)]
    untraced: bool,
    /// Copy the servers' logs into this directory, a folder for each stage
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
}

/// What the kernel side copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capture {
    All,
    Hold,
}

/// What is traced, and under which conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Every traced server, and nothing else happens.
    Quiet,
    /// As quiet, and the captures in the repository are written anew.
    Update,
    /// The captures in the repository.
    Offline,
    /// Other requests meanwhile.
    Noise,
    /// Only the server that the client talks to.
    Outer,
    /// Nothing.
    Untraced,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mode = arguments.mode();
    if mode != Mode::Offline && !exec::is_root() {
        bail!(
            "the servers run in network namespaces and are traced: run \
             `sudo -E env PATH=\"$PATH\" cargo xtask verdicts`; without root, `--offline-only` \
             judges the captures in the repository"
        );
    }
    if mode != Mode::Untraced {
        build()?;
    }
    let stages = chosen(arguments)?;
    let capture = match arguments.hold {
        true => Capture::Hold,
        false => Capture::All,
    };
    let tools = Tools::below(&exec::target());
    let player = Player::new(mode, capture, tools, arguments.logs.clone())?;
    let mut table = Table::new(mode)?;
    let mut broken = Vec::new();
    for stage in &stages {
        if let Err(why) = player.play(stage, |played| table.add(stage, played)) {
            // The others' results are worth having.
            exec::say(&format!("verdicts: stage {}: {why:#}", stage.name))?;
            broken.push(stage.name.as_str());
        }
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, format!("{:#}\n", table.json()))
            .with_context(|| file.display().to_string())?;
    }
    let mut failures = table.totals()?;
    let whole = arguments.stage.is_empty() && arguments.scene.is_empty();
    let fewest = if mode == Mode::Outer { 1 } else { MIN_SCENES };
    if whole && table.scenes() < fewest {
        failures.push(format!("{} scenes, {fewest} are needed", table.scenes()));
    }
    if !broken.is_empty() {
        failures.push(format!("stages that did not play: {}", broken.join(", ")));
    }
    ensure!(
        failures.is_empty(),
        "not good enough: {}",
        failures.join("; ")
    );
    Ok(())
}

impl Arguments {
    const fn mode(&self) -> Mode {
        if self.untraced {
            Mode::Untraced
        } else if self.offline_only {
            Mode::Offline
        } else if self.outer_only {
            Mode::Outer
        } else if self.noise {
            Mode::Noise
        } else if self.update {
            Mode::Update
        } else {
            Mode::Quiet
        }
    }
}

/// The stages and scenes that were asked for.
fn chosen(arguments: &Arguments) -> Result<Vec<Stage>> {
    let mut stages = Stage::load_all(&exec::root().join("tests/stages"))?;
    for name in &arguments.stage {
        ensure!(
            stages.iter().any(|stage| stage.name == *name),
            "there is no stage {name:?}"
        );
    }
    if !arguments.stage.is_empty() {
        stages.retain(|stage| arguments.stage.contains(&stage.name));
    }
    if !arguments.scene.is_empty() {
        for stage in &mut stages {
            stage
                .scenes
                .retain(|scene| arguments.scene.contains(&scene.name));
        }
        stages.retain(|stage| !stage.scenes.is_empty());
    }
    ensure!(!stages.is_empty(), "no stage has such a scene");
    Ok(stages)
}

/// Builds the tool that is judged, unless `TRACER403_BIN` names one.
fn build() -> Result<()> {
    if std::env::var_os("TRACER403_BIN").is_some() {
        return Ok(());
    }
    exec::run(exec::cargo().args(["build", "--locked", "-p", "tracer403"]))
}
