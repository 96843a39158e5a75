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

use likeness::{Compared, Likeness};
pub use rules::{RULES, Rule, doubt, weakened};

/// The exchanges among which a chain is looked for, all with the processes at their ends.
#[derive(Debug)]
pub struct Pool<'a> {
    members: Vec<Compared<'a>>,
}

/// What an exchange was made for.
#[derive(Debug)]
struct Parent<'p, 'a> {
    /// The outer exchange.
    outer: &'p Compared<'a>,
    /// How that is known.
    link: Link,
}

/// What was made for an exchange.
#[derive(Debug, Default)]
struct Made<'p, 'a> {
    /// Its next hop.
    next: Option<(&'p Compared<'a>, Link)>,
    /// The other calls of its server.
    side_calls: Vec<SideCall>,
    /// What might as well have been made for it, and was for another one, or cannot be told apart.
    others: Vec<&'p Compared<'a>>,
}

/// Each of so many exchanges is compared with all of the pool; of more it is said that they cannot be
/// told apart.
const COMPARED: usize = 16;
/// Comparisons by which the calls of one server are looked for. Bounds the work for a case where
/// hundreds of requests that are alike were under way, as in a flood of which answers were lost.
const COMPARISONS: usize = 1 << 15;

impl<'a> Pool<'a> {
    /// A pool of these.
    pub fn new(exchanges: impl IntoIterator<Item = &'a Exchange>) -> Self {
        Self {
            members: exchanges.into_iter().map(Compared::new).collect(),
        }
    }

    /// The exchange for which the server of another one made `child`: its previous hop, or the hop
    /// whose side call it is.
    fn parent(&self, child: &Compared<'_>) -> Option<Parent<'_, 'a>> {
        let mut best: Vec<(&Compared<'a>, Likeness, (LinkRule, Strength))> = Vec::new();
        for outer in &self.members {
            let Some((likeness, judged)) = judge(outer, child) else {
                continue;
            };
            let leading = best.first().map(|(_, other, _)| other.score);
            match leading.map(|score| likeness.score.cmp(&score)) {
                Some(Ordering::Less) => continue,
                Some(Ordering::Greater) => best.clear(),
                Some(Ordering::Equal) | None => {}
            }
            best.push((outer, likeness, judged));
        }
        let rivals = best.len().saturating_sub(1);
        // First come, first served, among requests that cannot be told apart.
        let turn = match rivals {
            0 => 0,
            _ => self.alike_before(child, best.first().map(|(outer, ..)| *outer)),
        };
        let (outer, likeness, (rule, strength)) = best.into_iter().nth(turn.min(rivals))?;
        let rivals = u32::try_from(rivals).unwrap_or(u32::MAX);
        let link = Link {
            rule,
            strength: weakened(strength, rivals),
            agree: likeness.agree,
            ambiguous_with: rivals,
        };
        Some(Parent { outer, link })
    }

    /// How many requests like `child` the same process made before it, for `outer` or one like it.
    fn alike_before(&self, child: &Compared<'_>, outer: Option<&Compared<'_>>) -> usize {
        let Some(outer) = outer else {
            return 0;
        };
        let key = |e: &Exchange| (e.started_at(), e.conn, e.index);
        let is_alike = |other: &&Compared<'_>| {
            key(other.exchange) < key(child.exchange)
                && rules::allow(outer.exchange, other.exchange)
                && rules::same_client(other.exchange, child.exchange)
                && likeness::is_forward(other, child)
        };
        self.members.iter().filter(is_alike).count()
    }

