//! The only way to the tool: one ring buffer, and counters for what did not fit.

use core::arch::asm;
use core::hint::black_box;

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::bpf_ringbuf_output;
use aya_ebpf::macros::map;
use aya_ebpf::maps::ring_buf::RingBufBytes;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use tracer_common::hold::{Room, Slot};
use tracer_common::{PacketRecord, counter};

use crate::settings::WAKE_BYTES;

/// The loader sets its size.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);

/// How many records of packets found no room. Written here and by nobody else; it wraps around.
#[unsafe(no_mangle)]
static mut LOST: u32 = 0;

/// What a packet's record says of those before it.
#[inline(always)]
pub fn lost() -> u32 {
    // SAFETY: one aligned word. Volatile, as it is written by programs that the compiler does not
    // see run.
    unsafe { (&raw const LOST).read_volatile() }
}

/// A packet's record found no room: the next one says so.
#[inline(always)]
fn packet_is_lost() {
    count(counter::LOST_PACKETS);
    let lost = &raw mut LOST;
    // SAFETY: one aligned word; atomic as in `count`.
    unsafe { asm!("lock *(u32 *)({0} + 0) += {1}", in(reg) lost, in(reg) 1_u64) };
}

/// Room for `SIZE` bytes in the ring buffer; where there is none, `lost` goes up by one.
///
/// The size is a constant because the verifier takes no other.
#[inline(always)]
pub fn reserve<const SIZE: usize>(lost: u32) -> Option<RingBufBytes<'static>> {
    let room = EVENTS.reserve_bytes(SIZE, 0);
    if room.is_none() {
        match lost {
            counter::LOST_PACKETS => packet_is_lost(),
            _ => count(lost),
        }
    }
    room
}

/// Hands a record to the tool.
///
/// The tool looks by itself every few milliseconds, so that a wake-up is spared per record; it is
/// woken only as the backlog passes the mark where waiting could fill the buffer.
#[inline(always)]
pub fn submit(record: RingBufBytes<'static>) {
    let flags = wake_flags(record.len() as u64);
    record.submit(flags);
}

/// Hands the held request of a slot to the tool.
#[inline(always)]
pub fn held(slot: &Slot, room: Room) {
    let held = room.wrap(black_box(slot.record().captured_len.wrapping_sub(1)));
    let len = size_of::<PacketRecord>() as u64 + u64::from(held) + 1;
    // The room follows the record.
    let from = (&raw const *slot.record()).cast_mut();
    // SAFETY: `len` bytes are within the slot, a map value.
    let failed = unsafe {
        bpf_ringbuf_output(
            (&raw const EVENTS).cast_mut().cast(),
            from.cast(),
            len,
            wake_flags(len),
        )
    };
    if failed != 0 {
        packet_is_lost();
    }
}

/// Whether the tool is woken for a record of this length.
#[inline(always)]
fn wake_flags(len: u64) -> u64 {
    let backlog = EVENTS.query(BPF_RB_AVAIL_DATA.into());
    let mark = WAKE_BYTES.load();
    let passes_mark = backlog >= mark && backlog < mark + len + RECORD_HEADER;
    if passes_mark {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    }
    .into()
}

/// What the kernel keeps in front of each record, and rounds up behind it, in bytes.
const RECORD_HEADER: u64 = 16;

/// Adds one to a counter.
///
/// Of what is lost, each counts. Of what is usual, one in a million may be missing, where a probe
/// interrupts another between its reading and its writing: an atomic addition waits until all is
/// written that the program wrote before.
#[inline(always)]
pub fn count(counter: u32) {
    let Some(value) = COUNTERS.get_ptr_mut(counter) else {
        return;
    };
    if matches!(counter, counter::PACKETS | counter::HELD | counter::LET_GO) {
        // SAFETY: the pointer is to a map value of this CPU: eight bytes, aligned, and never freed.
        // Volatile, as other programs write it.
        unsafe { value.write_volatile(value.read_volatile().wrapping_add(1)) };
    } else {
        // SAFETY: as above. Atomic, as a probe in a process can be interrupted by one in softirq; in
        // assembly, as `AtomicU64` has no `fetch_add` on this target.
        unsafe { asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) value, in(reg) 1_u64) };
    }
}
