//! However the tracer ends, nothing stays behind and what it wrote is whole.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tracer_tests::{
    BpfObjects, Client, Deadline, Nginx, Place, Read, Scene, Session, Tracer, tracer_binary,
};

const PORT: u16 = 8080;

#[test]
fn a_killed_tracer_leaves_nothing_on_a_cgroup() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, PORT, 2)?;
    let tracer = Tracer::start(Place::here(), on_cgroup(&scene)?)?;
    kill_under_load(&scene, tracer)
}

#[test]
fn a_killed_tracer_leaves_nothing_on_an_interface() -> Result<()> {
    let scene = Scene::veth()?;
    let _nginx = Nginx::start(&scene, PORT, 2)?;
    let before = scene.server_netns().qdiscs("server0")?;
    let place = Place::in_netns(scene.server_netns());
    let tracer = Tracer::start(place, ["-p", "8080", "-i", "server0"])?;
    kill_under_load(&scene, tracer)?;
    ensure!(
        before == scene.server_netns().qdiscs("server0")?,
        "a qdisc stays"
    );
    Ok(())
}

#[test]
fn an_interrupted_tracer_closes_every_output() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, PORT, 2)?;
    let directory = tempfile::tempdir()?;
    let (json, pcapng) = outputs(directory.path());
    let tracer = Tracer::start(Place::here(), with_outputs(&scene, &json, &pcapng)?)?;
    let report = post(&scene, 100)?;
    let session = tracer.stop()?;
    ensure!(
        report == 100 && session.cases.len() == 100,
        "{}",
        session.summary
    );
    let written = Session::parse(&std::fs::read_to_string(&json)?)?;
    ensure!(
        written.cases.len() == 100,
        "{} cases in the file",
        written.cases.len()
    );
    let recorded = Read::session(&[pcapng.to_str().context("path")?])?;
    ensure!(
        recorded.cases.len() == 100,
        "{} cases recorded",
        recorded.cases.len()
    );
    tshark_accepts(&pcapng)
}

#[test]
fn a_full_disk_ends_with_a_message_and_valid_files() -> Result<()> {
    for full in ["json", "pcapng"] {
        let scene = Scene::loopback()?;
        let _nginx = Nginx::start(&scene, PORT, 2)?;
        let (small, roomy) = (SmallDisk::mount()?, tempfile::tempdir()?);
        let place = |what: &str| {
            if what == full {
                small.path()
            } else {
                roomy.path()
            }
        };
        let (json, _) = outputs(place("json"));
        let (_, pcapng) = outputs(place("pcapng"));
        let tracer = Tracer::start(Place::here(), with_outputs(&scene, &json, &pcapng)?)?;
        post(&scene, 2_000)?;
        let finished = tracer.finish()?;
        ensure!(finished.code == Some(1), "ended with {:?}", finished.code);
        let file = if full == "json" { &json } else { &pcapng };
        let name = file.to_str().context("path")?;
        let told = finished.errors.contains(name) && finished.errors.contains("space");
        ensure!(told, "no word of {name} or of space: {}", finished.errors);
        if full == "json" {
            Session::parse_unfinished(&std::fs::read_to_string(&json)?)?;
        } else {
            ensure!(
                !Read::session(&[name])?.cases.is_empty(),
                "nothing recorded"
            );
            tshark_accepts(&pcapng)?;
        }
    }
    Ok(())
}

#[test]
fn a_closed_pipe_ends_the_tracer() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, PORT, 2)?;
    let directory = tempfile::tempdir()?;
    let (_, pcapng) = outputs(directory.path());
    let mut arguments = on_cgroup(&scene)?;
    arguments.extend(["-w".to_owned(), pcapng.to_str().context("path")?.to_owned()]);
    let mut tracer = Tracer::start_unread(Place::here(), arguments)?;
    let mut line = String::new();
    BufReader::new(tracer.take_output()?).read_line(&mut line)?;
    ensure!(line.contains("\"start\""), "first line: {line}");
    post(&scene, 500)?;
    let finished = tracer.finish()?;
    ensure!(finished.code.is_some(), "ended by a signal, not in order");
    tshark_accepts(&pcapng)?;
    Read::session(&[pcapng.to_str().context("path")?]).map(drop)
}

#[test]
fn count_and_duration_end_the_tracer() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, PORT, 2)?;
    let mut arguments = on_cgroup(&scene)?;
    arguments.extend(["--count".to_owned(), "3".to_owned()]);
    let tracer = Tracer::start(Place::here(), arguments)?;
    post(&scene, 20)?;
    let finished = tracer.finish()?;
    let session = Session::parse(&finished.output)?;
    ensure!(
        finished.code == Some(0) && session.cases.len() == 3,
        "{}",
        finished.errors
    );

    let mut arguments = on_cgroup(&scene)?;
    arguments.extend(["--duration".to_owned(), "1s".to_owned()]);
    let finished = Tracer::start(Place::here(), arguments)?.finish()?;
    ensure!(finished.code == Some(0), "{}", finished.errors);
    Ok(())
}

#[test]
fn what_cannot_be_attached_is_an_error_that_says_so() -> Result<()> {
    let no_interface = refused(&["live", "-i", "no-such-if"])?;
    ensure!(no_interface.contains("no-such-if"), "{no_interface}");
    let no_cgroup = refused(&["live", "--cgroup", "/sys/fs/cgroup/no/such/group"])?;
    ensure!(no_cgroup.contains("/no/such/group"), "{no_cgroup}");
    Ok(())
}