    /// The chain that `reported` is part of. `is_reported` says whether an exchange will be
    /// reported by itself: the chain begins at the outermost hop of that kind, so there is none
    /// where a previous hop will be reported.
    pub fn chain(
        &self,
        reported: &'a Exchange,
        limits: &Limits,
        is_reported: impl Fn(&Exchange) -> bool,
    ) -> Option<Chain> {
        let mut before = Vec::new();
        let mut link_here = None;
        let here = &Compared::new(reported);
        let mut child = here;
        while before.len() < limits.hops {
            let Some(Parent { outer, link }) = self.parent(child) else {
                break;
            };
            // A side call is no hop of the request that caused it.
            if !likeness::is_forward(outer, child) {
                break;
            }
            if is_reported(outer.exchange) {
                return None;
            }
            let link = Some(link);
            match before.last_mut() {
                None => link_here = link,
                Some(Hop { link: place, .. }) => *place = link,
            }
            before.push(Hop::new(outer.exchange.clone()));
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
        let mut last = here;
        while chain.after.len() < limits.hops {
            let made = self.made_for(last);
            let hop = chain.after.last_mut().unwrap_or(&mut chain.reported);
            hop.side_calls = made.side_calls;
            let Some((member, link)) = made.next else {
                let others = self.perhaps_made_for(last, &made.others);
                if others > 0 {
                    hop.asked = Asked::Ambiguous(others);
                }
                break;
            };
            hop.asked = Asked::NextHop;
            let mut hop = Hop::new(member.exchange.clone());
            hop.link = Some(link);
            chain.after.push(hop);
            last = member;
        }
        for at in 0..chain.before.len() {
            if let Some(hop) = chain.before.get_mut(at) {
                hop.asked = Asked::NextHop;
                hop.side_calls = self.made_for(&Compared::new(&hop.exchange)).side_calls;
            }
        }
        Some(chain)
    }

    /// What was made for an exchange. Where the request was passed on several times (retries), the
    /// last one answered is the next hop.
    fn made_for(&self, outer: &Compared<'_>) -> Made<'_, 'a> {
        let may_be = |child: &&Compared<'a>| judge(outer, child).is_some();
        let children: Vec<_> = self.members.iter().filter(may_be).collect();
        let mut made = Made::default();
        if children.len() * self.members.len() > COMPARISONS {
            made.others = children;
            return made;
        }
        let Made {
            next,
            side_calls,
            others,
        } = &mut made;
        let side_call = |child: &Compared<'_>, link| SideCall {
            exchange: child.exchange.clone(),
            link,
        };
        for child in children {
            let parent = self.parent(child);
            let Some(parent) = parent.filter(|p| same(p.outer, outer)) else {
                others.push(child);
                continue;
            };
            if !likeness::is_forward(outer, child) {
                side_calls.push(side_call(child, parent.link));
                continue;
            }
            let answered = |of: &Compared<'_>| {
                let response = of.exchange.response.as_ref();
                response.map(|r| r.message.started_at)
            };
            let is_later = next
                .as_ref()
                .is_none_or(|(other, _)| answered(child) >= answered(other));
            let passed_over = match is_later {
                true => next.replace((child, parent.link)),
                false => Some((child, parent.link)),
            };
            side_calls.extend(passed_over.map(|(child, link)| side_call(child, link)));
        }
        made
    }

    /// How many of those that were given to other requests may have been made for this one: it is
    /// as much like them, or the other one has more of them than it needs.
    fn perhaps_made_for(&self, outer: &Compared<'_>, others: &[&Compared<'_>]) -> u32 {
        if others.len() > COMPARED {
            return u32::try_from(others.len()).unwrap_or(u32::MAX);
        }
        let is_rival = |child: &&&Compared<'_>| {
            let Some(parent) = self.parent(child) else {
                return false;
            };
            let score = Likeness::of(outer, child).score;
            let theirs = Likeness::of(parent.outer, child);
            parent.link.ambiguous_with > 0 && theirs.score == score
                || !theirs.same_id && self.passes_on_twice(parent.outer)
        };
        u32::try_from(others.iter().filter(is_rival).count()).unwrap_or(u32::MAX)
    }

    /// Whether a request was passed on more than once; also where that takes too long to tell.
    fn passes_on_twice(&self, outer: &Compared<'_>) -> bool {
        let may_be = |child: &&Compared<'_>| {
            may_be_made_for(outer, child) && likeness::is_forward(outer, child)
        };
        let mut children = self.members.iter().filter(may_be);
        let is_theirs = |child: &Compared<'_>| {
            let parent = self.parent(child);
            parent.is_some_and(|parent| same(parent.outer, outer))
        };
        let compared = children.by_ref().take(COMPARED);
        compared.filter(|child| is_theirs(child)).nth(1).is_some() || children.next().is_some()
    }
}

/// Whether `inner` can be a part of `outer`, where times and processes allow it, and how sure that is.
fn judge(outer: &Compared<'_>, inner: &Compared<'_>) -> Option<(Likeness, (LinkRule, Strength))> {
    if !may_be_made_for(outer, inner) {
        return None;
    }
    let likeness = Likeness::of(outer, inner);
    let judged = rules::judge(outer.exchange, inner.exchange, &likeness)?;
    Some((likeness, judged))
}

/// Whether times and processes allow `inner` to be a part of `outer`.
fn may_be_made_for(outer: &Compared<'_>, inner: &Compared<'_>) -> bool {
    !same(outer, inner) && rules::allow(outer.exchange, inner.exchange)
}

fn same(a: &Compared<'_>, b: &Compared<'_>) -> bool {
    let id = |of: &Compared<'_>| (of.exchange.conn, of.exchange.index);
    id(a) == id(b)
}

#[cfg(test)]
mod tests;
