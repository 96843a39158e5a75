//! The stage: namespaces, addresses and the control group, in the two layouts that tests use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use crate::cgroup::Cgroup;
use crate::netns::Netns;
use crate::place::Place;

/// The server's IPv4 address where client and server have a namespace each.
pub const SERVER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The client's IPv4 address there.
pub const CLIENT_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The server's IPv6 address there.
pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// The client's IPv6 address there.
pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// Scenes share two processor cores: one at a time in a test process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A place for a server, a place for its clients, and a control group around both.
#[derive(Debug)]
pub struct Scene {
    /// Where servers run.
    server: Netns,
    /// Where clients run, if not beside the servers.
    client: Option<Netns>,
    /// Around every process in the scene. Declared last but one: it kills what is left.
    cgroup: Cgroup,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    /// One namespace; client and server talk over loopback.
    ///
    /// # Errors
    /// Without root.
    pub fn loopback() -> Result<Self> {
        Self::with(None)
    }

    /// A namespace for each, joined by a veth pair: `server0` there, `client0` here.
    ///
    /// # Errors
    /// Without root.
    pub fn veth() -> Result<Self> {
        let scene = Self::with(Some(Netns::new()?))?;
        if let Some(client) = &scene.client {
            scene.server.join("server0", client, "client0")?;
            scene
                .server
                .address("server0", &format!("{SERVER_V4}/24"))?;
            scene
                .server
                .address("server0", &format!("{SERVER_V6}/64"))?;
            client.address("client0", &format!("{CLIENT_V4}/24"))?;
            client.address("client0", &format!("{CLIENT_V6}/64"))?;
        }
        Ok(scene)
    }

    fn with(client: Option<Netns>) -> Result<Self> {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Self {
            server: Netns::new()?,
            client,
            cgroup: Cgroup::new()?,
            _turn: turn,
        })
    }

    /// Where servers run.
    pub fn server_place(&self) -> Place<'_> {
        Place::inside(&self.server, &self.cgroup)
    }

    /// Where clients run.
    pub fn client_place(&self) -> Place<'_> {
        Place::inside(self.client_netns(), &self.cgroup)
    }

    /// The servers' namespace.
    pub fn server_netns(&self) -> &Netns {
        &self.server
    }

    /// The clients' namespace.
    pub fn client_netns(&self) -> &Netns {
        self.client.as_ref().unwrap_or(&self.server)
    }

    /// The control group around both.
    pub fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    /// The interface in the servers' namespace over which requests come.
    pub fn interface(&self) -> &'static str {
        if self.client.is_some() {
            "server0"
        } else {
            "lo"
        }
    }

    /// The server's IPv4 and IPv6 address, with a port.
    pub fn addresses(&self, port: u16) -> [SocketAddr; 2] {
        let (v4, v6) = match self.client {
            Some(_) => (SERVER_V4, SERVER_V6),
            None => (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
        };
        [
            SocketAddr::new(IpAddr::V4(v4), port),
            SocketAddr::new(IpAddr::V6(v6), port),
        ]
    }
}
