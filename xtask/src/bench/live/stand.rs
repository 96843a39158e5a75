//! The server that is traced, and what loads it: nginx and wrk, in a network
//! namespace of their own, each in a control group of its own.
//!
//! Only the server's group is traced, as on a host whose clients are elsewhere.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Result;
use tracer_tests::{Cgroup, Netns, Nginx, Place, Process};

/// Traced.
pub(in crate::bench) const PORT: u16 = 8080;
/// Not traced.
pub(in crate::bench) const OTHER_PORT: u16 = 8081;
/// Connections that are kept alive.
pub(in crate::bench) const CONNECTIONS: u32 = 64;

/// Paths, by what is answered there to POSTs.
pub(in crate::bench) mod path {
    /// 200, and 403 to every hundredth request of each connection.
    pub(in crate::bench) const SOME: &str = "/some";
    /// 403.
    pub(in crate::bench) const ALL: &str = "/all";
    /// 200.
    pub(in crate::bench) const NONE: &str = "/none";
    /// 200 with a body of 64 MiB.
    pub(in crate::bench) const LARGE: &str = "/large";
}

const LARGE_BODY: u64 = 64 << 20;

/// What wrk sends: the request is made once.
const SCRIPT: &str = r#"wrk.method = "POST"
wrk.body = '{"order":4711,"item":"pump","count":2,"note":"as agreed by telephone"}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Cookie"] = "session=0123456789abcdef0123456789abcdef; theme=light"
"#;

/// A server and a place for its clients.
pub(in crate::bench) struct Stand {
    _nginx: Nginx,
    home: PathBuf,
    traced: Cgroup,
    clients: Cgroup,
    netns: Netns,
}

impl Stand {
    pub(in crate::bench) fn start() -> Result<Self> {
        Self::with_workers(1)
    }

    /// With so many worker processes, among which the kernel shares out the connections.
    pub(in crate::bench) fn with_workers(workers: u32) -> Result<Self> {
        let netns = Netns::new()?;
        let (traced, clients) = (Cgroup::new()?, Cgroup::new()?);
        let mut home = PathBuf::new();
        let nginx = Nginx::start_with(
            Place::inside(&netns, &traced),
            Place::inside(&netns, &clients),
            &[SocketAddr::from(([127, 0, 0, 1], PORT))],
            |directory| {
                directory.clone_into(&mut home);
                configuration(directory, workers)
            },
        )?;
        fs::write(home.join("post.lua"), SCRIPT)?;
        let large = fs::File::create(home.join("large.bin"))?;
        large.set_len(LARGE_BODY)?;
        Ok(Self {
            _nginx: nginx,
            home,
            traced,
            clients,
            netns,
        })
    }

    pub(in crate::bench) fn traced(&self) -> &Cgroup {
        &self.traced
    }

    pub(in crate::bench) fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Lets wrk send for so many seconds; it is killed when dropped.
    pub(in crate::bench) fn load(
        &self,
        port: u16,
        path: &str,
        connections: u32,
        seconds: u64,
    ) -> Result<Process> {
        let connections = connections.to_string();
        let duration = format!("{seconds}s");
        let script = self.home.join("post.lua");
        let mut wrk = Place::inside(&self.netns, &self.clients).command("wrk");
        wrk.args([
            "-t",
            "1",
            "-c",
            &connections,
            "-d",
            &duration,
            "--timeout",
            "30s",
            "-s",
        ])
        .arg(script)
        .arg(format!("http://127.0.0.1:{port}{path}"))
        .stdout(Stdio::null());
        Place::spawn(&mut wrk)
    }

    /// Counts requests, over a Unix socket: no packets.
    pub(in crate::bench) fn counter(&self) -> Result<Counter> {
        let stream = UnixStream::connect(self.home.join("status.sock"))?;
        Ok(Counter { stream })
    }

