//! Under a load that fills the machine, what is not seen is counted, and no pair is wrong.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use tracer_tests::{Case, Client, ClientReport, Nginx, Place, Scene, Session, Tracer};

const PORT: u16 = 8080;

#[test]
fn seen_and_lost_make_up_what_was_sent() -> Result<()> {
    under_load("all", 30)
}

/// What is held is shipped late, or in part: what is lost of it must not look like what was let go.
#[test]
fn held_seen_and_lost_make_up_what_was_sent() -> Result<()> {
    under_load("hold", 5)
}

fn under_load(mode: &str, seconds: usize) -> Result<()> {
    let scene = Scene::loopback()?;
    let _nginx = Nginx::start(&scene, PORT, 2)?;
    let cgroup = scene.cgroup().path().to_str().context("path")?;
    let arguments = ["-p", "8080", "--cgroup", cgroup, "--capture", mode];
    let mut tracer = Tracer::start_unread(Place::here(), arguments)?;
    // Some hundred thousand cases: what is checked of each is kept, not the whole.
    let output = BufReader::new(tracer.take_output()?);
    let reader = thread::spawn(move || {
        let mut seen = Vec::new();
        let session = Session::stream(output, |case| seen.push(Seen::of(&case)))?;
        anyhow::Ok((session, seen))
    });
    let reports = load(&scene, seconds)?;
    tracer.interrupt()?;
    let finished = tracer.finish()?;
    let (session, seen) = reader.join().map_err(|_| anyhow!("the reader died"))??;
    ensure!(
        finished.code == Some(0),
        "{:?}: {}",
        finished.code,
        finished.errors
    );

    let whole = no_wrong_pair(&seen, &reports)?;
    let sent: usize = reports.iter().map(|r| r.answers.len()).sum();
    println!(
        "{sent} exchanges in {seconds} s ({} a second): {whole} reported whole, {} in part, \
         {} records lost; {}",
        sent / seconds,
        seen.len() - whole,
        session.lost(),
        session.summary
    );
    // An exchange is at least two packets; for each that is missing one at least was lost.
    let missing = (sent - whole) as u64;
    ensure!(
        missing <= session.lost(),
        "{missing} exchanges are missing, but only {} records are counted as lost",
        session.lost()
    );
    Ok(())
}

fn load(scene: &Scene, seconds: usize) -> Result<Vec<ClientReport>> {
    let seconds = format!("--seconds={seconds}");
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
    clients.into_iter().map(Client::finish).collect()
}

/// What a case says about which request and which answer it is.
struct Seen {
    asked: Option<String>,
    answered: Option<String>,
    worker: Option<String>,
}

impl Seen {
    fn of(case: &Case) -> Self {
        Self {
            asked: case.request_id().map(str::to_owned),
            answered: case.response_header("x-request-id").map(str::to_owned),
            worker: case.response_header("x-worker").map(str::to_owned),
        }
    }
}

/// How many cases have both sides; those must belong together and come once.
fn no_wrong_pair(seen: &[Seen], reports: &[ClientReport]) -> Result<usize> {
    let mut due: BTreeMap<&str, u32> = BTreeMap::new();
    for report in reports {
        due.extend(report.answers.iter().map(|a| (a.id.as_str(), a.worker)));
    }
    let mut whole = 0;
    for case in seen {
        // Where packets were lost, one side may be missing; that is no wrong pair.
        let (Some(asked), Some(answered)) = (&case.asked, &case.answered) else {
            continue;
        };
        ensure!(
            asked == answered,
            "wrong pair: {asked} with the answer to {answered}"
        );
        let worker = due
            .remove(asked.as_str())
            .with_context(|| format!("{asked} comes twice, or was never answered"))?;
        ensure!(
            case.worker == Some(worker.to_string()),
            "{asked}: answer of another worker"
        );
        whole += 1;
    }
    Ok(whole)
}
