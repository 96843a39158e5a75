//! Network namespaces that live as long as a file descriptor, so that nothing stays behind even
//! when the test is killed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use anyhow::{Context, Result, anyhow};

use crate::place::Place;

/// A network namespace of its own, with its loopback interface up.
#[derive(Debug)]
pub struct Netns {
    file: File,
}

impl Netns {
    /// Makes one.
    ///
    /// # Errors
    /// Without root (CAP_SYS_ADMIN), or where `ip` is missing.
    pub fn new() -> Result<Self> {
        // A thread of its own: leaving a namespace concerns the calling thread alone.
        let file = std::thread::spawn(|| -> io::Result<File> {
            // SAFETY: unshare takes no pointers and changes this thread only, which ends here.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error());
            }
            File::open("/proc/thread-self/ns/net")
        })
        .join()
        .map_err(|_| anyhow!("the thread that makes a network namespace died"))?
        .context("making a network namespace: live tests and the demo need root")?;
        let netns = Self { file };
        netns.ip(&["link", "set", "lo", "up"])?;
        Ok(netns)
    }

    /// Joins two namespaces with a veth pair: `near` here, `far` there, both up.
    ///
    /// # Errors
    /// Where `ip` refuses.
    pub fn join(&self, near: &str, other: &Self, far: &str) -> Result<()> {
        let there = other.path();
        self.ip(&[
            "link", "add", near, "type", "veth", "peer", "name", far, "netns", &there,
        ])?;
        self.ip(&["link", "set", near, "up"])?;
        other.ip(&["link", "set", far, "up"])
    }

    /// Gives an interface an address, without waiting for duplicate address detection.
    ///
    /// # Errors
    /// Where `ip` refuses.
    pub fn address(&self, interface: &str, address_and_prefix: &str) -> Result<()> {
        let mut arguments = vec!["address", "add", address_and_prefix, "dev", interface];
        if address_and_prefix.contains(':') {
            arguments.push("nodad");
        }
        self.ip(&arguments)
    }

    /// Runs `ip` inside.
    ///
    /// # Errors
    /// Where it is missing or fails.
    pub fn ip(&self, arguments: &[&str]) -> Result<()> {
        Place::in_netns(self).output("ip", arguments).map(drop)
    }

    /// What `tc qdisc show` says about an interface inside.
    ///
    /// # Errors
    /// Where `tc` is missing or fails.
    pub fn qdiscs(&self, interface: &str) -> Result<String> {
        Place::in_netns(self).output("tc", &["qdisc", "show", "dev", interface])
    }

    /// A path under which this process's children can open the namespace.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
