//! IP datagrams that came in fragments.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::Duration;

use super::layer::{Fragment, Key};
use crate::model::Timestamp;

/// Datagrams that may be incomplete at once: with [`LARGEST`], at most 16 MiB. Bounds a flood of
/// first fragments. A host fragments TCP only where a tunnel or a broken path makes it.
const DATAGRAMS: usize = 256;

/// Bytes of a datagram: what IP can say.
const LARGEST: usize = 65_535;

/// How long a datagram may be incomplete, in capture time: as long as Linux waits.
const AGE: Duration = Duration::from_secs(30);

/// Stretches of a datagram with holes between them. Bounds fragments of every other eight bytes.
const STRETCHES: usize = 64;

/// A datagram that was put together.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) protocol: u8,
    /// Encapsulations around it.
    pub(super) depth: u8,
    pub(super) bytes: Vec<u8>,
}

impl Default for Datagram {
    fn default() -> Self {
        Self {
            src: Ipv4Addr::UNSPECIFIED.into(),
            dst: Ipv4Addr::UNSPECIFIED.into(),
            protocol: 0,
            depth: 0,
            bytes: Vec::new(),
        }
    }
}

/// The datagrams that are not complete yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    waiting: VecDeque<Waiting>,
    dropped: u64,
}

/// A datagram that is not complete yet.
#[derive(Debug)]
struct Waiting {
    key: Key,
    since: Timestamp,
    datagram: Datagram,
    /// What is there of it: in order, apart from each other.
    stretches: Vec<Range<usize>>,
    /// Its length, once the last fragment was seen.
    len: Option<usize>,
}

/// The fragment contradicts the others, or there are too many holes.
struct Nonsense;

impl Fragments {
    /// Takes in a fragment; the datagram, where that completes it.
    pub(super) fn add(&mut self, at: Timestamp, fragment: &Fragment<'_>) -> Option<Datagram> {
        self.expire(at);
        // Fragments follow each other closely: the newest datagram is the likeliest.
        let known = self.waiting.iter().rposition(|w| w.key == fragment.key);
        let place = known.unwrap_or_else(|| {
            if self.waiting.len() >= DATAGRAMS {
                self.drop_oldest();
            }
            self.waiting.push_back(Waiting::new(at, fragment));
            self.waiting.len() - 1
        });
        let waiting = self.waiting.get_mut(place)?;
        match waiting.add(fragment) {
            Ok(false) => None,
            Ok(true) => self.waiting.remove(place).map(|w| w.datagram),
            Err(Nonsense) => {
                self.waiting.remove(place);
                self.dropped += 1;
                None
            }
        }
    }

    /// Datagrams that were given up.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Gives up what waits for too long.
    fn expire(&mut self, now: Timestamp) {
        let is_old = |w: &Waiting| now.since(w.since) > AGE;
        while self.waiting.front().is_some_and(is_old) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        self.waiting.pop_front();
        self.dropped += 1;
    }
}

impl Waiting {
    fn new(at: Timestamp, fragment: &Fragment<'_>) -> Self {
        Self {
            key: fragment.key,
            since: at,
            datagram: Datagram {
                src: fragment.key.src,
                dst: fragment.key.dst,
                protocol: fragment.protocol,
                depth: fragment.layer.depth,
                bytes: Vec::new(),
            },
            stretches: Vec::new(),
            len: None,
        }
    }

    /// Takes in a fragment; whether the datagram is complete.
    fn add(&mut self, fragment: &Fragment<'_>) -> Result<bool, Nonsense> {
        let data = fragment.layer.data;
        let start = fragment.offset;
        let on_wire = fragment.layer.wire_len();
        let end = start + on_wire;
        let odd = !fragment.last && !on_wire.is_multiple_of(8);
        let past_end = self
            .len
            .is_some_and(|len| end > len || fragment.last && end != len);
        let before_known = fragment.last && self.stretches.last().is_some_and(|s| s.end > end);
        if end > LARGEST || odd || past_end || before_known || on_wire == 0 {
            return Err(Nonsense);
        }
        if fragment.last {
            self.len = Some(end);
        }
        if start == 0 {
            // IPv6: only the first fragment's next header counts (RFC 8200 section 4.5).
            self.datagram.protocol = fragment.protocol;
        }
        self.store(start, data)?;
        Ok(matches!((&*self.stretches, self.len), ([one], Some(len)) if *one == (0..len)))
    }

    /// Stores `data` at `start`, except where bytes are already: the first copy counts.
    fn store(&mut self, start: usize, data: &[u8]) -> Result<(), Nonsense> {
        let end = start + data.len();
        if data.is_empty() {
            return Ok(());
        }
        if self.datagram.bytes.len() < end {
            self.datagram.bytes.resize(end, 0);
        }
        // Those that touch the new one merge with it.
        let first = self.stretches.partition_point(|s| s.end < start);
        let after = self.stretches.partition_point(|s| s.start <= end);
        let mut merged = start..end;
        let mut at = start;
        for known in self.stretches.get(first..after).unwrap_or_default() {
            copy(&mut self.datagram.bytes, start, data, at..known.start);
            at = at.max(known.end);
            merged = merged.start.min(known.start)..merged.end.max(known.end);
        }
        copy(&mut self.datagram.bytes, start, data, at..end);
        self.stretches.splice(first..after, [merged]);
        if self.stretches.len() > STRETCHES {
            return Err(Nonsense);
        }
        Ok(())
    }
}

/// Copies the bytes of `hole`, a range of the datagram, from `data`, which belongs at `start`.
fn copy(datagram: &mut [u8], start: usize, data: &[u8], hole: Range<usize>) {
    if hole.is_empty() {
        return;
    }
    let from = data.get(hole.start - start..hole.end - start);
    if let (Some(to), Some(from)) = (datagram.get_mut(hole), from) {
        to.copy_from_slice(from);
    }
}
