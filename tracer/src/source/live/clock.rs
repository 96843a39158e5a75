//! The kernel's time stamps as wall-clock time.

use std::time::{Duration, UNIX_EPOCH};

use crate::model::Timestamp;

/// Turns `CLOCK_MONOTONIC`, the clock of the probes, into wall-clock time by an offset that is taken
/// once: a step of the wall clock during a session moves nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct KernelClock {
    offset_ns: u64,
}

impl KernelClock {
    pub(super) fn new() -> Self {
        // Between two looks at the one clock, the other: half the time between them is the error.
        let before = monotonic_ns();
        #[expect(
            clippy::disallowed_methods,
            reason = "once: what it gives is data from then on"
        )]
        let wall = std::time::SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let middle = before.midpoint(monotonic_ns());
        let wall_ns = u64::try_from(wall.as_nanos()).unwrap_or_default();
        Self {
            offset_ns: wall_ns.saturating_sub(middle),
        }
    }

    /// A time stamp of the kernel side.
    pub(super) fn wall(self, monotonic_ns: u64) -> Timestamp {
        Timestamp::from_nanos(self.offset_ns.saturating_add(monotonic_ns))
    }

    /// Now.
    pub(super) fn now(self) -> Timestamp {
        self.wall(monotonic_ns())
    }
}

/// This much earlier.
pub(super) fn minus(at: Timestamp, by: Duration) -> Timestamp {
    let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
    Timestamp::from_nanos(at.as_nanos().saturating_sub(by))
}

fn monotonic_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid, writable timespec for the length of the call. The call cannot
    // fail: the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
