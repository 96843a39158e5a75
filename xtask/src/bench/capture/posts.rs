//! Captures of POSTs, the same bytes each time.

use std::io::Write;
use std::path::Path;

use anyhow::Result;

use super::pcap::{ACK, FIN_ACK, PSH_ACK, Pcap, SYN};
use crate::bench::stats::Draws;

/// Connections that are open at the same time; their packets alternate.
const AT_ONCE: u64 = 64;
/// One exchange in so many is refused, each time at another place of its connection.
const REFUSED_EVERY: u64 = 100;
const SERVER_PORT: u16 = 80;
/// Payload of a full packet on Ethernet, with the usual options.
const SEGMENT: usize = 1_448;
/// Packets that a server sends before another connection has its turn.
const BURST: usize = 10;

/// What a capture shows.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) struct Load {
    pub(in crate::bench) exchanges: u64,
    /// Exchanges on each connection.
    each: u64,
    /// Bytes of each answer's body; 0 for a short one.
    body: usize,
    /// How the connections end, in turn.
    endings: &'static [Ending],
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// With FIN.
    Closed,
    /// Not at all: there is silence after the last answer.
    Idle,
    /// Not at all: the last request is not answered.
    Waiting,
}

impl Load {
    /// A busy server behind one proxy: 64 connections that are kept alive, two packets an
    /// exchange, each of which acknowledges the other.
    pub(in crate::bench) fn kept_alive(exchanges: u64) -> Self {
        Self {
            exchanges,
            each: exchanges.div_ceil(AT_ONCE),
            body: 0,
            endings: &[Ending::Closed],
        }
    }

    /// The same with large answers, in full packets, every second of them acknowledged.
    pub(in crate::bench) fn large(exchanges: u64, body: usize) -> Self {
        Self {
            body,
            ..Self::kept_alive(exchanges)
        }
    }

    /// Connections of one exchange each; half of them are never closed, and half of those wait
    /// for an answer.
    pub(in crate::bench) fn half_closed(connections: u64) -> Self {
        Self {
            exchanges: connections,
            each: 1,
            body: 0,
            endings: &[
                Ending::Closed,
                Ending::Idle,
                Ending::Closed,
                Ending::Waiting,
            ],
        }
    }

    fn ending(&self, connection: u64) -> Ending {
        let turn = connection % self.endings.len() as u64;
        let ending = self.endings.get(turn as usize);
        ending.copied().unwrap_or(Ending::Closed)
    }

    fn answers(&self, connection: u64, turn: u64) -> bool {
        self.ending(connection) != Ending::Waiting || turn + 1 < self.each
    }
}

/// How many of so many exchanges are answered 403.
pub(in crate::bench) fn refused(exchanges: u64) -> u64 {
    (0..exchanges).filter(|number| is_refused(*number)).count() as u64
}

fn is_refused(number: u64) -> bool {
    (number + number / REFUSED_EVERY * 37).is_multiple_of(REFUSED_EVERY)
}

/// Writes the capture.
///
/// # Errors
/// Where it cannot be written.
pub(super) fn write(path: &Path, load: Load) -> Result<()> {
    write_to(Pcap::create(path)?, load)
}

fn write_to(mut pcap: Pcap<impl Write>, load: Load) -> Result<()> {
    let connections = load.exchanges.div_ceil(load.each);
    let mut body = vec![0; load.body];
    noise(&mut body);
    for first in (0..connections).step_by(usize::try_from(AT_ONCE)?) {
        let last = connections.min(first + AT_ONCE);
        let mut open: Vec<Connection> = (first..last).map(Connection::new).collect();
        for connection in &mut open {
            connection.open(&mut pcap)?;
        }
        for turn in 0..load.each {
            let mut under_way: Vec<(&mut Connection, u64)> = open
                .iter_mut()
                .map(|connection| {
                    let number = connection.number * load.each + turn;
                    (connection, number)
                })
                .filter(|(_, number)| *number < load.exchanges)
                .collect();
            for (connection, number) in &mut under_way {
                connection.request(&mut pcap, *number)?;
                if load.answers(connection.number, turn) {
                    connection.response(&mut pcap, *number, body.len())?;
                }
            }
            for burst in body.chunks(SEGMENT * BURST) {
                for (connection, _) in &mut under_way {
                    connection.burst(&mut pcap, burst)?;
                }
            }
        }
        for connection in &mut open {
            if load.ending(connection.number) == Ending::Closed {
                connection.close(&mut pcap)?;
            }
        }
    }
    pcap.out.flush()?;
    Ok(())
}

/// What a picture or an archive looks like to who searches it for words.
fn noise(body: &mut [u8]) {
    let mut draws = Draws::new(0x0123_4567_89ab_cdef);
    for bytes in body.chunks_mut(8) {
        let drawn = draws.next().to_le_bytes();
        bytes
            .iter_mut()
            .zip(drawn)
            .for_each(|(to, from)| *to = from);
    }
}

/// One connection: who, and how far each side has come.
struct Connection {
    number: u64,
    address: [u8; 4],
    port: u16,
    client_seq: u32,
    server_seq: u32,
    text: Vec<u8>,
}

/// Which way a packet goes.
#[derive(Clone, Copy)]
enum Way {
    Request,
    Response,
}

impl Connection {
    fn new(number: u64) -> Self {
        let [.., b, c, d] = number.to_be_bytes();
        Self {
            number,
            address: [10, b, c, d],
            port: 32_768 + u16::try_from(number % 28_000).unwrap_or_default(),
            // Anything will do, as long as it is the same each time and wraps now and then.
            client_seq: (number as u32).wrapping_mul(2_654_435_761),
            server_seq: (number as u32).wrapping_mul(40_503),
            text: Vec::with_capacity(1024),
        }
    }

