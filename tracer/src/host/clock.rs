//! The boot-time clock and the wall clock.

use std::time::UNIX_EPOCH;

use crate::model::Timestamp;

/// Turns times since boot into wall-clock time, by an offset that is taken once: a step of the wall
/// clock does not move a process's start.
#[derive(Clone, Copy, Debug)]
pub(super) struct BootClock {
    booted_at_ns: u64,
    tick_ns: u64,
}

impl BootClock {
    pub(super) fn new() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "once, at the start of a live session: what it gives is data from then on"
        )]
        let now = std::time::SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or_default();
        Self {
            booted_at_ns: now_ns.saturating_sub(since_boot_ns()),
            tick_ns: (1_000_000_000 / procfs::ticks_per_second().max(1)).max(1),
        }
    }

    /// The wall-clock time of so many nanoseconds since boot (suspension included).
    pub(super) fn wall(&self, boottime_ns: u64) -> Timestamp {
        Timestamp::from_nanos(self.booted_at_ns.saturating_add(boottime_ns))
    }

    /// Clock ticks, as `/proc` prints times since boot, in nanoseconds.
    pub(super) fn ticks_to_ns(&self, ticks: u64) -> u64 {
        ticks.saturating_mul(self.tick_ns)
    }

    /// Nanoseconds since boot in clock ticks, rounded as the kernel does.
    pub(super) fn ns_to_ticks(&self, boottime_ns: u64) -> u64 {
        boottime_ns / self.tick_ns
    }
}

fn since_boot_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid, writable timespec for the length of the call.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    if done != 0 {
        return 0;
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
