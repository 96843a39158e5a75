//! What the bytes say: whether a request begins, where it ends, which status an answer has.

use super::room::Room;
use super::word::{equal_to, first_lane, first_lane_of, ones, opaque};

/// Where a request ends.
pub(super) enum End {
    /// Its head ends at an offset, and so many bytes of body follow.
    Known {
        /// Offset in the room.
        head_end: u32,
        /// Bytes of body.
        length: u64,
    },
    /// Its head goes on.
    More,
    /// That is not said in a way that is followed here.
    Unknown,
}

/// The search for the end of a head, which goes on as more arrives.
pub(super) struct Scan {
    /// Offset in the room from which on a line end is looked for.
    pub(super) at: u32,
    /// Offset of what `Content-Length` says; 0 where it was not found.
    pub(super) length_at: u32,
}

/// Bytes that a step of the search looks at.
const STEP: u32 = 16;
/// Steps of the search for each packet, one for so many bytes, and one for each line: enough for all
/// that is held in some 100 lines, or for 8 KiB of it where one packet brings more. The verifier walks
/// them one by one, from each way that leads here; so there are few ways through a step.
#[inline(always)]
fn steps(room: Room) -> u32 {
    room.bytes().min(8 << 10) / STEP + 100
}

/// Bytes from the end of the line before that are looked at of a line that goes on: `content-length:`.
const NAME: u32 = 32;
/// Longest length that is read, in digits; 18 digits fit.
const DIGITS: u32 = 18;

impl Scan {
    /// Goes on up to `until`, the end of what is held, which [`Room::close`] closed: the line end that
    /// it wrote there ends the search.
    #[inline(always)]
    pub(super) fn run(&mut self, room: Room, until: u32) -> End {
        let mut at = self.at;
        let mut head_end = 0;
        for _ in 0..steps(room) {
            let found = room.words(at).map(|word| equal_to::<8>(word, LF));
            let Some(end) = first_lane_of::<8>(found) else {
                at = forget(at + STEP);
                continue;
            };
            let line = at + end + 1;
            // A comparison of the two would tell the verifier what `at` can be, in each step another
            // thing.
            let is_behind = until.wrapping_sub(line) >> 31 != 0;
            if is_behind {
                // Of a long line the name was all there.
                if until.wrapping_sub(self.at) > NAME {
                    self.at = until;
                }
                return End::More;
            }
            // A line that is cut is looked at again once there is more.
            self.at = forget(line - 1);
            let first = room.word(line);
            // A product is zero where one of both is: one way for two questions.
            let is_blank = (first & 0xff ^ LF) * (first & 0xffff ^ CRLF) == 0;
            if is_blank {
                head_end = line + 1 + u32::from(first as u8 == b'\r');
                break;
            }
            let name = first | SPACES;
            // The other products that are zero do no harm.
            if (name ^ CONTENT).wrapping_mul(name ^ TRANSFER) == 0 {
                let is_length = (room.word(line + 8) | SPACES) & SEVEN == LENGTH;
                if name == CONTENT && is_length {
                    if self.length_at != 0 && self.length_at != line + 15 {
                        return End::Unknown;
                    }
                    self.length_at = forget(line + 15);
                }
                if name == TRANSFER {
                    return End::Unknown;
                }
            }
            at = forget(line);
        }
        match head_end {
            0 => End::Unknown,
            // The line end is not one of its own.
            _ if head_end > until => End::More,
            _ => self.known(room, head_end),
        }
    }

    #[inline(always)]
    fn known(&self, room: Room, head_end: u32) -> End {
        if self.length_at == 0 {
            return End::Known {
                head_end,
                length: 0,
            };
        }
        let mut length = 0;
        let mut digits = 0;
        for at in 0..DIGITS + 4 {
            let byte = room.word(self.length_at + at) as u8;
            match byte {
                b'0'..=b'9' if digits < DIGITS => {
                    length = length * 10 + u64::from(byte - b'0');
                    digits += 1;
                }
                b' ' | b'\t' if digits == 0 => {}
                b'\r' | b'\n' if digits > 0 => return End::Known { head_end, length },
                _ => return End::Unknown,
            }
        }
        End::Unknown
    }
}

