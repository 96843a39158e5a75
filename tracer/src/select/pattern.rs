//! The patterns of the filter: what a user may write, and what it matches.

use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use ipnet::IpNet;

use crate::model::{Exchange, Owner, Request};

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct InvalidPattern {
    text: String,
    wanted: &'static str,
}

impl InvalidPattern {
    fn new(text: &str, wanted: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            wanted,
        }
    }
}

/// Which methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodPattern {
    /// All of them: `any` or `*`.
    Any,
    /// This one. Methods are case-sensitive (RFC 9110 section 9.1); what the user writes is taken
    /// in capitals, as every registered method is.
    Is(String),
}

impl MethodPattern {
    /// A CORS preflight counts as the request that it asks for: where it is refused, the browser
    /// never sends that one.
    pub(super) fn matches(&self, request: &Request) -> bool {
        match self {
            Self::Any => true,
            Self::Is(name) => {
                let name = name.as_bytes();
                request.method() == name || request.preflight_method() == Some(name)
            }
        }
    }
}

impl FromStr for MethodPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        match text {
            "*" => Ok(Self::Any),
            _ if text.eq_ignore_ascii_case("any") => Ok(Self::Any),
            _ if !text.is_empty() && text.bytes().all(token) => {
                Ok(Self::Is(text.to_ascii_uppercase()))
            }
            _ => Err(InvalidPattern::new(text, "a method, or `any`")),
        }
    }
}

impl fmt::Display for MethodPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any method"),
            Self::Is(name) => f.write_str(name),
        }
    }
}

/// Which status of the final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusPattern {
    /// From the first to the last of these, both included: `403`, `4xx`, `400-499`.
    Between(u16, u16),
    /// No final response was seen: `none`.
    Missing,
}

impl StatusPattern {
    pub(super) fn matches(&self, status: Option<u16>) -> bool {
        match (self, status) {
            (Self::Between(first, last), Some(status)) => (*first..=*last).contains(&status),
            (Self::Missing, None) => true,
            _ => false,
        }
    }
}

impl FromStr for StatusPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        const WANTED: &str = "a status like 403, 4xx or 400-499, nor `any` or `none`";
        let invalid = || InvalidPattern::new(text, WANTED);
        let number = |s: &str| {
            s.parse::<u16>()
                .ok()
                .filter(|n| s.len() == 3 && *n >= 100)
                .ok_or_else(invalid)
        };
        let lower = text.trim().to_ascii_lowercase();
        match lower.as_str() {
            "any" | "*" => return Ok(Self::Between(0, u16::MAX)),
            "none" => return Ok(Self::Missing),
            _ => {}
        }
        if let Some(class) = lower.strip_suffix("xx") {
            let first = number(&format!("{class}00"))?;
            return Ok(Self::Between(first, first.saturating_add(99)));
        }
        let (first, last) = lower.split_once('-').unwrap_or((&lower, &lower));
        let (first, last) = (number(first.trim())?, number(last.trim())?);
        if first > last {
            return Err(invalid());
        }
        Ok(Self::Between(first, last))
    }
}

impl fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between(0, u16::MAX) => f.write_str("with any status"),
            Self::Between(first, last) if first == last => write!(f, "{first}"),
            Self::Between(first, last) => write!(f, "{first}-{last}"),
            Self::Missing => f.write_str("not at all"),
        }
    }
}

/// Which host the request names: `shop.example`, `*.example`, `shop.example:8080`. Letter case is
/// ignored; the port counts only where the pattern has one.
#[derive(Clone, Debug, PartialEq)]
pub struct HostPattern {
    glob: Glob,
    with_port: bool,
}

impl HostPattern {
    pub(super) fn matches(&self, host: &[u8]) -> bool {
        let host = if self.with_port {
            host
        } else {
            split_port(host).0
        };
        self.glob.matches(host)
    }
}

impl FromStr for HostPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        if text.is_empty() {
            return Err(InvalidPattern::new(text, "a host name or glob"));
        }
        // An IPv6 address is full of what globs and ports are made of.
        let (glob, with_port) = if text.parse::<Ipv6Addr>().is_ok() {
            (globset::escape(&format!("[{text}]")), false)
        } else if let Some((address, port)) = bracketed(text) {
            (
                globset::escape(&format!("[{address}]")) + port,
                !port.is_empty(),
            )
        } else {
            (text.to_owned(), text.contains(':'))
        };
        Ok(Self {
            glob: Glob::new(text, &glob, true)?,
            with_port,
        })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.glob.text)
    }
}

