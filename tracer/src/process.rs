//! Who owns each end of a connection.
//!
//! The kernel side reports a process only when the process that sends on a socket, or the one that
//! receives on it, *changes*; and it reports a sender after the bytes have left. So the last report
//! holds until the next one, and the report that belongs to a message can be a little later than
//! the message's first byte. [`Owners`] turns that stream into an answer to one question: which
//! process sent the message that began at this time?

mod history;

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::model::{Owner, OwnerQuality, Timestamp};
use crate::source::{SocketKey, SocketOwner};

use history::{Answer, History, Use};

/// One end of a connection, as the packets show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketEnd {
    /// The cookie of its socket; 0 where not known.
    pub cookie: u64,
    /// Its own address.
    pub local: SocketAddr,
    /// Its peer's address.
    pub remote: SocketAddr,
}

/// When a message went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentBetween {
    /// When its first byte was seen.
    pub from: Timestamp,
    /// When the same end's next message began; where there is none yet, `from` and
    /// [`Limits::settle`](crate::limits::Limits::settle). Not part of the interval.
    pub until: Timestamp,
}

/// The owners of sockets, as the source told them; bounded: the socket goes first that was longest
/// neither reported nor asked for.
///
/// A cookie names a socket for good: where both the report and the question have one, only equal
/// cookies match, whatever the addresses say (address translation changes those, and a four-tuple
/// is used again by others). Addresses decide where either side has no cookie.
#[derive(Debug)]
pub struct Owners {
    capacity: usize,
    sockets: Vec<Socket>,
    by_cookie: HashMap<u64, usize>,
    by_address: HashMap<Addresses, Vec<usize>>,
    /// The slot that is looked at next when a socket has to go.
    hand: usize,
}

/// Local and remote address of a socket, v4-mapped ones as IPv4.
type Addresses = (SocketAddr, SocketAddr);

#[derive(Debug)]
struct Socket {
    cookie: u64,
    addresses: Option<Addresses>,
    history: History,
    /// Reported or asked for since the hand last came by.
    touched: bool,
}

/// Sockets found under the same pair of addresses: one after the other, or at the same time in
/// several network namespaces. Bounds a host that uses one four-tuple over and over.
const SOCKETS_PER_ADDRESS: usize = 8;

