//! What the tool knows of one end of a connection, as a packet comment: read by people in
//! Wireshark, and by `source/pcap/comment.rs`.

use super::line::Line;
use crate::model::{Endpoint, OwnerQuality};

/// `tracer403 case=1 end=server addr=… peer=… pid=… tid=… uid=… comm=… exe=… cgroup=…
/// container=… started=… quality=…`: single spaces between, values percent-encoded, what is not
/// known left out.
pub(super) fn end(case: u64, which: &str, end: &Endpoint, peer: &Endpoint) -> String {
    let mut line = Line::of_values()
        .with("case", &case.to_string())
        .with("end", which)
        .with("addr", &end.addr.to_string())
        .with("peer", &peer.seen_as().to_string());
    if let Some(owner) = &end.owner {
        line = line
            .with("pid", &owner.pid.to_string())
            .with("tid", &owner.tid.to_string())
            .with("uid", &owner.uid.to_string())
            .with("comm", &owner.comm);
        if let Some(exe) = &owner.exe {
            line = line.with("exe", exe);
        }
        if let Some(cgroup) = &owner.cgroup {
            line = line.with("cgroup", cgroup);
        }
        if let Some(container) = &owner.container {
            let value = format!("{}:{}", container.runtime, container.id);
            line = line.with("container", &value);
        }
        if let Some(started_at) = owner.started_at {
            line = line.with("started", &started_at.to_string());
        }
        line = line.with("quality", quality(owner.quality));
    }
    line.into_text()
}

fn quality(quality: OwnerQuality) -> &'static str {
    match quality {
        OwnerQuality::Exact => "exact",
        OwnerQuality::Relaxed => "relaxed",
        OwnerQuality::Guess => "guess",
    }
}
