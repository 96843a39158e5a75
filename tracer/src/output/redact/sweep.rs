//! Repetitions of secrets that were found.

mod runs;

use std::borrow::Cow;

use memchr::memmem;
use wide::u8x16;

pub(super) use runs::Runs;

use super::mask::{Known, SHORTEST_SWEPT};
use crate::bytes::places;

/// Replaces repetitions of secrets. Made once for all the texts of a case, as there are many, few
/// of which repeat one.
pub(super) struct Sweeper<'a> {
    /// The longest first: one secret may be part of another.
    sought: Vec<Sought<'a>>,
}

/// A secret, and what is looked for first: its last bytes. Tokens of one kind begin alike: it is at
/// their ends that they differ.
struct Sought<'a> {
    known: &'a Known,
    tail: [u8; SHORTEST_SWEPT],
    /// The last two bytes, each sixteen times.
    end: [u8x16; 2],
}

impl<'a> Sweeper<'a> {
    pub(super) fn new(secrets: impl Iterator<Item = &'a Known>) -> Self {
        let sought = secrets.filter_map(|known| {
            let tail: [u8; SHORTEST_SWEPT] = *known.secret.last_chunk()?;
            let [.., first, last] = tail;
            let end = [first, last].map(|byte| u8x16::new([byte; 16]));
            Some(Sought { known, tail, end })
        });
        let mut sought: Vec<_> = sought.collect();
        sought.sort_by_key(|s| std::cmp::Reverse(s.known.secret.len()));
        Self { sought }
    }

    /// Whether there may be a repetition: where not, there is none.
    pub(super) fn may_find(&self, text: &[u8]) -> bool {
        holds_tail(text, &self.sought)
    }

    /// The same of texts, of which it is known what they hold.
    pub(super) fn may_find_in(&self, runs: &Runs) -> bool {
        self.sought.iter().any(|one| runs.may_hold(one.tail))
    }

