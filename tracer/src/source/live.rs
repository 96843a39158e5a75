//! Records from the kernel: the probes of `tracer-ebpf`, loaded, attached and read.
//!
//! Everything that is attached hangs on a file descriptor of this process and goes with it, however
//! it ends. (The exception is an interface on a kernel before 6.6: see [`Attach::Interfaces`].)

mod attach;
mod cgroup;
mod clock;
mod counters;
mod interfaces;
mod kernel_log;
mod load;
mod object;
#[cfg(test)]
mod packet_probes;
mod permission;
mod qdisc;
mod started;
mod translate;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aya::Ebpf;
use aya::maps::{MapData, RingBuf};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;
use tracer_common::hold::{Room, Set, Slot, WAYS};

use self::attach::Attachments;
use self::clock::KernelClock;
use self::counters::Counters;
use self::kernel_log::KernelLog;
use self::load::Loaded;
#[cfg(test)]
pub(super) use self::object::OBJECT;
pub use self::started::{Attached, Started};
use self::translate::{Scope, Translator};
use super::{Record, Source, SourceError};
use crate::host;
use crate::model::Timestamp;
use crate::ports::Ports;

/// What to trace, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Ports of either end.
    pub ports: Ports,
    /// Where to look at packets.
    pub attach: Attach,
    /// Size of the ring buffer, in bytes: what the kernel may be ahead of this process. Rounded up
    /// to a power of two, at least [`Options::RING_BYTES_MIN`].
    pub ring_bytes: u32,
    /// At most this many bytes of a packet are copied. The kernel's packets are longer than the
    /// network's, as it cuts and joins them at the interface.
    pub snap_len: u32,
    /// Which of the packets are copied.
    pub capture: Capture,
}

impl Options {
    /// The smallest ring buffer: some of the largest packets.
    pub const RING_BYTES_MIN: u32 = 4 << 20;
    /// The largest ring buffer.
    pub const RING_BYTES_MAX: u32 = 1 << 30;
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ports: Ports::default(),
            attach: Attach::Cgroup(None),
            ring_bytes: 64 << 20,
            snap_len: tracer_common::SNAP_LEN_MAX,
            capture: Capture::All,
        }
    }
}

/// Which packets are copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Capture {
    /// Every one of a traced port.
    All,
    /// Those of exchanges with a wanted answer: the kernel side holds each request until the status
    /// of its answer is known. What it cannot follow is copied all the same.
    Hold(Hold),
    /// As [`Capture::Hold`] where the kernel takes that, else as [`Capture::All`].
    HoldOrAll(Hold),
}

/// How requests are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Connections whose requests can be held at once; [`Hold::memory`] is what they take
    /// in the kernel. Past it the one that was silent for longest is no longer followed.
    pub connections: u32,
    /// Bytes of a request that are kept, with the headers of its first packet: a power of two from
    /// [`Hold::BYTES_MIN`] to [`Hold::BYTES_MAX`], and rounded up to one.
    pub bytes: u32,
    /// Statuses of wanted answers: from the first to the last, both included.
    pub statuses: Vec<(u16, u16)>,
    /// Methods of wanted requests; every one where there are none, or more than the kernel side takes.
    pub methods: Vec<String>,
}

impl Hold {
    /// The least that can be kept of a request: the headers of its packet, and some of itself.
    pub const BYTES_MIN: u32 = Room::BYTES_MIN;
    /// The most that can be kept of a request.
    pub const BYTES_MAX: u32 = Room::BYTES_MAX;

    /// Bytes that are kept.
    fn room(&self) -> u32 {
        let bytes = self.bytes.clamp(Self::BYTES_MIN, Self::BYTES_MAX);
        bytes.next_power_of_two()
    }

    /// Memory in the kernel for the connections, in bytes.
    pub fn memory(&self) -> u64 {
        let set = WAYS as usize * Slot::bytes_with(self.room()) + size_of::<Set>();
        u64::from(self.sets()) * set as u64
    }

    /// Sets of slots, one for each connection.
    fn sets(&self) -> u32 {
        self.connections.max(1).div_ceil(WAYS)
    }
}

