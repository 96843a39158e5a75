//! The comments that this tool writes on packets (`output/pcapng.rs`), read back: the owner
//! of each end of a connection.
//!
//! A file may come from anybody, so nothing here is believed beyond what a comment can be: values
//! are data, bounded by the length of an option (64 KiB).

use std::net::SocketAddr;
use std::sync::Arc;

use super::line::{Line, decode};
use crate::model::{Container, Owner, OwnerQuality, Timestamp};
use crate::source::{SocketKey, SocketOwner, SocketUse};

/// The owner that a comment names; `None` where it is somebody else's comment, or names none.
///
/// The form: `tracer403 case=1 end=server addr=192.0.2.1:80 peer=192.0.2.9:4000 pid=12 …`, values
/// percent-encoded, in any order.
pub(super) fn owner(comment: &[u8], at: Timestamp) -> Option<SocketOwner> {
    let line = Line::parse(comment)?;
    let text = |name: &str| line.text(name).map(Arc::from);
    let addr: SocketAddr = line.parsed("addr")?;
    let peer: SocketAddr = line.parsed("peer")?;
    let pid = line.parsed("pid")?;
    Some(SocketOwner {
        at,
        socket: SocketKey {
            cookie: 0,
            local: Some(addr),
            remote: Some(peer),
        },
        used: SocketUse::Sent,
        owner: Owner {
            pid,
            tid: line.parsed("tid").unwrap_or(pid),
            uid: line.parsed("uid")?,
            started_at: line.time("started"),
            comm: text("comm")?,
            exe: text("exe"),
            cgroup: text("cgroup"),
            container: line.value("container").and_then(container).map(Arc::new),
            quality: quality(line.value("quality")?)?,
        },
    })
}

fn quality(word: &str) -> Option<OwnerQuality> {
    match word {
        "exact" => Some(OwnerQuality::Exact),
        "relaxed" => Some(OwnerQuality::Relaxed),
        "guess" => Some(OwnerQuality::Guess),
        _ => None,
    }
}

/// `runtime:id`.
fn container(text: &str) -> Option<Container> {
    let (runtime, id) = text.split_once(':')?;
    let runtime = ["docker", "containerd", "cri-o", "podman", "kubernetes"]
        .into_iter()
        .find(|known| *known == runtime)?;
    Some(Container {
        runtime,
        id: decode(id),
    })
}
