//! Numbers with units, as flags take them: `64MiB`, `4k`, `1h30m`.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A size in bytes. `k`, `M`, `G` and `KiB`, `MiB`, `GiB` are powers of 1024; so are `kB`, `MB`,
/// `GB`, as memory is meant.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let invalid = || format!("`{text}` is not a size such as 512, 4k or 64MiB");
    let (number, unit) = split_unit(text);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(invalid()),
    };
    number
        .parse::<usize>()
        .ok()
        .and_then(|n| n.checked_mul(1 << shift))
        .ok_or_else(invalid)
}

/// A size that a ring buffer can have: some of the largest packets must fit.
pub(super) fn ring_size(text: &str) -> Result<u32, String> {
    power_of_two(text, 4 << 20..=1 << 30, "4MiB to 1GiB")
}

/// A size that the room for a held request can have.
pub(super) fn hold_size(text: &str) -> Result<u32, String> {
    power_of_two(text, 1 << 10..=16 << 10, "1KiB to 16KiB")
}

fn power_of_two(text: &str, sizes: RangeInclusive<u32>, range: &str) -> Result<u32, String> {
    u32::try_from(size(text)?)
        .ok()
        .filter(|n| n.is_power_of_two() && sizes.contains(n))
        .ok_or_else(|| format!("`{text}` is not a power of two from {range}"))
}

/// Enough of a packet to hold its headers.
pub(super) fn snap_length(text: &str) -> Result<u32, String> {
    u32::try_from(size(text)?)
        .ok()
        .filter(|n| *n >= 128)
        .ok_or_else(|| format!("`{text}` is less than 128 bytes: there is no HTTP in that"))
}

/// A number of things, at least one.
pub(super) fn count(text: &str) -> Result<usize, String> {
    text.parse::<usize>()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| format!("`{text}` is not a number from 1"))
}

/// A time: numbers with the units `ms`, `s`, `m`, `h` or `d`, one after another.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("`{text}` is not a time such as 30s, 5m or 1h30m");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = split_unit(rest);
        let end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end).ok_or_else(invalid)?;
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(invalid()),
        };
        let millis = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(millis))
            .ok_or_else(invalid)?;
        total = total
            .checked_add(Duration::from_millis(millis))
            .ok_or_else(invalid)?;
        rest = after;
    }
    if total.is_zero() {
        return Err(invalid());
    }
    Ok(total)
}

/// Splits after the digits.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("4k"), Ok(4096));
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("1GB"), Ok(1 << 30));
        for text in [
            "",
            "k",
            "-1",
            "1.5M",
            "1T",
            "99999999999999999999",
            "99999999999999999G",
            "1 k",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ring_sizes_are_powers_of_two() {
        assert_eq!(ring_size("64MiB"), Ok(64 << 20));
        for text in ["100M", "2MiB", "2G", "0"] {
            assert!(ring_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for text in [
            "",
            "30",
            "0s",
            "s",
            "5 m",
            "1y",
            "99999999999999999999s",
            "9999999999999999999h",
            "-1s",
            "5mé",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
