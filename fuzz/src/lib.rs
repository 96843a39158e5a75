//! What the fuzz targets do, as plain functions: the fuzzing engine calls them with what it
//! invents, and `tests/replay.rs` with what is kept in `corpus/`.

mod capture;
mod decode;
mod h1;
mod pipeline;
mod reassembly;

pub use capture::{pcap, pcapng};
pub use decode::decode;
pub use h1::h1;
pub use pipeline::pipeline;
pub use reassembly::reassembly;

/// A target: its name, also that of its file and of its corpus, and what it does with an input.
/// It panics where the tool does something that it must not.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("decode", decode),
    ("h1", h1),
    ("pcap", pcap),
    ("pcapng", pcapng),
    ("pipeline", pipeline),
    ("reassembly", reassembly),
];
