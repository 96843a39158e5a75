//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long to sleep between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The point at which waiting becomes a failure.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    allowed: Duration,
}

impl Deadline {
    /// A deadline `allowed` from now.
    pub fn after(allowed: Duration) -> Self {
        Self {
            at: Instant::now() + allowed,
            allowed,
        }
    }

    /// The usual patience with a local process: 30 s, enough for a machine under full load.
    pub fn usual() -> Self {
        Self::after(Duration::from_secs(30))
    }

    /// Whether it is over.
    pub fn passed(self) -> bool {
        Instant::now() >= self.at
    }

    /// Looks again and again until `look` gives a value.
    ///
    /// # Errors
    /// What `look` fails with, or, after the deadline, that `what` did not happen.
    pub fn wait_for<T>(self, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if self.passed() {
                bail!("{what}: not within {:?}", self.allowed);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}