/// Where to look at packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// At the sockets of a cgroup and of all below it, in every network namespace. `None` is the
    /// root of the cgroup hierarchy (version 2): the whole host.
    Cgroup(Option<PathBuf>),
    /// At interfaces of this thread's network namespace: what passes through the host is seen too.
    ///
    /// Before Linux 6.6 this takes a `clsact` queueing discipline, which is removed in the end if
    /// it was made here; a process that is killed cannot do so, and then the qdisc stays, with
    /// probes that nobody reads (`tc qdisc del dev IFACE clsact` removes both).
    Interfaces(Interfaces),
}

/// Which interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interfaces {
    /// These. Each must be there at the start; one that goes and comes again is attached again.
    Named(Vec<String>),
    /// Every one there is, and every one that appears.
    Any,
}

/// A running capture.
///
/// It waits in a small runtime of its own, so it is not for use inside another one's tasks. With
/// [`Attach::Interfaces`], start and read it on a thread of the network namespace that is meant.
pub struct LiveSource {
    // Order of fields is order of drop: the probes go before the maps they write to.
    attachments: Attachments,
    ebpf: Ebpf,
    ring: AsyncFd<RingBuf<MapData>>,
    runtime: Runtime,
    counters: Counters,
    kernel_log: Option<KernelLog>,
    translator: Translator,
    clock: KernelClock,
    started: Started,
    /// Handed out before anything else: whether peers are watched, what is missing, and who holds the sockets that were open.
    first: Vec<Record<'static>>,
    is_holding: bool,
    stop: Arc<AtomicBool>,
    ring_is_empty: bool,
    ticked_at: Timestamp,
    chores_at: Timestamp,
    counted_at: Timestamp,
}

/// What a look at the kernel's records showed.
enum Look {
    /// All that there was, and a tick.
    Ticked,
    /// All that there was.
    Drained,
    /// There is more.
    Behind,
    /// There will be no more.
    Ended,
}

/// How long to wait for records before looking by itself: the kernel side wakes nobody until its
/// buffer fills up.
const WAIT: Duration = Duration::from_millis(10);
/// Records handed out in one go, so that ticks and counters have their turn under any load.
const BATCH: usize = 4096;
/// At most this long between ticks: the delay of a report, beside what a case waits for.
const TICK: Duration = Duration::from_millis(50);
/// How far ticks stay behind the clock. A probe takes its time stamp a little before its record
/// can be seen; no record may come with a time before a tick that was handed out.
const TICK_LAG: Duration = Duration::from_millis(5);
/// Between looks at the counters: a case must know what was lost while it was under way before it
/// is handed out, so this is well below `limits.settle`.
const COUNT: Duration = Duration::from_millis(100);
/// Between looks at the messages and the interfaces.
const CHORES: Duration = Duration::from_secs(1);

impl LiveSource {
    /// Loads and attaches the probes. Set `stop` to end the capture: [`Source::next`] then detaches
    /// them, hands out what is left, and says that there is no more.
    ///
    /// # Errors
    /// [`SourceError::Live`] with what failed, on what, and what to do about it: a missing
    /// permission or capability, a cgroup or interface that is not there, a kernel that cannot.
    pub fn start(options: &Options, stop: Arc<AtomicBool>) -> Result<Self, SourceError> {
        permission::require()?;
        let clock = KernelClock::new();
        let target = attach::Target::find(&options.attach)?;
        let Loaded {
            mut ebpf,
            mut started,
            is_holding,
        } = load::load(options, &target)?;
        let counters = Counters::take(&mut ebpf)?;
        let kernel_log = KernelLog::take(&mut ebpf);
        let (runtime, ring) = load::ring(&mut ebpf)?;
        let attachments = Attachments::attach(&mut ebpf, target, &mut started)?;
        started.missing.extend(permission::missing_insight());

        let ports = options.ports.clone();
        let mut translator = Translator::new(clock, Scope::of(&options.attach), ports);
        let existing = host::existing_sockets(&options.ports, translator.processes(), clock.now());
        let existing: Vec<_> = existing
            .into_iter()
            .filter_map(|o| translator.owner(o))
            .collect();
        let missing = started.missing.iter().cloned().map(Record::Missing);
        // At an interface it is not known who asked for an answer that was let go: there, nothing may
        // be concluded from silence.
        let is_told = !is_holding || matches!(options.attach, Attach::Cgroup(_));
        let watching =
            (started.is_watching() && is_told).then(|| Record::Watching { at: clock.now() });
        let first = watching
            .into_iter()
            .chain(missing)
            .chain(existing)
            .collect();
        Ok(Self {
            attachments,
            ebpf,
            ring,
            runtime,
            counters,
            kernel_log,
            translator,
            clock,
            started,
            first,
            is_holding,
            stop,
            ring_is_empty: true,
            ticked_at: clock.now(),
            chores_at: clock.now(),
            counted_at: clock.now(),
        })
    }