    /// The refusals that nginx logged from a byte of its log on, and where the log ends now.
    pub(in crate::bench) fn refusals_since(&self, from: u64) -> Result<(Vec<Refusal>, u64)> {
        use std::io::Seek as _;
        let mut file = fs::File::open(self.home.join("refusals.log"))?;
        file.seek(std::io::SeekFrom::Start(from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // A last line that is not whole yet comes next time.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let lines = text.get(..whole).unwrap_or_default().lines();
        let refusals = lines.filter_map(Refusal::parse).collect();
        Ok((refusals, from + whole as u64))
    }
}

/// A request that was refused and whose answer was sent.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::bench) struct Refusal {
    /// As in its header `X-Exchange`.
    pub(in crate::bench) id: String,
    /// Seconds since 1970.
    pub(in crate::bench) at: f64,
}

impl Refusal {
    /// A line of the log; `None` where the client had gone before the answer.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (id, at, bytes) = (words.next()?, words.next()?, words.next()?);
        (bytes != "0").then_some(())?;
        Some(Self {
            id: id.to_owned(),
            at: at.parse().ok()?,
        })
    }
}

/// Asks nginx how many requests it has had.
pub(in crate::bench) struct Counter {
    stream: UnixStream,
}

impl Counter {
    /// How many so far, without those that asked.
    pub(in crate::bench) fn requests(&mut self) -> Result<u64> {
        self.stream
            .write_all(b"GET /status HTTP/1.1\r\nHost: status\r\n\r\n")?;
        let mut answer = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let read = self.stream.read(&mut buffer)?;
            answer.extend_from_slice(buffer.get(..read).unwrap_or_default());
            let text = String::from_utf8_lossy(&answer);
            if let Some(requests) = requests_of(&text) {
                return Ok(requests);
            }
            anyhow::ensure!(
                read > 0,
                "nginx closed the connection for the status: {text}"
            );
        }
    }
}

/// The third number of the line below `server accepts handled requests`.
fn requests_of(status: &str) -> Option<u64> {
    let (_, after) = status.split_once("requests\n")?;
    let (line, rest) = after.split_once('\n')?;
    // The whole page was sent.
    rest.contains("Waiting:").then_some(())?;
    line.split_whitespace().nth(2)?.parse().ok()
}

fn configuration(home: &Path, workers: u32) -> String {
    let home = home.display();
    let shared = if workers > 1 { "reuseport" } else { "" };
    format!(
        r#"daemon off;
worker_processes {workers};
pid {home}/nginx.pid;
error_log {home}/error.log warn;
events {{ worker_connections 16000; }}
http {{
    map $connection_requests $refused {{ default 0; ~00$ 1; }}
    map $status $was_refused {{ default 0; 403 1; }}
    log_format refusal '$connection-$connection_requests $msec $body_bytes_sent';
    access_log {home}/refusals.log refusal if=$was_refused;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    keepalive_requests 1000000000;
    keepalive_time 1d;
    sendfile on;
    root {home};
    keepalive_timeout 1h;
    server {{
        listen 0.0.0.0:{PORT} backlog=1024 {shared};
        listen 127.0.0.1:{OTHER_PORT} backlog=1024;
        add_header X-Exchange $connection-$connection_requests always;
        location = /some {{
            if ($refused) {{ return 403; }}
            return 200 "{{\"status\":\"accepted\"}}";
        }}
        location = /all {{ return 403; }}
        location = /none {{ return 200 "{{\"status\":\"accepted\"}}"; }}
        location = /large {{ error_page 405 =200 /large.bin; return 405; }}
        location = /large.bin {{ internal; }}
    }}
    server {{
        listen unix:{home}/status.sock;
        location = /status {{ stub_status; access_log off; }}
    }}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::{Refusal, requests_of};

    #[test]
    fn the_status_page_is_read() {
        let page = "HTTP/1.1 200 OK\r\n\r\nActive connections: 2 \n\
                    server accepts handled requests\n 3 3 4711 \nReading: 0 Writing: 1 Waiting: 1 \n";
        assert_eq!(requests_of(page), Some(4711));
        assert_eq!(requests_of(&page[..page.len() - 20]), None, "not whole");
    }

    #[test]
    fn only_answers_that_were_sent_are_refusals() {
        let refusal = Refusal::parse("12-100 1767225600.123 153").unwrap();
        assert_eq!(
            (refusal.id.as_str(), refusal.at),
            ("12-100", 1_767_225_600.123)
        );
        assert_eq!(Refusal::parse("12-100 1767225600.123 0"), None);
    }
}
