//! The comments that this tool writes on packets (`output/pcapng.rs`), read back: the owner
//! of each end of a connection.
//!
//! A file may come from anybody, so nothing here is believed beyond what a comment can be: values
//! are data, bounded by the length of an option (64 KiB).

use std::net::SocketAddr;
use std::sync::Arc;

use crate::model::{Container, Owner, OwnerQuality, Timestamp};
use crate::source::{SocketKey, SocketOwner, SocketUse};

/// The owner that a comment names; `None` where it is somebody else's comment, or names none.
///
/// The form: `tracer403 case=1 end=server addr=192.0.2.1:80 peer=192.0.2.9:4000 pid=12 …`, values
/// percent-encoded, in any order.
pub(super) fn owner(comment: &[u8], at: Timestamp) -> Option<SocketOwner> {
    let fields = std::str::from_utf8(comment)
        .ok()?
        .strip_prefix("tracer403 ")?;
    let value = |name: &str| {
        fields
            .split(' ')
            .filter_map(|field| field.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    let text = |name: &str| value(name).map(|v| Arc::from(decode(v)));
    let addr: SocketAddr = value("addr")?.parse().ok()?;
    let peer: SocketAddr = value("peer")?.parse().ok()?;
    let pid = value("pid")?.parse().ok()?;
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
            tid: value("tid").and_then(|v| v.parse().ok()).unwrap_or(pid),
            uid: value("uid")?.parse().ok()?,
            started_at: value("started").and_then(seconds),
            comm: text("comm")?,
            exe: text("exe"),
            cgroup: text("cgroup"),
            container: value("container").and_then(container).map(Arc::new),
            quality: quality(value("quality")?)?,
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

/// Seconds since the epoch, with nine digits after the point.
fn seconds(text: &str) -> Option<Timestamp> {
    let (whole, nanos) = text.split_once('.')?;
    if nanos.len() != 9 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let nanos: u64 = nanos.parse().ok()?;
    Some(Timestamp::from_nanos(
        whole.checked_mul(1_000_000_000)?.checked_add(nanos)?,
    ))
}

/// Removes percent-encoding; bytes that are not UTF-8 are replaced.
fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, after @ ..] if byte == b'%' => hex(*high)
                .zip(hex(*low))
                .map(|(high, low)| (high << 4 | low, after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((byte, after));
        out.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}
