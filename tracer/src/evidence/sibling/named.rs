//! Values by name, as two requests compare.

use std::borrow::Cow;

/// In the order of the names, each of which is there once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named<'a>(Vec<Entry<'a>>);

/// A name and its value.
type Entry<'a> = (Cow<'a, str>, Cow<'a, [u8]>);

impl<'a> Named<'a> {
    /// Of a name that comes again, the last value counts.
    pub(super) fn last_of(entries: impl Iterator<Item = Entry<'a>>) -> Self {
        Self::merged(entries, |earlier, later| *earlier = later)
    }

    /// Of a name that comes again, the values are joined.
    pub(super) fn all_of(entries: impl Iterator<Item = Entry<'a>>) -> Self {
        Self::merged(entries, |earlier, later| {
            earlier.to_mut().extend_from_slice(&later);
        })
    }

    fn merged(
        entries: impl Iterator<Item = Entry<'a>>,
        merge: impl Fn(&mut Cow<'a, [u8]>, Cow<'a, [u8]>),
    ) -> Self {
        let mut entries: Vec<Entry<'a>> = entries.collect();
        // Values of one name stay in their order: the sort is stable.
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|(name, later), (known, earlier)| {
            let again = name == known;
            if again {
                merge(earlier, std::mem::take(later));
            }
            again
        });
        Self(entries)
    }

    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(name));
        at.ok()
            .and_then(|at| self.0.get(at))
            .map(|(_, value)| &**value)
    }

    /// The names that are in `other` and not here.
    pub(super) fn lacking<'o>(&self, other: &'o Named<'_>) -> impl Iterator<Item = &'o str> {
        let names = other.0.iter().map(|(name, _)| &**name);
        names.filter(|name| self.get(name).is_none())
    }

    /// The names that are not in `other`, or there with another value.
    pub(super) fn differing(&self, other: &Named<'_>) -> impl Iterator<Item = &str> {
        let differ = |(name, value): &&Entry<'_>| other.get(name) != Some(&**value);
        self.0.iter().filter(differ).map(|(name, _)| &**name)
    }

    /// What outlives the request.
    pub(super) fn into_owned(self) -> Named<'static> {
        let entries = self.0.into_iter();
        Named(
            entries
                .map(|(name, value)| (owned(name), owned(value)))
                .collect(),
        )
    }
}

/// What outlives that from which it was borrowed.
pub(super) fn owned<T: ToOwned + ?Sized + 'static>(value: Cow<'_, T>) -> Cow<'static, T> {
    Cow::Owned(value.into_owned())
}
