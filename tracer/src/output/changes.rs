//! What the server between two hops changed: on the request on its way inwards, and on the answer
//! on its way back.
//!
//! It reads exchanges as the outputs get them: where secrets are masked, the same secret has the
//! same mask, so "not changed" stays true.

use std::collections::BTreeMap;

use crate::model::{Body, Exchange, Field, Head, Message};

/// What became of a request and its answer between two hops.
#[derive(Debug)]
pub(super) struct Changes<'a> {
    /// Of the request, from the outer hop to the inner one; `None` where one was not seen.
    pub(super) request: Option<RequestChanges<'a>>,
    /// Of the answer, from the inner hop to the outer one; `None` where one was not seen.
    pub(super) response: Option<ResponseChanges<'a>>,
}

/// Changes of a request.
#[derive(Debug)]
pub(super) struct RequestChanges<'a> {
    /// The method, before and after.
    pub(super) method: Option<(&'a [u8], &'a [u8])>,
    /// The path and query, before and after.
    pub(super) target: Option<(&'a [u8], &'a [u8])>,
    /// The host, before and after; empty where there was none.
    pub(super) host: Option<(&'a [u8], &'a [u8])>,
    /// Everything else.
    pub(super) message: MessageChanges<'a>,
}

/// Changes of an answer.
#[derive(Debug)]
pub(super) struct ResponseChanges<'a> {
    /// The status, before and after.
    pub(super) status: Option<(u16, u16)>,
    /// Everything else.
    pub(super) message: MessageChanges<'a>,
}

/// Changes that a request and an answer can have in common. `Host` is not among the fields.
#[derive(Debug)]
pub(super) struct MessageChanges<'a> {
    /// Header fields that are only in the later message.
    pub(super) added: Vec<Field<'a>>,
    /// Header fields that are only in the earlier message.
    pub(super) dropped: Vec<Field<'a>>,
    /// Header fields that are in both, with other values.
    pub(super) rewritten: Vec<Rewritten<'a>>,
    /// The content.
    pub(super) body: BodyChange,
}

/// A header field with other values.
#[derive(Debug)]
pub(super) struct Rewritten<'a> {
    /// Its name, as the later message writes it.
    pub(super) name: &'a [u8],
    /// Its values in the earlier message.
    pub(super) before: Vec<&'a [u8]>,
    /// Its values in the later message.
    pub(super) after: Vec<&'a [u8]>,
}

/// What became of the content, its codings removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyChange {
    /// As far as it was kept, it is the same, and so is its length.
    Same,
    /// It is another one.
    Changed,
    /// One of the two was not kept, or not seen whole.
    Unknown,
}

impl<'a> Changes<'a> {
    /// What the server of `outer`, which is the client of `inner`, changed.
    pub(super) fn between(outer: &'a Exchange, inner: &'a Exchange) -> Self {
        let response = |exchange: &'a Exchange| exchange.response.as_deref();
        Self {
            request: RequestChanges::between(outer, inner),
            response: response(inner)
                .zip(response(outer))
                .map(|(before, after)| ResponseChanges {
                    status: differs(before.status, after.status),
                    message: MessageChanges::between(&before.message, &after.message),
                }),
        }
    }
}

impl<'a> RequestChanges<'a> {
    /// How the request of `after` differs from that of `before`.
    pub(super) fn between(before: &'a Exchange, after: &'a Exchange) -> Option<Self> {
        let (before, after) = before.request.as_ref().zip(after.request.as_ref())?;
        Some(Self {
            method: differs(before.method(), after.method()),
            target: differs(before.path_and_query(), after.path_and_query()),
            host: differs(
                before.host().unwrap_or_default(),
                after.host().unwrap_or_default(),
            ),
            message: MessageChanges::between(&before.message, &after.message),
        })
    }

    /// Whether nothing changed, as far as is known.
    pub(super) fn is_empty(&self) -> bool {
        self.method.is_none()
            && self.target.is_none()
            && self.host.is_none()
            && self.message.is_empty()
    }
}

impl ResponseChanges<'_> {
    /// Whether nothing changed, as far as is known.
    pub(super) fn is_empty(&self) -> bool {
        self.status.is_none() && self.message.is_empty()
    }
}

impl<'a> MessageChanges<'a> {
    fn between(before: &'a Message, after: &'a Message) -> Self {
        let (old, new) = (by_name(&before.head), by_name(&after.head));
        let only = |message: &'a Message, other: &BTreeMap<Vec<u8>, Vec<&[u8]>>| {
            let fields = message.head.fields();
            fields
                .filter(|f| is_compared(f.name) && !other.contains_key(&lower(f.name)))
                .collect()
        };
        // In the order of the wire, each name once.
        let mut left = new.clone();
        let rewritten = after.head.fields().filter_map(|f| {
            let after = left.remove(&lower(f.name))?;
            let before = old.get(&lower(f.name)).filter(|v| **v != after)?;
            Some(Rewritten {
                name: f.name,
                before: before.clone(),
                after,
            })
        });
        Self {
            rewritten: rewritten.collect(),
            added: only(after, &old),
            dropped: only(before, &new),
            body: BodyChange::between(&before.body, &after.body),
        }
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.dropped.is_empty()
            && self.rewritten.is_empty()
            && self.body != BodyChange::Changed
    }
}

