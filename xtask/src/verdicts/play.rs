//! Playing the scenes of a stage, and what the tool said of each.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;
use tracer_tests::{Place, Read, RunningStage, Server, Session, Stage, StageScene, Tools, Tracer};

use crate::verdicts::claim::{Claim, pick, verdict};
use crate::verdicts::noise::Noise;
use crate::verdicts::{Capture, Mode};

/// What a server logs of a request comes after its answer; nobody interrupts the tool so fast.
const AFTERWARDS: Duration = Duration::from_millis(100);

/// Plays stages in one way.
pub(crate) struct Player {
    mode: Mode,
    capture: Capture,
    tools: Tools,
    /// Where to copy the servers' logs.
    logs: Option<PathBuf>,
    /// For the files that the tracer writes.
    scratch: TempDir,
}

/// What came of a scene.
pub(crate) struct Played<'a> {
    pub(crate) scene: &'a StageScene,
    /// What the client got; `None` where no server ran.
    pub(crate) status: Option<u16>,
    /// What the requests before it got.
    pub(crate) before: Vec<u16>,
    /// The verdicts of the case, each `null` where there is none.
    pub(crate) live: Option<Value>,
    pub(crate) read_back: Option<Value>,
    pub(crate) capture: Option<Value>,
    /// What else went wrong.
    pub(crate) fault: Option<String>,
}

impl<'a> Played<'a> {
    const fn new(scene: &'a StageScene) -> Self {
        Self {
            scene,
            status: None,
            before: Vec::new(),
            live: None,
            read_back: None,
            capture: None,
            fault: None,
        }
    }

    /// The verdict that is judged.
    pub(crate) fn verdict(&self) -> &Value {
        let first = self.live.as_ref().or(self.capture.as_ref());
        first.unwrap_or(&Value::Null)
    }

    /// Whether the same traffic gave two different verdicts, in whatever it says; or traffic of
    /// another day, which has other process ids and times, another conclusion.
    pub(crate) fn differs(&self) -> bool {
        let Some(live) = &self.live else {
            return false;
        };
        let conclusion = |verdict| Claim {
            advice: String::new(),
            ..Claim::of_verdict(verdict)
        };
        let same = self.read_back.as_ref().is_none_or(|read| read == live);
        let capture = self.capture.as_ref();
        let alike = capture.is_none_or(|capture| conclusion(capture) == conclusion(live));
        !(same && alike)
    }
}

impl Player {
    pub(crate) fn new(
        mode: Mode,
        capture: Capture,
        tools: Tools,
        logs: Option<PathBuf>,
    ) -> Result<Self> {
        Ok(Self {
            mode,
            capture,
            tools,
            logs,
            scratch: TempDir::with_prefix("tracer403-verdicts-")?,
        })
    }

