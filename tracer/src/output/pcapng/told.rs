//! What the host told, as the line of a custom block: read back by `source/pcap/told.rs`.
//!
//! The form is that of the packet comments: `tracer403`, what it is, and percent-encoded values.

use super::line::Line;
use crate::model::{Around, LossPlace, MissingProbe, Talk, Told, Unread};

/// `tracer403 watching at=…`, `tracer403 talk at=… pid=… tid=… addr=…|path=… why=…
/// more=0|1` or `tracer403 lost at=… count=… place=…`.
pub(super) fn line(told: &Told) -> String {
    match told {
        Told::Watching { at } => Line::new("watching").with("at", &at.to_string()),
        Told::Talk(Talk {
            at,
            pid,
            tid,
            peer,
            more,
        }) => {
            let mut line = Line::new("talk")
                .with("at", &at.to_string())
                .with("pid", &pid.to_string())
                .with("tid", &tid.to_string());
            if let Some(addr) = peer.addr {
                line = line.with("addr", &addr.to_string());
            }
            if let Some(path) = &peer.path {
                line = line.with("path", path);
            }
            line.with("why", why(peer.why))
                .with("more", &u8::from(*more).to_string())
        }
        Told::Around(around) => self::around(around),
        Told::Lost { at, count, place } => Line::new("lost")
            .with("at", &at.to_string())
            .with("count", &count.to_string())
            .with("place", self::place(*place)),
    }
    .into_text()
}

/// `tracer403 around at=… client=… server=… passed=… refused=… rivals=… perhaps=… calls=… forgotten=0|1
/// preflight=…`.
fn around(around: &Around) -> Line {
    Line::new("around")
        .with("at", &around.at.to_string())
        .with("client", &around.client.to_string())
        .with("server", &around.server.to_string())
        .with("passed", &around.passed.to_string())
        .with("refused", &around.refused.to_string())
        .with("rivals", &around.rivals.to_string())
        .with("perhaps", &around.perhaps.to_string())
        .with("calls", &around.calls.to_string())
        .with("forgotten", &u8::from(around.forgotten).to_string())
        .with("preflight", around.preflight.name())
}

/// `tracer403 ports list=80-81,…`: what was traced.
pub(super) fn ports(list: &str) -> String {
    Line::new("ports").with("list", list).into_text()
}

/// `tracer403 missing probe=… why=…`. What it costs is known by its name.
pub(super) fn missing(missing: &MissingProbe) -> String {
    Line::new("missing")
        .with("probe", missing.probe)
        .with("why", &missing.why)
        .into_text()
}

const fn why(why: Unread) -> &'static str {
    match why {
        Unread::PortNotTraced => "port_not_traced",
        Unread::UnixSocket => "unix_socket",
        Unread::Tls => "tls",
        Unread::Http2 => "http2",
        Unread::NotHttp => "not_http",
        Unread::Unrecognised => "unrecognised",
        Unread::LeftOut => "left_out",
    }
}

const fn place(place: LossPlace) -> &'static str {
    match place {
        LossPlace::RingPacket => "ring_packet",
        LossPlace::RingOwner => "ring_owner",
        LossPlace::RingExec => "ring_exec",
        LossPlace::RingTalk => "ring_talk",
        LossPlace::PacketUnreadable => "packet_unreadable",
        LossPlace::CaptureFile => "capture_file",
    }
}
