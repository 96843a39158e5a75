//! Chunked transfer coding (RFC 9112 section 7.1), one run of bytes at a time.

use memchr::memchr;

/// The decoder of one chunked body, up to the last chunk; the trailer section is not its business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunked {
    state: State,
    /// A line ended in LF alone.
    pub(super) bare_lf: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    #[default]
    Line,
    /// In the digits.
    Size(u64),
    /// Behind them, up to the end of the line; `cr` says whether the last byte was CR.
    Extension { size: u64, cr: bool },
    /// In the chunk.
    Data(u64),
    /// Behind the chunk, before its CR LF.
    DataEnd,
    /// Between its CR and LF.
    DataLf,
}

/// What a step found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Bytes of content.
    Data(&'a [u8]),
    /// Nothing more can be said before more bytes come.
    More,
    /// The last chunk is over; the trailer section follows.
    Last,
    /// What is there is no chunk.
    Invalid,
}

impl Chunked {
    /// Takes one step; what is left of `data` is for the next one.
    pub(super) fn step<'a>(&mut self, data: &mut &'a [u8]) -> Step<'a> {
        while let Some((&byte, rest)) = data.split_first() {
            self.state = match self.state {
                State::Data(0) => State::DataEnd,
                State::Data(left) => {
                    let len = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                    let (content, rest) = data.split_at(len);
                    *data = rest;
                    self.skip(len as u64);
                    return Step::Data(content);
                }
                State::Extension { size, .. } if !matches!(byte, b'\r' | b'\n') => {
                    let end = memchr(b'\n', data).unwrap_or(data.len());
                    let (line, rest) = data.split_at(end);
                    *data = rest;
                    let cr = line.last() == Some(&b'\r');
                    State::Extension { size, cr }
                }
                state => {
                    let Some(next) = self.byte(state, byte) else {
                        return Step::Invalid;
                    };
                    *data = rest;
                    if next == State::Data(0) {
                        return Step::Last;
                    }
                    next
                }
            };
        }
        Step::More
    }

    /// Bytes that the chunk under way still has; 0 outside of chunks.
    pub(super) fn left(&self) -> u64 {
        match self.state {
            State::Data(left) => left,
            _ => 0,
        }
    }

    /// Steps over bytes of the chunk under way.
    pub(super) fn skip(&mut self, len: u64) {
        if let State::Data(left) = &mut self.state {
            *left = left.saturating_sub(len);
            if *left == 0 {
                self.state = State::DataEnd;
            }
        }
    }

    /// Where one byte of a line leads; `None` where it may not stand there.
    fn byte(&mut self, state: State, byte: u8) -> Option<State> {
        let digit = char::from(byte).to_digit(16).map(u64::from);
        Some(match (state, byte) {
            (State::Line, b' ' | b'\t') => State::Line,
            (State::Line, _) => State::Size(digit?),
            (State::Size(size) | State::Extension { size, cr: false }, b'\n') => {
                self.bare_lf = true;
                State::Data(size)
            }
            (State::Extension { size, .. }, b'\n') => State::Data(size),
            (State::Extension { size, .. }, _) => State::Extension { size, cr: true },
            (State::Size(size), b'\r') => State::Extension { size, cr: true },
            (State::Size(size), b';' | b' ' | b'\t') => State::Extension { size, cr: false },
            (State::Size(size), _) => State::Size(size.checked_mul(16)?.checked_add(digit?)?),
            (State::DataEnd, b'\r') => State::DataLf,
            (State::DataEnd, b'\n') => {
                self.bare_lf = true;
                State::Line
            }
            (State::DataLf, b'\n') => State::Line,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_with_extensions_and_odd_line_ends() {
        let plain = run(b"3\r\nabc\r\n0a;x=\"y\"\r\n0123456789\r\n0\r\n");
        assert_eq!(plain, (b"abc0123456789".to_vec(), "last", false));
        let bare = run(b" 3 \nabc\n0;x\n");
        assert_eq!(bare, (b"abc".to_vec(), "last", true));
    }

    #[test]
    fn invalid_chunks() {
        for wire in [
            &b"x\r\n"[..],
            b"\r\n",
            b"-1\r\n",
            b"0x3\r\nabc",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\rx",
            b"11111111111111111\r\n",
        ] {
            assert_eq!(run(wire).1, "invalid", "{}", wire.escape_ascii());
        }
    }

    #[test]
    fn the_largest_size_is_no_overflow() {
        let mut chunked = Chunked::default();
        assert_eq!(chunked.step(&mut &b"ffffffffffffffff\r\n"[..]), Step::More);
        assert_eq!(chunked.left(), u64::MAX);
        chunked.skip(u64::MAX);
        assert_eq!(chunked.left(), 0);
        assert_eq!(chunked.step(&mut &b"\r\n0\r\n"[..]), Step::Last);
    }

    /// Runs whole and byte by byte, which must give the same.
    fn run(wire: &[u8]) -> (Vec<u8>, &'static str, bool) {
        let whole = run_in(wire, wire.len());
        assert_eq!(run_in(wire, 1), whole);
        whole
    }

    fn run_in(wire: &[u8], len: usize) -> (Vec<u8>, &'static str, bool) {
        let mut chunked = Chunked::default();
        let mut content = Vec::new();
        for mut data in wire.chunks(len) {
            loop {
                match chunked.step(&mut data) {
                    Step::Data(bytes) => content.extend_from_slice(bytes),
                    Step::More => break,
                    Step::Last => return (content, "last", chunked.bare_lf),
                    Step::Invalid => return (content, "invalid", chunked.bare_lf),
                }
            }
        }
        (content, "more", chunked.bare_lf)
    }
}
