//! Real traffic: a POST and its refusal.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Sends a POST to a server of this process, which answers it with 403, and waits for the end.
pub(crate) fn post(addr: SocketAddr, body: &[u8], answer: &'static [u8]) {
    let listener = TcpListener::bind(addr).unwrap();
    let len = request(body).len();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut vec![0; len]).unwrap();
        stream.write_all(&response(answer)).unwrap();
    });
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(&request(body)).unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    assert_eq!(got, response(answer));
    server.join().unwrap();
}

pub(crate) fn request(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn response(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
