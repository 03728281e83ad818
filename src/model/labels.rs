//! Labels of one object: few, so that a sorted list holds them in one piece of memory.

use super::Text;

/// Keys with their values, sorted by key; each key stands once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Vec<(Text, Text)>);

impl Labels {
    /// None.
    pub const fn new() -> Labels {
        Labels(Vec::new())
    }

    /// None yet, with room for so many.
    pub fn with_capacity(count: usize) -> Labels {
        Labels(Vec::with_capacity(count))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Text> {
        self.place(key).ok().map(|place| &self.0[place].1)
    }

    /// Whether a key is there, with any value.
    pub fn contains_key(&self, key: &str) -> bool {
        self.place(key).is_ok()
    }

    /// Sets the value of a key; what it was comes back.
    pub fn insert(&mut self, key: impl Into<Text>, value: impl Into<Text>) -> Option<Text> {
        let (key, value) = (key.into(), value.into());
        match self.place(&key) {
            Ok(place) => Some(std::mem::replace(&mut self.0[place].1, value)),
            Err(place) => {
                self.0.reserve_exact(1);
                self.0.insert(place, (key, value));
                None
            }
        }
    }

    /// Sets the value of a key that is not there yet.
    pub fn insert_if_absent(&mut self, key: &str, value: &str) {
        if !self.contains_key(key) {
            self.insert(key, value);
        }
    }

    /// Takes out those for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(&Text, &Text) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
    }

    /// All of them in the order of keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Text)> + Clone {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The keys in their order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Text> {
        self.0.iter().map(|(key, _)| key)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where a key is, or would be.
    fn place(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| own.as_str().cmp(key))
    }
}

impl<K: Into<Text>, V: Into<Text>> Extend<(K, V)> for Labels {
    /// Of equal keys the last counts.
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, labels: I) {
        for (key, value) in labels {
            self.insert(key, value);
        }
    }
}

impl<K: Into<Text>, V: Into<Text>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(labels: I) -> Labels {
        let mut all = Labels::new();
        all.extend(labels);
        all
    }
}

impl IntoIterator for Labels {
    type Item = (Text, Text);
    type IntoIter = std::vec::IntoIter<(Text, Text)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a (Text, Text);
    type IntoIter = std::slice::Iter<'a, (Text, Text)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_once_and_in_order_however_they_come() {
        let labels: Labels = [("b", "1"), ("a", "2"), ("b", "3")].into_iter().collect();
        let all: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(all, [("a", "2"), ("b", "3")]);
        assert_eq!(labels, [("b", "3"), ("a", "2")].into_iter().collect());
        assert_eq!(labels.get("b").map(Text::as_str), Some("3"));
        assert!(labels.get("c").is_none() && !labels.contains_key("") && labels.len() == 2);
    }

    #[test]
    fn what_is_there_stays_where_only_absent_keys_are_set() {
        let mut labels: Labels = [("a", "1")].into_iter().collect();
        labels.insert_if_absent("a", "2");
        labels.insert_if_absent("b", "2");
        assert_eq!(labels, [("a", "1"), ("b", "2")].into_iter().collect());
        assert_eq!(labels.insert("a", "3"), Some("1".into()));
    }
}
