//! The laboratory itself: what it reports as truth must be true, without the tool.

use std::collections::BTreeSet;

use tracer_tests::{Client, ClientReport, Deadline, Nginx, Node, Scene};

const PORT: u16 = 8080;

#[test]
fn nginx_names_the_worker_that_answered() -> anyhow::Result<()> {
    let scene = Scene::loopback()?;
    let nginx = Nginx::start(&scene, PORT, 4)?;
    let mut seen = BTreeSet::new();
    for address in scene.addresses(PORT) {
        let report = post(&scene, &address.to_string(), "--shape=close")?;
        seen.extend(report.answers.iter().map(|a| (a.id.clone(), a.worker)));
    }
    let log = nginx.access_log()?;
    let logged: BTreeSet<(String, u32)> = log
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
        })
        .collect();
    assert!(seen.is_subset(&logged), "answers: {seen:?}\nlog: {log}");
    assert!(!seen.iter().any(|(_, worker)| *worker == nginx.pid()));
    Ok(())
}

#[test]
fn every_shape_is_refused_by_both_servers() -> anyhow::Result<()> {
    let scene = Scene::veth()?;
    let _nginx = Nginx::start(&scene, PORT, 2)?;
    let _node = Node::start(&scene, PORT + 1, 2)?;
    for port in [PORT, PORT + 1] {
        for address in scene.addresses(port) {
            let to = address.to_string();
            for shape in [
                "keep-alive",
                "close",
                "pipelined",
                "chunked",
                "expect",
                "reset",
            ] {
                let report = post(&scene, &to, &format!("--shape={shape}"))?;
                assert_eq!(report.answers.len(), 40, "{shape} to {to}");
                assert!(
                    report
                        .answers
                        .iter()
                        .all(|a| a.status == 403 && a.worker != 0)
                );
            }
            let upload = [
                "--to",
                &to,
                "--shape=upload",
                "--path=/upload",
                "--body=50000000",
            ];
            let report = Client::run(scene.client_place(), &upload)?;
            assert_eq!(report.answers[0].status, 403, "upload to {to}");
            let big = Client::run(scene.client_place(), &["--to", &to, "--path=/big"])?;
            assert_eq!(big.answers[0].length, 1 << 20, "big answer from {to}");
        }
    }
    Ok(())
}

#[test]
fn a_client_can_hold_its_connections() -> anyhow::Result<()> {
    let scene = Scene::loopback()?;
    let _node = Node::start(&scene, PORT, 2)?;
    let [v4, _] = scene.addresses(PORT);
    let to = v4.to_string();
    let plan = ["--to", &to, "--hold", "--connections=3", "--requests=30"];
    let mut client = Client::start(scene.client_place(), &plan)?;
    client.wait_until_held()?;
    let pid = client.pid();
    let report = client.finish()?;
    assert_eq!((report.pid, report.answers.len()), (pid, 30));
    Ok(())
}

#[test]
fn nothing_of_a_scene_stays_behind() -> anyhow::Result<()> {
    let scene = Scene::veth()?;
    let nginx = Nginx::start(&scene, PORT, 2)?;
    let cgroup = scene.cgroup().path().to_owned();
    // It answers as soon as the first of its two workers runs.
    Deadline::usual().wait_for("nginx and both workers in the cgroup", || {
        let procs = std::fs::read_to_string(cgroup.join("cgroup.procs"))?;
        Ok((procs.lines().count() >= 3).then_some(()))
    })?;
    let pid = nginx.pid();
    drop(nginx);
    drop(scene);
    assert!(!cgroup.exists());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    Ok(())
}

fn post(scene: &Scene, to: &str, shape: &str) -> anyhow::Result<ClientReport> {
    let plan = ["--to", to, shape, "--requests=40", "--connections=4"];
    Client::run(scene.client_place(), &plan)
}
