//! The scene: nginx in front of an application, and a client whose POSTs are refused in several
//! ways, in a network namespace and a control group of its own.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tracer_tests::{Deadline, Nginx, Node, Place, Process, Scene};

use crate::exec;

const NGINX_PORT: u16 = 8080;
const APPLICATION_PORT: u16 = 3000;
const APPLICATION: &str = include_str!("app.js");

/// What the client asks, what curl is told beyond that, and what becomes of it.
const REQUESTS: &[(&str, &[&str], &str)] = &[
    (
        "/orders",
        &[
            "-H",
            "Authorization: Bearer demo",
            "-H",
            "Content-Type: application/json",
            "-d",
            r#"{"item":"pump","count":2}"#,
        ],
        "accepted by the application",
    ),
    (
        "/admin/users",
        &[
            "-H",
            "Content-Type: application/json",
            "-d",
            r#"{"name":"mallory"}"#,
        ],
        "refused by nginx (deny)",
    ),
    (
        "/orders",
        &[
            "-H",
            "Content-Type: application/json",
            "-d",
            r#"{"item":"pump","count":2}"#,
        ],
        "refused by the application (no token), relayed by nginx",
    ),
    (
        "/keys",
        &["-d", "scope=all", "-H", "X-Forwarded-For: 203.0.113.9"],
        "refused by the application, page replaced by nginx",
    ),
    (
        "/upload",
        // Slowly, so that a recording stays small.
        &[
            "-H",
            "Expect:",
            "--limit-rate",
            "500k",
            "--data-binary",
            "@upload",
        ],
        "20 MB refused by the application before they have arrived",
    ),
];

/// Set by Ctrl-C and its like; everything then unwinds, and so is cleaned up.
static STOP: AtomicBool = AtomicBool::new(false);

/// Plays it under a live tracer that prints its cases; also into `record`, where given.
///
/// # Errors
/// Where a server does not come up, a request is not answered as it should, or the tracer fails.
pub(crate) fn play(tracer: &Path, record: Option<&Path>) -> Result<()> {
    unwind_on_signals();
    let scene = Scene::loopback()?;
    let _application = Node::start_with(scene.server_place(), APPLICATION, APPLICATION_PORT, 1)?;
    let [address, _] = scene.addresses(NGINX_PORT);
    let _nginx = Nginx::start_with(
        scene.server_place(),
        scene.client_place(),
        &[address],
        configuration,
    )?;
    let mut tracer = start_tracer(&scene, tracer, record)?;
    let files = tempfile::tempdir()?;
    std::fs::write(files.path().join("upload"), vec![b'u'; 20_000_000])?;
    for (path, arguments, outcome) in REQUESTS {
        let status = post(&scene, files.path(), path, arguments)?;
        exec::say(&format!("demo: curl: POST {path} -> {status}: {outcome}"))?;
        if (status == "403") == outcome.contains("accepted") {
            bail!("that was not meant to be: {outcome}, but the status is {status}");
        }
    }
    tracer.signal(libc::SIGINT)?;
    let status = tracer.wait("the tracer ends", Deadline::usual())?;
    if !status.success() {
        bail!("tracer403 live: {status}");
    }
    Ok(())
}

fn start_tracer(scene: &Scene, tracer: &Path, record: Option<&Path>) -> Result<Process> {
    let directory = tempfile::tempdir()?;
    let ready = directory.path().join("ready");
    let ports = format!("{NGINX_PORT},{APPLICATION_PORT}");
    let mut command = Place::here().command(tracer);
    command.args(["live", "-p", &ports, "--duration", "60s"]);
    command.arg("--cgroup").arg(scene.cgroup().path());
    command.arg("--ready-file").arg(&ready);
    if let Some(file) = record {
        command.arg("-w").arg(file);
    }
    exec::say(&format!("demo: {}", exec::line(&command)))?;
    let mut process = Place::spawn(&mut command)?;
    Deadline::usual().wait_for("the probes are attached", || {
        if let Some(how) = process.ended()? {
            bail!("tracer403 live ended: {how}");
        }
        stopped()?;
        Ok(ready.exists().then_some(()))
    })?;
    Ok(process)
}

/// Posts with curl and gives the status.
fn post(scene: &Scene, directory: &Path, path: &str, arguments: &[&str]) -> Result<String> {
    stopped()?;
    let mut curl = scene.client_place().command("curl");
    curl.current_dir(directory)
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--output",
            "/dev/null",
        ])
        .args(["--write-out", "%{http_code}"])
        .args(["-X", "POST"])
        .args(arguments)
        .arg(format!("http://127.0.0.1:{NGINX_PORT}{path}"))
        .stderr(Stdio::inherit());
    let output = exec::output_within(&mut curl, Duration::from_secs(30));
    stopped()?;
    // A refused upload may end in a broken pipe on the client's side: the status counts.
    let output = output.with_context(|| format!("POST {path}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn unwind_on_signals() {
    extern "C" fn stop(_: libc::c_int) {
        STOP.store(true, Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic, which is async-signal-safe.
        unsafe {
            libc::signal(
                signal,
                stop as extern "C" fn(libc::c_int) as libc::sighandler_t,
            )
        };
    }
}

fn stopped() -> Result<()> {
    if STOP.load(Ordering::Relaxed) {
        bail!("stopped by a signal; everything is cleaned up");
    }
    Ok(())
}

fn configuration(home: &Path) -> String {
    let home = home.display();
    format!(
        r#"daemon off;
worker_processes 2;
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    client_max_body_size 100m;
    upstream application {{ server 127.0.0.1:{APPLICATION_PORT}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{NGINX_PORT};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Request-Id $request_id;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        location / {{ proxy_pass http://application; }}
        location /admin {{ deny all; }}
        location /keys {{
            proxy_pass http://application;
            proxy_intercept_errors on;
            error_page 403 /refused.html;
        }}
        location = /refused.html {{ internal; return 403 "Not here.\n"; }}
        location /upload {{
            proxy_pass http://application;
            proxy_request_buffering off;
        }}
    }}
}}
"#
    )
}
