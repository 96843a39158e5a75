//! Cases of the same shape, counted.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use crate::model::{CauseId, Chain, Group, Verdict};

use super::siblings::Route;

/// The groups so far; past the bound the oldest is forgotten, and begins anew.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<u64, Group>,
    order: VecDeque<u64>,
    hasher: RandomState,
}

/// Groups that are remembered. Bounds a scanner that is refused at ever new paths.
const KEPT: usize = 4096;

impl Groups {
    /// Counts a case in, and says which group it belongs to.
    pub(super) fn count(
        &mut self,
        number: u64,
        route: Option<Route>,
        chain: &Chain,
        verdict: &Verdict,
    ) -> Group {
        let at = chain.reported.exchange.started_at();
        let issuer = verdict.issuer.hop.and_then(|hop| chain.hop(hop));
        let key = self.hasher.hash_one((
            route,
            chain.reported.status(),
            issuer.map(|hop| hop.exchange.server.addr),
            verdict.issuer.product.as_ref().map(|p| p.name.as_str()),
            verdict.cause().map(|f| f.cause) as Option<CauseId>,
        ));
        if let Some(group) = self.groups.get_mut(&key) {
            group.count += 1;
            group.last_at = group.last_at.max(at);
            return *group;
        }
        if self.order.len() == KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.groups.remove(&oldest);
        }
        self.order.push_back(key);
        let group = Group {
            first_case: number,
            count: 1,
            first_at: at,
            last_at: at,
        };
        self.groups.insert(key, group);
        group
    }
}
