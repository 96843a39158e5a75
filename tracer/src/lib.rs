//! Who refused this POST with a 403, and why.
//!
//! # The journey of one packet
//!
//! 1. A [`source`] hands out [`Record`](source::Record)s: packets, and what the host says of them
//!    (owners of sockets, losses, the passing of time). `source::live` gets them from the kernel,
//!    [`source::pcap`] from a file. What it needs to know of processes, `host` looks up.
//! 2. [`decode`] peels a frame: link layer, tunnels, IP, TCP. Out comes a
//!    [`Segment`](decode::Segment).
//! 3. [`reassembly`] finds its connection and hands out [`Chunk`](reassembly::Chunk)s: bytes in
//!    order, or a gap of known length.
//! 4. [`http`] reads messages from them, part by part: heads, bodies, ends, and what was odd.
//! 5. [`pair`] joins requests and responses, first in, first out. Out comes an
//!    [`Exchange`](model::Exchange): the waist. All before it turns bytes into exchanges, all
//!    after it reads exchanges only.
//! 6. [`select`] picks those that the user asked for: POST answered 403, unless told otherwise.
//!    While they wait for what the host has yet to say, [`trail`] gives up the packets that
//!    carried them.
//! 7. [`process`] names the owner of each end, and [`client`] lists every address that somebody
//!    gave for the client.
//! 8. [`chain`] finds the other hops of the same request, and the calls that their servers made
//!    for it.
//! 9. [`evidence`] gathers facts, each with the bytes it was read from; [`diagnose`] weighs them:
//!    who made the refusal, and why. Out comes a [`Case`](model::Case).
//! 10. [`output`] writes it: text, JSON lines, pcapng.
//!
//! [`pipeline`] calls stages 2 to 9 in this order. It does no I/O and keeps no clock: the only
//! time is that of the records, so a capture gives the same cases every time, and a live session
//! the same as its own recording. [`cli`] says what can be asked for, and the binary's `main`
//! joins source, pipeline and outputs. [`model`] holds the nouns, [`limits`] every bound,
//! [`ports`] the set of ports.

pub mod model;
pub mod limits;
pub mod ports;
pub mod source;
#[cfg(feature = "live")]
pub mod host;
pub mod decode;
pub mod reassembly;
pub mod http;
pub mod pair;
pub mod select;
pub mod trail;
pub mod process;
pub mod client;
pub mod chain;
pub mod evidence;
pub mod diagnose;
pub mod output;
pub mod pipeline;
pub mod cli;
mod bytes;
mod memo;
#[cfg(test)]
mod testing;
