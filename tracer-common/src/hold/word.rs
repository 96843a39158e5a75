//! Words, as the verifier is to see them.

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
