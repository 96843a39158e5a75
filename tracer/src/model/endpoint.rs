//! The two ends of a connection, and the processes behind them.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Timestamp;

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address, as the socket sees it.
    pub addr: SocketAddr,
    /// The address under which the other end knows it, where that is another one: addresses are
    /// translated on the way (NAT, the address of a service, a published port).
    pub translated: Option<SocketAddr>,
    /// Its socket cookie, where a probe on this host saw it; 0 otherwise.
    pub cookie: u64,
    /// The process behind it, where it is on this host.
    pub owner: Option<Owner>,
}

impl Endpoint {
    /// The address under which the other end knows it.
    pub fn seen_as(&self) -> SocketAddr {
        self.translated.unwrap_or(self.addr)
    }
}

/// How the owner of a socket is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnerQuality {
    /// Several processes hold the socket, or only the listening socket is known.
    Guess,
    /// Read from the kernel's socket table and /proc some time before or after.
    Relaxed,
    /// The kernel named it while the process was sending or receiving on that very socket.
    Exact,
}

/// A process that uses one end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Process id (the thread group's), in the host's pid namespace.
    pub pid: u32,
    /// Thread id, in the host's pid namespace; equals `pid` where the thread is not known.
    pub tid: u32,
    /// User id, in the host's user namespace.
    pub uid: u32,
    /// When the process started; `None` where not known.
    pub started_at: Option<Timestamp>,
    /// The name of the process (at most 15 bytes; not the thread's, where both are known).
    pub comm: Arc<str>,
    /// The executable, where the process was there to be asked.
    pub exe: Option<Arc<str>>,
    /// Its cgroup, below the mount.
    pub cgroup: Option<Arc<str>>,
    /// Its container.
    pub container: Option<Arc<Container>>,
    /// How this is known.
    pub quality: OwnerQuality,
}

/// A container, as its cgroup names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// What runs it: `docker`, `containerd`, `cri-o` or `podman`; `kubernetes` where its cgroup is
    /// known to be a pod's but does not name the runtime.
    pub runtime: &'static str,
    /// Its id, in full.
    pub id: String,
}
