//! The stages themselves: their servers refuse as their files say, and their captures are of
//! scenes that there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tracer_tests::{RunningStage, Stage, Tools};

#[test]
fn nginx_refuses_every_scene_of_its_stage() -> Result<()> {
    let stage = Stage::load(&stages().join("nginx"))?;
    // It needs neither Python nor Node.
    let running = RunningStage::start(&stage, &Tools::below(Path::new("/nowhere")))?;
    for scene in &stage.scenes {
        for request in &scene.before {
            let status = running.call(request, 0)?.status;
            ensure!(status == 200, "{}: before it: {status}", scene.name);
        }
        let answer = running.call(&scene.request, scene.client_port())?;
        ensure!(
            answer.status == scene.status,
            "{}: {answer:?}, not {}",
            scene.name,
            scene.status
        );
    }
    Ok(())
}

#[test]
fn every_capture_is_of_a_scene() -> Result<()> {
    for stage in Stage::load_all(&stages())? {
        let wanted: BTreeSet<String> = stage
            .scenes
            .iter()
            .map(|scene| format!("{}.pcapng", scene.name))
            .collect();
        let folder = stage.folder.join("captures");
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder)? {
            let name = entry?.file_name();
            let name = name.to_str().context("a name is not UTF-8")?;
            ensure!(wanted.contains(name), "{}: no scene is {name}", stage.name);
        }
    }
    Ok(())
}

fn stages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("stages")
}
