//! What the names of header fields, cookies and parameters tell: few names come again in every
//! request.

use super::request::{credential, csrf};
use super::response::{self, reference};
use super::sibling::traits;
use super::text::lower;
use crate::memo::Names;

/// Longer names are not looked at beyond this, in bytes.
const NAME_MAX: usize = 64;

/// What goes by a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A header field with a credential.
    CredentialHeader,
    /// A parameter of a query that is a credential.
    CredentialParameter,
    /// A field of a body that is a credential.
    CredentialField,
    /// A cookie that may hold a session or a token.
    SessionCookie,
    /// A header field with a token against forged requests.
    CsrfHeader,
    /// A field or parameter with such a token.
    CsrfField,
    /// A cookie with such a token.
    CsrfCookie,
    /// A header field that is not compared with a sibling's.
    IgnoredHeader,
    /// A cookie that is not.
    IgnoredCookie,
    /// A parameter that is not.
    IgnoredParameter,
    /// A field of an answer that tells of a limit of requests.
    LimitHeader,
    /// A field of an answer with an id that a log can be asked for.
    ReferenceHeader,
}

/// Knows of a name, in lower case.
type Knows = fn(&str) -> bool;

/// Who knows which.
const KNOWN_BY: [(Kind, Knows); 12] = [
    (Kind::CredentialHeader, credential::is_header),
    (Kind::CredentialParameter, credential::is_parameter),
    (Kind::CredentialField, credential::is_field),
    (Kind::SessionCookie, credential::is_session_cookie),
    (Kind::CsrfHeader, csrf::is_header),
    (Kind::CsrfField, csrf::is_field),
    (Kind::CsrfCookie, csrf::is_cookie),
    (Kind::IgnoredHeader, traits::is_ignored_header),
    (Kind::IgnoredCookie, traits::is_ignored_cookie),
    (Kind::IgnoredParameter, traits::is_ignored_parameter),
    (Kind::LimitHeader, response::is_limit),
    (Kind::ReferenceHeader, reference::is_header),
];

/// All that goes by a name, a bit each.
#[derive(Clone, Copy)]
pub(super) struct Kinds(u16);

thread_local! {
    static KNOWN: Names<Kinds> = Names::default();
}

impl Kinds {
    /// What goes by this name, in any letter case.
    pub(super) fn of(name: &[u8]) -> Self {
        let name = name.get(..NAME_MAX).unwrap_or(name);
        KNOWN.with(|known| known.of(name, Self::told_by))
    }

    pub(super) const fn has(self, kind: Kind) -> bool {
        self.0 >> kind as u16 & 1 == 1
    }

    fn told_by(name: &[u8]) -> Self {
        let name = lower(name, NAME_MAX);
        let told = KNOWN_BY.into_iter().filter(|(_, knows)| knows(&name));
        Self(told.fold(0, |bits, (kind, _)| bits | 1 << kind as u16))
    }
}
