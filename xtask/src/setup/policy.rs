//! Keeps Debian's packages from starting services while they are installed.

use std::path::Path;
use std::process::Stdio;

use anyhow::Result;

use crate::exec;
use crate::setup::apt;

/// Where invoke-rc.d looks for the policy.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// 101: the action is not allowed.
const REFUSE: &str = "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && \
                      chmod 755 /usr/sbin/policy-rc.d";

/// While this lives, no service is started; a policy that is there already is left alone.
///
/// The policy is taken away by a helper process that waits for this one's end on a pipe, so it
/// goes even when this one is killed.
pub(crate) struct NoServices {
    remover: Option<std::process::Child>,
}

impl NoServices {
    /// Puts the policy in place.
    ///
    /// # Errors
    /// Where that is not possible; then nothing should be installed.
    pub(crate) fn enforce() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { remover: None });
        }
        // `cat` ends at end of file, which the end of this process brings about in any case; the
        // signals of the terminal must not end the helper before that.
        let wait_and_remove = format!("trap '' INT TERM HUP; cat > /dev/null; rm -f {POLICY}");
        let mut remover = apt::root_command(&["sh", "-c", &wait_and_remove])?;
        let remover = remover.stdin(Stdio::piped()).spawn()?;
        let policy = Self {
            remover: Some(remover),
        };
        exec::run(&mut apt::root_command(&["sh", "-c", REFUSE])?)?;
        Ok(policy)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(mut remover) = self.remover.take() {
            drop(remover.stdin.take());
            drop(remover.wait());
            if Path::new(POLICY).exists() {
                eprintln!("setup: {POLICY} stays behind; remove it: `sudo rm {POLICY}`");
            }
        }
    }
}
