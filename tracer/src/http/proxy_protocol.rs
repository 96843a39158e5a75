//! The PROXY protocol header, versions 1 and 2, as HAProxy's specification defines it.

use std::net::{IpAddr, SocketAddr};
use std::str;

use memchr::memchr;

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// No such header.
    Absent,
    /// It may be one; more bytes are needed.
    More,
    /// One, of `len` bytes, with the client that it names: none for `UNKNOWN`, `LOCAL` and
    /// addresses that are not of the Internet.
    Present {
        /// Its length, in bytes.
        len: usize,
        /// The client.
        client: Option<SocketAddr>,
    },
    /// One that cannot be read, of `len` bytes (0 where that cannot be read either).
    Malformed {
        /// Its length, in bytes.
        len: usize,
    },
}

const V1: &[u8] = b"PROXY ";
/// Longest header of version 1, with its CR LF.
const V1_MAX: usize = 107;
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads the header off the first bytes of a connection.
pub(super) fn read(prefix: &[u8]) -> Header {
    if prefix.starts_with(V1) {
        read_v1(prefix)
    } else if prefix.starts_with(V2) {
        read_v2(prefix)
    } else if V1.starts_with(prefix) || V2.starts_with(prefix) {
        Header::More
    } else {
        Header::Absent
    }
}

fn read_v1(prefix: &[u8]) -> Header {
    let window = prefix.get(..V1_MAX).unwrap_or(prefix);
    let Some(end) = memchr(b'\n', window) else {
        return if prefix.len() < V1_MAX {
            Header::More
        } else {
            Header::Malformed { len: 0 }
        };
    };
    let len = end + 1;
    let line = window.get(V1.len()..end).unwrap_or_default();
    match parse_v1(line.trim_ascii_end()) {
        Some(client) => Header::Present { len, client },
        None => Header::Malformed { len },
    }
}

/// `None` where the line makes no sense, `Some(None)` where it names nobody.
fn parse_v1(line: &[u8]) -> Option<Option<SocketAddr>> {
    let mut words = str::from_utf8(line).ok()?.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let source: IpAddr = words.next()?.parse().ok()?;
    let _destination: IpAddr = words.next()?.parse().ok()?;
    let port = words.next()?.parse().ok()?;
    let _destination_port: u16 = words.next()?.parse().ok()?;
    let fits = match family {
        "TCP4" => source.is_ipv4(),
        "TCP6" => source.is_ipv6(),
        _ => false,
    };
    (fits && words.next().is_none()).then(|| Some(SocketAddr::new(source, port)))
}

fn read_v2(prefix: &[u8]) -> Header {
    let Some((header, rest)) = prefix.split_first_chunk::<16>() else {
        return Header::More;
    };
    let [.., command, family, high, low] = *header;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let len = header.len() + length;
    let Some(addresses) = rest.get(..length) else {
        return Header::More;
    };
    let client = match (command, family) {
        // LOCAL: the proxy speaks for itself.
        (0x20, _) => Some(None),
        // AF_INET, AF_INET6, with their transport protocol; then AF_UNSPEC and AF_UNIX.
        (0x21, 0x11 | 0x12) => source::<4>(addresses, 8).map(Some),
        (0x21, 0x21 | 0x22) => source::<16>(addresses, 32).map(Some),
        (0x21, 0x00 | 0x31 | 0x32) => Some(None),
        _ => None,
    };
    match client {
        Some(client) => Header::Present { len, client },
        None => Header::Malformed { len },
    }
}

/// The source among the addresses: both addresses first, then both ports.
fn source<const N: usize>(addresses: &[u8], ports: usize) -> Option<SocketAddr>
where
    IpAddr: From<[u8; N]>,
{
    let ip = *addresses.first_chunk::<N>()?;
    let port = *addresses.get(ports..ports + 4)?.first_chunk::<2>()?;
    Some(SocketAddr::new(ip.into(), u16::from_be_bytes(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1() {
        let line = b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\nGET / HTTP/1.1\r\n";
        assert_eq!(read(line), present(44, "192.0.2.1:4711"));
        let line = b"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n";
        assert_eq!(read(line), present(37, "[2001:db8::1]:4711"));
        let unknown = Header::Present {
            len: 15,
            client: None,
        };
        assert_eq!(read(b"PROXY UNKNOWN\r\n"), unknown);
        for line in [
            &b"PROXY TCP4 2001:db8::1 ::1 4711 443\r\n"[..],
            b"PROXY TCP4 192.0.2.1 198.51.100.2 99999 443\r\n",
            b"PROXY nonsense\r\n",
        ] {
            assert_eq!(read(line), Header::Malformed { len: line.len() });
        }
        assert_eq!(
            read(&[V1, &[b'x'; 200]].concat()),
            Header::Malformed { len: 0 }
        );
    }

    #[test]
    fn version_2() {
        let v4 = v2(
            0x21,
            0x11,
            b"\xc0\0\x02\x01\xc6\x33\x64\x02\x12\x67\x01\xbb\x04\0\x01x",
        );
        assert_eq!(read(&v4), present(32, "192.0.2.1:4711"));
        let mut v6 = [0; 36];
        v6[15] = 1;
        v6[32..34].copy_from_slice(&4711_u16.to_be_bytes());
        assert_eq!(read(&v2(0x21, 0x21, &v6)), present(52, "[::1]:4711"));
        let nobody = |len| Header::Present { len, client: None };
        assert_eq!(read(&v2(0x20, 0x00, b"")), nobody(16));
        assert_eq!(read(&v2(0x21, 0x31, &[0; 216])), nobody(232));
        assert_eq!(
            read(&v2(0x21, 0x11, b"short")),
            Header::Malformed { len: 21 }
        );
        assert_eq!(read(&v2(0x31, 0x11, b"")), Header::Malformed { len: 16 });
    }

    #[test]
    fn every_beginning_of_a_header_asks_for_more() {
        let v1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\n".to_vec();
        let v2 = v2(0x21, 0x11, &[0; 12]);
        for header in [v1, v2] {
            for len in 0..header.len() {
                assert_eq!(read(&header[..len]), Header::More);
            }
        }
        assert_eq!(read(b"POST / HTTP/1.1"), Header::Absent);
    }

    fn present(len: usize, client: &str) -> Header {
        let client = Some(client.parse().expect("an address"));
        Header::Present { len, client }
    }

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let len = u16::try_from(addresses.len()).expect("short").to_be_bytes();
        [V2, &[command, family], &len, addresses].concat()
    }
}
