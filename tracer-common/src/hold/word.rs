//! Lanes of a word, looked at together; and words as the verifier is to see them.

/// The lowest bit of each lane of so many bits.
pub(super) const fn ones(bits: u32) -> u64 {
    u64::MAX / ((1 << bits) - 1)
}

/// The high bit of the first lane that is equal; of those behind it, the bit says nothing.
#[inline(always)]
pub(super) fn equal_to<const BITS: u32>(word: u64, value: u64) -> u64 {
    let ones = const { ones(BITS) };
    let zero = word ^ (ones * value);
    zero.wrapping_sub(ones) & !zero & (ones << (BITS - 1))
}

/// In which lane the lowest bit is, where only high bits of lanes are set; behind the last where none
/// is. Without the table in memory that counting zeros takes on the kernel side's target.
#[inline(always)]
pub(super) fn first_lane<const BITS: u32>(bits: u64) -> u32 {
    let ones = const { ones(BITS) };
    let lowest = bits & bits.wrapping_neg();
    let before = (lowest >> (BITS - 1)).wrapping_sub(1) & ones;
    (before.wrapping_mul(ones) >> (64 - BITS)) as u32
}

/// The same of two words; `None` where no bit is set.
#[inline(always)]
pub(super) fn first_lane_of<const BITS: u32>([first, second]: [u64; 2]) -> Option<u32> {
    if first | second == 0 {
        return None;
    }
    // Without a branch, so that all that follows is one way to the verifier: all ones where it is in
    // the second word.
    let in_second = opaque(opaque(first | first.wrapping_neg()) >> 63).wrapping_sub(1);
    let lanes = in_second & u64::from(64 / BITS);
    Some(lanes as u32 + first_lane::<BITS>(first | second & in_second))
}

/// The same value, of which the compiler knows nothing.
#[inline(always)]
pub(super) fn opaque(value: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    let value = {
        let mut value = value;
        // SAFETY: it does nothing.
        unsafe { core::arch::asm!("/* {0} */", inout(reg) value, options(nomem, nostack)) };
        value
    };
    value
}
