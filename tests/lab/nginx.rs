//! nginx as a server under test.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::place::{Place, Process};
use crate::scene::Scene;
use crate::wait::Deadline;

/// The size of the answer at `/big`, in bytes.
const BIG_ANSWER: usize = 1 << 20;

/// An nginx with several workers that refuses everything, in a directory of its own.
///
/// | path | answer |
/// | --- | --- |
/// | `/` | 403 at once (`return`), body discarded |
/// | `/deny` | 403 by an access rule (`deny all`) |
/// | `/big` | 403 with a page of 1 MiB |
/// | `/ok` | 200 |
///
/// Every answer names the worker (`X-Worker`: its process id) and repeats the request's
/// `X-Request-Id`.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    directory: TempDir,
}

impl Nginx {
    /// Starts it on `port`, IPv4 and IPv6, and waits until it accepts.
    ///
    /// # Errors
    /// Where it is not installed or does not come up; with its error log.
    pub fn start(scene: &Scene, port: u16, workers: u32) -> Result<Self> {
        let configuration = |home: &Path| configuration(home, port, workers);
        let addresses = scene.addresses(port);
        Self::start_with(
            scene.server_place(),
            scene.client_place(),
            &addresses,
            configuration,
        )
    }

    /// Starts it with a configuration made for its directory; waits until each of `addresses`
    /// accepts a connection from `client`.
    ///
    /// # Errors
    /// As [`Nginx::start`].
    pub fn start_with(
        server: Place<'_>,
        client: Place<'_>,
        addresses: &[SocketAddr],
        configuration: impl FnOnce(&Path) -> String,
    ) -> Result<Self> {
        let directory = TempDir::with_prefix("tracer403-nginx-")?;
        let home = directory.path();
        // nginx's workers may run as another user.
        fs::set_permissions(home, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        fs::write(home.join("big.html"), vec![b'n'; BIG_ANSWER])?;
        let file = home.join("nginx.conf");
        fs::write(&file, configuration(home))?;
        let process = Place::spawn(
            server
                .command("nginx")
                .arg("-p")
                .arg(home)
                .arg("-e")
                .arg(home.join("error.log"))
                .arg("-c")
                .arg(&file)
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )?;
        let mut nginx = Self { process, directory };
        Deadline::usual()
            .wait_for("nginx accepts connections", || {
                if let Some(how) = nginx.process.ended()? {
                    bail!("nginx ended: {how}");
                }
                Ok(addresses.iter().all(|a| accepts(client, *a)).then_some(()))
            })
            .with_context(|| nginx.error_log())?;
        Ok(nginx)
    }

    /// What it logged: a line for each request, its id, the worker's process id and the status,
    /// separated by spaces. A line is written when the request is over.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn access_log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.path("access.log"))?)
    }

    /// The process id of the master.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn error_log(&self) -> String {
        fs::read_to_string(self.path("error.log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Whether a connection from `place` is accepted.
pub(crate) fn accepts(place: Place<'_>, address: SocketAddr) -> bool {
    place.run_on_thread(move || {
        TcpStream::connect_timeout(&address, std::time::Duration::from_secs(1)).is_ok()
    })
}

fn configuration(home: &Path, port: u16, workers: u32) -> String {
    let home = home.display();
    format!(
        r#"daemon off;
worker_processes {workers};
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    log_format lab '$http_x_request_id $pid $status';
    access_log {home}/access.log lab;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    client_max_body_size 0;
    keepalive_requests 1000000;
    server {{
        listen 0.0.0.0:{port} reuseport backlog=1024;
        listen [::]:{port} ipv6only=on reuseport backlog=1024;
        add_header X-Worker $pid always;
        add_header X-Request-Id $http_x_request_id always;
        root {home};
        location / {{ return 403; }}
        location /deny {{ deny all; }}
        location /ok {{ return 200 "fine\n"; }}
        location /big {{ error_page 403 /big.html; deny all; }}
        location = /big.html {{ internal; allow all; }}
    }}
}}
"#
    )
}
