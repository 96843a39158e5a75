//! What the bytes say: whether a request begins, where it ends, which status an answer has.

use super::{HELD_MAX, ROOM};

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

/// Steps of the search for each packet: one for eight bytes, and one for each line. That is enough
/// for all that is held in some 100 lines. The verifier walks them one by one, from each way that
/// leads here; so there are few ways through a step.
const STEPS: u32 = HELD_MAX / 8 + 100;
/// Longest length that is read, in digits; 18 digits fit.
const DIGITS: u32 = 18;

impl Scan {
    /// Goes on up to `until`, the end of what is held; zeros follow there.
    #[inline(always)]
    pub(super) fn run(&mut self, room: &[u8; ROOM], until: u32) -> End {
        let mut at = self.at;
        let mut head_end = 0;
        for _ in 0..STEPS {
            // Says nothing new but to the verifier, which forgets what it was before: so the steps
            // are alike to it.
            at &= 2 * HELD_MAX - 1;
            if at >= until {
                return End::More;
            }
            let ends = equal_to(word(room, at), b'\n');
            if ends == 0 {
                at += 8;
                continue;
            }
            let line = at + ends.trailing_zeros() / 8 + 1;
            // A line that is cut is looked at again once there is more.
            self.at = line - 1;
            let first = word(room, line);
            // A product is zero where one of both is: one way for two questions.
            let is_blank = (first & 0xff ^ LF) * (first & 0xffff ^ CRLF) == 0;
            if is_blank {
                head_end = line + 1 + u32::from(first as u8 == b'\r');
                break;
            }
            let name = first | SPACES;
            // The other products that are zero do no harm.
            if (name ^ CONTENT).wrapping_mul(name ^ TRANSFER) == 0 {
                let is_length = (word(room, line + 8) | SPACES) & SEVEN == LENGTH;
                if name == CONTENT && is_length {
                    if self.length_at != 0 && self.length_at != line + 15 {
                        return End::Unknown;
                    }
                    self.length_at = line + 15;
                }
                if name == TRANSFER {
                    return End::Unknown;
                }
            }
            at = line;
        }
        match head_end {
            0 => End::Unknown,
            head_end => self.known(room, head_end),
        }
    }

