//! The slots of connections whose requests are held: a table of our own, as [`Set`] says, in two
//! arrays, in which the kernel looks up without a call.

use core::arch::asm;
use core::ptr::NonNull;

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use tracer_common::hold::{Ends, Home, Set, Slot, WAYS};

use crate::settings::{HOLD_SETS, hold_key};

/// The loader sets how many there are, and that each has its room behind it.
#[map]
static SLOTS: Array<Slot> = Array::with_max_entries(WAYS, 0);

/// The loader sets how many there are: so many that each slot is in one.
#[map]
static SETS: Array<Set> = Array::with_max_entries(1, 0);

/// Where a connection is looked for.
#[inline(always)]
pub fn home(ends: &Ends) -> Home {
    ends.home(hold_key, HOLD_SETS.load())
}

/// The slot of a connection.
#[inline(always)]
pub fn find(ends: &Ends, home: Home) -> Option<NonNull<Slot>> {
    let set = SETS.get_ptr(home.set)?;
    // SAFETY: map values stay mapped while a program runs; what another CPU writes meanwhile is a
    // tag, whole.
    let slot = unsafe { (*set).slot((*set).find(home.tag)?) };
    let slot = SLOTS.get_ptr_mut(slot)?;
    // SAFETY: a map value. While another CPU gives it away its tag is none.
    match unsafe { (*slot).ends().are(ends) } {
        true => NonNull::new(slot),
        false => None,
    }
}

/// Gives a slot to a new connection; that of the one in its set which used it least lately, if all are
/// taken. `None` while another CPU does so in the same set, and where the set has its tag: then there
/// is no room for it.
#[inline(always)]
pub fn give(ends: &Ends, home: Home) -> Option<NonNull<Slot>> {
    let set = SETS.get_ptr_mut(home.set)?;
    // SAFETY: a map value; see `Turn`.
    let turn = unsafe { Turn::take(&raw mut (*set).busy) };
    let slot = if turn.is_ours {
        // SAFETY: a map value, which nobody else changes now.
        give_in(unsafe { &mut *set }, ends, home)
    } else {
        None
    };
    turn.end();
    slot
}

#[inline(always)]
fn give_in(set: &mut Set, ends: &Ends, home: Home) -> Option<NonNull<Slot>> {
    // SAFETY: a map value.
    let age = |slot| SLOTS.get_ptr(slot).map(|slot| unsafe { (*slot).age() });
    let way = set.choose(home.tag, next_slot, age)?;
    let slot = SLOTS.get_ptr_mut(set.slot(way))?;
    set.put(way, 0);
    // SAFETY: a map value, which nobody finds now, and a helper that takes nothing.
    unsafe { (*slot).give(ends, bpf_ktime_get_ns()) };
    set.put(way, home.tag);
    NonNull::new(slot)
}

/// The slots that came into sets. Written in turns.
#[unsafe(no_mangle)]
static mut NEXT_SLOT: u32 = 0;
/// How many want the next one.
#[unsafe(no_mangle)]
static mut NEXT_SLOT_BUSY: u32 = 0;

/// One that is in no set yet. `None` while another CPU takes one.
#[inline(always)]
fn next_slot() -> Option<u32> {
    let next = &raw mut NEXT_SLOT;
    // SAFETY: words of a map; volatile as others write them.
    unsafe {
        let turn = Turn::take(&raw mut NEXT_SLOT_BUSY);
        let slot = turn.is_ours.then(|| next.read_volatile());
        if let Some(slot) = slot {
            next.write_volatile(slot + 1);
        }
        turn.end();
        slot
    }
}

/// A turn at changing a set. It is not waited for: who finds that others are about it gives up.
///
/// Each adds one and then looks how many there are. Of two that do so at once, the one that was second
/// to add sees both, on every machine, as both looked at one word.
struct Turn {
    busy: *mut u32,
    is_ours: bool,
}

impl Turn {
    /// # Safety
    ///
    /// A word of a map.
    #[inline(always)]
    unsafe fn take(busy: *mut u32) -> Self {
        // SAFETY: the caller's; atomic. Without the value before, which kernels give since 5.12.
        unsafe { asm!("lock *(u32 *)({0} + 0) += {1}", in(reg) busy, in(reg) 1_u64) };
        // SAFETY: as above. Volatile, as others write it.
        let is_ours = unsafe { busy.read_volatile() } == 1;
        Self { busy, is_ours }
    }

    #[inline(always)]
    fn end(self) {
        // SAFETY: as in `take`.
        unsafe { asm!("lock *(u32 *)({0} + 0) += {1}", in(reg) self.busy, in(reg) -1_i64) };
    }
}
