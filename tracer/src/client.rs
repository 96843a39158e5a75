//! Who the client is: a table of what everybody says, never one guess.

use std::net::{IpAddr, SocketAddr};

use crate::model::{ClientAddress, ClientSource, Exchange, Head};

/// Most rows of a table.
const ROWS_MAX: usize = 64;
/// Longest text of a row, in bytes.
const TEXT_MAX: usize = 256;

/// Every address that somebody gave for the client of an exchange: the server's socket, the client's
/// own where it is translated on the way, then `proxy` (the
/// PROXY protocol), then the header fields, in the order of [`ClientSource`].
pub fn addresses(exchange: &Exchange, proxy: Option<SocketAddr>) -> Vec<ClientAddress> {
    let mut rows = Vec::new();
    let client = &exchange.client;
    let before = client.translated.map(|_| client.addr);
    let sockets = [
        (ClientSource::SocketPeer, Some(exchange.client.seen_as())),
        (ClientSource::BeforeTranslation, before),
        (ClientSource::ProxyProtocol, proxy),
    ];
    for (source, addr) in sockets {
        rows.extend(addr.map(|addr| ClientAddress {
            source,
            text: addr.to_string(),
            addr: Some(addr.ip().to_canonical()),
        }));
    }
    if let Some(request) = &exchange.request {
        let head = &request.message.head;
        add_list(&mut rows, head, ClientSource::XForwardedFor);
        add_value(&mut rows, head, ClientSource::XRealIp);
        add_forwarded(&mut rows, head);
        add_value(&mut rows, head, ClientSource::CfConnectingIp);
        add_value(&mut rows, head, ClientSource::TrueClientIp);
    }
    rows
}

/// The field that a source is read from.
fn field_name(source: ClientSource) -> &'static str {
    match source {
        ClientSource::SocketPeer
        | ClientSource::BeforeTranslation
        | ClientSource::ProxyProtocol => "",
        ClientSource::XForwardedFor => "x-forwarded-for",
        ClientSource::XRealIp => "x-real-ip",
        ClientSource::Forwarded => "forwarded",
        ClientSource::CfConnectingIp => "cf-connecting-ip",
        ClientSource::TrueClientIp => "true-client-ip",
    }
}

/// Every element of every field of this name.
fn add_list(rows: &mut Vec<ClientAddress>, head: &Head, source: ClientSource) {
    for value in head.values(field_name(source)) {
        for text in value.split(|b| *b == b',') {
            add(rows, source, text);
        }
    }
}

/// Every field of this name, whole.
fn add_value(rows: &mut Vec<ClientAddress>, head: &Head, source: ClientSource) {
    for text in head.values(field_name(source)) {
        add(rows, source, text);
    }
}

/// The `for` parameters of `Forwarded` (RFC 7239 section 4).
fn add_forwarded(rows: &mut Vec<ClientAddress>, head: &Head) {
    let source = ClientSource::Forwarded;
    for value in head.values(field_name(source)) {
        for pair in split_unquoted(value) {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let name = halves.next().unwrap_or_default().trim_ascii();
            if name.eq_ignore_ascii_case(b"for") {
                add(rows, source, halves.next().unwrap_or_default());
            }
        }
    }
}

/// Cuts at commas and semicolons outside of quoted strings (RFC 9110 section 5.6.4).
fn split_unquoted(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    value.split(move |&byte| {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted => escaped = !was_escaped,
            b'"' if !was_escaped => quoted = !quoted,
            b',' | b';' => return !quoted,
            _ => {}
        }
        false
    })
}

fn add(rows: &mut Vec<ClientAddress>, source: ClientSource, text: &[u8]) {
    let text = text.trim_ascii();
    if text.is_empty() || rows.len() >= ROWS_MAX {
        return;
    }
    let text = String::from_utf8_lossy(text.get(..TEXT_MAX).unwrap_or(text)).into_owned();
    let addr = parse(&text);
    rows.push(ClientAddress { source, text, addr });
}

