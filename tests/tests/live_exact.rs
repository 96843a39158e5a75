//! Ten thousand refusals: each is reported once, with the worker that answered and the client's
//! process, known exactly. Both attach points, nginx and Node, old and new connections, IPv4 and
//! IPv6, over loopback and between two namespaces.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use tracer_tests::{Answer, Client, ClientReport, Nginx, Node, Place, Scene, Session, Tracer};

const PORT: u16 = 8080;
const REQUESTS: u64 = 10_000;
/// Client processes: two for each IP version, one with old connections and one with new ones.
const CLIENTS: u64 = 4;

#[test]
fn nginx_by_cgroup() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, PORT, 4)?;
    ten_thousand(&scene, by_cgroup(&scene)?)
}

#[test]
fn nginx_by_interface() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, PORT, 4)?;
    ten_thousand(&scene, by_interface(&scene)?)
}

#[test]
fn node_cluster_by_cgroup() -> Result<()> {
    let scene = Scene::loopback()?;
    let _node = Node::start(&scene, PORT, 4)?;
    ten_thousand(&scene, by_cgroup(&scene)?)
}

#[test]
fn node_cluster_by_interface() -> Result<()> {
    let scene = Scene::loopback()?;
    let _node = Node::start(&scene, PORT, 4)?;
    ten_thousand(&scene, by_interface(&scene)?)
}

#[test]
fn between_namespaces_by_cgroup() -> Result<()> {
    let scene = Scene::veth()?;
    let _nginx = Nginx::start(&scene, PORT, 4)?;
    ten_thousand(&scene, by_cgroup(&scene)?)
}

#[test]
fn between_namespaces_by_interface() -> Result<()> {
    let scene = Scene::veth()?;
    let _nginx = Nginx::start(&scene, PORT, 4)?;
    ten_thousand(&scene, by_interface(&scene)?)
}

#[test]
fn held_in_the_kernel_by_cgroup() -> Result<()> {
    let scene = Scene::loopback()?;
    let path = scene.cgroup().path().to_str().context("path")?;
    held(&scene, Place::here(), &["--cgroup", path])
}

#[test]
fn held_in_the_kernel_by_interface() -> Result<()> {
    let scene = Scene::veth()?;
    let place = Place::in_netns(scene.server_netns());
    held(
        &scene,
        place,
        &["-i", scene.interface(), "--capture", "hold"],
    )
}

#[test]
fn every_packet_by_cgroup() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, PORT, 4)?;
    let path = scene.cgroup().path().to_str().context("path")?;
    let arguments = ["-p", "8080", "--cgroup", path, "--capture", "all"];
    ten_thousand(&scene, Tracer::start(Place::here(), arguments)?)
}

/// In the kernel every request is held until its answer is known: refusals are reported as before,
/// with half as many requests that pass beside them, which are let go.
fn held(scene: &Scene, place: Place, way: &[&str]) -> Result<()> {
    let _nginx = Nginx::start(scene, PORT, 4)?;
    let arguments = [&["-p", "8080"], way].concat();
    let tracer = Tracer::start(place, arguments)?;
    // New connections of two processes could have the same ports one after the other, and at an
    // interface nothing else tells the client.
    let passed = start(scene, &["keep-alive"], "ok-", "/ok")?;
    let reports = send(scene)?;
    passed.into_iter().try_for_each(|c| c.finish().map(drop))?;
    check(&reports, &tracer.stop()?).with_context(|| way.join(" "))
}

/// A tracer outside the namespaces, as on a host with containers.
fn by_cgroup(scene: &Scene) -> Result<Tracer> {
    let path = scene.cgroup().path().to_str().context("path")?;
    Tracer::start(Place::here(), ["-p", "8080", "--cgroup", path])
}

fn by_interface(scene: &Scene) -> Result<Tracer> {
    let place = Place::in_netns(scene.server_netns());
    Tracer::start(place, ["-p", "8080", "-i", scene.interface()])
}

fn ten_thousand(scene: &Scene, tracer: Tracer) -> Result<()> {
    let reports = send(scene)?;
    check(&reports, &tracer.stop()?)
}

fn send(scene: &Scene) -> Result<Vec<ClientReport>> {
    let clients = start(scene, &["keep-alive", "close"], "", "/")?;
    clients.into_iter().map(Client::finish).collect()
}

fn start(scene: &Scene, shapes: &[&str], prefix: &str, path: &str) -> Result<Vec<Client>> {
    let requests = format!("--requests={}", REQUESTS / CLIENTS);
    let mut clients = Vec::new();
    for (version, address) in scene.addresses(PORT).iter().enumerate() {
        let to = address.to_string();
        for shape in shapes {
            let prefix = format!("--prefix={prefix}{version}-{shape}");
            let shape = format!("--shape={shape}");
            let path = format!("--path={path}");
            let plan = [
                "--to",
                &to,
                &requests,
                "--connections=4",
                &shape,
                &prefix,
                &path,
            ];
            clients.push(Client::start(scene.client_place(), &plan)?);
        }
    }
    Ok(clients)
}

fn check(reports: &[ClientReport], session: &Session) -> Result<()> {
    let mut truth: BTreeMap<&str, (u32, &Answer)> = BTreeMap::new();
    for report in reports {
        truth.extend(
            report
                .answers
                .iter()
                .map(|a| (a.id.as_str(), (report.pid, a))),
        );
    }
    ensure!(
        truth.len() as u64 == REQUESTS,
        "{} answers came",
        truth.len()
    );
    ensure!(
        session.lost() == 0,
        "records were lost: {}; a larger --ring-size is needed",
        session.summary
    );
    let cases = session.by_request_id()?;
    let missing: Vec<_> = truth
        .keys()
        .filter(|id| !cases.contains_key(*id))
        .take(5)
        .collect();
    ensure!(
        cases.len() == truth.len() && missing.is_empty(),
        "{} cases for {} answers; missing: {missing:?}; {}",
        cases.len(),
        truth.len(),
        session.summary
    );
    for (id, case) in &cases {
        let (client, answer) = truth
            .get(id)
            .with_context(|| format!("{id} was never sent"))?;
        ensure!(case.status() == Some(403), "{id}: {case:?}");
        ensure!(
            case.response_header("x-request-id") == Some(id),
            "wrong pair: {case:?}"
        );
        let owner =
            |end: Option<tracer_tests::Owner<'_>>| end.map(|o| (o.pid, o.quality.to_owned()));
        let exact = |pid: u32| Some((u64::from(pid), "exact".to_owned()));
        ensure!(
            owner(case.server()) == exact(answer.worker),
            "{id}, server: {case:?}"
        );
        ensure!(
            owner(case.client()) == exact(*client),
            "{id}, client {client}: {case:?}"
        );
    }
    Ok(())
}
