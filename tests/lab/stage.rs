//! Stages: real servers, described in a file, whose 403s have a known truth.
//!
//! [`Stage::load`] reads `tests/stages/<name>/stage.toml`; [`RunningStage::start`] starts its
//! servers in a network namespace of their own; [`RunningStage::call`] sends a request.

mod answer;
mod client;
mod files;
mod format;
mod running;

pub use answer::WireAnswer;
pub use client::{Call, Connection};
pub use files::Tools;
pub use format::{Handling, Request, Server, Stage, StageScene, Truth};
pub use running::RunningStage;