    fn open(&mut self, pcap: &mut Pcap<impl Write>) -> Result<()> {
        self.control(pcap, Way::Request, SYN)?;
        self.client_seq = self.client_seq.wrapping_add(1);
        self.control(pcap, Way::Response, SYN | ACK)?;
        self.server_seq = self.server_seq.wrapping_add(1);
        self.control(pcap, Way::Request, ACK)
    }

    fn request(&mut self, pcap: &mut Pcap<impl Write>, number: u64) -> Result<()> {
        let body = format!(r#"{{"order":{number},"item":"pump","count":2}}"#);
        self.text.clear();
        write!(
            self.text,
            "POST /api/v1/orders/{number}?source=web HTTP/1.1\r\n\
             Host: shop.example.com\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
             Accept: application/json, text/plain, */*\r\n\
             Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
             Accept-Encoding: gzip, deflate, br\r\n\
             Content-Type: application/json\r\n\
             X-Request-Id: {number:032x}\r\n\
             Cookie: session={number:024x}; theme=light\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        self.packet(pcap, Way::Request, PSH_ACK)
    }

    /// The answer, or the head of one with a large body.
    fn response(&mut self, pcap: &mut Pcap<impl Write>, number: u64, large: usize) -> Result<()> {
        let (status, body) = match (is_refused(number), large) {
            (false, 0) => ("200 OK", r#"{"status":"accepted"}"#),
            (true, 0) => (
                "403 Forbidden",
                r#"{"error":"forbidden","reason":"order belongs to another customer"}"#,
            ),
            (false, _) => ("200 OK", ""),
            (true, _) => ("403 Forbidden", ""),
        };
        self.text.clear();
        write!(
            self.text,
            "HTTP/1.1 {status}\r\n\
             Server: nginx/1.26.2\r\n\
             Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
             Content-Type: application/json; charset=utf-8\r\n\
             Cache-Control: no-store\r\n\
             Connection: keep-alive\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len() + large
        )?;
        self.packet(pcap, Way::Response, PSH_ACK)
    }

    /// Some of a large body.
    fn burst(&mut self, pcap: &mut Pcap<impl Write>, bytes: &[u8]) -> Result<()> {
        for (at, segment) in bytes.chunks(SEGMENT).enumerate() {
            self.text.clear();
            self.text.extend(segment);
            self.packet(pcap, Way::Response, ACK)?;
            if at % 2 == 1 {
                self.control(pcap, Way::Request, ACK)?;
            }
        }
        Ok(())
    }

    fn close(&mut self, pcap: &mut Pcap<impl Write>) -> Result<()> {
        self.control(pcap, Way::Request, FIN_ACK)?;
        self.client_seq = self.client_seq.wrapping_add(1);
        self.control(pcap, Way::Response, FIN_ACK)?;
        self.server_seq = self.server_seq.wrapping_add(1);
        self.control(pcap, Way::Request, ACK)
    }

    /// A packet without payload.
    fn control(&mut self, pcap: &mut Pcap<impl Write>, way: Way, flags: u8) -> Result<()> {
        self.text.clear();
        self.packet(pcap, way, flags)
    }

    /// Sends `text`, and moves the sender's sequence number past it.
    fn packet(&mut self, pcap: &mut Pcap<impl Write>, way: Way, flags: u8) -> Result<()> {
        let client = (self.address, self.port);
        let server = ([192, 0, 2, 80], SERVER_PORT);
        let length = u32::try_from(self.text.len())?;
        let (from, to, seq, ack) = match way {
            Way::Request => (client, server, self.client_seq, self.server_seq),
            Way::Response => (server, client, self.server_seq, self.client_seq),
        };
        let ack = if flags & ACK == 0 { 0 } else { ack };
        pcap.tcp(from, to, (seq, ack, flags), &self.text)?;
        match way {
            Way::Request => self.client_seq = seq.wrapping_add(length),
            Way::Response => self.server_seq = seq.wrapping_add(length),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Load, Pcap, refused, write_to};

    #[test]
    fn one_in_a_hundred_is_refused() {
        let bytes = generated(Load::kept_alive(1000));
        assert_eq!(count(&bytes, b"POST /api"), 1000);
        assert_eq!(count(&bytes, b"HTTP/1.1 200 OK\r\n"), 990);
        assert_eq!(count(&bytes, b"HTTP/1.1 403 Forbidden\r\n"), 10);
        assert_eq!(refused(1000), 10);
    }

    #[test]
    fn it_is_the_same_each_time() {
        let load = Load::large(130, 20_000);
        assert_eq!(generated(load), generated(load));
    }

    #[test]
    fn large_bodies_are_as_large_as_they_say() {
        let small = generated(Load::kept_alive(128)).len();
        let large = generated(Load::large(128, 20_000)).len();
        assert!(large - small > 128 * 20_000, "{large} {small}");
    }

    #[test]
    fn half_of_the_connections_is_never_closed() {
        let bytes = generated(Load::half_closed(400));
        assert_eq!(count(&bytes, b"POST /api"), 400);
        assert_eq!(count(&bytes, b"HTTP/1.1 "), 300);
        // Nothing else of these headers has these bytes: length of the header, FIN and ACK.
        assert_eq!(count(&bytes, &[0x50, 0x11, 0xff, 0xff]), 400);
    }

    fn generated(load: Load) -> Vec<u8> {
        let path = tempfile::NamedTempFile::new().unwrap();
        write_to(Pcap::create(path.path()).unwrap(), load).unwrap();
        std::fs::read(path.path()).unwrap()
    }

    fn count(bytes: &[u8], what: &[u8]) -> usize {
        bytes.windows(what.len()).filter(|w| *w == what).count()
    }
}
