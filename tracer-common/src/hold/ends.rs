//! The ends of a connection, and where its slot is looked for.

use crate::{AF_INET, AF_INET6};

/// The ends of a connection, by which it is known.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The client's address, in network order; IPv4 in the first word.
    pub client: [u32; 4],
    /// The server's.
    pub server: [u32; 4],
    /// Cookie of the network namespace, where two may have the same ends; else 0.
    pub netns: u64,
    /// The client's port.
    pub client_port: u16,
    /// The server's port.
    pub server_port: u16,
    /// 0.
    pub padding: u32,
}

/// 64-bit words of [`Ends`].
pub const ENDS_WORDS: usize = size_of::<Ends>() / 8;

const _: () = assert!(size_of::<Ends>() == 8 * ENDS_WORDS);

/// Where the slot of a connection is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// Which set.
    pub set: u32,
    /// What the set has it filed under. Not 0.
    pub tag: u16,
}

impl Ends {
    /// Those of no connection.
    pub const NONE: Self = Self {
        client: [0; 4],
        server: [0; 4],
        netns: 0,
        client_port: 0,
        server_port: 0,
        padding: 0,
    };

    /// [`AF_INET`] or [`AF_INET6`].
    ///
    /// By the addresses: no two hosts have some of IPv6 of which only the first word is not zero.
    #[inline(always)]
    pub fn family(&self) -> u32 {
        let behind = |[_, second, third, last]: [u32; 4]| second | third | last;
        match behind(self.client) | behind(self.server) {
            0 => AF_INET,
            _ => AF_INET6,
        }
    }

    /// Where these are filed, in one of so many sets. The keys are random: so nobody can choose
    /// addresses and ports of which many come into one set.
    ///
    /// A sum of products with random keys, of which the high half is taken (Dietzfelbinger,
    /// "Universal hashing and k-wise independent random variables via integer arithmetic without
    /// primes", 1996).
    #[inline(always)]
    pub fn home(&self, keys: impl Fn(usize) -> u64, sets: u32) -> Home {
        let mut sum = 0_u64;
        for (at, word) in self.words().into_iter().enumerate() {
            sum = sum.wrapping_add(word.wrapping_mul(keys(at)));
        }
        // The tag is of bits that the sum mixes less.
        let mixed = (sum ^ (sum >> 32)).wrapping_mul(keys(0));
        Home {
            set: (((mixed >> 32) * u64::from(sets)) >> 32) as u32,
            tag: (mixed >> 16) as u16 | 1,
        }
    }

    /// Whether they are the same.
    #[inline(always)]
    pub fn are(&self, other: &Self) -> bool {
        let (own, other) = (self.words(), other.words());
        let pairs = own.iter().zip(&other);
        pairs.fold(0, |all, (own, other)| all | (own ^ other)) == 0
    }

    #[inline(always)]
    fn words(&self) -> [u64; ENDS_WORDS] {
        let first = core::ptr::from_ref(self).cast::<u64>();
        // SAFETY: so many words, aligned, without padding that is not written.
        core::array::from_fn(|at| unsafe { first.add(at).read() })
    }
}

#[cfg(all(test, feature = "std"))]
pub(super) mod tests {
    use super::super::WAYS;
    use super::*;

    pub(in super::super) const KEYS: [u64; ENDS_WORDS] = [
        0x9e37_79b9_7f4a_7c15,
        0xbf58_476d_1ce4_e5b9,
        0x94d0_49bb_1331_11eb,
        0xd6e8_feb8_6659_fd93,
        0xa076_1d64_78bd_642f,
        0xe703_7ed1_a0b4_28db,
    ];

    pub(in super::super) fn ends(n: u32) -> Ends {
        Ends {
            client: [n.to_be(), 0, 0, 0],
            server_port: 80,
            ..Ends::NONE
        }
    }

    #[test]
    fn connections_are_spread_over_the_sets() {
        const SETS: u32 = 1024;
        let mut counts = [0_u32; SETS as usize];
        for n in 0..4 * SETS {
            let home = ends(n).home(|at| KEYS[at], SETS);
            counts[home.set as usize] += 1;
            assert_ne!(home.tag, 0);
        }
        // Four on average; by chance some 2 % of the sets get more than eight.
        let over: u32 = counts.iter().filter(|count| **count > WAYS).count() as u32;
        assert!(over < SETS / 20, "{over}");
    }

    #[test]
    fn the_addresses_tell_their_family() {
        assert_eq!(ends(1).family(), AF_INET);
        let loopback = Ends {
            client: [0, 0, 0, 1_u32.to_be()],
            server: [0, 0, 0, 1_u32.to_be()],
            ..Ends::NONE
        };
        assert_eq!(loopback.family(), AF_INET6);
    }

    #[test]
    fn every_part_of_the_ends_counts() {
        let one = ends(1);
        let others = [
            Ends {
                client: [one.client[0], 0, 0, 1],
                ..one
            },
            Ends {
                server: [0, 1, 0, 0],
                ..one
            },
            Ends { netns: 1, ..one },
            Ends {
                client_port: 1,
                ..one
            },
        ];
        assert!(one.are(&ends(1)));
        for other in others {
            assert!(!one.are(&other));
            assert_ne!(
                one.home(|at| KEYS[at], 1 << 20),
                other.home(|at| KEYS[at], 1 << 20)
            );
        }
    }
}
