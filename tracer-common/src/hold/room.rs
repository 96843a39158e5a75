//! Where the bytes of a held request are.

use super::PIECE_MAX;

/// The memory behind a [`Slot`](super::Slot): a number of bytes that the loader chose, and
/// [`PIECE_MAX`] more, as a piece can begin at the last of them.
#[derive(Clone, Copy)]
pub struct Room {
    first: *mut u8,
    bytes: u32,
}

impl Room {
    /// Bytes that can be chosen: a power of two from this on, so that an offset is kept within them
    /// by a mask that the verifier follows.
    pub const BYTES_MIN: u32 = 1 << 10;
    /// Up to this: twice what servers take of a header by default (nginx's
    /// `large_client_header_buffers`).
    pub const BYTES_MAX: u32 = 16 << 10;

    /// # Safety
    ///
    /// The room is there for as long as it is used, and `bytes` is one of those that can be chosen.
    #[inline(always)]
    pub(super) unsafe fn new(first: *mut u8, bytes: u32) -> Self {
        Self { first, bytes }
    }

    /// Bytes of a request that it has room for.
    #[inline(always)]
    pub fn bytes(self) -> u32 {
        self.bytes
    }

    /// An offset, which wraps at [`Room::bytes`].
    #[inline(always)]
    pub fn wrap(self, at: u32) -> u32 {
        at & (self.bytes - 1)
    }

    /// The byte at an offset, which wraps; [`PIECE_MAX`] bytes can be read and written from there.
    #[inline(always)]
    pub fn at(self, at: u32) -> *mut u8 {
        self.first.wrapping_add(self.wrap(at) as usize)
    }

    /// Eight bytes at an offset, which wraps; the first is the lowest.
    #[inline(always)]
    pub(super) fn word(self, at: u32) -> u64 {
        self.words::<1>(at)[0]
    }

    /// The same, with what follows.
    #[inline(always)]
    pub(super) fn words<const N: usize>(self, at: u32) -> [u64; N] {
        const { assert!(8 * N <= PIECE_MAX as usize) };
        let from = self.at(at);
        // SAFETY: the room goes on for that many words.
        core::array::from_fn(|n| u64::from_le(unsafe { load(from.wrapping_add(8 * n)) }))
    }

    /// Writes a line end and zeros behind what is held, at least one byte, so that nothing of an
    /// earlier request is read there.
    #[inline(always)]
    pub(super) fn close(self, held: u32) {
        let last = self.at(held.wrapping_sub(1));
        for step in 0..CLOSED {
            let value = if step == 0 { u64::from(b'\n') } else { 0 };
            // SAFETY: the room goes on for more than these words.
            unsafe { store(last.wrapping_add(1 + 8 * step), value.to_le()) };
        }
    }

    /// Sets the length field of an IP header, which is within the first [`LENGTH_FIELDS`] bytes, to 0.
    #[inline(always)]
    pub(super) fn clear_length(self, at: u32) {
        let at = self.first.wrapping_add((at & LENGTH_FIELDS) as usize);
        // SAFETY: the room has more bytes than these.
        unsafe { at.cast::<[u8; 2]>().write([0; 2]) };
    }
}

/// Words behind the last byte that is held at which the search can look.
const CLOSED: usize = 4;

/// Where the length field of an IP header can be: within the headers that are held.
const LENGTH_FIELDS: u32 = 63;

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
unsafe fn store(at: *mut u8, value: u64) {
    // SAFETY: the caller says that eight bytes can be written there.
    unsafe {
        core::arch::asm!("*(u64 *)({0} + 0) = {1}", in(reg) at, in(reg) value);
    }
}

#[cfg(not(target_arch = "bpf"))]
unsafe fn store(at: *mut u8, value: u64) {
    // SAFETY: the caller says that eight bytes can be written there.
    unsafe { at.cast::<u64>().write_unaligned(value) }
}
