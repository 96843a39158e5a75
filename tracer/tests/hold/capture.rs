//! Ways to capture a conversation, and to lose some of it.

use memchr::memmem;
use proptest::prelude::*;
use tracer_common::hold::Settled;
use tracer403::model;
use tracer403::pipeline::Options;
use tracer403::select::Selection;

use super::exchanges_of;
use super::host::{LetsGo, hold};
use super::talk::{HEADERS, Packet, Shipped, Talk, lets_go};

/// How a conversation is captured.
#[derive(Clone, Debug)]
pub(crate) struct Capture {
    /// Which requests are let go, where they are held.
    held: Option<LetsGo>,
    /// Which packets are lost, from one on so many.
    lost: Vec<(prop::sample::Index, usize)>,
    /// How many milliseconds there are between two packets, at most.
    pace: u64,
    /// Whether every exchange is reported.
    reports_all: bool,
}

pub(crate) fn capture() -> impl Strategy<Value = Capture> {
    let lost = (any::<prop::sample::Index>(), 1..4usize);
    (
        proptest::option::of(lets_go()),
        proptest::collection::vec(lost, 1..4),
        prop_oneof![Just(1u64), Just(100), Just(2_000)],
        any::<bool>(),
    )
        .prop_map(|(held, lost, pace, reports_all)| Capture {
            held,
            lost,
            pace,
            reports_all,
        })
}

impl Capture {
    /// The numbers of the requests and answers that are reported together.
    ///
    /// What no packet shows is left out: what came before the capture began, a request that was
    /// pipelined behind a lost interim answer, and a client that pipelines where it was not seen to
    /// before: always, or where more than one thing is lost.
    pub(crate) fn pairs(&self, mut talk: Talk) -> Vec<(Option<usize>, Option<usize>)> {
        for exchange in &mut talk.exchanges {
            exchange.interim &= !exchange.is_pipelined;
        }
        let packets = talk.packets();
        let is_hidden = talk.stays_ahead || self.lost.len() > 1;
        let shown_at = pipelines_at(&talk, &packets).filter(|_| is_hidden);
        let shipped = match self.held {
            Some(lets_go) => hold(&packets, lets_go).0,
            None => {
                let whole = |p: &Packet| p.shipped(u32::MAX, Settled::UNKNOWN);
                packets.iter().map(whole).collect()
            }
        };
        let may_go = |packet: &Shipped| shown_at.is_none_or(|shown| packet.at > shown);
        let first = shipped.iter().position(may_go).unwrap_or(shipped.len());
        let opening = shipped.iter().rposition(|packet| packet.is_syn());
        let first = first.max(opening.map_or(0, |at| at + 1));
        let lost = self.lost.iter().map(|(at, count)| {
            let at = first + at.index((shipped.len() - first).max(1));
            at..at + count
        });
        let lost: Vec<_> = lost.collect();
        // Packets are a millisecond apart. A connection that is silent for five minutes begins anew.
        let pace = self.pace.min(SILENCE_MAX / packets.len() as u64);
        let mut lost_count = 0;
        let mut rest = Vec::new();
        for (number, mut packet) in shipped.into_iter().enumerate() {
            if lost.iter().any(|lost| lost.contains(&number)) {
                lost_count += u32::from(self.held.is_some());
            } else {
                packet.at *= pace;
                rest.push((packet, lost_count));
            }
        }
        let mut options = Options::default();
        if self.reports_all {
            options.selection = Selection::everything();
        }
        exchanges_of(options, rest.into_iter(), numbers)
    }
}

/// The longest that a connection may be silent, in milliseconds.
const SILENCE_MAX: u64 = 290_000;

/// When the answer comes before which the client was first seen to send another request.
fn pipelines_at(talk: &Talk, packets: &[Packet]) -> Option<u64> {
    let in_order = Talk {
        twice: Vec::new(),
        swapped: Vec::new(),
        ..talk.clone()
    };
    let mut streams = [Vec::new(), Vec::new()];
    let mut is_ahead = false;
    for packet in in_order.packets() {
        streams[usize::from(packet.is_from_server)].extend(&packet.bytes[HEADERS..]);
        let count = |way: usize, what| memmem::find_iter(&streams[way], what).count();
        let (asked, answered) = (count(0, &b" /r"[..]), count(1, NUMBER));
        if asked > answered + 1 {
            is_ahead = true;
        } else if is_ahead && packet.is_from_server {
            let is_it = |p: &&Packet| p.is_from_server && p.segment.seq == packet.segment.seq;
            return packets.iter().rfind(is_it).map(|p| p.at);
        }
    }
    None
}

/// The numbers of a request and of an answer.
fn numbers(exchange: &model::Exchange) -> (Option<usize>, Option<usize>) {
    let number = |text: &[u8]| str::from_utf8(text).unwrap().parse().unwrap();
    let request = exchange.request.as_ref();
    let request = request.and_then(|r| r.target().strip_prefix(b"/r").map(number));
    let answer = exchange.response.as_ref().and_then(|answer| {
        let raw = &answer.message.head.raw;
        let rest = &raw[memmem::find(raw, NUMBER)? + NUMBER.len()..];
        Some(number(rest.split(|b| *b == b'\r').next()?))
    });
    (request, answer)
}

const NUMBER: &[u8] = b"X-Number: ";
