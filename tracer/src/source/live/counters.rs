//! The kernel side's counters, turned into records of what was lost.

use std::fmt;

use aya::Ebpf;
use aya::maps::{MapData, PerCpuArray};
use tracer_common::{COUNTERS, counter};

use crate::model::{HeldCounts, LossPlace};
use crate::source::{Record, SourceError};

/// Which counter counts losses where.
const LOSSES: [(u32, LossPlace); 5] = [
    (counter::LOST_PACKETS, LossPlace::RingPacket),
    (counter::LOST_OWNERS, LossPlace::RingOwner),
    (counter::LOST_EXECS, LossPlace::RingExec),
    (counter::LOST_TALKS, LossPlace::RingTalk),
    (counter::UNREADABLE, LossPlace::PacketUnreadable),
];

pub(super) struct Counters {
    map: PerCpuArray<MapData, u64>,
    told: [u64; LOSSES.len()],
}

impl Counters {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, SourceError> {
        let map = ebpf
            .take_map(COUNTERS)
            .ok_or_else(|| broken("is not in the object file"))?;
        let map = map.try_into().map_err(broken)?;
        Ok(Self {
            map,
            told: [0; LOSSES.len()],
        })
    }

    /// Packets of traced ports that were seen.
    pub(super) fn packets(&self) -> Result<u64, SourceError> {
        self.total(counter::PACKETS)
    }

    /// What came of the requests that were held.
    pub(super) fn held(&self) -> Result<HeldCounts, SourceError> {
        Ok(HeldCounts {
            requests: self.total(counter::HELD)?,
            let_go: self.total(counter::LET_GO)?,
            shipped: self.total(counter::HELD_SHIPPED)?,
            sampled: self.total(counter::SAMPLED)?,
            whole: self.total(counter::WHOLE)?,
            unheld: self.total(counter::UNHELD)?,
            no_room: self.total(counter::HOLD_FULL)?,
        })
    }

    /// Hands out what was lost since the last call.
    pub(super) fn hand_out_losses(
        &mut self,
        sink: &mut dyn FnMut(Record<'_>),
    ) -> Result<(), SourceError> {
        for (index, (counter, place)) in LOSSES.into_iter().enumerate() {
            let total = self.total(counter)?;
            let Some(told) = self.told.get_mut(index) else {
                continue;
            };
            let count = total.saturating_sub(*told);
            *told = total;
            if count > 0 {
                sink(Record::Lost { count, place });
            }
        }
        Ok(())
    }

    /// A counter, over all CPUs.
    fn total(&self, counter: u32) -> Result<u64, SourceError> {
        let per_cpu = self.map.get(&counter, 0).map_err(broken)?;
        Ok(per_cpu
            .iter()
            .fold(0, |sum, count| sum.wrapping_add(*count)))
    }
}

fn broken(why: impl fmt::Display) -> SourceError {
    SourceError::Live(format!(
        "cannot read the kernel side's counters ({COUNTERS}): {why}"
    ))
}
