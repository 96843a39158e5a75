//! Cases of the same shape, counted.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use crate::model::{Case, CauseId, Group, Timestamp};

use super::siblings::Route;

/// The groups so far; past the bound the oldest is forgotten, and begins anew.
#[derive(Debug, Default)]
pub struct Groups {
    groups: HashMap<Shape, Group>,
    order: VecDeque<Shape>,
}

/// What the cases of a group have in common, as a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape(u64);

/// Tells the shapes of cases; clones tell the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Shapes(RandomState);

impl Shapes {
    /// The shape of a case that is judged.
    pub(super) fn of(&self, case: &Case, route: Option<Route>) -> Shape {
        let (chain, verdict) = (&case.chain, &case.verdict);
        let issuer = verdict.issuer.hop.and_then(|hop| chain.hop(hop));
        Shape(self.0.hash_one((
            route,
            chain.reported.status(),
            issuer.map(|hop| hop.exchange.server.addr),
            verdict.issuer.product.as_ref().map(|p| p.name.as_str()),
            verdict.cause().map(|f| f.cause) as Option<CauseId>,
        )))
    }
}

/// Groups that are remembered. Bounds a scanner that is refused at ever new paths.
const KEPT: usize = 4096;

impl Groups {
    /// Counts in the case of this number, which began `at`, and says which group it belongs to.
    pub fn count(&mut self, shape: Shape, number: u64, at: Timestamp) -> Group {
        if let Some(group) = self.groups.get_mut(&shape) {
            group.count += 1;
            group.last_at = group.last_at.max(at);
            return *group;
        }
        if self.order.len() == KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.groups.remove(&oldest);
        }
        self.order.push_back(shape);
        let group = Group {
            first_case: number,
            count: 1,
            first_at: at,
            last_at: at,
        };
        self.groups.insert(shape, group);
        group
    }
}
