//! A capture of POSTs, the same bytes each time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// Connections that are open at the same time; their packets alternate.
const AT_ONCE: u64 = 64;
/// Exchanges on each connection that is kept alive.
const EACH: u64 = 100;
/// One exchange in so many is refused, each time at another place of its connection.
const REFUSED_EVERY: u64 = 100;
const SERVER_PORT: u16 = 80;
/// Nanoseconds from packet to packet.
const STEP: u64 = 10_000;
/// 2026-01-01T00:00:00Z.
const START: u64 = 1_767_225_600_000_000_000;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const PSH_ACK: u8 = 0x18;
const FIN_ACK: u8 = 0x11;

/// What the capture shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) exchanges: u64,
    /// Exchanges on each connection.
    each: u64,
    ending: Ending,
}

/// How the connections end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With FIN.
    Closed,
    /// Not at all: there is silence after the last answer.
    Idle,
    /// Not at all: the last request is not answered.
    Waiting,
}

impl Load {
    /// Connections that carry many exchanges and are closed.
    pub(crate) fn kept_alive(exchanges: u64) -> Self {
        Self {
            exchanges,
            each: EACH,
            ending: Ending::Closed,
        }
    }

    /// Connections of one exchange each.
    pub(crate) fn never_closed(connections: u64, ending: Ending) -> Self {
        Self {
            exchanges: connections,
            each: 1,
            ending,
        }
    }
}

/// How many of so many exchanges are answered 403.
pub(crate) fn refused(exchanges: u64) -> u64 {
    (0..exchanges).filter(|number| is_refused(*number)).count() as u64
}

fn is_refused(number: u64) -> bool {
    (number + number / REFUSED_EVERY * 37).is_multiple_of(REFUSED_EVERY)
}

/// Writes the capture.
///
/// # Errors
/// Where it cannot be written.
pub(crate) fn capture(path: &Path, load: Load) -> Result<()> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    write(BufWriter::with_capacity(1 << 20, file), load).with_context(|| path.display().to_string())
}