/// The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`,
/// `[2001:db8::1]:80`, and any of these in quotes.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    let host = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        // One colon is a port, several are an IPv6 address.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => host,
            _ => text,
        },
    };
    let host = host.split('%').next()?;
    host.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConnId, Endpoint, FieldSpan, Request};

    #[test]
    fn every_source_in_order() {
        let fields = [
            ("True-Client-IP", "203.0.113.9"),
            ("X-Forwarded-For", "198.51.100.1, unknown"),
            (
                "Forwarded",
                "for=\"[2001:db8::1]:4711\";proto=http, FOR=_hidden",
            ),
            ("x-forwarded-for", " 10.0.0.1:99"),
            ("X-Real-IP", "::ffff:198.51.100.7"),
            ("CF-Connecting-IP", "2001:db8::2"),
        ];
        let proxy = "192.0.2.1:4711".parse().ok();
        let rows = addresses(&exchange(&fields), proxy);
        let rows: Vec<_> = rows
            .iter()
            .map(|r| (r.source, r.text.as_str(), r.addr.map(|a| a.to_string())))
            .collect();
        let ip = |text: &str| Some(text.to_owned());
        assert_eq!(
            rows,
            [
                (ClientSource::SocketPeer, "127.0.0.1:5000", ip("127.0.0.1")),
                (
                    ClientSource::ProxyProtocol,
                    "192.0.2.1:4711",
                    ip("192.0.2.1")
                ),
                (
                    ClientSource::XForwardedFor,
                    "198.51.100.1",
                    ip("198.51.100.1")
                ),
                (ClientSource::XForwardedFor, "unknown", None),
                (ClientSource::XForwardedFor, "10.0.0.1:99", ip("10.0.0.1")),
                (
                    ClientSource::XRealIp,
                    "::ffff:198.51.100.7",
                    ip("198.51.100.7")
                ),
                (
                    ClientSource::Forwarded,
                    "\"[2001:db8::1]:4711\"",
                    ip("2001:db8::1")
                ),
                (ClientSource::Forwarded, "_hidden", None),
                (
                    ClientSource::CfConnectingIp,
                    "2001:db8::2",
                    ip("2001:db8::2")
                ),
                (ClientSource::TrueClientIp, "203.0.113.9", ip("203.0.113.9")),
            ]
        );
    }

    #[test]
    fn quotes_protect_what_is_in_them() {
        let value = b"for=\"a,b\\\"c;d\";by=x,for=e";
        let parts: Vec<_> = split_unquoted(value).collect();
        assert_eq!(parts, [&b"for=\"a,b\\\"c;d\""[..], b"by=x", b"for=e"]);
    }

    #[test]
    fn hostile_fields_make_a_bounded_table() {
        let chain = "1.1.1.1,".repeat(10_000);
        let long = "x".repeat(100_000);
        let fields = [("X-Real-IP", long.as_str()), ("X-Forwarded-For", &chain)];
        let rows = addresses(&exchange(&fields), None);
        assert_eq!(rows.len(), ROWS_MAX);
        let rows = addresses(&exchange(&fields[..1]), None);
        assert_eq!(rows[1].text.len(), TEXT_MAX);
    }

    fn exchange(fields: &[(&str, &str)]) -> Exchange {
        let mut head = Head::default();
        let mut append = |text: &str| {
            let start = u32::try_from(head.raw.len()).expect("short");
            head.raw.extend_from_slice(text.as_bytes());
            (start, u32::try_from(head.raw.len()).expect("short"))
        };
        let spans = fields.iter().map(|(name, value)| FieldSpan {
            name: append(name),
            value: append(value),
        });
        let spans = spans.collect();
        head.fields = spans;
        let mut request = Request::default();
        request.message.head = head;
        let end = |addr: &str| Endpoint {
            addr: addr.parse().expect("an address"),
            translated: None,
            cookie: 0,
            owner: None,
        };
        Exchange {
            conn: ConnId(0),
            index: 0,
            client: end("127.0.0.1:5000"),
            server: end("127.0.0.1:80"),
            request: Some(Box::new(request)),
            interim: Vec::new(),
            response: None,
            anomalies: Vec::new(),
            proxy_client: None,
            client_addresses: Vec::new(),
        }
    }
}
