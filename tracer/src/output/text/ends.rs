//! Who asked and who answered.

use std::fmt::{self, Write};

use super::style::Styles;
use crate::model::{ClientSource, Endpoint, Exchange, Owner, OwnerQuality};
use crate::output::escape;

/// Bytes shown of a path.
const LONGEST_PATH: usize = 256;
/// Digits of a container's id that tools show.
const SHORT_ID: usize = 12;
/// Addresses of a client that are told in one line.
const MOST_TOLD: usize = 8;

/// Both ends, and the table of client addresses where there is more in it than the socket's peer.
pub(super) fn write(out: &mut String, exchange: &Exchange, styles: &Styles) -> fmt::Result {
    let addresses = [&exchange.client, &exchange.server].map(|end| end.addr.to_string());
    let width = addresses.iter().map(String::len).max().unwrap_or(0);
    let ends = [("client", &exchange.client), ("server", &exchange.server)];
    for ((role, end), address) in ends.into_iter().zip(addresses) {
        write!(out, "    {role}  {address:width$}  ")?;
        process(out, end, styles)?;
        out.push('\n');
        if let Some(seen_as) = end.translated {
            let other = if role == "client" { "server" } else { "client" };
            writeln!(
                out,
                "            the {other} sees {seen_as}: addresses are translated between"
            )?;
        }
    }
    client_addresses(out, exchange)
}

/// Who the client is, as the server of an exchange was told: `10.0.0.7 by the socket`.
pub(super) fn told(exchange: &Exchange) -> String {
    let rows = exchange.client_addresses.iter().take(MOST_TOLD).map(|row| {
        let text = escape::line(row.text.as_bytes(), LONGEST_PATH);
        format!("{text} by {}", source(row.source))
    });
    let rows: Vec<String> = rows.collect();
    if rows.is_empty() {
        return format!(
            "{} by the socket",
            exchange.client.seen_as().ip().to_canonical()
        );
    }
    rows.join(", ")
}

/// What stands before the name of a process that is not known for sure.
pub(super) fn guess(quality: OwnerQuality) -> &'static str {
    match quality {
        OwnerQuality::Exact => "",
        OwnerQuality::Relaxed => "probably ",
        OwnerQuality::Guess => "perhaps ",
    }
}

fn process(out: &mut String, end: &Endpoint, styles: &Styles) -> fmt::Result {
    let Styles { warn, .. } = styles;
    let Some(owner) = &end.owner else {
        return out.write_str(if end.cookie == 0 {
            "process not known: on another host, or not seen"
        } else {
            "process not known: on this host, but no probe saw it"
        });
    };
    write!(out, "{warn}{}{warn:#}", guess(owner.quality))?;
    facts(out, owner)?;
    match owner.quality {
        OwnerQuality::Exact => Ok(()),
        OwnerQuality::Relaxed => write!(
            out,
            " {warn}(relaxed: read from the socket table, not seen at work){warn:#}"
        ),
        OwnerQuality::Guess => write!(
            out,
            " {warn}(guess: one of several that hold the socket){warn:#}"
        ),
    }
}

fn facts(out: &mut String, owner: &Owner) -> fmt::Result {
    let name = escape::line(owner.comm.as_bytes(), LONGEST_PATH);
    write!(out, "{name}, pid {}", owner.pid)?;
    if owner.tid != owner.pid {
        write!(out, ", thread {}", owner.tid)?;
    }
    write!(out, ", uid {}", owner.uid)?;
    if let Some(exe) = &owner.exe {
        write!(out, ", {}", escape::line(exe.as_bytes(), LONGEST_PATH))?;
    }
    if let Some(container) = &owner.container {
        let id = container.id.as_bytes();
        let id = id.get(..SHORT_ID).unwrap_or(id);
        write!(
            out,
            ", {} {}",
            container.runtime,
            escape::line(id, SHORT_ID)
        )
    } else if let Some(cgroup) = &owner.cgroup {
        write!(
            out,
            ", cgroup {}",
            escape::line(cgroup.as_bytes(), LONGEST_PATH)
        )
    } else {
        Ok(())
    }
}

fn client_addresses(out: &mut String, exchange: &Exchange) -> fmt::Result {
    let others = |source| source != ClientSource::SocketPeer;
    if !exchange.client_addresses.iter().any(|r| others(r.source)) {
        return Ok(());
    }
    out.write_str("    who the client is, by\n")?;
    for row in &exchange.client_addresses {
        let source = source(row.source);
        let text = escape::line(row.text.as_bytes(), LONGEST_PATH);
        let note = if row.addr.is_none() {
            "  (no address)"
        } else {
            ""
        };
        writeln!(out, "      {source:16}  {text}{note}")?;
    }
    Ok(())
}

fn source(source: ClientSource) -> &'static str {
    match source {
        ClientSource::SocketPeer => "the socket",
        ClientSource::BeforeTranslation => "its own socket",
        ClientSource::ProxyProtocol => "PROXY protocol",
        ClientSource::XForwardedFor => "X-Forwarded-For",
        ClientSource::XRealIp => "X-Real-IP",
        ClientSource::Forwarded => "Forwarded",
        ClientSource::CfConnectingIp => "CF-Connecting-IP",
        ClientSource::TrueClientIp => "True-Client-IP",
    }
}
