//! Under a load that fills the machine, what is not seen is counted, and no pair is wrong.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use tracer_tests::{Client, Nginx, Place, Scene, Tracer};

const PORT: u16 = 8080;
const SECONDS: u32 = 30;

#[test]
fn seen_and_lost_make_up_what_was_sent() -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, PORT, 2)?;
    let cgroup = scene.cgroup().path().to_str().context("path")?;
    let tracer = Tracer::start(Place::here(), ["-p", "8080", "--cgroup", cgroup])?;
    let seconds = format!("--seconds={SECONDS}");
    let mut clients = Vec::new();
    for (number, address) in scene.addresses(PORT).iter().enumerate() {
        let to = address.to_string();
        let prefix = format!("--prefix=load{number}");
        let plan = [
            "--to",
            &to,
            &prefix,
            &seconds,
            "--connections=8",
            "--requests=100000000",
        ];
        clients.push(Client::start(scene.client_place(), &plan)?);
    }
    let reports = clients
        .into_iter()
        .map(Client::finish)
        .collect::<Result<Vec<_>>>()?;
    let session = tracer.stop()?;

    let sent: BTreeMap<&str, u32> = reports
        .iter()
        .flat_map(|r| r.answers.iter().map(|a| (a.id.as_str(), a.worker)))
        .collect();
    let mut whole = 0_usize;
    for case in &session.cases {
        // What is not whole may lack one side; what both sides say must be the same.
        let (Some(asked), Some(answered)) =
            (case.request_id(), case.response_header("x-request-id"))
        else {
            continue;
        };
        ensure!(asked == answered, "wrong pair: {case:?}");
        let worker = sent
            .get(asked)
            .with_context(|| format!("{asked} was never answered"))?;
        let named = case.response_header("x-worker");
        ensure!(
            named == Some(worker.to_string().as_str()),
            "wrong answer: {case:?}"
        );
        whole += 1;
    }
    ensure!(
        session.by_request_id().is_ok() || session.lost() > 0,
        "an id came twice"
    );
    println!(
        "{} exchanges in {SECONDS} s ({} a second): {whole} reported, {} records lost; {}",
        sent.len(),
        sent.len() / SECONDS as usize,
        session.lost(),
        session.summary
    );
    ensure!(whole <= sent.len(), "more cases than exchanges");
    // A lost record is a packet: an exchange is at least two, so each missing one has its count.
    let missing = (sent.len() - whole) as u64;
    ensure!(
        missing <= session.lost(),
        "{missing} exchanges are missing, but only {} records are counted as lost",
        session.lost()
    );
    Ok(())
}
