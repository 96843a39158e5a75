//! How a request line begins, so that the kernel side tells wanted methods from others in a word.

/// A method and the space behind it, as the first bytes of a request: the bits that count, and what
/// they are, the first byte being the lowest.
pub type Start = [u64; 2];

/// What every request begins with.
pub const ANY: Start = [0, 0];
/// What none begins with: no method has a NUL in it (RFC 9110 section 5.6.2).
pub const NONE: Start = [u64::MAX, 0];

/// How requests of this method begin; `None` where the name has more than seven letters.
pub fn start(name: &str) -> Option<Start> {
    let mut bytes = [0; 8];
    bytes
        .get_mut(..name.len())?
        .copy_from_slice(name.as_bytes());
    *bytes.get_mut(name.len())? = b' ';
    let word = u64::from_le_bytes(bytes);
    let others = 8 * (7 - name.len() as u32);
    Some([u64::MAX >> others, word])
}

/// Whether a request whose first eight bytes these are begins so.
#[inline(always)]
pub fn begins(word: u64, [mask, start]: Start) -> bool {
    word & mask == start
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_told_from_one_that_begins_like_it() {
        for (name, line, is_it) in [
            ("POST", b"POST / H", true),
            ("POST", b"POSTS / ", false),
            ("POST", b"PUT / HT", false),
            ("OPTIONS", b"OPTIONS ", true),
            ("OPTIONS", b"OPTIONSX", false),
        ] {
            let word = u64::from_le_bytes(*line);
            assert_eq!(begins(word, start(name).unwrap()), is_it, "{name}");
            assert!(begins(word, ANY) && !begins(word, NONE));
        }
        assert_eq!(start("PROPFIND"), None);
    }
}