impl BodyChange {
    fn between(before: &Body, after: &Body) -> Self {
        match (known(before), known(after)) {
            (Some((old, old_len)), Some((new, new_len))) => {
                // Each may be kept to another length.
                let kept = old.len().min(new.len());
                if old_len == new_len && old.get(..kept) == new.get(..kept) {
                    Self::Same
                } else {
                    Self::Changed
                }
            }
            _ => Self::Unknown,
        }
    }
}

/// Whether both hold the same content, as far as it was kept.
pub(super) fn same_body(one: &Body, other: &Body) -> bool {
    BodyChange::between(one, other) == BodyChange::Same
}

/// The beginning of the content and its whole length, where both can be told.
fn known(body: &Body) -> Option<(&[u8], u64)> {
    if body.lost > 0 || body.skipped > 0 {
        return None;
    }
    match &body.decoded {
        Some(decoded) => decoded.complete.then_some((&decoded.bytes, decoded.len)),
        None => {
            (body.seen == 0 || !body.kept.is_empty()).then_some((body.kept.as_slice(), body.seen))
        }
    }
}

fn by_name(head: &Head) -> BTreeMap<Vec<u8>, Vec<&[u8]>> {
    let mut map: BTreeMap<Vec<u8>, Vec<&[u8]>> = BTreeMap::new();
    for field in head.fields().filter(|f| is_compared(f.name)) {
        map.entry(lower(field.name)).or_default().push(field.value);
    }
    map
}

fn is_compared(name: &[u8]) -> bool {
    !name.eq_ignore_ascii_case(b"host")
}

fn lower(name: &[u8]) -> Vec<u8> {
    name.to_ascii_lowercase()
}

fn differs<T: PartialEq>(before: T, after: T) -> Option<(T, T)> {
    (before != after).then_some((before, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{exchange, request, response};

    #[test]
    fn what_a_proxy_did() {
        let outer = exchange(
            request(
                "POST /api/orders HTTP/1.1\r\nHost: shop.example\r\nAccept: a\r\naccept: b\r\n\
                 Connection: close\r\nX-Same: 1\r\n\r\n",
                b"body",
            ),
            response("HTTP/1.1 403 Forbidden\r\nServer: nginx\r\n\r\n", b"no"),
        );
        let inner = exchange(
            request(
                "POST /orders HTTP/1.1\r\nHost: app\r\nAccept: a, b\r\nx-same: 1\r\n\
                 X-Forwarded-For: 10.0.0.7\r\n\r\n",
                b"body",
            ),
            response(
                "HTTP/1.1 401 No\r\nServer: gunicorn\r\nX-Id: 5\r\n\r\n",
                b"NO",
            ),
        );
        let changes = Changes::between(&outer, &inner);
        let asked = changes.request.unwrap();
        assert_eq!(asked.method, None);
        assert_eq!(asked.target, Some((&b"/api/orders"[..], &b"/orders"[..])));
        assert_eq!(asked.host, Some((&b"shop.example"[..], &b"app"[..])));
        assert_eq!(names(&asked.message.added), ["X-Forwarded-For"]);
        assert_eq!(names(&asked.message.dropped), ["Connection"]);
        assert_eq!(asked.message.rewritten.len(), 1);
        assert_eq!(asked.message.rewritten[0].before, [b"a", b"b"]);
        assert_eq!(asked.message.rewritten[0].after, [b"a, b"]);
        assert_eq!(asked.message.body, BodyChange::Same);
        let answered = changes.response.unwrap();
        assert_eq!(answered.status, Some((401, 403)));
        assert_eq!(answered.message.rewritten[0].before, [b"gunicorn"]);
        assert_eq!(names(&answered.message.dropped), ["X-Id"]);
        assert_eq!(answered.message.body, BodyChange::Changed);
    }

    #[test]
    fn what_was_not_seen_did_not_change() {
        let mut outer = exchange(
            request("POST / HTTP/1.1\r\nHost: x\r\n\r\n", b"body"),
            response("HTTP/1.1 403 Forbidden\r\n\r\n", b"no"),
        );
        let mut inner = outer.clone();
        let body = &mut inner.request.as_mut().unwrap().message.body;
        (body.lost, body.kept) = (2, b"bo".to_vec());
        let asked = RequestChanges::between(&outer, &inner).unwrap();
        assert_eq!(asked.message.body, BodyChange::Unknown);
        assert!(asked.is_empty());
        outer.response = None;
        let changes = Changes::between(&outer, &inner);
        assert!(changes.response.is_none());
    }

    fn names(fields: &[Field<'_>]) -> Vec<String> {
        let name = |f: &Field<'_>| String::from_utf8(f.name.to_vec()).unwrap();
        fields.iter().map(name).collect()
    }
}
