//! What stands in a secret's place.

use std::borrow::Cow;

use memchr::memmem;
use sha2::{Digest, Sha256};

/// Secrets of one exchange that are remembered for the sweep. Bounds its time: a body full of
/// tokens is redacted anyway.
const REMEMBERED: usize = 64;

/// Secrets of all exchanges of a case that are remembered.
const REMEMBERED_IN_ALL: usize = 256;

/// Shorter ones turn up by chance.
const SHORTEST_SWEPT: usize = 8;

/// What every mask begins with.
const MASK_START: &[u8] = b"[redacted ";

/// Replaces secrets, and remembers them to find their repetitions.
#[derive(Debug)]
pub(super) struct Masks {
    found: Vec<Vec<u8>>,
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
        out.extend_from_slice(mask(secret).as_bytes());
        if secret.len() >= SHORTEST_SWEPT
            && !is_word(secret)
            && memmem::find(MASK_START, secret).is_none()
        {
            self.keep(secret);
        }
    }

    /// Remembers what others found.
    pub(super) fn remember(&mut self, others: &Self) {
        for secret in &others.found {
            self.keep(secret);
        }
    }

    fn keep(&mut self, secret: &[u8]) {
        if self.found.len() < self.room && !self.found.iter().any(|f| f == secret) {
            self.found.push(secret.to_vec());
        }
    }

    /// Makes room for the secrets of another exchange.
    pub(super) fn make_room(&mut self) {
        self.room = (self.found.len() + REMEMBERED).min(REMEMBERED_IN_ALL);
    }

    /// Looks for the secrets that were found, wherever else they are.
    pub(super) fn sweeper(&self) -> Sweeper<'_> {
        // The longest first: one secret may be part of another.
        let mut secrets: Vec<&[u8]> = self.found.iter().map(Vec::as_slice).collect();
        secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        let finders = secrets.into_iter().map(memmem::Finder::new);
        Sweeper {
            finders: finders.collect(),
        }
    }
}

/// Replaces repetitions of secrets. Made once for all the texts of a case, as there are many.
pub(super) struct Sweeper<'a> {
    finders: Vec<memmem::Finder<'a>>,
}

impl Sweeper<'_> {
    /// Whether there is a repetition.
    pub(super) fn finds(&self, bytes: &[u8]) -> bool {
        self.finders.iter().any(|f| f.find(bytes).is_some())
    }

    /// Replaces every repetition; borrowed where there is none.
    pub(super) fn sweep<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut bytes = Cow::Borrowed(text);
        for finder in &self.finders {
            let secret = finder.needle();
            let mut swept = Vec::new();
            let mut from = 0;
            for at in finder.find_iter(&bytes) {
                swept.extend_from_slice(bytes.get(from..at).unwrap_or_default());
                swept.extend_from_slice(mask(secret).as_bytes());
                from = at + secret.len();
            }
            if from > 0 {
                swept.extend_from_slice(bytes.get(from..).unwrap_or_default());
                bytes = Cow::Owned(swept);
            }
        }
        bytes
    }
}

/// Whether this is one ordinary word, as in "bearer token" or "password: required".
pub(super) fn is_word(bytes: &[u8]) -> bool {
    bytes.len() < 20
        && bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().skip(1).all(u8::is_ascii_lowercase)
}

fn mask(secret: &[u8]) -> String {
    let hash = Sha256::digest(secret);
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash);
    format!("[redacted {a:02x}{b:02x}{c:02x}{d:02x}]")
}

fn is_mask(bytes: &[u8]) -> bool {
    bytes
        .strip_prefix(MASK_START)
        .and_then(|rest| rest.strip_suffix(b"]"))
        .is_some_and(|hex| hex.len() == 8 && hex.iter().all(u8::is_ascii_hexdigit))
}
