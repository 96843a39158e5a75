//! Connections whose addresses are translated on the way, live: one exchange is one case, with the
//! processes at both ends and the addresses on both sides.

use anyhow::{Context, Result, ensure};
use tracer_tests::{
    Cgroup, Client, ClientReport, Netns, Nginx, Place, Read, SERVER_V4, Scene, Session, Tracer,
};

const NGINX: u16 = 8080;
const REQUESTS: usize = 20;
const PLAN: [&str; 1] = ["--requests=20"];
/// A request that passes on each of the connections, and then one that is refused.
const LATE: [&str; 3] = ["--requests=80", "--connections=40", "--first-path=/ok"];
/// The address of a service that no interface has.
const SERVICE: &str = "198.51.100.80:80";

/// Which packets are copied.
const MODES: [&str; 2] = ["all", "hold"];

#[test]
fn a_service_address_seen_by_the_sockets_of_both_ends() -> Result<()> {
    for mode in MODES {
        let (live, read, report) = through_a_service(None, &PLAN, |scene, file| {
            by_cgroup(scene.cgroup(), mode, file)
        })?;
        for session in [&live, &read] {
            check(session, &report, SERVICE).context(mode)?;
            for case in &session.cases {
                let server = case.server().context("no server")?;
                ensure!(server.comm == "nginx", "{mode}: {server:?}");
                let client = case.client().context("no client")?;
                ensure!(client.pid == u64::from(report.pid), "{mode}: {client:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_service_address_seen_by_the_socket_of_the_client() -> Result<()> {
    seen_by_the_client_alone(&PLAN)
}

/// Where requests are held, what comes before the first refusal of a connection is let go, but for
/// some of each route: there are more connections than that.
#[test]
fn a_service_address_after_requests_that_passed() -> Result<()> {
    seen_by_the_client_alone(&LATE)
}

fn seen_by_the_client_alone(plan: &[&str]) -> Result<()> {
    for mode in MODES {
        let alone = Cgroup::new()?;
        let (live, read, report) =
            through_a_service(Some(&alone), plan, |_, file| by_cgroup(&alone, mode, file))?;
        check(&live, &report, SERVICE).context(mode)?;
        check(&read, &report, SERVICE).context(mode)?;
    }
    Ok(())
}

#[test]
fn a_port_that_the_host_of_the_server_redirects() -> Result<()> {
    const ASKED: &str = "192.0.2.1:80";
    for mode in MODES {
        let scene = Scene::veth()?;
        let _nginx = Nginx::start(&scene, NGINX, 2)?;
        let rules = format!(
            "add table ip t; \
             add chain ip t pre {{ type nat hook prerouting priority -100; }}; \
             add rule ip t pre tcp dport 80 redirect to :{NGINX}"
        );
        Place::in_netns(scene.server_netns()).output("nft", &[&rules])?;
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("session.pcapng");
        let file = file.to_str().context("path")?;
        let tracer = by_cgroup(scene.cgroup(), mode, file)?;
        let elsewhere = Cgroup::new()?;
        let client = Place::inside(scene.client_netns(), &elsewhere);
        let report = Client::run(client, &[&["--to", ASKED], &LATE[..]].concat())?;
        let live = tracer.stop()?;
        for session in [&live, &Read::session(&[file])?] {
            check(session, &report, ASKED).context(mode)?;
        }
    }
    Ok(())
}

#[test]
fn a_service_address_seen_by_the_interface_of_the_client() -> Result<()> {
    // What leaves is translated before it passes the interface.
    let (live, _, report) = through_a_service(None, &PLAN, |scene, file| {
        let arguments = ["-p", "80,8080", "-i", "any", "-w", file];
        Tracer::start(Place::in_netns(scene.client_netns()), arguments)
    })?;
    let ids = live.by_request_id()?;
    ensure!(ids.len() == REQUESTS, "{} cases", ids.len());
    for case in &live.cases {
        ensure!(text(&case.0, "/server/seen_as").is_none(), "{case:?}");
    }
    ensure!(report.answers.len() == REQUESTS, "{report:?}");
    Ok(())
}

#[test]
fn a_router_that_translates_both_addresses() -> Result<()> {
    let scene = Scene::veth()?;
    let _nginx = Nginx::start(&scene, NGINX, 2)?;
    let (router, outside) = (scene.client_netns(), Netns::new()?);
    router.join("front0", &outside, "outside0")?;
    router.address("front0", "203.0.113.1/24")?;
    outside.address("outside0", "203.0.113.2/24")?;
    let inside = Place::in_netns(router);
    inside.output("sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])?;
    let rules = format!(
        "add table ip t; \
         add chain ip t pre {{ type nat hook prerouting priority -100; }}; \
         add rule ip t pre tcp dport 80 dnat to {SERVER_V4}:{NGINX}; \
         add chain ip t post {{ type nat hook postrouting priority 100; }}; \
         add rule ip t post oifname client0 masquerade"
    );
    inside.output("nft", &[&rules])?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("session.pcapng");
    let file = file.to_str().context("path")?;
    let tracer = Tracer::start(inside, ["-p", "80,8080", "-i", "any", "-w", file])?;
    let to = "203.0.113.1:80";
    let requests = format!("--requests={REQUESTS}");
    let plan = ["--to", to, &requests];
    let report = Client::run(Place::inside(&outside, scene.cgroup()), &plan)?;
    let live = tracer.stop()?;
    let read = Read::session(&[file])?;
    for session in [&live, &read] {
        let ids = session.by_request_id()?;
        ensure!(ids.len() == REQUESTS, "{} cases", ids.len());
        for case in &session.cases {
            let case = &case.0;
            ensure!(
                text(case, "/client/address") == Some("203.0.113.2"),
                "{case}"
            );
            let seen_as = text(case, "/client/seen_as").unwrap_or_default();
            ensure!(seen_as.starts_with("192.0.2.2:"), "{case}");
            ensure!(text(case, "/server/address") == Some("192.0.2.1"), "{case}");
            ensure!(text(case, "/server/seen_as") == Some(to), "{case}");
            let hops = case.pointer("/hops").and_then(|hops| hops.as_array());
            ensure!(hops.is_some_and(|hops| hops.len() == 1), "{case}");
        }
    }
    ensure!(report.answers.len() == REQUESTS, "{report:?}");
    Ok(())
}

/// Asks nginx by the address of a service, which the client's own host translates; the client is in
/// a control group of its own where there is one.
fn through_a_service(
    client: Option<&Cgroup>,
    plan: &[&str],
    trace: impl FnOnce(&Scene, &str) -> Result<Tracer>,
) -> Result<(Session, Session, ClientReport)> {
    let scene = Scene::veth()?;
    let _nginx = Nginx::start(&scene, NGINX, 2)?;
    let gateway = SERVER_V4.to_string();
    scene
        .client_netns()
        .ip(&["route", "add", "default", "via", &gateway])?;
    let rules = format!(
        "add table ip t; \
         add chain ip t out {{ type nat hook output priority -100; }}; \
         add rule ip t out ip daddr 198.51.100.80 tcp dport 80 dnat to {SERVER_V4}:{NGINX}"
    );
    Place::in_netns(scene.client_netns()).output("nft", &[&rules])?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("session.pcapng");
    let file = file.to_str().context("path")?;
    let tracer = trace(&scene, file)?;
    let place = match client {
        Some(cgroup) => Place::inside(scene.client_netns(), cgroup),
        None => scene.client_place(),
    };
    let report = Client::run(place, &[&["--to", SERVICE], plan].concat())?;
    Ok((tracer.stop()?, Read::session(&[file])?, report))
}

fn by_cgroup(cgroup: &Cgroup, mode: &str, file: &str) -> Result<Tracer> {
    let cgroup = cgroup.path().to_str().context("path")?;
    let arguments = ["--cgroup", cgroup, "--capture", mode, "-w", file];
    Tracer::start(Place::here(), [&["-p", "80,8080"], &arguments[..]].concat())
}

fn check(session: &Session, report: &ClientReport, asked: &str) -> Result<()> {
    let ids = session.by_request_id()?;
    let refused = report.answers.iter().filter(|answer| answer.status == 403);
    let refused: Vec<_> = refused.map(|answer| answer.id.as_str()).collect();
    ensure!(refused.len() >= REQUESTS, "{report:?}");
    let missing: Vec<_> = refused.iter().filter(|id| !ids.contains_key(*id)).collect();
    ensure!(
        missing.is_empty(),
        "missing: {missing:?}; {}",
        session.summary
    );
    ensure!(ids.len() == refused.len(), "{} cases", ids.len());
    for case in &session.cases {
        let case = &case.0;
        ensure!(text(case, "/server/address") == Some("192.0.2.1"), "{case}");
        ensure!(text(case, "/server/seen_as") == Some(asked), "{case}");
        ensure!(text(case, "/client/address") == Some("192.0.2.2"), "{case}");
        ensure!(text(case, "/client/seen_as").is_none(), "{case}");
    }
    Ok(())
}

fn text<'a>(case: &'a serde_json::Value, pointer: &str) -> Option<&'a str> {
    case.pointer(pointer)?.as_str()
}
