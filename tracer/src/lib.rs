//! Who refused this POST with a 403, and why.

pub mod client;
pub mod decode;
pub mod http;
pub mod limits;
pub mod model;
pub mod output;
pub mod pair;
pub mod ports;
pub mod process;
pub mod reassembly;
pub mod source;
