//! The shapes in which a POST is refused in the field, live, with real servers: each is a case
//! with the right pair.

use anyhow::{Context, Result, ensure};
use tracer_tests::{
    BpfObjects, CLIENT_V4, Case, Client, ClientReport, Deadline, Netns, Nginx, Node, Place,
    SERVER_V4, Scene, Session, Tracer,
};

const NGINX: u16 = 8080;
const NODE: u16 = 8081;
/// Requests of each shape, over IPv4 and IPv6, to nginx and to Node.
const EACH: usize = 8;

#[test]
fn an_upload_refused_at_once_is_reported_before_its_body_is_complete() -> Result<()> {
    for mode in [ALL, HOLD] {
        let session = captured(
            &["--shape=upload", "--path=/upload", "--body=50000000"],
            mode,
        )?;
        for case in &session.cases {
            ensure!(case.has_anomaly("early_response"), "not early: {case:?}");
        }
    }
    Ok(())
}

#[test]
fn an_expectation_that_is_refused_is_reported() -> Result<()> {
    let session = all_ways(&["--shape=expect", "--body=100000"])?;
    for case in &session.cases {
        ensure!(
            case.request_header("expect") == Some("100-continue"),
            "{case:?}"
        );
    }
    Ok(())
}

#[test]
fn a_chunked_upload_is_reported() -> Result<()> {
    let session = all_ways(&["--shape=chunked", "--body=4096"])?;
    for case in &session.cases {
        ensure!(
            case.request_header("transfer-encoding") == Some("chunked"),
            "{case:?}"
        );
    }
    Ok(())
}

#[test]
fn pipelined_requests_are_reported_each_with_its_answer() -> Result<()> {
    all_ways(&["--shape=pipelined", "--depth=4"]).map(drop)
}

#[test]
fn as_much_of_a_request_is_kept_as_is_asked_for() -> Result<()> {
    const BODY: u64 = 10_000;
    for (bytes, is_whole) in [("1KiB", false), ("16KiB", true)] {
        let body = format!("--body={BODY}");
        let session = captured(&[&body], &["--hold-bytes", bytes])?;
        for case in &session.cases {
            // nginx answers before the body is there, and what comes after that is not held.
            if case.request_id().is_none_or(|id| id.starts_with('n')) {
                continue;
            }
            let count = |name: &str| {
                let count = case.0.pointer("/request/body")?.get(name)?;
                count.as_u64()
            };
            let (seen, skipped) = (count("seen_bytes"), count("skipped_bytes"));
            let left_out = seen.and_then(|seen| BODY.checked_sub(seen));
            ensure!(
                (left_out == Some(0)) == is_whole && left_out == skipped,
                "{bytes}: {case:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn an_answer_of_a_megabyte_is_reported() -> Result<()> {
    all_ways(&["--shape=keep-alive", "--path=/big"]).map(drop)
}

#[test]
fn a_refusal_whose_client_resets_is_reported() -> Result<()> {
    all_ways(&["--shape=reset"]).map(drop)
}

#[test]
fn connections_that_were_open_before_the_tracer_are_reported() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, NGINX, 2)?;
    let _node = Node::start(&scene, NODE, 2)?;
    let mut clients = Vec::new();
    for (name, address) in addresses(&scene) {
        let to = address.to_string();
        let prefix = format!("--prefix={name}");
        // The first answer on each of the two connections comes before the tracer looks.
        let plan = [
            "--to",
            &to,
            &prefix,
            "--hold",
            "--connections=2",
            "--requests=8",
        ];
        let mut client = Client::start(scene.client_place(), &plan)?;
        client.wait_until_held()?;
        clients.push(client);
    }
    let tracer = trace(&scene)?;
    let reports = clients
        .into_iter()
        .map(Client::finish)
        .collect::<Result<Vec<_>>>()?;
    let session = tracer.stop()?;
    let held = |id: &str| id.ends_with("-0") || id.ends_with("-4");
    check(&session, &reports, |id| !held(id))
}

#[test]
fn clients_that_are_gone_at_once_are_named() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, NGINX, 2)?;
    let tracer = trace(&scene)?;
    let [to, _] = scene.addresses(NGINX).map(|a| a.to_string());
    let mut reports = Vec::new();
    for number in 0..100 {
        let prefix = format!("--prefix=short{number}");
        reports.push(Client::run(scene.client_place(), &["--to", &to, &prefix])?);
    }
    check(&tracer.stop()?, &reports, |_| true)
}

