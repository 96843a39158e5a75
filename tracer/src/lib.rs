//! Who refused this POST with a 403, and why.

pub mod decode;
#[cfg(feature = "live")]
pub mod host;
pub mod http;
pub mod limits;
pub mod model;
pub mod output;
pub mod pair;
pub mod ports;
pub mod process;
pub mod reassembly;
pub mod source;
