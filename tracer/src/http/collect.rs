//! A head that spans chunks, collected up to a bound.

use super::framing::is_framing_field;
use super::head::EndOfHead;

/// Bytes of a line behind the bound that are looked at.
const LINE_MAX: usize = 256;
/// Bytes of framing fields kept from behind the bound.
const KEPT_MAX: usize = 1024;
/// Room that is kept from one head to the next, in bytes.
const SPARE: usize = 4096;

/// Collects the head under way.
///
/// Past the bound, the head goes on without being kept: but for the fields that say where the
/// message ends, which are appended to what was kept.
#[derive(Debug, Default)]
pub(super) struct Collector {
    buf: Vec<u8>,
    end: EndOfHead,
    overflow: Option<Overflow>,
}

#[derive(Debug, Default)]
struct Overflow {
    line: Vec<u8>,
    kept: Vec<u8>,
}

impl Collector {
    /// Takes in the next piece, keeping at most `limit` bytes; where the head ends in it, returns
    /// how much of it belongs to the head.
    pub(super) fn feed(&mut self, piece: &[u8], limit: usize) -> Option<usize> {
        let end = self.end.feed(piece);
        match end {
            // All in one piece: nothing to collect.
            Some(len) if self.buf.is_empty() && self.overflow.is_none() && len <= limit => {}
            Some(len) => self.keep(piece.get(..len).unwrap_or_default(), limit),
            None => self.keep(piece, limit),
        }
        end
    }

    /// The head: of the last piece, `len` bytes belong to it.
    pub(super) fn raw<'a>(&'a mut self, piece: &'a [u8], len: usize) -> &'a [u8] {
        if let Some(overflow) = self.overflow.take() {
            self.buf.extend_from_slice(&overflow.kept);
            self.buf.extend_from_slice(b"\r\n");
        }
        if self.buf.is_empty() {
            piece.get(..len).unwrap_or_default()
        } else {
            &self.buf
        }
    }

    /// Whether the head was longer than the bound.
    pub(super) fn is_cut(&self) -> bool {
        self.overflow.is_some()
    }

    /// Whether a line of it ended in LF alone.
    pub(super) fn has_bare_lf(&self) -> bool {
        self.end.bare_lf
    }

    /// Forgets the head, but not all of the room for it.
    pub(super) fn clear(&mut self) {
        self.buf.clear();
        if self.buf.capacity() > SPARE {
            self.buf = Vec::new();
        }
        self.end = EndOfHead::default();
        self.overflow = None;
    }

    /// Bytes it holds.
    pub(super) fn memory(&self) -> usize {
        let overflow = self.overflow.as_ref();
        self.buf.capacity() + overflow.map_or(0, |o| o.line.capacity() + o.kept.capacity())
    }

    fn keep(&mut self, piece: &[u8], limit: usize) {
        if let Some(overflow) = &mut self.overflow {
            return overflow.feed(piece);
        }
        let room = limit.saturating_sub(self.buf.len()).min(piece.len());
        let (within, beyond) = piece.split_at(room);
        self.buf.extend_from_slice(within);
        if beyond.is_empty() {
            return;
        }
        let mut overflow = Overflow::default();
        // The line that the bound cuts goes to the other side whole, unless it is the first.
        match memchr::memrchr(b'\n', &self.buf) {
            Some(lf) => {
                overflow.feed(self.buf.get(lf + 1..).unwrap_or_default());
                self.buf.truncate(lf + 1);
            }
            None => {
                overflow.line.push(b' ');
                self.buf.extend_from_slice(b"\r\n");
            }
        }
        overflow.feed(beyond);
        self.overflow = Some(overflow);
    }
}

impl Overflow {
    fn feed(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|b| *b == b'\n') {
            let room = LINE_MAX.saturating_sub(self.line.len()).min(part.len());
            self.line
                .extend_from_slice(part.get(..room).unwrap_or_default());
            if part.ends_with(b"\n") {
                let name = self.line.split(|b| *b == b':').next().unwrap_or_default();
                let fits = self.kept.len() + self.line.len() <= KEPT_MAX;
                if self.line.ends_with(b"\n") && is_framing_field(name.trim_ascii_end()) && fits {
                    self.kept.extend_from_slice(&self.line);
                }
                self.line.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_fields_behind_the_bound_are_kept() {
        let head = b"POST / HTTP/1.1\r\nLong: 0123456789\r\nContent-Length: 5\r\nA: b\r\n\r\nbody";
        for len in 1..head.len() {
            let mut collector = Collector::default();
            let found = head.chunks(len).find_map(|piece| {
                let found = collector.feed(piece, 20);
                found.map(|n| (collector.is_cut(), collector.raw(piece, n).to_vec()))
            });
            let raw = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n".to_vec();
            assert_eq!(found, Some((true, raw)), "by {len}");
        }
    }
}
