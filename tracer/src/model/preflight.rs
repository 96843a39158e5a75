//! A browser's question whether a request is allowed (CORS preflight), and that request.

/// What is known of a preflight and of the request that it asks for.
///
/// A browser sends the request only if the preflight was answered by 2xx and with leave for the
/// origin (Fetch Standard, section "CORS-preflight fetch").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preflight {
    /// Nothing: there was none, or none was seen.
    #[default]
    NotSeen,
    /// This is a refused preflight, and its request came all the same.
    Followed,
    /// This is a refused preflight, and its request never came: it was waited for, and nothing was
    /// lost meanwhile.
    Unfollowed,
    /// This is a refused preflight, and the capture ended too early to tell whether its request
    /// came.
    Ended,
    /// This is a refused preflight, and something was lost or not readable meanwhile.
    Lost,
    /// This is a refused preflight, and the capture holds only some of the requests.
    Partial,
    /// This is a request whose preflight was refused just before.
    Refused,
    /// This is a request whose preflight was allowed just before.
    Allowed,
}

impl Preflight {
    /// Every value.
    pub const ALL: [Self; 8] = [
        Self::NotSeen,
        Self::Followed,
        Self::Unfollowed,
        Self::Ended,
        Self::Lost,
        Self::Partial,
        Self::Refused,
        Self::Allowed,
    ];

    /// Its name in data files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotSeen => "not-seen",
            Self::Followed => "followed",
            Self::Unfollowed => "unfollowed",
            Self::Ended => "ended",
            Self::Lost => "lost",
            Self::Partial => "partial",
            Self::Refused => "refused",
            Self::Allowed => "allowed",
        }
    }

    /// The value of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.name() == name)
    }
}