#[test]
fn an_interface_that_appears_later_is_traced() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, NGINX, 2)?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("cases.jsonl");
    let arguments = [
        "-p",
        "8080",
        "-i",
        "any",
        "-o",
        file.to_str().context("path")?,
    ];
    let tracer = Tracer::start(Place::in_netns(scene.server_netns()), arguments)?;

    let elsewhere = Netns::new()?;
    scene.server_netns().join("late0", &elsewhere, "late1")?;
    scene
        .server_netns()
        .address("late0", &format!("{SERVER_V4}/24"))?;
    elsewhere.address("late1", &format!("{CLIENT_V4}/24"))?;
    let to = format!("{SERVER_V4}:{NGINX}");
    // When the tracer has noticed the interface, only a case can tell.
    Deadline::usual().wait_for("a case over the new interface", || {
        Client::run(Place::inside(&elsewhere, scene.cgroup()), &["--to", &to])?;
        let seen = std::fs::read_to_string(&file)?.contains(&CLIENT_V4.to_string());
        Ok(seen.then_some(()))
    })?;
    let session = tracer.stop()?;
    ensure!(
        session.cases.iter().all(|c| c.status() == Some(403)),
        "{:?}",
        session.cases
    );
    Ok(())
}

#[test]
fn requests_that_are_not_refused_are_no_cases() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, NGINX, 2)?;
    let tracer = trace(&scene)?;
    let [to, _] = scene.addresses(NGINX).map(|a| a.to_string());
    Client::run(
        scene.client_place(),
        &["--to", &to, "--path=/ok", "--requests=50"],
    )?;
    Client::run(
        scene.client_place(),
        &["--to", &to, "--path=/deny", "--prefix=denied"],
    )?;
    let session = tracer.stop()?;
    let ids: Vec<_> = session.cases.iter().map(Case::request_id).collect();
    ensure!(ids == [Some("denied-0")], "{ids:?}");
    Ok(())
}

#[test]
fn what_nobody_asks_for_is_let_go_though_it_is_an_error() -> Result<()> {
    for filter in [["--status", "418"], ["--method", "PUT"]] {
        let scene = Scene::loopback()?;
        let _nginx = Nginx::start(&scene, NGINX, 2)?;
        let tracer = trace_in(&scene, &filter)?;
        let [to, _] = scene.addresses(NGINX).map(|a| a.to_string());
        Client::run(scene.client_place(), &["--to", &to, "--requests=50"])?;
        let session = tracer.stop()?;
        let let_go = session.summary.pointer("/held/let_go");
        ensure!(
            session.cases.is_empty() && let_go == Some(&50.into()),
            "{filter:?}: {}",
            session.summary
        );
    }
    Ok(())
}

#[test]
fn what_passed_is_shipped_only_where_a_refusal_may_be_compared_with_it() -> Result<()> {
    for (method, may_be) in [("POST", true), ("PUT", false)] {
        let scene = Scene::loopback()?;
        let _nginx = Nginx::start(&scene, NGINX, 2)?;
        let tracer = trace_in(&scene, &["--method", method])?;
        let [to, _] = scene.addresses(NGINX).map(|a| a.to_string());
        let requests = ["--to", &to, "--path=/ok", "--requests=50"];
        Client::run(scene.client_place(), &requests)?;
        let session = tracer.stop()?;
        let [sampled, let_go] = ["sampled", "let_go"].map(|name| {
            let count = session.summary.pointer(&format!("/held/{name}"));
            count.and_then(serde_json::Value::as_u64).unwrap_or(0)
        });
        ensure!(
            (sampled > 0) == may_be && sampled + let_go == 50,
            "{method}: {sampled} and {let_go}"
        );
    }
    Ok(())
}

#[test]
fn a_recorded_session_reads_back_as_the_same_cases() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, NGINX, 2)?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("session.pcapng");
    let file = file.to_str().context("path")?;
    let cgroup = scene.cgroup().path().to_str().context("path")?;
    let tracer = Tracer::start(
        Place::here(),
        ["-p", "8080,8081", "--cgroup", cgroup, "-w", file],
    )?;
    let [v4, v6] = scene.addresses(NGINX).map(|a| a.to_string());
    Client::run(
        scene.client_place(),
        &["--to", &v4, "--requests=20", "--prefix=four"],
    )?;
    let plan = [
        "--to",
        &v6,
        "--requests=20",
        "--prefix=six",
        "--shape=close",
    ];
    Client::run(scene.client_place(), &plan)?;
    let live = tracer.stop()?;
    let read = tracer_tests::Read::session(&[file])?;
    let told = |session: &Session| -> Vec<_> {
        let mut told: Vec<_> = session
            .cases
            .iter()
            .map(|c| {
                let pid = |o: Option<tracer_tests::Owner<'_>>| o.map(|o| o.pid);
                (
                    c.request_id().map(str::to_owned),
                    c.status(),
                    pid(c.client()),
                    pid(c.server()),
                )
            })
            .collect();
        told.sort();
        told
    };
    ensure!(live.cases.len() == 40, "{} cases live", live.cases.len());
    ensure!(
        told(&live) == told(&read),
        "live {:?}\nread {:?}",
        told(&live),
        told(&read)
    );
    Ok(())
}

