//! Exchanges of one request become a chain of hops.
//!
//! In go the reported exchange and those that were under way at the same time, each with the
//! processes at its ends; out comes a [`Chain`]. An exchange belongs to the one whose server made
//! it: the same process, nested in time (`rules`). Where several requests were under way in that
//! process, what the two requests have in common decides (`likeness`), and what remains
//! ambiguous is said.

mod likeness;
mod rules;

use std::cmp::Ordering;

use crate::limits::Limits;
use crate::model::{Asked, Chain, Exchange, Hop, Link, LinkRule, SideCall, Strength};

use likeness::{Likeness, Tokens};
pub use rules::{RULES, Rule, doubt, weakened};

/// The exchanges among which a chain is looked for, all with the processes at their ends.
#[derive(Clone, Copy, Debug)]
pub struct Pool<'a> {
    exchanges: &'a [&'a Exchange],
}

/// What an exchange was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Place of the outer exchange in the pool.
    pub at: usize,
    /// How that is known.
    pub link: Link,
}

/// Each of so many exchanges is compared with all of the pool; of more it is said that they cannot be
/// told apart.
const COMPARED: usize = 16;

impl<'a> Pool<'a> {
    /// A pool of these.
    pub fn new(exchanges: &'a [&'a Exchange]) -> Self {
        Self { exchanges }
    }

    /// The exchange for which the server of another one made `child`: its previous hop, or the hop
    /// whose side call it is.
    pub fn parent(&self, child: &Exchange) -> Option<Parent> {
        let mut best: Vec<(usize, Likeness, (LinkRule, Strength))> = Vec::new();
        let tokens = Tokens::of(child);
        for (at, outer) in self.exchanges.iter().enumerate() {
            if same(outer, child) || !rules::allow(outer, child) {
                continue;
            }
            let likeness = Likeness::with(outer, child, &tokens);
            let Some(judged) = rules::judge(outer, child, &likeness) else {
                continue;
            };
            let leading = best.first().map(|(_, other, _)| other.score);
            match leading.map(|score| likeness.score.cmp(&score)) {
                Some(Ordering::Less) => continue,
                Some(Ordering::Greater) => best.clear(),
                Some(Ordering::Equal) | None => {}
            }
            best.push((at, likeness, judged));
        }
        let rivals = best.len().saturating_sub(1);
        // First come, first served, among requests that cannot be told apart.
        let turn = match rivals {
            0 => 0,
            _ => self.alike_before(child, best.first().map(|(at, ..)| *at)),
        };
        let (at, likeness, (rule, strength)) = best.into_iter().nth(turn.min(rivals))?;
        let rivals = u32::try_from(rivals).unwrap_or(u32::MAX);
        let link = Link {
            rule,
            strength: weakened(strength, rivals),
            agree: likeness.agree,
            ambiguous_with: rivals,
        };
        Some(Parent { at, link })
    }

    /// How many requests like `child` the same process made before it, for `outer` or one like it.
    fn alike_before(&self, child: &Exchange, outer: Option<usize>) -> usize {
        let Some(&outer) = outer.and_then(|at| self.exchanges.get(at)) else {
            return 0;
        };
        let key = |e: &Exchange| (e.started_at(), e.conn, e.index);
        let is_alike = |e: &&&Exchange| {
            key(e) < key(child)
                && rules::allow(outer, e)
                && rules::same_client(e, child)
                && likeness::is_forward(e, child)
        };
        self.exchanges.iter().filter(is_alike).count()
    }

    /// The chain that `reported` is part of. `is_reported` says whether an exchange will be
    /// reported by itself: the chain begins at the outermost hop of that kind, so there is none
    /// where a previous hop will be reported.
    pub fn chain(
        &self,
        reported: &Exchange,
        limits: &Limits,
        is_reported: impl Fn(&Exchange) -> bool,
    ) -> Option<Chain> {
        let mut before = Vec::new();
        let mut link_here = None;
        let mut child = reported;
        while before.len() < limits.hops {
            let Some(parent) = self.parent(child) else {
                break;
            };
            let Some(outer) = self.exchanges.get(parent.at) else {
                break;
            };
            // A side call is no hop of the request that caused it.
            if !likeness::is_forward(outer, child) {
                break;
            }
            if is_reported(outer) {
                return None;
            }
            let link = Some(parent.link);
            match before.last_mut() {
                None => link_here = link,
                Some(Hop { link: place, .. }) => *place = link,
            }
            before.push(Hop::new((*outer).clone()));
            child = outer;
        }
        before.reverse();
        let mut head = Hop::new(reported.clone());
        head.link = link_here;
        let mut chain = Chain {
            before,
            reported: head,
            after: Vec::new(),
        };
        let mut last = reported;
        while chain.after.len() < limits.hops {
            let (next, side_calls) = self.made_for(last);
            let hop = chain.after.last_mut().unwrap_or(&mut chain.reported);
            hop.side_calls = side_calls;
            let Some((exchange, link)) = next else {
                let others = self.perhaps_made_for(last);
                if others > 0 {
                    hop.asked = Asked::Ambiguous(others);
                }
                break;
            };
            hop.asked = Asked::NextHop;
            let mut hop = Hop::new(exchange.clone());
            hop.link = Some(link);
            chain.after.push(hop);
            last = exchange;
        }
        for at in 0..chain.before.len() {
            if let Some(hop) = chain.before.get_mut(at) {
                hop.asked = Asked::NextHop;
                hop.side_calls = self.made_for(&hop.exchange).1;
            }
        }
        Some(chain)
    }

    /// The next hop of an exchange, and the side calls of its server. Where the request was passed
    /// on several times (retries), the last one answered is the next hop.
    fn made_for(&self, outer: &Exchange) -> (Option<(&'a Exchange, Link)>, Vec<SideCall>) {
        let mut next: Option<(&'a Exchange, Link)> = None;
        let mut calls = Vec::new();
        for &child in self.exchanges {
            if same(outer, child) || !rules::allow(outer, child) {
                continue;
            }
            let Some(parent) = self.parent(child).filter(|p| self.is_at(p.at, outer)) else {
                continue;
            };
            if !likeness::is_forward(outer, child) {
                calls.push(SideCall {
                    exchange: child.clone(),
                    link: parent.link,
                });
                continue;
            }
            let answered = |e: &Exchange| e.response.as_ref().map(|r| r.message.started_at);
            let is_later = next
                .as_ref()
                .is_none_or(|(other, _)| answered(child) >= answered(other));
            let passed_over = match is_later {
                true => next.replace((child, parent.link)),
                false => Some((child, parent.link)),
            };
            calls.extend(passed_over.map(|(exchange, link)| SideCall {
                exchange: exchange.clone(),
                link,
            }));
        }
        (next, calls)
    }

    /// How many exchanges were given to another request, and may have been made for this one: it is
    /// as much like them, or the other one has more of them than it needs.
    fn perhaps_made_for(&self, outer: &Exchange) -> u32 {
        let may_be = |child: &&'a Exchange| {
            if same(outer, child) || !rules::allow(outer, child) {
                return None;
            }
            let like = Likeness::of(outer, child);
            rules::judge(outer, child, &like).map(|_| (*child, like.score))
        };
        let candidates: Vec<_> = self.exchanges.iter().filter_map(may_be).collect();
        if candidates.len() > COMPARED {
            return u32::try_from(candidates.len()).unwrap_or(u32::MAX);
        }
        let is_rival = |&(child, score): &(&Exchange, i32)| {
            let Some(parent) = self.parent(child) else {
                return false;
            };
            let Some(&other) = self.exchanges.get(parent.at).filter(|e| !same(e, outer)) else {
                return false;
            };
            let theirs = Likeness::of(other, child);
            parent.link.ambiguous_with > 0 && theirs.score == score
                || !theirs.same_id && self.passes_on_twice(other)
        };
        u32::try_from(candidates.iter().filter(|c| is_rival(c)).count()).unwrap_or(u32::MAX)
    }

    /// Whether a request was passed on more than once; also where that takes too long to tell.
    fn passes_on_twice(&self, outer: &Exchange) -> bool {
        let may_be = |child: &&&Exchange| {
            !same(outer, child) && rules::allow(outer, child) && likeness::is_forward(outer, child)
        };
        let mut children = self.exchanges.iter().filter(may_be);
        let is_theirs = |child: &&Exchange| {
            let parent = self.parent(child);
            parent.is_some_and(|parent| self.is_at(parent.at, outer))
        };
        let compared = children.by_ref().take(COMPARED);
        compared.filter(|child| is_theirs(child)).nth(1).is_some() || children.next().is_some()
    }

    fn is_at(&self, at: usize, exchange: &Exchange) -> bool {
        self.exchanges.get(at).is_some_and(|e| same(e, exchange))
    }
}

fn same(a: &Exchange, b: &Exchange) -> bool {
    (a.conn, a.index) == (b.conn, b.index)
}

#[cfg(test)]
mod tests;
