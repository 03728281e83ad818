//! A set of few things, in one piece of memory that is as large as they are.

use std::borrow::Borrow;
use std::collections::BTreeSet;

/// A sorted list in which everything stands once. Where many come, collect them at once: adding to
/// it one by one moves what stands behind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Few<T>(Vec<T>);

impl<T: Ord> Few<T> {
    /// None.
    pub const fn new() -> Few<T> {
        Few(Vec::new())
    }

    /// Adds one.
    pub fn insert(&mut self, item: T) {
        if let Err(place) = self.0.binary_search(&item) {
            if self.0.is_empty() {
                self.0.reserve_exact(1);
            }
            self.0.insert(place, item);
        }
    }

    /// Whether it is there.
    pub fn contains<Q: Ord + ?Sized>(&self, item: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.binary_search_by(|own| own.borrow().cmp(item)).is_ok()
    }

    /// All in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// The least of them.
    pub fn first(&self) -> Option<&T> {
        self.0.first()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether none is among the others.
    pub fn is_disjoint(&self, others: &BTreeSet<T>) -> bool {
        !self.0.iter().any(|own| others.contains(own))
    }
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few(Vec::new())
    }
}

impl<T: Ord> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Few<T> {
        let mut all: Vec<T> = items.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        all.shrink_to_fit();
        Few(all)
    }
}

impl<T: Ord> Extend<T> for Few<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_some() {
            *self = std::mem::take(&mut self.0).into_iter().chain(items).collect();
        }
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_stands_once_and_in_order_however_it_comes() {
        let mut few: Few<String> = ["c", "a", "c"].map(str::to_owned).into_iter().collect();
        few.insert("b".to_owned());
        few.insert("a".to_owned());
        few.extend(["d", "b"].map(str::to_owned));
        assert_eq!(few.iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert!(few.contains("d") && !few.contains("e") && few.len() == 4);
        assert!(few.is_disjoint(&BTreeSet::from(["e".to_owned()])));
        assert!(!few.is_disjoint(&BTreeSet::from(["a".to_owned()])));
    }
}