/// Says nothing new but to the verifier, which forgets what the offset can be, and which other one it
/// was made from: so the steps are alike to it, and it walks each but once.
#[inline(always)]
fn forget(at: u32) -> u32 {
    opaque(u64::from(at & (2 * Room::BYTES_MAX - 1))) as u32
}

/// The lowest bit of each byte.
const ONES: u64 = ones(8);
/// The highest bit of each byte.
const HIGH: u64 = ONES << 7;
/// Bit 5 of each byte: it makes letters small, and leaves `-` and `:` as they are.
const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
const CONTENT: u64 = u64::from_le_bytes(*b"content-");
const SPACE: u64 = b' ' as u64;
const LF: u64 = b'\n' as u64;
const CRLF: u64 = u16::from_le_bytes(*b"\r\n") as u64;
const TRANSFER: u64 = u64::from_le_bytes(*b"transfer");
/// The first seven bytes.
const SEVEN: u64 = u64::from_le_bytes([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
/// The word that begins behind `content-`, without its last byte.
const LENGTH: u64 = u64::from_le_bytes(*b"length:\0");

/// Whether a payload that begins with these words begins as a request of HTTP/1 does that can be
/// followed: a method in capital letters. After `CONNECT`, and after `PRI` (HTTP/2), HTTP/1 is over.
#[inline(always)]
pub(super) fn is_request([first, second]: [u64; 2]) -> bool {
    const CONNECT: u64 = u64::from_le_bytes(*b"CONNECT ");
    const PRI: u32 = u32::from_le_bytes(*b"PRI ");
    if first == CONNECT || first as u32 == PRI {
        return false;
    }
    match letters(first) {
        0 => false,
        8 => space_follows(second, letters(second)),
        len => space_follows(first, len),
    }
}

/// Whether a space stands behind so many bytes of a word: in none where that is all of it.
#[inline(always)]
fn space_follows(word: u64, len: u32) -> bool {
    len < 8 && word >> (8 * len) & 0xff == SPACE
}

/// How many bytes from the first on are of a method: capital letters, `-` and `_`.
#[inline(always)]
fn letters(word: u64) -> u32 {
    // A lane of eight bits never carries into the next: the high bit is put in as it is.
    let low = word & !HIGH;
    let from = |byte: u8| low + ONES * u64::from(0x80 - byte);
    let is = |byte: u8| !((low ^ (ONES * u64::from(byte))) + (HIGH - ONES));
    let is_letter = from(b'A') & !from(b'Z' + 1) | is(b'-') | is(b'_');
    first_lane::<8>(!is_letter & HIGH | word & HIGH)
}

/// The status of an answer that begins with these words, the first byte the lowest: `HTTP/1.`, a
/// digit, a space, three digits.
#[inline(always)]
pub fn status([first, second]: [u64; 2]) -> Option<u32> {
    const VERSION: u64 = u64::from_le_bytes(*b"HTTP/1.\0");
    let byte = |at: u32| (second >> (8 * at)) as u32 & 0xff;
    let digit = |at: u32| byte(at).wrapping_sub(u32::from(b'0'));
    let [class, tens, ones] = [digit(1), digit(2), digit(3)];
    let is_status = first << 8 == VERSION << 8
        && (first >> 56).wrapping_sub(u64::from(b'0')) < 10
        && second & 0xff == SPACE
        && class.wrapping_sub(1) < 9
        && tens < 10
        && ones < 10
        && matches!(byte(4) as u8, b' ' | b'\r' | b'\n');
    is_status.then(|| class * 100 + tens * 10 + ones)
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::super::PIECE_MAX;
    use super::*;

    #[test]
    fn a_request_begins_with_a_method_and_a_space() {
        for (start, is_it) in [
            ("POST /a HTTP/1.1", true),
            ("M-SEARCH * HTTP/", true),
            ("VERSION-CONTROL ", true),
            ("A_B-CDE /aaaaaaa", true),
            ("PRIOR /aaaaaaaaa", true),
            ("PRI * HTTP/2.0\r\n", false),
            ("CONNECT a:1 HTTP", false),
            ("CONNECTED /aaaaa", true),
            (" POST /aaaaaaaaa", false),
            ("post /aaaaaaaaaa", false),
            ("POST\t/aaaaaaaaaa", false),
            ("VERSION-CONTROLS", false),
            ("PO\u{e9}T /aaaaaaaaa", false),
            ("P@ST /aaaaaaaaaa", false),
            ("P[ST /aaaaaaaaaa", false),
        ] {
            let start = start.as_bytes().first_chunk().unwrap();
            assert_eq!(is_request(in_words(start)), is_it, "{start:?}");
        }
    }

    #[test]
    fn of_a_method_are_the_bytes_that_were_named() {
        for byte in 0..=u8::MAX {
            let is_letter = byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
            for at in 0..8 {
                let mut bytes = *b"ABCXYZ-_";
                bytes[at] = byte;
                let expected = if is_letter { 8 } else { at as u32 };
                assert_eq!(letters(u64::from_le_bytes(bytes)), expected, "{bytes:?}");
            }
        }
    }

    #[test]
    fn a_status_line_is_read_to_the_letter() {
        let plain = *b"HTTP/1.1 403 Forb";
        for at in 0..plain.len() {
            for byte in 0..=u8::MAX {
                let mut line = plain;
                line[at] = byte;
                let start = line.first_chunk().unwrap();
                let is_plain = line.starts_with(b"HTTP/1.")
                    && line[7].is_ascii_digit()
                    && line[8] == b' '
                    && line[9] != b'0'
                    && line[9..12].iter().all(u8::is_ascii_digit)
                    && matches!(line[12], b' ' | b'\r' | b'\n');
                let digits = line[9..12].iter();
                let number = digits.fold(0, |n, digit| 10 * n + u32::from(digit & 0x0f));
                let expected = is_plain.then_some(number);
                assert_eq!(status(in_words(start)), expected, "{line:?}");
            }
        }
    }

    #[test]
    fn a_head_ends_with_an_empty_line_of_its_own() {
        let head = b"POST / HTTP/1.1\r\nCookie: 0123456789012345678901234567890123456789\r\n\
            Content-Length: 7\r\nX-Later: 0123456789012345678901234567890123456789\r\n\r\n";
        for held in 1..=head.len() {
            // What an earlier request left behind must not be read.
            let mut bytes = [b'\n'; ROOM];
            bytes[..held].copy_from_slice(&head[..held]);
            let mut scan = Scan {
                at: 0,
                length_at: 0,
            };
            let end = search(&mut scan, &mut bytes, held);
            if held < head.len() {
                assert!(matches!(end, End::More), "{held}");
                // It goes on as the rest arrives.
                bytes[held..head.len()].copy_from_slice(&head[held..]);
                let end = search(&mut scan, &mut bytes, head.len());
                assert!(is_end(&end, head.len(), 7), "{held}");
            } else {
                assert!(is_end(&end, head.len(), 7));
            }
        }
    }

    #[test]
    fn a_room_that_is_full_is_searched_to_its_end() {
        for line_ends in [&b"\r\n\r\n"[..], b"\n\n"] {
            let mut bytes = [b'a'; ROOM];
            bytes[40] = b'\n';
            bytes[FULL - line_ends.len()..FULL].copy_from_slice(line_ends);
            for (last, is_there) in [(b'\n', true), (b'a', false)] {
                bytes[FULL - 1] = last;
                let mut scan = Scan {
                    at: 0,
                    length_at: 0,
                };
                let end = search(&mut scan, &mut bytes, FULL);
                assert_eq!(is_end(&end, FULL, 0), is_there);
                assert_eq!(matches!(end, End::More), !is_there);
            }
        }
    }

    const FULL: usize = 4096;
    const ROOM: usize = FULL + PIECE_MAX as usize;

    /// Searches what is held in a room.
    fn search(scan: &mut Scan, bytes: &mut [u8; ROOM], held: usize) -> End {
        // SAFETY: it is used here alone.
        let room = unsafe { Room::new(bytes.as_mut_ptr(), FULL as u32) };
        room.close(held as u32);
        scan.run(room, held as u32)
    }

    fn is_end(end: &End, at: usize, bytes: u64) -> bool {
        matches!(end, &End::Known { head_end, length } if head_end as usize == at && length == bytes)
    }

    fn in_words(start: &[u8; 16]) -> [u64; 2] {
        let words = u128::from_le_bytes(*start);
        [words as u64, (words >> 64) as u64]
    }
}
