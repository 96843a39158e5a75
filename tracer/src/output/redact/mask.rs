//! What stands in a secret's place.

use memchr::memmem;
use sha2::{Digest, Sha256};

use super::sweep::Sweeper;

/// Secrets of one exchange that are remembered for the sweep. Bounds its time: a body full of
/// tokens is redacted anyway.
const REMEMBERED: usize = 64;

/// Secrets of all exchanges of a case that are remembered.
const REMEMBERED_IN_ALL: usize = 256;

/// Shorter ones turn up by chance.
pub(super) const SHORTEST_SWEPT: usize = 8;

/// What every mask begins with.
const MASK_START: &[u8] = b"[redacted ";

/// What stands for a secret: this start, eight digits, a bracket.
type Mask = [u8; MASK_START.len() + 9];

/// A secret that was found, at least [`SHORTEST_SWEPT`] long.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) secret: Vec<u8>,
    pub(super) mask: Mask,
}

/// Replaces secrets, and remembers them to find their repetitions.
#[derive(Debug)]
pub(super) struct Masks {
    found: Vec<Known>,
    /// How many of them there may be.
    room: usize,
}

impl Default for Masks {
    fn default() -> Self {
        Self {
            found: Vec::new(),
            room: REMEMBERED,
        }
    }
}

impl Masks {
    /// Writes what stands for `secret`. Nothing stands for nothing, and a mask for itself.
    ///
    /// `secret` is the value itself, without the coding (percent, JSON) that it was written in.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, secret: &[u8]) {
        if secret.is_empty() || is_mask(secret) {
            out.extend_from_slice(secret);
            return;
        }
        if let Some(known) = self.known(secret) {
            out.extend_from_slice(&known.mask);
            return;
        }
        let mask = mask(secret);
        out.extend_from_slice(&mask);
        if secret.len() >= SHORTEST_SWEPT
            && !is_word(secret)
            && memmem::find(MASK_START, secret).is_none()
        {
            let secret = secret.to_vec();
            self.keep(Known { secret, mask });
        }
    }

    /// Remembers what others found.
    pub(super) fn remember(&mut self, others: &Self) {
        for other in &others.found {
            if self.known(&other.secret).is_none() {
                self.keep(other.clone());
            }
        }
    }

    fn known(&self, secret: &[u8]) -> Option<&Known> {
        self.found.iter().find(|known| known.secret == secret)
    }

    fn keep(&mut self, known: Known) {
        if self.found.len() < self.room {
            self.found.push(known);
        }
    }

    /// Makes room for the secrets of another exchange.
    pub(super) fn make_room(&mut self) {
        self.room = (self.found.len() + REMEMBERED).min(REMEMBERED_IN_ALL);
    }

    /// Looks for the secrets that were found, wherever else they are.
    pub(super) fn sweeper(&self) -> Sweeper<'_> {
        Sweeper::new(self.found.iter())
    }

    /// Looks for those that are not among these.
    pub(super) fn sweeper_beside(&self, own: &Self) -> Sweeper<'_> {
        let others = self.found.iter();
        Sweeper::new(others.filter(|other| own.known(&other.secret).is_none()))
    }
}

/// Whether this is one ordinary word, as in "bearer token" or "password: required".
pub(super) fn is_word(bytes: &[u8]) -> bool {
    bytes.len() < 20
        && bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().skip(1).all(u8::is_ascii_lowercase)
}

fn mask(secret: &[u8]) -> Mask {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(secret));
    let halves = [a, b, c, d]
        .into_iter()
        .flat_map(|byte| [byte >> 4, byte & 15]);
    let mut mask = *b"[redacted 00000000]";
    for (digit, half) in mask.iter_mut().skip(MASK_START.len()).zip(halves) {
        *digit = if half < 10 {
            b'0' + half
        } else {
            b'a' + half - 10
        };
    }
    mask
}

fn is_mask(bytes: &[u8]) -> bool {
    bytes
        .strip_prefix(MASK_START)
        .and_then(|rest| rest.strip_suffix(b"]"))
        .is_some_and(|hex| hex.len() == 8 && hex.iter().all(u8::is_ascii_hexdigit))
}