    #[inline(always)]
    fn known(&self, room: &[u8; ROOM], head_end: u32) -> End {
        if self.length_at == 0 {
            return End::Known {
                head_end,
                length: 0,
            };
        }
        let mut length = 0;
        let mut digits = 0;
        for at in 0..DIGITS + 4 {
            let byte = word(room, self.length_at + at) as u8;
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

/// Bit 5 of each byte: it makes letters small, and leaves `-` and `:` as they are.
const SPACES: u64 = u64::from_le_bytes([b' '; 8]);
const CONTENT: u64 = u64::from_le_bytes(*b"content-");
const LF: u64 = b'\n' as u64;
const CRLF: u64 = u16::from_le_bytes(*b"\r\n") as u64;
const TRANSFER: u64 = u64::from_le_bytes(*b"transfer");
/// The first seven bytes.
const SEVEN: u64 = u64::from_le_bytes([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
/// The word that begins behind `content-`, without its last byte.
const LENGTH: u64 = u64::from_le_bytes(*b"length:\0");

/// The high bit of the first byte that is equal; of those behind it, the bit says nothing.
#[inline(always)]
pub(super) fn equal_to(word: u64, byte: u8) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let zero = word ^ (ONES * u64::from(byte));
    zero.wrapping_sub(ONES) & !zero & (ONES << 7)
}

/// Eight bytes at an offset, which wraps at [`HELD_MAX`]; the first is the lowest.
#[inline(always)]
pub(super) fn word(room: &[u8; ROOM], at: u32) -> u64 {
    let at = (at & (HELD_MAX - 1)) as usize;
    // SAFETY: the room is longer than `HELD_MAX` by more than a word.
    let value = unsafe { load(room.as_ptr().add(at)) };
    u64::from_le(value)
}

/// The sixteen bytes at an offset, which wraps at [`HELD_MAX`].
#[inline(always)]
pub(super) fn start(room: &[u8; ROOM], at: u32) -> [u8; 16] {
    // What the compiler knows of it, the verifier may not: the wrapping has to stay.
    let at = core::hint::black_box(at);
    let words = u128::from(word(room, at)) | u128::from(word(room, at + 8)) << 64;
    words.to_le_bytes()
}

/// One load, which the machines that the kernel side runs on do at any address. The compiler would
/// make eight of it for this target.
#[cfg(target_arch = "bpf")]
#[inline(always)]
unsafe fn load(from: *const u8) -> u64 {
    let value: u64;
    // SAFETY: the caller says that eight bytes can be read there.
    unsafe {
        core::arch::asm!("{0} = *(u64 *)({1} + 0)", out(reg) value, in(reg) from);
    }
    value
}

#[cfg(not(target_arch = "bpf"))]
unsafe fn load(from: *const u8) -> u64 {
    // SAFETY: the caller says that eight bytes can be read there.
    unsafe { from.cast::<u64>().read_unaligned() }
}

/// As [`load`], a store.
#[cfg(target_arch = "bpf")]
#[inline(always)]
unsafe fn clear_word(at: *mut u8) {
    // SAFETY: the caller says that eight bytes can be written there.
    unsafe {
        core::arch::asm!("*(u64 *)({0} + 0) = {1}", in(reg) at, in(reg) 0_u64);
    }
}

#[cfg(not(target_arch = "bpf"))]
unsafe fn clear_word(at: *mut u8) {
    // SAFETY: the caller says that eight bytes can be written there.
    unsafe { at.cast::<u64>().write_unaligned(0) }
}

/// Writes zeros behind what is held, at least one byte, so that nothing of an earlier request is
/// read there.
#[inline(always)]
pub(super) fn close(room: &mut [u8; ROOM], held: u32) {
    let last = (held.wrapping_sub(1) & (HELD_MAX - 1)) as usize;
    for step in 0..CLOSED {
        // SAFETY: the room is longer than `HELD_MAX` by more than these words.
        unsafe { clear_word(room.as_mut_ptr().add(last + 1 + 8 * step)) };
    }
}

/// Words behind the last byte that is held at which the search can look.
const CLOSED: usize = 4;

/// Where the length field of an IP header can be: within the headers that are held.
pub(super) const LENGTH_FIELDS: u32 = 63;

/// Sets the length field at `at` to 0.
#[inline(always)]
pub(super) fn clear(room: &mut [u8; ROOM], at: u32) {
    for at in [at, at + 1] {
        if let Some(byte) = room.get_mut((at & 127) as usize) {
            *byte = 0;
        }
    }
}

/// Whether a payload begins as a request of HTTP/1 does that can be followed: a method in capital
/// letters. After `CONNECT`, and after `PRI` (HTTP/2), HTTP/1 is over.
#[inline(always)]
pub(super) fn is_request(start: &[u8; 16]) -> bool {
    if start.starts_with(b"CONNECT ") || start.starts_with(b"PRI ") {
        return false;
    }
    let mut letters = 0;
    for byte in start {
        match byte {
            b'A'..=b'Z' | b'-' | b'_' => letters += 1,
            b' ' => return letters > 0,
            _ => return false,
        }
    }
    false
}

/// The status of an answer that begins so: `HTTP/1.`, a digit, a space, three digits.
#[inline(always)]
pub fn status(start: &[u8; 16]) -> Option<u32> {
    let &[
        b'H',
        b'T',
        b'T',
        b'P',
        b'/',
        b'1',
        b'.',
        b'0'..=b'9',
        b' ',
        class @ b'1'..=b'9',
        tens @ b'0'..=b'9',
        ones @ b'0'..=b'9',
        b' ' | b'\r' | b'\n',
        ..,
    ] = start
    else {
        return None;
    };
    let digit = |byte: u8| u32::from(byte - b'0');
    Some(digit(class) * 100 + digit(tens) * 10 + digit(ones))
}