/// Splits `[address]port` where there is an IPv6 address in the brackets; `port` keeps its colon.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (address, port) = text.strip_prefix('[')?.split_once(']')?;
    address.parse::<Ipv6Addr>().ok()?;
    (port.is_empty() || port.starts_with(':')).then_some((address, port))
}

/// Splits a `Host` value into the host and the port, where there is one.
fn split_port(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    let colon = host.iter().rposition(|b| *b == b':');
    let split = colon.and_then(|at| Some((host.get(..at)?, host.get(at + 1..)?)));
    match split {
        Some((name, port)) if port.iter().all(u8::is_ascii_digit) => (name, Some(port)),
        _ => (host, None),
    }
}

/// Which path, without the query: a glob in which `*` stands for any characters, `/` too.
#[derive(Clone, Debug, PartialEq)]
pub struct PathPattern(Glob);

impl PathPattern {
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        self.0.matches(path)
    }
}

impl FromStr for PathPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        Ok(Self(Glob::new(text, text, false)?))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

/// Which client: an address or a network such as `10.0.0.0/8`. An IPv4 address written as IPv6
/// (`::ffff:10.0.0.1`) is the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientPattern(IpNet);

impl ClientPattern {
    pub(super) fn matches(&self, exchange: &Exchange) -> bool {
        let table = exchange.client_addresses.iter().filter_map(|row| row.addr);
        std::iter::once(exchange.client.addr.ip())
            .chain(table)
            .any(|addr| self.0.contains(&addr.to_canonical()))
    }
}

impl FromStr for ClientPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let address = text
            .parse::<IpAddr>()
            .map(|addr| IpNet::from(addr.to_canonical()));
        address
            .or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| InvalidPattern::new(text, "an IP address, or a network like 10.0.0.0/8"))
    }
}

impl fmt::Display for ClientPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            write!(f, "{}", self.0.addr())
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// Which process: a glob over its name or executable (its file name, or with a `/` its path), or
/// its pid.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessPattern(Glob);

impl ProcessPattern {
    pub(super) fn matches(&self, exchange: &Exchange) -> bool {
        let owners = [&exchange.client, &exchange.server]
            .into_iter()
            .filter_map(|end| end.owner.as_ref());
        owners.into_iter().any(|owner| self.is(owner))
    }

    fn is(&self, owner: &Owner) -> bool {
        if let Ok(pid) = self.0.text.parse::<u32>() {
            return owner.pid == pid;
        }
        let exe = owner.exe.as_deref();
        let exe = if self.0.text.contains('/') {
            exe
        } else {
            exe.and_then(|path| path.rsplit('/').next())
        };
        self.0.matches(owner.comm.as_bytes())
            || exe.is_some_and(|exe| self.0.matches(exe.as_bytes()))
    }
}

impl FromStr for ProcessPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        Ok(Self(Glob::new(text, text, false)?))
    }
}

impl fmt::Display for ProcessPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

#[derive(Clone, Debug)]
struct Glob {
    text: String,
    matcher: GlobMatcher,
}

impl Glob {
    fn new(text: &str, glob: &str, ignore_case: bool) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern::new(text, "a glob (`*`, `?`, `[a-z]`, `{one,two}`)");
        if text.is_empty() {
            return Err(invalid());
        }
        let glob = GlobBuilder::new(glob)
            .case_insensitive(ignore_case)
            .backslash_escape(true)
            .build()
            .map_err(|_| invalid())?;
        Ok(Self {
            text: text.to_owned(),
            matcher: glob.compile_matcher(),
        })
    }

    fn matches(&self, bytes: &[u8]) -> bool {
        self.matcher.is_match(Path::new(OsStr::from_bytes(bytes)))
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_pattern() {
        for text in ["", "PO ST", "POST,"] {
            assert!(text.parse::<MethodPattern>().is_err(), "{text}");
        }
        for text in [
            "", "40", "4031", "xx", "499-400", "400-", "4x", "099", "+40",
        ] {
            assert!(text.parse::<StatusPattern>().is_err(), "{text}");
        }
        for text in ["", "10.0.0.0/33", "shop.example", "10.0.0"] {
            assert!(text.parse::<ClientPattern>().is_err(), "{text}");
        }
        for text in ["", "[", "{a"] {
            assert!(text.parse::<PathPattern>().is_err(), "{text}");
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
            assert!(text.parse::<ProcessPattern>().is_err(), "{text}");
        }
        assert_eq!(
            "4x".parse::<StatusPattern>().unwrap_err().to_string(),
            "`4x` is not a status like 403, 4xx or 400-499, nor `any` or `none`"
        );
    }

    #[test]
    fn bytes_that_are_not_utf_8_match_a_star() {
        assert!("/a*".parse::<PathPattern>().unwrap().matches(b"/a\xff\n"));
    }
}