    /// What attached where, and what could not.
    pub fn started(&self) -> &Started {
        &self.started
    }

    /// Whether requests are held in the kernel.
    pub fn is_holding(&self) -> bool {
        self.is_holding
    }

    /// Packets of traced ports that the kernel side saw so far, shipped or not.
    ///
    /// # Errors
    /// Where the kernel does not let its counters be read.
    pub fn packets_seen(&self) -> Result<u64, SourceError> {
        self.counters.packets()
    }

    /// Waits until the kernel side wants to be read, [`WAIT`] at most.
    fn wait(&mut self) {
        let ring = &mut self.ring;
        self.runtime.block_on(async {
            if let Ok(Ok(mut ready)) = tokio::time::timeout(WAIT, ring.readable_mut()).await {
                ready.clear_ready();
            }
        });
    }

    /// Hands out records until there are none or a batch of them is through.
    fn drain(&mut self, sink: &mut dyn FnMut(Record<'_>)) {
        let ring = self.ring.get_mut();
        self.ring_is_empty = false;
        for _ in 0..BATCH {
            let Some(entry) = ring.next() else {
                self.ring_is_empty = true;
                return;
            };
            self.translator.hand_out(&entry, sink);
        }
    }

    /// Waits where there was nothing more, then hands out what there is by now.
    fn look(&mut self, sink: &mut dyn FnMut(Record<'_>)) -> Result<Look, SourceError> {
        let stopping = self.stop.load(Ordering::Relaxed);
        if stopping && self.attachments.detach(&mut self.ebpf) {
            // A probe that was running writes its record yet; it takes microseconds.
            self.runtime
                .block_on(async { tokio::time::sleep(WAIT).await });
        } else if self.ring_is_empty {
            self.wait();
        }
        // The clock first: what is drained after it may be younger, but never older by more than
        // the lag.
        let now = self.clock.now();
        self.drain(sink);
        let ended = stopping && self.ring_is_empty;
        if ended || now.since(self.chores_at) >= CHORES {
            self.chores_at = now;
            self.do_chores(sink);
        }
        if ended || now.since(self.counted_at) >= COUNT {
            self.counted_at = now;
            self.counters.hand_out_losses(sink)?;
            if self.is_holding {
                let counts = self.counters.held()?;
                let at = self.clock.now();
                sink(Record::Held { at, counts });
            }
        }
        let ticks = self.ring_is_empty && (ended || now.since(self.ticked_at) >= TICK);
        if ticks {
            self.ticked_at = now;
            sink(Record::Tick {
                at: clock::minus(now, TICK_LAG),
            });
        }
        Ok(match (ended, ticks, self.ring_is_empty) {
            (true, ..) => Look::Ended,
            (_, true, _) => Look::Ticked,
            (.., false) => Look::Behind,
            (.., true) => Look::Drained,
        })
    }

    /// What is done about once a second, and at the end.
    fn do_chores(&mut self, sink: &mut dyn FnMut(Record<'_>)) {
        if let Some(log) = &mut self.kernel_log {
            log.forward();
        }
        for missing in self.attachments.follow(&mut self.ebpf) {
            sink(Record::Missing(missing));
        }
    }
}

impl Source for LiveSource {
    /// Hands out what comes until a tick is due, or a batch of records that waited: what is done
    /// with the cases is done for several at once.
    fn next(&mut self, sink: &mut dyn FnMut(Record<'_>)) -> Result<bool, SourceError> {
        for record in self.first.drain(..) {
            sink(record);
        }
        loop {
            match self.look(sink)? {
                Look::Ended => return Ok(false),
                Look::Ticked | Look::Behind => return Ok(true),
                Look::Drained => {}
            }
        }
    }
}
