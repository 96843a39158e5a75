//! What a peer that is not traced is called, and whether tracing its port would help.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::model::{Unread, UnreadPeer};

/// Ports of services that do not speak HTTP, as IANA registers them or as the service's own
/// documentation names its default: who asks there was not answered with a status, and tracing the
/// port would show nothing. A service on another port than its own is told as one that could be
/// traced.
const NOT_HTTP: [(u16, &str); 29] = [
    (22, "SSH"),
    (25, "SMTP"),
    (53, "DNS"),
    (88, "Kerberos"),
    (111, "portmapper"),
    (389, "LDAP"),
    (465, "SMTP over TLS"),
    (514, "syslog"),
    (587, "SMTP submission"),
    (636, "LDAP over TLS"),
    (783, "SpamAssassin"),
    (853, "DNS over TLS"),
    (1433, "Microsoft SQL Server"),
    (1521, "Oracle"),
    (1883, "MQTT"),
    (2049, "NFS"),
    (3268, "Active Directory global catalogue"),
    (3306, "MySQL"),
    (3310, "ClamAV"),
    (4222, "NATS"),
    (5432, "PostgreSQL"),
    (5671, "AMQP over TLS"),
    (5672, "AMQP"),
    (6379, "Redis"),
    (6514, "syslog over TLS"),
    (9042, "Cassandra"),
    (9092, "Kafka"),
    (11211, "memcached"),
    (27017, "MongoDB"),
];

/// Ports of protocols that carry an HTTP answer in another form: tracing them would not show it.
const CARRY_HTTP: [u16; 4] = [1344, 8009, 9000, 9001]; // ICAP, AJP, FastCGI twice

/// Ports of HTTP over TLS: tracing them shows that there is TLS.
const TLS: [u16; 2] = [443, 8443];

/// Sockets of the system's log and service manager (`sd_notify(3)`, `systemd-journald(8)`,
/// `syslog(3)`), with and without the symbolic link of `/var/run`. Nobody is asked there.
const LOGS: [&str; 7] = [
    "/dev/log",
    "/run/systemd/journal/dev-log",
    "/run/systemd/journal/socket",
    "/run/systemd/journal/stdout",
    "/run/systemd/journal/syslog",
    "/run/systemd/notify",
    "/run/rsyslog/dev/log",
];

/// A TCP peer.
pub fn tcp_peer(addr: SocketAddr) -> UnreadPeer {
    let port = addr.port();
    let why = if service(port).is_some() {
        Unread::NotHttp
    } else if TLS.contains(&port) {
        Unread::Tls
    } else if CARRY_HTTP.contains(&port) {
        Unread::Unrecognised
    } else {
        Unread::PortNotTraced
    };
    UnreadPeer {
        addr: Some(addr),
        path: None,
        why,
    }
}

/// The peer of a Unix socket by what it is bound to, as in `sockaddr_un::sun_path`: a path and a
/// NUL, or a NUL and an abstract name, which is shown with an `@` as `ss` does. Empty where not
/// known. `None` for the sockets that logs go to.
pub fn unix_peer(name: &[u8]) -> Option<UnreadPeer> {
    let path = match name {
        [] => None,
        [0, rest @ ..] => Some(format!("@{}", String::from_utf8_lossy(rest))),
        path => {
            let path = path.split(|&byte| byte == 0).next().unwrap_or_default();
            Some(String::from_utf8_lossy(path).into_owned())
        }
    };
    if path.as_deref().is_some_and(is_log) {
        return None;
    }
    Some(UnreadPeer {
        addr: None,
        path: path.map(Arc::from),
        why: Unread::UnixSocket,
    })
}

/// The service that has this port, where it does not speak HTTP.
pub fn service(port: u16) -> Option<&'static str> {
    let place = NOT_HTTP.binary_search_by_key(&port, |(port, _)| *port);
    NOT_HTTP.get(place.ok()?).map(|(_, service)| *service)
}

fn is_log(path: &str) -> bool {
    let path = path
        .strip_prefix("/var")
        .filter(|rest| rest.starts_with("/run/"))
        .unwrap_or(path);
    LOGS.contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_found() {
        assert!(NOT_HTTP.is_sorted_by(|(a, _), (b, _)| a < b));
        for (port, name) in NOT_HTTP {
            assert_eq!(service(port), Some(name));
        }
        assert_eq!([80, 8080, 8181, 0].map(service), [None; 4]);
    }

    #[test]
    fn a_port_says_why_it_was_not_read() {
        let why = |port| tcp_peer(SocketAddr::from(([10, 0, 0, 1], port))).why;
        assert_eq!(why(3306), Unread::NotHttp);
        assert_eq!(why(443), Unread::Tls);
        assert_eq!(why(8181), Unread::PortNotTraced);
    }

    #[test]
    fn a_unix_socket_has_the_name_it_is_bound_to() {
        let path = |name: &[u8]| unix_peer(name).unwrap().path;
        assert_eq!(path(b"/run/php.sock\0").as_deref(), Some("/run/php.sock"));
        assert_eq!(path(b"relative").as_deref(), Some("relative"));
        assert_eq!(path(b"\0authd").as_deref(), Some("@authd"));
        assert_eq!(path(b"\xff\0").as_deref(), Some("\u{fffd}"));
        assert_eq!(path(b""), None);
    }

    #[test]
    fn logs_are_no_peers() {
        for name in [
            &b"/dev/log\0"[..],
            b"/run/systemd/journal/stdout",
            b"/var/run/systemd/journal/socket\0",
        ] {
            assert_eq!(unix_peer(name), None);
        }
        assert!(unix_peer(b"/dev/log2\0").is_some());
        assert!(unix_peer(b"/var/dev/log\0").is_some());
    }
}
