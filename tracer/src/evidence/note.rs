//! How gatherers write down what they find.

use std::borrow::Cow;

use crate::model::{CauseId, Evidence, Part, Side, Span, Strength};

/// Longest quotation in a fact, in bytes.
const QUOTE_MAX: usize = 80;

/// The evidence about one hop, as it is being written.
pub(super) struct Notes<'a> {
    hop: usize,
    evidence: &'a mut Vec<Evidence>,
}

impl<'a> Notes<'a> {
    /// Appends to `evidence` what is found about the hop at this place.
    pub(super) const fn new(hop: usize, evidence: &'a mut Vec<Evidence>) -> Self {
        Self { hop, evidence }
    }

    /// One piece of evidence.
    pub(super) fn add(
        &mut self,
        id: impl Into<Cow<'static, str>>,
        strength: Strength,
        cause: impl Into<Option<CauseId>>,
        span: impl Into<Option<Span>>,
        fact: impl Into<String>,
    ) {
        self.evidence.push(Evidence {
            id: id.into(),
            hop: self.hop,
            fact: fact.into(),
            strength,
            cause: cause.into(),
            product: None,
            span: span.into(),
        });
    }
}

/// A place in the request.
pub(super) const fn asked(part: Part) -> Span {
    Span {
        message: Side::Request,
        part,
    }
}

/// A place in the final answer.
pub(super) const fn answered(part: Part) -> Span {
    Span {
        message: Side::Response,
        part,
    }
}

/// A quotation of the wire, cut to a bearable length. Never for what may be a secret.
pub(super) fn quote(bytes: &[u8]) -> String {
    match bytes.get(..QUOTE_MAX) {
        Some(start) if bytes.len() > QUOTE_MAX => {
            format!("`{}…`", String::from_utf8_lossy(start))
        }
        _ => format!("`{}`", String::from_utf8_lossy(bytes)),
    }
}