    /// Replaces every repetition; borrowed where there is none.
    pub(super) fn sweep<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        if self.may_find(text) {
            self.replace(text)
        } else {
            Cow::Borrowed(text)
        }
    }

    fn replace<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut bytes = Cow::Borrowed(text);
        for one in &self.sought {
            if !holds_tail(&bytes, std::slice::from_ref(one)) {
                continue;
            }
            let Known { secret, mask } = one.known;
            let mut swept = Vec::with_capacity(bytes.len() + mask.len());
            let mut from = 0;
            for at in memmem::find_iter(&bytes, secret) {
                swept.extend_from_slice(bytes.get(from..at).unwrap_or_default());
                swept.extend_from_slice(mask);
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

/// Whether the last bytes of any of these are in the text: one look for all, which takes no longer
/// for long secrets, nor where text and secrets repeat themselves.
fn holds_tail(text: &[u8], sought: &[Sought<'_>]) -> bool {
    // No tail ends further ahead.
    let ends = text.get(SHORTEST_SWEPT - 2..).unwrap_or_default();
    let none = u8x16::new([0; 16]);
    let ends = places(ends, |byte, next| {
        let is = |[first, last]: &[u8x16; 2]| byte.cmp_eq(*first) & next.cmp_eq(*last);
        sought.iter().fold(none, |any, one| any | is(&one.end))
    });
    let mut tails = ends.filter_map(|at| text.get(at..)?.first_chunk());
    !sought.is_empty() && tails.any(|tail| sought.iter().any(|one| one.tail == *tail))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::model::{Case, Exchange};
    use crate::output::redact::Redactor;
    use crate::testing::{cases, request, response};

    #[test]
    fn secrets_go_from_the_ends_of_texts_and_the_longest_first() {
        let secrets = ["a1b2c3d4", "a1b2c3d4e5", "e5f6g7h8i9j0", "nul-ends\0"];
        for (text, swept) in [
            ("a1b2c3d4", "<0>"),
            ("a1b2c3d", "a1b2c3d"),
            ("1b2c3d4", "1b2c3d4"),
            ("", ""),
            ("a1b2c3d4e5", "<1>"),
            ("a1b2c3d4e", "<0>e"),
            ("a1b2c3d4a1b2c3d4e5 a1b2c3d4", "<0><1> <0>"),
            ("xa1b2c3d4e5f6g7h8i9j0", "x<0><2>"),
            ("a1b2c3d4e5e5f6g7h8i9j0", "<1><2>"),
            ("nul-ends", "nul-ends"),
            ("nul-ends\0", "<3>"),
        ] {
            let known = known(secrets);
            let sweeper = Sweeper::new(known.iter());
            let shown = sweeper.sweep(text.as_bytes());
            let mut wanted = swept.to_owned();
            for (index, one) in known.iter().enumerate() {
                let mask = String::from_utf8_lossy(&one.mask);
                wanted = wanted.replace(&format!("<{index}>"), &mask);
            }
            assert_eq!(String::from_utf8_lossy(&shown), wanted, "{text:?}");
        }
    }

    #[test]
    fn what_a_sibling_repeats_goes_with_all_that_is_secret_in_the_case() {
        let mut redactor = Redactor::default();
        let first = cases::relayed();
        let page = b"0wnSecret and 0wnSecret-with-more";
        let mut sibling = Exchange::clone(&first.siblings[0]);
        sibling.request = Some(keyed("0wnSecret").into());
        sibling.response = Some(response("HTTP/1.1 200 OK\r\n\r\n", page).into());
        let sibling = Arc::new(sibling);
        let mut shown = |key: &str| {
            let mut case: Case = first.clone();
            case.siblings = vec![Arc::clone(&sibling)];
            case.chain.reported.exchange.request = Some(keyed(key).into());
            redactor.case(&mut case);
            let body = &case.siblings[0].response.as_ref().unwrap().message.body;
            String::from_utf8(body.kept.clone()).unwrap()
        };
        let own = "[redacted 6c3e4f0f]";
        let with_more = "[redacted 2bcc6c85]";
        for _ in 0..2 {
            assert_eq!(shown("an0therSecret"), format!("{own} and {own}-with-more"));
            assert_eq!(
                shown("0wnSecret-with-more"),
                format!("{own} and {with_more}")
            );
        }
    }

    proptest! {
        #[test]
        fn one_look_finds_what_a_look_for_each_finds(
            secrets in prop::collection::vec(prop::collection::vec(select(b"a1\0"), 8..12), 0..5),
            pieces in prop::collection::vec((any::<Index>(), 0..12usize, 0..12usize), 0..8),
        ) {
            let mut text = Vec::new();
            for (index, from, to) in pieces {
                match secrets.get(index.index(secrets.len().max(1))) {
                    Some(secret) => text.extend_from_slice(secret.get(from..to).unwrap_or(secret)),
                    None => text.push(b'a'),
                }
            }
            let known = known(&secrets);
            let sweeper = Sweeper::new(known.iter());
            prop_assert_eq!(sweeper.sweep(&text).into_owned(), swept_one_by_one(&text, &known));
        }
    }

    fn swept_one_by_one(text: &[u8], known: &[Known]) -> Vec<u8> {
        let mut longest_first: Vec<_> = known.iter().collect();
        longest_first.sort_by_key(|known| std::cmp::Reverse(known.secret.len()));
        longest_first.iter().fold(text.to_vec(), |text, one| {
            let (mut swept, mut rest) = (Vec::new(), &text[..]);
            while let Some((byte, after)) = rest.split_first() {
                rest = if let Some(after) = rest.strip_prefix(&one.secret[..]) {
                    swept.extend(one.mask);
                    after
                } else {
                    swept.push(*byte);
                    after
                };
            }
            swept
        })
    }

    fn known(secrets: impl IntoIterator<Item: AsRef<[u8]>>) -> Vec<Known> {
        let masks = (b'0'..).map(|digit| {
            let mut mask = *b"[redacted 0000000.]";
            mask[17] = digit;
            mask
        });
        let secrets = secrets.into_iter().map(|secret| secret.as_ref().to_vec());
        let known = secrets.zip(masks);
        known.map(|(secret, mask)| Known { secret, mask }).collect()
    }

    fn keyed(key: &str) -> crate::model::Request {
        request(
            &format!("POST / HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key}\r\n\r\n"),
            b"",
        )
    }
}
