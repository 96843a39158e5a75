//! The TCP ports that are traced.

use std::fmt;
use std::str::FromStr;

/// A set of TCP ports, as ranges in ascending order that do not touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(Vec<(u16, u16)>);

/// Ports on which HTTP is usual: the well-known ones, and the defaults of common proxies,
/// gateways, application servers and frameworks. 443 and 8443 are here for plain HTTP that ended
/// up there; what is TLS is named as such.
const WEB: &str = "80,81,443,591,3000-3003,4000,4200,4567,5000,5001,5173,5601,6080,7001,7080,\
                   8000-8099,8181,8443,8800,8880,8888,9000,9080,9090,9180,9200,9999,10000,10080,\
                   15001,15006";

impl Ports {
    /// Whether a port is in the set.
    pub fn contains(&self, port: u16) -> bool {
        let at = self.0.partition_point(|&(_, last)| last < port);
        self.0.get(at).is_some_and(|&(first, _)| first <= port)
    }

    /// The ranges, first and last port of each.
    pub fn ranges(&self) -> impl Iterator<Item = (u16, u16)> {
        self.0.iter().copied()
    }
}

impl Default for Ports {
    fn default() -> Self {
        WEB.parse().unwrap_or(Self(vec![(80, 80)]))
    }
}

/// What is wrong with a list of ports.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a port from 1 to 65535 or a range like 8000-8100")]
pub struct InvalidPorts(String);

impl FromStr for Ports {
    type Err = InvalidPorts;

    fn from_str(text: &str) -> Result<Self, InvalidPorts> {
        let mut ranges = Vec::new();
        for part in text.split(',').map(str::trim) {
            let invalid = || InvalidPorts(part.to_owned());
            let port = |s: &str| {
                s.trim()
                    .parse::<u16>()
                    .ok()
                    .filter(|&p| p > 0)
                    .ok_or_else(invalid)
            };
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (port(first)?, port(last)?);
            if first > last {
                return Err(invalid());
            }
            ranges.push((first, last));
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(previous) if first <= previous.1.saturating_add(1) => {
                    previous.1 = previous.1.max(last)
                }
                _ => merged.push((first, last)),
            }
        }
        Ok(Self(merged))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (first, last)) in self.ranges().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_and_sorts() {
        let ports: Ports = "8080, 80,8000-8079,81".parse().unwrap();
        assert_eq!(ports.to_string(), "80-81,8000-8080");
        assert!(ports.contains(80) && ports.contains(8042));
        assert!(!ports.contains(79) && !ports.contains(82) && !ports.contains(8081));
    }

    #[test]
    fn the_whole_range_is_one_range() {
        let ports: Ports = "1-65535".parse().unwrap();
        assert_eq!(ports.ranges().collect::<Vec<_>>(), [(1, 65535)]);
        assert!(ports.contains(65535));
    }

    #[test]
    fn refuses_what_is_no_port() {
        for text in ["", "0", "65536", "80-79", "a", "80,,81", "80-", "-80"] {
            assert!(text.parse::<Ports>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_default_is_the_list() {
        assert!(Ports::default().contains(8080) && Ports::default().contains(15006));
    }
}