#[test]
fn without_root_the_missing_capabilities_are_named() -> Result<()> {
    /// The user `nobody`, who owns nothing.
    const NOBODY: u32 = 65534;
    let directory = tempfile::tempdir()?;
    let binary = copy_for_anybody(directory.path())?;
    let mut command = Place::here().command(&binary);
    command
        .args(["live", "--duration", "1s"])
        .uid(NOBODY)
        .gid(NOBODY);
    let output = command.current_dir("/").output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(1),
        "{}: {errors}",
        output.status
    );
    let named = ["CAP_BPF", "CAP_NET_ADMIN"]
        .iter()
        .all(|c| errors.to_uppercase().contains(c));
    ensure!(named, "no word of the capabilities: {errors}");
    Ok(())
}

#[test]
fn three_capabilities_are_enough() -> Result<()> {
    let scene = Scene::loopback()?;
    let directory = tempfile::tempdir()?;
    let binary = copy_for_anybody(directory.path())?;
    let only = "-all,+bpf,+perfmon,+net_admin";
    let mut command = Place::here().command(Path::new("setpriv"));
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(format!("--inh-caps={only}"))
        .arg(format!("--ambient-caps={only}"))
        .arg(format!("--bounding-set={only}"))
        .arg(&binary)
        .args(["live", "--duration", "1s", "--cgroup"])
        .arg(scene.cgroup().path());
    let output = command.current_dir("/").output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.code() == Some(0),
        "{}: {errors}",
        output.status
    );
    ensure!(
        errors.contains("CAP_SYS_PTRACE"),
        "no word of what is not seen: {errors}"
    );
    Ok(())
}

/// A copy of the tool that every user can run: the build may lie where nobody else may look.
fn copy_for_anybody(directory: &Path) -> Result<PathBuf> {
    std::fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    let binary = directory.join("tracer403");
    // By another process: a test beside this one that forks now would keep the copy open for
    // writing, and then it cannot be run.
    let copied = std::process::Command::new("cp")
        .arg(tracer_binary()?)
        .arg(&binary)
        .status()?;
    ensure!(copied.success(), "cp: {copied}");
    Ok(binary)
}

fn refused(arguments: &[&str]) -> Result<String> {
    let mut command = Place::here().command(tracer_binary()?);
    let output = command
        .args(arguments)
        .args(["--duration", "1s"])
        .output()?;
    ensure!(
        matches!(output.status.code(), Some(1 | 2)),
        "{}",
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn kill_under_load(scene: &Scene, tracer: Tracer) -> Result<()> {
    let objects = BpfObjects::of_process(tracer.pid())?;
    let [to, _] = scene.addresses(PORT).map(|a| a.to_string());
    let plan = ["--to", &to, "--hold", "--connections=4", "--requests=4000"];
    let mut client = Client::start(scene.client_place(), &plan)?;
    client.wait_until_held()?;
    tracer.kill()?;
    objects.wait_until_gone()?;
    client.finish().map(drop)
}

fn post(scene: &Scene, requests: usize) -> Result<usize> {
    let [to, _] = scene.addresses(PORT).map(|a| a.to_string());
    let requests = format!("--requests={requests}");
    let plan = ["--to", &to, &requests, "--connections=4"];
    Ok(Client::run(scene.client_place(), &plan)?.answers.len())
}

fn on_cgroup(scene: &Scene) -> Result<Vec<String>> {
    let cgroup = scene.cgroup().path().to_str().context("path")?;
    Ok(["-p", "8080", "--cgroup", cgroup]
        .map(str::to_owned)
        .to_vec())
}

fn with_outputs(scene: &Scene, json: &Path, pcapng: &Path) -> Result<Vec<String>> {
    let mut arguments = on_cgroup(scene)?;
    for (flag, path) in [("-o", json), ("-w", pcapng)] {
        arguments.extend([flag.to_owned(), path.to_str().context("path")?.to_owned()]);
    }
    Ok(arguments)
}

fn outputs(directory: &Path) -> (PathBuf, PathBuf) {
    (
        directory.join("cases.jsonl"),
        directory.join("cases.pcapng"),
    )
}

/// The file is one that tshark reads without a word of complaint.
fn tshark_accepts(file: &Path) -> Result<()> {
    let mut command = Place::here().command("tshark");
    let output = command
        .args(["-n", "-q", "-r"])
        .arg(file)
        .output()
        .context("tshark")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<_> = errors
        .lines()
        .filter(|l| !l.starts_with("Running as user"))
        .collect();
    ensure!(
        output.status.success() && complaints.is_empty(),
        "tshark: {complaints:?}"
    );
    Ok(())
}

/// A file system with room for 64 KiB.
struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().to_str().context("path")?;
        let options = ["-t", "tmpfs", "-o", "size=64k", "tracer403-lab", path];
        Place::here().output("mount", &options)?;
        Ok(Self { directory })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let path = self.directory.path().to_string_lossy().into_owned();
        let unmounted = Deadline::usual().wait_for("the small disk is unmounted", || {
            Ok(Place::here().output("umount", &[&path]).ok().map(drop))
        });
        if let Err(why) = unmounted {
            eprintln!("lab: {path} stays mounted: {why:#}");
        }
    }
}