fn write(out: impl Write, load: Load) -> Result<()> {
    let mut pcap = Pcap::start(out)?;
    let Load {
        exchanges,
        each,
        ending,
    } = load;
    let connections = exchanges.div_ceil(each);
    for first in (0..connections).step_by(usize::try_from(AT_ONCE)?) {
        let last = connections.min(first + AT_ONCE);
        let mut open: Vec<Connection> = (first..last).map(Connection::new).collect();
        for connection in &mut open {
            connection.open(&mut pcap)?;
        }
        for turn in 0..each {
            for connection in &mut open {
                let number = connection.number * each + turn;
                if number >= exchanges {
                    continue;
                }
                connection.request(&mut pcap, number)?;
                if ending != Ending::Waiting || turn + 1 < each {
                    connection.response(&mut pcap, number)?;
                }
            }
        }
        if ending == Ending::Closed {
            for connection in &mut open {
                connection.close(&mut pcap)?;
            }
        }
    }
    pcap.out.flush()?;
    Ok(())
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
        self.packet(pcap, Way::Request, SYN)?;
        self.client_seq = self.client_seq.wrapping_add(1);
        self.packet(pcap, Way::Response, SYN | ACK)?;
        self.server_seq = self.server_seq.wrapping_add(1);
        self.packet(pcap, Way::Request, ACK)
    }

    fn request(&mut self, pcap: &mut Pcap<impl Write>, number: u64) -> Result<()> {
        let body = format!(
            r#"{{"order":{number},"item":"pump","count":2,"note":"as agreed by telephone"}}"#
        );
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

    /// The answer and its acknowledgement.
    fn response(&mut self, pcap: &mut Pcap<impl Write>, number: u64) -> Result<()> {
        let (status, body) = if is_refused(number) {
            (
                "403 Forbidden",
                r#"{"error":"forbidden","reason":"order belongs to another customer"}"#,
            )
        } else {
            ("200 OK", r#"{"status":"accepted"}"#)
        };
        self.text.clear();
        write!(
            self.text,
            "HTTP/1.1 {status}\r\n\
             Server: nginx/1.26.2\r\n\
             Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
             Content-Type: application/json; charset=utf-8\r\n\
             X-Request-Id: {number:032x}\r\n\
             Cache-Control: no-store\r\n\
             Connection: keep-alive\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        self.packet(pcap, Way::Response, PSH_ACK)?;
        self.text.clear();
        self.packet(pcap, Way::Request, ACK)
    }

    fn close(&mut self, pcap: &mut Pcap<impl Write>) -> Result<()> {
        self.text.clear();
        self.packet(pcap, Way::Request, FIN_ACK)?;
        self.client_seq = self.client_seq.wrapping_add(1);
        self.packet(pcap, Way::Response, FIN_ACK)?;
        self.server_seq = self.server_seq.wrapping_add(1);
        self.packet(pcap, Way::Request, ACK)
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

/// A pcap file with nanoseconds, of Ethernet frames.
struct Pcap<W> {
    out: W,
    at: u64,
    frame: Vec<u8>,
}

impl<W: Write> Pcap<W> {
    fn start(mut out: W) -> Result<Self> {
        out.write_all(&0xa1b2_3c4d_u32.to_le_bytes())?;
        for half in [2_u16, 4] {
            out.write_all(&half.to_le_bytes())?;
        }
        // Time zone, accuracy, snap length, Ethernet.
        for word in [0_u32, 0, 262_144, 1] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Self {
            out,
            at: START,
            frame: Vec::with_capacity(2048),
        })
    }

    fn tcp(
        &mut self,
        from: ([u8; 4], u16),
        to: ([u8; 4], u16),
        (seq, ack, flags): (u32, u32, u8),
        payload: &[u8],
    ) -> Result<()> {
        let total = u16::try_from(40 + payload.len())?;
        let mut ip = [0_u8; 20];
        put(&mut ip, 0, &[0x45, 0]);
        put(&mut ip, 2, &total.to_be_bytes());
        put(&mut ip, 6, &[0x40, 0, 64, 6]);
        put(&mut ip, 12, &from.0);
        put(&mut ip, 16, &to.0);
        let checksum = !fold(sum(&ip, 0));
        put(&mut ip, 10, &checksum.to_be_bytes());

        let mut tcp = [0_u8; 20];
        put(&mut tcp, 0, &from.1.to_be_bytes());
        put(&mut tcp, 2, &to.1.to_be_bytes());
        put(&mut tcp, 4, &seq.to_be_bytes());
        put(&mut tcp, 8, &ack.to_be_bytes());
        put(&mut tcp, 12, &[0x50, flags, 0xff, 0xff]);
        let pseudo = sum(&[from.0, to.0].concat(), 6 + u64::from(total) - 20);
        let checksum = !fold(sum(payload, sum(&tcp, pseudo)));
        put(&mut tcp, 16, &checksum.to_be_bytes());

        self.frame.clear();
        self.frame
            .extend([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00]);
        self.frame.extend(ip);
        self.frame.extend(tcp);
        self.frame.extend(payload);
        let length = u32::try_from(self.frame.len())?;
        let (seconds, nanos) = (self.at / 1_000_000_000, self.at % 1_000_000_000);
        for word in [
            u32::try_from(seconds)?,
            u32::try_from(nanos)?,
            length,
            length,
        ] {
            self.out.write_all(&word.to_le_bytes())?;
        }
        self.out.write_all(&self.frame)?;
        self.at += STEP;
        Ok(())
    }
}

fn put(header: &mut [u8; 20], at: usize, bytes: &[u8]) {
    header
        .iter_mut()
        .skip(at)
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
}

/// The sum of the 16-bit words, not yet folded (RFC 1071).
fn sum(bytes: &[u8], start: u64) -> u64 {
    let (words, rest) = bytes.as_chunks::<2>();
    let whole = words.iter().fold(start, |sum, word| {
        sum + u64::from(u16::from_be_bytes(*word))
    });
    whole + rest.first().map_or(0, |byte| u64::from(*byte) << 8)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::{Ending, Load, refused, write};

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
        let load = Load::kept_alive(250);
        assert_eq!(generated(load), generated(load));
    }

    #[test]
    fn connections_that_wait_have_no_answer() {
        for (ending, answers) in [(Ending::Idle, 150), (Ending::Waiting, 0)] {
            let bytes = generated(Load::never_closed(150, ending));
            assert_eq!(count(&bytes, b"POST /api"), 150);
            assert_eq!(count(&bytes, b"HTTP/1.1 "), answers);
        }
    }

    fn generated(load: Load) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, load).unwrap();
        bytes
    }

    fn count(bytes: &[u8], what: &[u8]) -> usize {
        bytes.windows(what.len()).filter(|w| *w == what).count()
    }
}
