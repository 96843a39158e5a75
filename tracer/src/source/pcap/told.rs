//! The custom blocks that this tool writes (`output/pcapng/told.rs`), read back: what the host told
//! beside packets and owners.
//!
//! What is not understood in full is left out, as if it were somebody else's.

use std::sync::Arc;

use super::line::Line;
use crate::model::{Around, LossPlace, MissingProbe, Preflight, Talk, Unread, UnreadPeer};
use crate::ports::Ports;
use crate::source::{Record, probes};

/// The enterprise number of this tool's blocks: the one for documentation (RFC 5612), which is
/// nobody's.
pub(super) const ENTERPRISE: u32 = 32_473;

/// Bytes of a peer's path: the kernel's have 108 at most, and replaced ones grow threefold.
const PATH: usize = 512;

/// Bytes of a reason.
const WHY: usize = 1_024;

/// What a block says.
pub(super) enum Told {
    /// Something for the pipeline.
    Record(Record<'static>),
    /// Which ports were traced.
    Ports(Ports),
}

/// Reads the data of a custom block; `None` where it is not this tool's, or makes no sense.
pub(super) fn read(data: &[u8]) -> Option<Told> {
    let end = data.iter().rposition(|&byte| byte != 0)?;
    let line = Line::parse(data.get(..=end)?)?;
    let record = match line.what() {
        "watching" => Record::Watching {
            at: line.time("at")?,
        },
        "talk" => Record::Talk(talk(line)?),
        "around" => Record::Around(Around {
            at: line.time("at")?,
            client: line.parsed("client")?,
            server: line.parsed("server")?,
            passed: line.parsed("passed")?,
            refused: line.parsed("refused")?,
            rivals: line.parsed("rivals")?,
            perhaps: line.parsed("perhaps")?,
            calls: line.parsed("calls")?,
            forgotten: line.value("forgotten")? == "1",
            // Files of before have none.
            preflight: match line.value("preflight") {
                Some(name) => Preflight::from_name(name)?,
                None => Preflight::NotSeen,
            },
        }),
        "lost" => Record::Lost {
            count: line.parsed("count")?,
            place: place(line.value("place")?)?,
        },
        "missing" => Record::Missing(missing(line)?),
        "ports" => return line.text("list")?.parse().ok().map(Told::Ports),
        _ => return None,
    };
    Some(Told::Record(record))
}

/// Whether the statistics of a file count such a loss too.
pub(super) const fn is_in_statistics(place: LossPlace) -> bool {
    matches!(
        place,
        LossPlace::RingPacket | LossPlace::PacketUnreadable | LossPlace::CaptureFile
    )
}

fn talk(line: Line<'_>) -> Option<Talk> {
    let addr = match line.value("addr") {
        Some(addr) => Some(addr.parse().ok()?),
        None => None,
    };
    let path = line.text("path").map(|path| Arc::from(cut(&path, PATH)));
    let why = why(line.value("why")?)?;
    // Somebody without an address is at the other end of a Unix socket.
    if addr.is_none() && why != Unread::UnixSocket {
        return None;
    }
    Some(Talk {
        at: line.time("at")?,
        pid: line.parsed("pid")?,
        tid: line.parsed("tid")?,
        peer: UnreadPeer { addr, path, why },
        // In files of before, each stood for more.
        more: line.value("more") != Some("0"),
    })
}

fn missing(line: Line<'_>) -> Option<MissingProbe> {
    let (probe, costs) = probes::costs_of(&line.text("probe")?)?;
    Some(MissingProbe {
        probe,
        why: cut(&line.text("why")?, WHY).to_owned(),
        costs,
    })
}

fn why(word: &str) -> Option<Unread> {
    Some(match word {
        "port_not_traced" => Unread::PortNotTraced,
        "unix_socket" => Unread::UnixSocket,
        "tls" => Unread::Tls,
        "http2" => Unread::Http2,
        "not_http" => Unread::NotHttp,
        "unrecognised" => Unread::Unrecognised,
        "left_out" => Unread::LeftOut,
        _ => return None,
    })
}

fn place(word: &str) -> Option<LossPlace> {
    Some(match word {
        "ring_packet" => LossPlace::RingPacket,
        "ring_owner" => LossPlace::RingOwner,
        "ring_exec" => LossPlace::RingExec,
        "ring_talk" => LossPlace::RingTalk,
        "packet_unreadable" => LossPlace::PacketUnreadable,
        "capture_file" => LossPlace::CaptureFile,
        _ => return None,
    })
}

/// The beginning of a text, of at most this many bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let mut ends = (0..=bytes.min(text.len())).rev();
    let end = ends.find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}