impl Owners {
    /// A table for at most `capacity` sockets (at least 1).
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            sockets: Vec::new(),
            by_cookie: HashMap::new(),
            by_address: HashMap::new(),
            hand: 0,
        }
    }

    /// Takes in what the source says. A report that names neither a cookie nor both addresses
    /// speaks of no socket that could ever be asked for, and is ignored.
    pub fn learn(&mut self, report: SocketOwner) {
        let SocketKey {
            cookie,
            local,
            remote,
        } = report.socket;
        let addresses = local.zip(remote).map(canonical);
        let slot = match self.reported(cookie, addresses) {
            Some(slot) => slot,
            None if cookie == 0 && addresses.is_none() => return,
            None => self.insert(cookie, addresses),
        };
        if addresses.is_some() {
            self.set_addresses(slot, addresses);
        }
        if let Some(socket) = self.sockets.get_mut(slot) {
            socket.history.add(Use {
                at: report.at,
                used: report.used,
                owner: report.owner,
            });
        }
    }

    /// The process that sent a message on this end of a connection: in this order
    ///
    /// 1. the first that is reported to have sent within the interval,
    /// 2. the last that is reported to have sent before it,
    /// 3. the first that is reported to have sent after it: over loopback an answer can be there
    ///    before the report of its request,
    /// 4. the last that is reported to have received before its end,
    /// 5. one that held the socket open when the host's tables were read,
    ///
    /// where any exact report goes before all others.
    ///
    /// Where the end has no cookie and several sockets had its addresses, it is the one whose
    /// report is nearest before the end of the interval, else soonest after it; a [`OwnerQuality::Guess`] unless all of
    /// them name the same process.
    pub fn sender(&mut self, end: SocketEnd, sent: SentBetween) -> Option<Owner> {
        if let Some(&slot) = self.by_cookie.get(&end.cookie) {
            return self.answer(slot, sent, end).map(|a| a.owner);
        }
        let slots = self
            .by_address
            .get(&canonical((end.local, end.remote)))?
            .clone();
        let mut best: Option<Answer> = None;
        let mut ambiguous = false;
        for slot in slots {
            let Some(answer) = self.answer(slot, sent, end) else {
                continue;
            };
            let is_late = |answer: &Answer| answer.at >= sent.until;
            match &best {
                // A report from after the interval counts only where there is none before its end.
                Some(b) if is_late(b) != is_late(&answer) => {
                    if is_late(b) {
                        ambiguous = false;
                        best = Some(answer);
                    }
                }
                Some(b) => {
                    ambiguous |= !same_process(&b.owner, &answer.owner);
                    let is_nearer = match is_late(b) {
                        true => answer.at < b.at,
                        false => b.at <= answer.at,
                    };
                    if is_nearer {
                        best = Some(answer);
                    }
                }
                None => best = Some(answer),
            }
        }
        let mut owner = best?.owner;
        if ambiguous {
            owner.quality = OwnerQuality::Guess;
        }
        Some(owner)
    }

    /// What the socket in `slot` says about `end`, and a touch for it.
    fn answer(&mut self, slot: usize, sent: SentBetween, end: SocketEnd) -> Option<Answer> {
        let socket = self.sockets.get_mut(slot)?;
        let same = socket.cookie != 0 && socket.cookie == end.cookie;
        if !same && socket.cookie != 0 && end.cookie != 0 {
            return None;
        }
        socket.touched = true;
        socket.history.sender(sent, same)
    }

    /// The socket that a report speaks of, where it is known already.
    fn reported(&mut self, cookie: u64, addresses: Option<Addresses>) -> Option<usize> {
        let slot = if cookie != 0 {
            self.by_cookie.get(&cookie).copied()
        } else {
            let slots = self.by_address.get(&addresses?)?;
            let nameless = |slot: &usize| self.sockets.get(*slot).is_some_and(|s| s.cookie == 0);
            slots.iter().copied().find(nameless)
        }?;
        self.sockets.get_mut(slot)?.touched = true;
        Some(slot)
    }

    fn insert(&mut self, cookie: u64, addresses: Option<Addresses>) -> usize {
        let socket = Socket {
            cookie,
            addresses: None,
            history: History::default(),
            touched: false,
        };
        let slot = if self.sockets.len() < self.capacity {
            self.sockets.push(socket);
            self.sockets.len().saturating_sub(1)
        } else {
            let slot = self.evict();
            if let Some(place) = self.sockets.get_mut(slot) {
                *place = socket;
            }
            slot
        };
        if cookie != 0 {
            self.by_cookie.insert(cookie, slot);
        }
        self.set_addresses(slot, addresses);
        slot
    }

    /// Frees the slot of a socket that was not touched since the hand last came by. Each step over
    /// a touched one takes a touch away, so over time a report costs a constant number of steps.
    fn evict(&mut self) -> usize {
        let slot = loop {
            let slot = self.hand;
            self.hand = slot.saturating_add(1) % self.capacity;
            match self.sockets.get_mut(slot) {
                Some(socket) if socket.touched => socket.touched = false,
                _ => break slot,
            }
        };
        self.set_addresses(slot, None);
        if let Some(socket) = self.sockets.get(slot) {
            self.by_cookie.remove(&socket.cookie);
        }
        slot
    }

    /// Files the socket in `slot` under these addresses, and no longer under those it had.
    fn set_addresses(&mut self, slot: usize, addresses: Option<Addresses>) {
        let Some(socket) = self.sockets.get_mut(slot) else {
            return;
        };
        if socket.addresses == addresses {
            return;
        }
        if let Some(old) = std::mem::replace(&mut socket.addresses, addresses)
            && let Some(slots) = self.by_address.get_mut(&old)
        {
            slots.retain(|&s| s != slot);
            if slots.is_empty() {
                self.by_address.remove(&old);
            }
        }
        if let Some(new) = addresses {
            let slots = self.by_address.entry(new).or_default();
            if slots.len() >= SOCKETS_PER_ADDRESS {
                slots.remove(0);
            }
            slots.push(slot);
        }
    }
}

fn canonical((local, remote): Addresses) -> Addresses {
    let plain = |a: SocketAddr| SocketAddr::new(a.ip().to_canonical(), a.port());
    (plain(local), plain(remote))
}

fn same_process(a: &Owner, b: &Owner) -> bool {
    (a.pid, a.started_at) == (b.pid, b.started_at)
}

#[cfg(test)]
mod tests;
