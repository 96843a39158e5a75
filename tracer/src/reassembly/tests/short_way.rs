//! What is next in its direction is taken in like anything else, only quicker.

use proptest::prelude::*;

use super::super::clock::{Moment, Now};
use super::super::duplex::Outlet;
use super::super::slot::Slot;
use super::super::*;
use crate::decode::Flags;
use crate::source::Vantage;

const BYTES: [u8; 8] = *b"abcdefgh";

/// A segment by what differs from the one that is expected, and whether it goes to the server.
type Step = (bool, i32, i32, u8, usize, u32);

proptest! {
    #[test]
    fn the_next_segment_is_taken_in_like_any_other(
        steps in prop::collection::vec(
            (
                any::<bool>(),
                prop_oneof![6 => Just(0), 1 => -3..9],
                prop_oneof![6 => Just(0), 1 => -3..9],
                prop_oneof![8 => Just(0x10_u8), 1 => Just(0x11), 1 => Just(0x12), 1 => Just(0)],
                0_usize..=BYTES.len(),
                prop_oneof![8 => Just(0_u32), 1 => 1_u32..3],
            ),
            1..40,
        ),
    ) {
        prop_assert_eq!(run(&steps, true), run(&steps, false));
    }
}

/// What is handed out, and what is known at the end.
fn run(steps: &[Step], may_be_quick: bool) -> (Vec<String>, String) {
    let limits = Limits::default();
    let mut expected = [100_u32, 5_000];
    let mut slot: Option<Slot<u64>> = None;
    let mut stats = Stats::default();
    let mut told = Vec::new();
    for (at, (to_server, seq, ack, flags, len, cut)) in (1_u64..).zip(steps) {
        let ends = ["10.0.0.1:4000", "10.0.0.2:80"].map(|end| end.parse().unwrap());
        let (mine, other) = if *to_server { (0, 1) } else { (1, 0) };
        let segment = Segment {
            at: Timestamp::from_nanos(at * 1_000_000),
            src: ends[mine],
            dst: ends[other],
            seq: expected[mine].wrapping_add_signed(*seq),
            ack: expected[other].wrapping_add_signed(*ack),
            flags: Flags {
                syn: flags & 0x02 != 0,
                ack: flags & 0x10 != 0,
                fin: flags & 0x01 != 0,
                rst: false,
            },
            payload: &BYTES[..*len],
            cut: *cut,
            vantage: Vantage::default(),
        };
        let now = Now {
            at: segment.at,
            clock: Moment::default().plus(Duration::from_millis(at)),
        };
        let slot = slot.get_or_insert_with(|| Slot::new(ConnId(1), &segment, now));
        let dir = slot.direction(&segment);
        let mut out = Outlet {
            info: &mut slot.info,
            flow: &mut slot.flow,
            stats: &mut stats,
            sink: &mut |_, _, event| told.push(format!("{event:?}")),
        };
        let received = slot.duplex.received_before_next(dir, &segment);
        match received.filter(|_| may_be_quick) {
            Some(received) => slot.duplex.push_next(dir, &segment, received, &mut out),
            None => drop(slot.duplex.push(dir, &segment, now, &limits, &mut out)),
        }
        expected[mine] = expected[mine].wrapping_add(*len as u32 + *cut);
    }
    (
        told,
        format!("{:?} {stats:?}", slot.map(|slot| slot.duplex)),
    )
}
