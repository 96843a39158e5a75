//! A small HTTP/1.1 client with exact control over what goes out and when.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::stage::answer::{AnswerReader, WireAnswer};
use crate::stage::format::Request;

/// How long a server may take for anything.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait for `100 Continue` before the body is sent anyway.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// A request and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What to send.
    pub request: &'a Request,
    /// Whom to.
    pub address: SocketAddr,
    /// The client's port; 0 for any.
    pub from_port: u16,
}

/// An open connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    reader: AnswerReader,
}

impl Connection {
    /// Connects, from a given port unless it is 0. The calling thread's namespace is used.
    ///
    /// # Errors
    /// Where the port is taken or nobody listens.
    pub fn open(address: SocketAddr, from_port: u16) -> Result<Self> {
        let stream = connect(address, from_port)
            .with_context(|| format!("connecting from port {from_port} to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            address,
            reader: AnswerReader::default(),
        })
    }

    /// Sends a request and reads the final answer.
    ///
    /// # Errors
    /// Where there is no whole answer.
    pub fn send(&mut self, request: &Request) -> Result<WireAnswer> {
        let head = head(request, self.address);
        let body = request.body.as_bytes();
        let what = format!("{} {} to {}", request.method, request.path, self.address);
        let whole = !request.expect_continue && request.delay_body_ms == 0;
        let first = if whole {
            [head.as_bytes(), body].concat()
        } else {
            head.into_bytes()
        };
        // A server that refuses early may have closed already: its answer counts.
        let mut sent = self.stream.write_all(&first);
        if request.expect_continue && sent.is_ok() {
            self.stream.set_read_timeout(Some(CONTINUE_PATIENCE))?;
            let early = self.reader.read_any(&mut self.stream, &request.method);
            self.stream.set_read_timeout(Some(PATIENCE))?;
            if let Ok(answer) = early
                && answer.status >= 200
            {
                return Ok(answer);
            }
        }
        if !whole && sent.is_ok() {
            std::thread::sleep(Duration::from_millis(request.delay_body_ms));
            sent = self.stream.write_all(body);
        }
        let answer = self
            .reader
            .read_final(&mut self.stream, &request.method)
            .with_context(|| what.clone());
        match (answer, sent) {
            (Ok(answer), _) => Ok(answer),
            (Err(why), Ok(())) => Err(why),
            (Err(why), Err(broken)) => bail!("{what}: {why:#}; sending: {broken}"),
        }
    }
}

/// The request's head with what it leaves out.
fn head(request: &Request, address: SocketAddr) -> String {
    let has = |name: &str| {
        request.headers.iter().any(|line| {
            let named = line.split(':').next().unwrap_or_default();
            named.trim().eq_ignore_ascii_case(name)
        })
    };
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    if !has("host") {
        head.push_str(&format!("Host: {address}\r\n"));
    }
    if !has("user-agent") {
        head.push_str("User-Agent: curl/7.88.1\r\n");
    }
    if !has("accept") {
        head.push_str("Accept: */*\r\n");
    }
    for line in &request.headers {
        // An empty value asks for no such header at all.
        if line.trim_end().ends_with(':') {
            continue;
        }
        head.push_str(line);
        head.push_str("\r\n");
    }
    if request.expect_continue && !has("expect") {
        head.push_str("Expect: 100-continue\r\n");
    }
    let bodiless = matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS");
    let framed = has("content-length") || has("transfer-encoding");
    if !framed && (!bodiless || !request.body.is_empty()) {
        head.push_str(&format!("Content-Length: {}\r\n", request.body.len()));
    }
    head.push_str("\r\n");
    head
}

/// As [`TcpStream::connect`], from a port of one's choice.
fn connect(address: SocketAddr, from_port: u16) -> io::Result<TcpStream> {
    let SocketAddr::V4(to) = address else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    if from_port == 0 {
        return TcpStream::connect_timeout(&address, PATIENCE);
    }
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointers.
    let fd = check(unsafe { libc::socket(libc::AF_INET, kind, 0) })?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let yes: libc::c_int = 1;
    // SAFETY: the kernel reads an int, which lives through the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_REUSEADDR,
            (&raw const yes).cast(),
            length_of::<libc::c_int>(),
        )
    })?;
    let from = raw(SocketAddrV4::new(Ipv4Addr::LOCALHOST, from_port));
    let to = raw(to);
    let length = length_of::<libc::sockaddr_in>();
    // SAFETY: the kernel reads a sockaddr_in, which lives through the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const from).cast(), length) })?;
    // SAFETY: as above.
    check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const to).cast(), length) })?;
    Ok(TcpStream::from(socket))
}

fn raw(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default(),
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default()
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::Connection;
    use crate::stage::format::Request;

    #[test]
    fn what_is_left_out_is_added_and_an_empty_header_is_not_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut got = Vec::new();
            while !got.ends_with(b"a=1") {
                let mut bytes = [0; 512];
                let length = stream.read(&mut bytes).unwrap();
                got.extend_from_slice(&bytes[..length]);
            }
            stream
                .write_all(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
                .unwrap();
            String::from_utf8(got).unwrap()
        });
        let text = "path = '/x'\nbody = 'a=1'\nheaders = ['User-Agent:', 'X-A: b']";
        let request: Request = toml::from_str(text).unwrap();
        let answer = Connection::open(address, 0).unwrap().send(&request);
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (403, &b"no"[..]));
        let got = server.join().unwrap();
        assert_eq!(
            got,
            format!(
                "POST /x HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\nX-A: b\r\n\
                 Content-Length: 3\r\n\r\na=1"
            )
        );
    }
}
