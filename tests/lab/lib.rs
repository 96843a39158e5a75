//! A laboratory for the live tests and the demo: network namespaces, control groups and real
//! servers that exist only as long as the values that stand for them.
//!
//! ```text
//! Scene ── Netns (one or two, joined by a veth pair) ─┐
//!       └─ Cgroup (a child of the cgroup2 mount) ─────┴─ Place ── Process
//!                                                                ├─ Nginx, Node   (servers)
//!                                                                ├─ Client        (lab-client)
//! Stage (`stage.toml`) ── RunningStage ── Connection ── WireAnswer
//! Tracer (`tracer403 live`) ── Session ── Case (one JSON line)   ┘
//! ```
//!
//! Everything needs root. Nothing outside the namespaces and the control group is touched: the
//! traffic stays inside, and the tracer is attached there only.

#![allow(
    clippy::disallowed_methods,
    reason = "a lab waits for real processes in real time; the rule is for the pipeline"
)]

mod bpf;
mod cgroup;
mod client;
mod netns;
mod nginx;
mod node;
mod place;
mod scene;
mod session;
mod stage;
mod tracer;
mod wait;

pub use bpf::{BpfObjects, EmptyPrograms, RunTime, RunTimes};
pub use cgroup::Cgroup;
pub use client::{Answer, Client, ClientReport};
pub use netns::Netns;
pub use nginx::Nginx;
pub use node::Node;
pub use place::{Place, Process};
pub use scene::{CLIENT_V4, CLIENT_V6, SERVER_V4, SERVER_V6, Scene};
pub use session::{Case, Owner, Session};
pub use stage::{
    Call, Connection, Handling, Request, RunningStage, Server, Stage, StageScene, Tools, Truth,
    WireAnswer,
};
pub use tracer::{Finished, Read, Tracer, tracer_binary};
pub use wait::Deadline;