/// There is room for eight.
#[test]
fn more_connections_than_can_be_held_are_reported() -> Result<()> {
    let session = captured(&["--shape=close"], &["--hold-connections", "1"])?;
    let connections = session.cases.len();
    ensure!(connections == 4 * EACH, "{connections} connections");
    Ok(())
}

#[test]
fn the_probes_go_with_the_tracer() -> Result<()> {
    let scene = Scene::loopback()?;
    let tracer = trace(&scene)?;
    let objects = BpfObjects::of_process(tracer.pid())?;
    tracer.stop()?;
    objects.wait_until_gone()
}

/// Runs one kind of request against both servers over both IP versions and checks the pairs; with
/// requests held in the kernel, and with every packet captured.
fn all_ways(plan: &[&str]) -> Result<Session> {
    captured(plan, HOLD)?;
    captured(plan, ALL)
}

/// The default.
const HOLD: &[&str] = &[];
const ALL: &[&str] = &["--capture", "all"];

fn captured(plan: &[&str], mode: &[&str]) -> Result<Session> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, NGINX, 2)?;
    let _node = Node::start(&scene, NODE, 2)?;
    let tracer = trace_in(&scene, mode)?;
    let mut reports = Vec::new();
    for (name, address) in addresses(&scene) {
        let to = address.to_string();
        let prefix = format!("--prefix={name}");
        let requests = format!("--requests={EACH}");
        let mut all = vec!["--to", &to, &prefix, &requests];
        all.extend(plan);
        reports.push(Client::run(scene.client_place(), &all)?);
    }
    let session = tracer.stop()?;
    check(&session, &reports, |_| true).with_context(|| format!("{mode:?}"))?;
    Ok(session)
}

fn addresses(scene: &Scene) -> Vec<(&'static str, std::net::SocketAddr)> {
    let [nginx4, nginx6] = scene.addresses(NGINX);
    let [node4, node6] = scene.addresses(NODE);
    vec![("n4", nginx4), ("n6", nginx6), ("j4", node4), ("j6", node6)]
}

fn trace(scene: &Scene) -> Result<Tracer> {
    trace_in(scene, HOLD)
}

fn trace_in(scene: &Scene, mode: &[&str]) -> Result<Tracer> {
    let cgroup = scene.cgroup().path().to_str().context("path")?;
    let arguments = ["-p", "8080,8081", "--cgroup", cgroup];
    Tracer::start(Place::here(), [&arguments, mode].concat())
}

/// Every answer whose id is `due` is a case with the right pair and owners, and nothing else is.
fn check(session: &Session, reports: &[ClientReport], due: impl Fn(&str) -> bool) -> Result<()> {
    let cases = session.by_request_id()?;
    let mut count = 0;
    for report in reports {
        for answer in report.answers.iter().filter(|a| due(&a.id)) {
            let id = answer.id.as_str();
            let case = cases
                .get(id)
                .with_context(|| format!("{id} is not reported: {}", session.summary))?;
            ensure!(
                case.method() == Some("POST") && case.status() == Some(403),
                "{case:?}"
            );
            let worker = answer.worker.to_string();
            let answered_by = case.response_header("x-worker");
            ensure!(
                answered_by == Some(worker.as_str()),
                "{id}: wrong pair: {case:?}"
            );
            let pid = case.server().map(|o| o.pid);
            ensure!(
                pid == Some(answer.worker.into()),
                "{id}: server {pid:?}, not {worker}"
            );
            let pid = case.client().map(|o| o.pid);
            ensure!(
                pid == Some(report.pid.into()),
                "{id}: client {pid:?}, not {}",
                report.pid
            );
            count += 1;
        }
    }
    ensure!(
        count == cases.len(),
        "{count} refusals, {} cases",
        cases.len()
    );
    Ok(())
}
