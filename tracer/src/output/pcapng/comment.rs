//! What the tool knows of one end of a connection, as a packet comment: read by people in
//! Wireshark, and by `source/pcap/comment.rs`.

use std::fmt::Write;

use crate::model::{Endpoint, OwnerQuality};

/// Bytes of an encoded value: longer ones (the longest path is 4096 bytes) are cut, so that all of
/// them fit into an option.
const VALUE: usize = 8_192;

/// `tracer403 case=1 end=server addr=… peer=… pid=… tid=… uid=… comm=… exe=… cgroup=…
/// container=… started=… quality=…`: single spaces between, values percent-encoded, what is not
/// known left out.
pub(super) fn end(case: u64, which: &str, end: &Endpoint, peer: &Endpoint) -> String {
    let mut text = String::from("tracer403");
    let mut field = |key: &str, value: &str| {
        text.push(' ');
        text.push_str(key);
        text.push('=');
        encode(&mut text, value);
    };
    field("case", &case.to_string());
    field("end", which);
    field("addr", &end.addr.to_string());
    field("peer", &peer.addr.to_string());
    if let Some(owner) = &end.owner {
        field("pid", &owner.pid.to_string());
        field("tid", &owner.tid.to_string());
        field("uid", &owner.uid.to_string());
        field("comm", &owner.comm);
        if let Some(exe) = &owner.exe {
            field("exe", exe);
        }
        if let Some(cgroup) = &owner.cgroup {
            field("cgroup", cgroup);
        }
        if let Some(container) = &owner.container {
            field(
                "container",
                &format!("{}:{}", container.runtime, container.id),
            );
        }
        if let Some(started_at) = owner.started_at {
            field("started", &started_at.to_string());
        }
        field("quality", quality(owner.quality));
    }
    text
}

fn quality(quality: OwnerQuality) -> &'static str {
    match quality {
        OwnerQuality::Exact => "exact",
        OwnerQuality::Relaxed => "relaxed",
        OwnerQuality::Guess => "guess",
    }
}

/// Percent-encodes what is not printable ASCII, spaces and the percent sign.
fn encode(out: &mut String, value: &str) {
    let bound = out.len() + VALUE;
    for byte in value.bytes() {
        if out.len() + 3 > bound {
            return;
        }
        if byte.is_ascii_graphic() && byte != b'%' {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
