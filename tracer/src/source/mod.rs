//! Where records come from: the kernel ([`live`]) or a capture file ([`pcap`]).
//!
//! A source does the I/O and hands out [`Record`]s; the pipeline does not know which source it
//! reads. What the host told live (owners, losses) is a record like any packet, so a session that
//! was written to a file can be read back to the same cases.

#[cfg(feature = "live")]
pub mod live;
pub mod pcap;
pub mod probes;
pub mod unread;

use std::net::SocketAddr;

use crate::model::{Around, HeldCounts, LossPlace, MissingProbe, Owner, Settled, Talk, Timestamp};

/// One thing that a source saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Record<'a> {
    /// A packet.
    Packet(Frame<'a>),
    /// A process used a socket.
    Owner(SocketOwner),
    /// From this time on the host tells whenever a process that serves a traced port sends to a
    /// peer that is not traced: where no [`Talk`](Self::Talk) follows, there was none.
    Watching {
        /// Since when.
        at: Timestamp,
    },
    /// A process that serves a traced port sent to a peer that is not traced.
    Talk(Talk),
    /// What was under way around an exchange when it was captured: a file holds only some of the
    /// packets.
    Around(Around),
    /// Records were lost on their way here.
    Lost {
        /// How many.
        count: u64,
        /// Where.
        place: LossPlace,
    },
    /// What came so far of the requests that the kernel side held.
    Held {
        /// When that was counted.
        at: Timestamp,
        /// The counts.
        counts: HeldCounts,
    },
    /// A probe could not be attached, or went away.
    Missing(MissingProbe),
    /// Nothing happened until this time; a live source says so when it is idle, so that timeouts
    /// work without a clock in the pipeline.
    Tick {
        /// The time now.
        at: Timestamp,
    },
}

/// A packet as it was captured, borrowed from the source's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When.
    pub at: Timestamp,
    /// What the bytes begin with: a LINKTYPE_ number of the pcap registry
    /// (1 Ethernet, 0 and 108 loopback, 101/228/229 raw IP, 113 and 276 Linux cooked, …).
    pub link_type: u16,
    /// Length on the wire, in bytes; more than `data` holds where the packet was cut.
    pub wire_len: u32,
    /// The bytes that were captured.
    pub data: &'a [u8],
    /// What the capturing host knew about it.
    pub vantage: Vantage,
}

/// Where on the host a packet was seen. All zero for a plain capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vantage {
    /// Which way it was going at that place.
    pub hook: Hook,
    /// Cookie of the socket at this host's end: the sender's on egress, the receiver's on ingress;
    /// 0 where there is none.
    pub cookie: u64,
    /// Network namespace it was seen in, as the kernel's netns cookie; 0 where not known.
    pub netns: u64,
    /// Index of the interface in that namespace; 0 where not known.
    pub ifindex: u32,
    /// Up to where its connection is settled; `None` where that is not said.
    pub settled: Option<Settled>,
    /// How many records, of any connection, had been lost before, where packets are left out.
    pub lost: u32,
}

/// Which way a packet was going where it was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hook {
    /// A capture file does not say.
    #[default]
    Unknown,
    /// Into a socket or namespace of this host.
    Ingress,
    /// Out of it.
    Egress,
}

/// Which socket an owner record speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketKey {
    /// Its cookie; 0 where not known.
    pub cookie: u64,
    /// Its own address; `None` where not known.
    pub local: Option<SocketAddr>,
    /// Its peer's address; `None` where not known, or where it listens.
    pub remote: Option<SocketAddr>,
}

/// What the process was doing with the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketUse {
    /// It sent bytes.
    Sent,
    /// It received bytes.
    Received,
    /// It held the socket open when the tables were read.
    Held,
}

/// A process used a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketOwner {
    /// When.
    pub at: Timestamp,
    /// Which socket.
    pub socket: SocketKey,
    /// How.
    pub used: SocketUse,
    /// The process.
    pub owner: Owner,
}

/// A failure of a source. Odd traffic is never one.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file could not be opened or read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file (`-` for standard input).
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is damaged or cut short; what came before was handed out.
    #[error("{path} is damaged at byte {offset}: {what}")]
    Damaged {
        /// Which file.
        path: String,
        /// Offset in the (decompressed) file, in bytes.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The file is no capture.
    #[error("{path} is not a capture: {what}")]
    Format {
        /// Which file.
        path: String,
        /// What was found instead.
        what: String,
    },
    /// The kernel side could not be loaded or attached.
    #[error("{0}")]
    Live(String),
}

/// A stream of records.
pub trait Source {
    /// Hands the next record, or a batch of them, to `sink`, in order. `Ok(false)` when there will
    /// be no more.
    ///
    /// # Errors
    /// Where the source itself fails; every record before the fault was handed out.
    fn next(&mut self, sink: &mut dyn FnMut(Record<'_>)) -> Result<bool, SourceError>;
}
