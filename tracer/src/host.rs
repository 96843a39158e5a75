//! What this host knows about its processes and sockets: `/proc`, the cgroup tree, the kernel's
//! socket tables and its type information.
//!
//! The kernel side names the process that uses a socket by its ids and names; [`ProcessTable`] adds
//! what only `/proc` tells. [`existing_sockets`] finds the connections that were open before there
//! was a kernel side, and [`kernel_offsets`] tells that side where the kernel keeps what it reads.

mod btf;
mod cgroups;
mod clock;
mod container;
mod holders;
mod listening;
mod namespaces;
mod processes;
mod recent;
mod running;
mod sockets;

pub use btf::{KernelOffsets, kernel_offsets};
pub use container::container;
pub use listening::Listening;
pub use processes::{OwnerEvent, ProcessTable};
pub use sockets::existing_sockets;