    /// Plays every scene of a stage; a scene that fails does not end the stage.
    ///
    /// # Errors
    /// Where a server does not come up, or `each` fails.
    pub(crate) fn play(
        &self,
        stage: &Stage,
        mut each: impl FnMut(Played<'_>) -> Result<()>,
    ) -> Result<()> {
        if self.mode == Mode::Offline {
            for scene in &stage.scenes {
                let mut played = Played::new(scene);
                self.judge_capture(stage, &mut played);
                each(played)?;
            }
            return Ok(());
        }
        let shown = |scene: &&StageScene| {
            let first = stage.server(&scene.request.to);
            self.mode != Mode::Outer
                || (stage.servers.len() > 1 && first.is_ok_and(|s| s.traced && s.inside))
        };
        if !stage.scenes.iter().any(|scene| shown(&scene)) {
            return Ok(());
        }
        let running = RunningStage::start(stage, &self.tools)?;
        let noise = (self.mode == Mode::Noise).then(|| Noise::prepare(&running, stage));
        for scene in stage.scenes.iter().filter(shown) {
            let mut played = Played::new(scene);
            if let Err(why) = self.play_scene(stage, &running, noise.as_ref(), &mut played) {
                played.fault = Some(format!("{why:#}"));
            }
            each(played)?;
        }
        if let Some(logs) = &self.logs {
            copy_logs(&running, &logs.join(&stage.name))?;
        }
        Ok(())
    }

    fn play_scene(
        &self,
        stage: &Stage,
        running: &RunningStage,
        noise: Option<&Noise>,
        played: &mut Played<'_>,
    ) -> Result<()> {
        if self.mode == Mode::Untraced {
            return send(running, played);
        }
        let scene = played.scene;
        let file = self.scratch.path().join("scene.pcapng");
        let tracer = self.tracer(stage, scene, running, &file)?;
        let sent = match noise {
            Some(noise) => noise.around(running, || send(running, played)),
            None => send(running, played),
        };
        std::thread::sleep(AFTERWARDS);
        let session = tracer.stop()?;
        sent?;
        let case = about(scene, &session);
        let first = stage.server(&scene.request.to)?;
        if case.is_none() && first.traced && (first.inside || first.called_from_inside) {
            played.fault = Some(format!("no case: {}", session.summary));
        }
        played.live = Some(verdict(case));
        played.read_back = Some(verdict(about(scene, &read(&file, scene)?)));
        match self.mode {
            Mode::Update => {
                let capture = capture(stage, scene);
                let folder = capture.parent().context("it has no folder")?;
                std::fs::create_dir_all(folder)?;
                let bytes = self.without_places_of_this_machine(std::fs::read(&file)?)?;
                std::fs::write(&capture, bytes)?;
            }
            Mode::Quiet => self.judge_capture(stage, played),
            _ => {}
        }
        Ok(())
    }

    /// A capture names the executables of both ends; where they lie on this machine is nobody's
    /// business. The names keep their length, as the blocks of the file have lengths.
    fn without_places_of_this_machine(&self, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        let python = std::fs::canonicalize(&self.tools.python);
        for place in [std::env::current_exe(), python].into_iter().flatten() {
            let name = place.file_name().context("a program without a name")?;
            let plain = Path::new("/usr/bin").join(name);
            let (place, plain) = (place.as_os_str().as_bytes(), plain.as_os_str().as_bytes());
            let Some(missing) = place.len().checked_sub(plain.len()) else {
                continue;
            };
            // Any number of slashes is one.
            let plain = [vec![b'/'; missing].as_slice(), plain].concat();
            let at: Vec<usize> = memchr::memmem::find_iter(&bytes, place).collect();
            for at in at {
                if let Some(found) = bytes.get_mut(at..at + place.len()) {
                    found.copy_from_slice(&plain);
                }
            }
        }
        Ok(bytes)
    }

    fn tracer(
        &self,
        stage: &Stage,
        scene: &StageScene,
        running: &RunningStage,
        file: &Path,
    ) -> Result<Tracer> {
        let traced = |server: &&Server| {
            let wanted = self.mode != Mode::Outer || server.role == scene.request.to;
            wanted && server.traced && server.port != 0
        };
        let ports: Vec<String> = stage
            .servers
            .iter()
            .filter(traced)
            .map(|server| server.port.to_string())
            .collect();
        let ports = ports.join(",");
        let (cgroup, file) = (text(running.cgroup())?, text(file)?);
        Tracer::start(
            Place::here(),
            [
                "-p",
                &ports,
                "--cgroup",
                cgroup,
                "-w",
                file,
                "--method",
                &scene.request.method,
                "--capture",
                match self.capture {
                    Capture::All => "all",
                    Capture::Hold => "hold",
                },
            ],
        )
    }

    /// Judges the capture in the repository.
    fn judge_capture(&self, stage: &Stage, played: &mut Played<'_>) {
        let file = capture(stage, played.scene);
        let session = if file.is_file() {
            read(&file, played.scene)
        } else {
            Err(anyhow::anyhow!(
                "{} is missing: `--update` makes it",
                file.display()
            ))
        };
        match session {
            Ok(session) => {
                played.capture = Some(verdict(about(played.scene, &session)));
            }
            Err(why) => played.fault = Some(format!("{why:#}")),
        }
    }
}

/// The case of a session that is about a scene's request.
fn about<'a>(scene: &StageScene, session: &'a Session) -> Option<&'a Value> {
    pick(session, scene.client_port(), &scene.request.path)
}

/// Sends what comes before, then the request.
fn send(running: &RunningStage, played: &mut Played<'_>) -> Result<()> {
    let scene = played.scene;
    for request in &scene.before {
        played.before.push(running.call(request, 0)?.status);
    }
    let answer = running.call(&scene.request, scene.client_port())?;
    played.status = Some(answer.status);
    Ok(())
}

fn copy_logs(running: &RunningStage, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(running.directory())? {
        let path = entry?.path();
        let is_log = path.extension().is_some_and(|e| e == "log" || e == "out");
        if let (true, Some(name)) = (is_log, path.file_name()) {
            std::fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

fn read(file: &Path, scene: &StageScene) -> Result<Session> {
    Read::session(&[text(file)?, "--method", &scene.request.method])
}

fn capture(stage: &Stage, scene: &StageScene) -> PathBuf {
    let name = format!("captures/{}.pcapng", scene.name);
    stage.folder.join(name)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path is not UTF-8")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tracer_tests::StageScene;

    use super::Played;

    #[test]
    fn read_back_it_must_be_the_same_and_on_another_day_alike() {
        let scene: StageScene = toml::from_str(
            r#"
name = "refused"
about = "It is refused."
request = { path = "/" }
truth = { issuer = "edge", handling = "issued", cause = ["nginx-deny"] }
"#,
        )
        .unwrap();
        let verdict = |cause: &str, pid: u32| json!({"cause": cause, "confidence": "likely", "reasons": [format!("pid {pid}")]});
        let differs = |live: &Value, read_back: &Value, capture: &Value| {
            Played {
                live: Some(live.clone()),
                read_back: Some(read_back.clone()),
                capture: Some(capture.clone()),
                ..Played::new(&scene)
            }
            .differs()
        };
        let (one, two) = (verdict("nginx-deny", 1), verdict("nginx-deny", 2));
        assert!(!differs(&one, &one, &two));
        assert!(differs(&one, &two, &one));
        assert!(differs(&one, &one, &verdict("waf-block", 1)));
    }
}
