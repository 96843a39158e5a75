//! What is remembered of exchanges that are over.

use crate::http::brief::BriefRequest;
use crate::model::Timestamp;
use crate::reassembly::Connection;

use super::Options;
use super::paces::{Asker, PaceKey, Paces};
use super::preflights::Preflights;
use super::recent::{Linkable, Recent};
use super::siblings::{Route, Siblings};

/// The memory of a session: what a reported exchange is linked and compared with.
#[derive(Debug)]
pub(super) struct Past {
    pub(super) recent: Recent,
    pub(super) siblings: Siblings,
    pub(super) paces: Paces,
    pub(super) preflights: Preflights,
}

/// What tells a request apart from others, as hashes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    route: Route,
    /// Whether refused requests may be compared with it.
    is_comparable: bool,
    pace: PaceKey,
}

impl Past {
    /// Nothing is remembered yet.
    pub(super) fn new(
        Options {
            limits, selection, ..
        }: &Options,
    ) -> Self {
        Self {
            recent: Recent::new(limits),
            siblings: Siblings::new(limits.routes, selection.request_methods()),
            paces: Paces::default(),
            preflights: Preflights::default(),
        }
    }

    /// The marks of a request on this connection.
    pub(super) fn marks(&self, connection: &Connection, request: &BriefRequest<'_>) -> Marks {
        let host = request.host.unwrap_or_default();
        let port = connection.server.port();
        let route = self
            .siblings
            .route_of(port, request.method, host, request.target);
        let asker = Asker::new(request.forwarded_for, connection.client.ip());
        Marks {
            route,
            is_comparable: self.siblings.compares(request.method),
            pace: self.paces.key(asker, route),
        }
    }

    /// Whether all that is to be remembered of an exchange is that there was one.
    pub(super) fn is_content(
        &self,
        connection: &Connection,
        linkable: &mut Linkable,
        marks: Marks,
        status: u16,
        at: Timestamp,
    ) -> bool {
        let is_sampled = marks.is_comparable && self.siblings.wants(marks.route, status, at);
        !is_sampled && !self.recent.wants_of(connection, linkable)
    }

    /// Remembers that there was one.
    pub(super) fn pass_over(&mut self, marks: Marks, status: u16, at: Timestamp) {
        self.paces.count_of(marks.pace, Some(status), at);
    }
}
