//! What could not be seen, and what to do so that it is seen next time.

use crate::model::{Asked, Chain, Unread, UnreadPeer};

/// What could not be seen at the last hop that was looked at, a sentence each.
pub(super) fn limits(chain: &Chain, at: usize) -> Vec<String> {
    let Some(hop) = chain.hop(at) else {
        return Vec::new();
    };
    let name = hop.server_name();
    match &hop.asked {
        Asked::NextHop | Asked::Nobody => Vec::new(),
        Asked::Unread(peers) => peers.iter().map(|peer| unread(&name, peer)).collect(),
        Asked::ServerNotSeen => vec![format!(
            "{name} is on another host, or its process was not seen: whom it asked is not known."
        )],
        Asked::Ambiguous(count) => vec![format!(
            "{name} served several requests at once: {count} of its calls may have been for this \
             one, or for another."
        )],
        Asked::Lost(count) => vec![format!(
            "{count} records were lost meanwhile: {name} may have asked somebody unseen."
        )],
        Asked::OtherPortsNotSeen => vec![format!(
            "Whom {name} asked on other ports is not known: the capture does not say."
        )],
        Asked::Unknown => vec![format!("Whom {name} asked is not known.")],
    }
}

/// The step that would show more, where there is one.
pub(super) fn next_step(chain: &Chain, at: usize) -> Option<String> {
    let hop = chain.hop(at)?;
    match &hop.asked {
        Asked::Unread(peers) => {
            let port = |p: &UnreadPeer| p.addr.filter(|_| p.why == Unread::PortNotTraced);
            let ports: Vec<_> = peers
                .iter()
                .filter_map(|p| port(p).map(|a| a.port().to_string()))
                .collect();
            if peers.iter().all(|peer| peer.why == Unread::LeftOut) {
                return Some("Repeat with --capture all, so that nothing is left out.".into());
            }
            Some(if ports.is_empty() {
                format!(
                    "Look into the logs of what {} asked, or trace it where it speaks plain HTTP.",
                    hop.server_name()
                )
            } else {
                format!(
                    "Trace the port it asked too: add {} to -p, and repeat.",
                    ports.join(",")
                )
            })
        }
        Asked::Lost(_) => Some("Repeat with a larger --ring-size, so that nothing is lost.".into()),
        _ => None,
    }
}

fn unread(name: &str, peer: &UnreadPeer) -> String {
    let (whom, why) = match (peer.addr, peer.why) {
        (Some(addr), Unread::PortNotTraced) => (
            addr.to_string(),
            format!("port {} is not traced (add it to -p)", addr.port()),
        ),
        (None, _) => (
            peer.path.as_ref().map_or_else(
                || "somebody over a Unix socket".to_owned(),
                |path| format!("the Unix socket {path}"),
            ),
            "it has no packets".to_owned(),
        ),
        (Some(addr), Unread::Tls) => (addr.to_string(), "it is TLS".to_owned()),
        (Some(addr), Unread::Http2) => (addr.to_string(), "it is HTTP/2".to_owned()),
        (Some(addr), Unread::LeftOut) => (
            addr.to_string(),
            "it was no refusal, and was left out in the kernel (--capture all reads it)".to_owned(),
        ),
        (Some(addr), Unread::UnixSocket | Unread::NotHttp | Unread::Unrecognised) => (
            addr.to_string(),
            "its protocol is not recognised (FastCGI, for one)".to_owned(),
        ),
    };
    format!("{name} asked {whom} meanwhile, and the answer was not read: {why}.")
}
