//! Label selectors as all Kubernetes-style languages share them.
//!
//! The rules are those of `metav1.LabelSelector`: requirements are joined by AND, values are
//! compared byte by byte, and the negative operators hold where the key is absent.

use std::collections::BTreeMap;

/// Labels of one object.
pub type Labels = BTreeMap<String, String>;

/// A conjunction of requirements; the empty one selects everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Selector {
    /// All of them must hold.
    pub requirements: Vec<Requirement>,
}

/// One condition on one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Requirement {
    /// The key is present with one of the values.
    In(String, Vec<String>),
    /// The key is absent or has none of the values.
    NotIn(String, Vec<String>),
    /// The key is present, with any value, the empty one too.
    Exists(String),
    /// The key is absent.
    DoesNotExist(String),
}

impl Selector {
    /// Selects everything.
    pub fn everything() -> Self {
        Self::default()
    }

    /// `key In [value]`, the meaning of one `matchLabels` entry.
    pub fn equals(key: &str, value: &str) -> Self {
        Selector { requirements: vec![Requirement::In(key.to_owned(), vec![value.to_owned()])] }
    }

    /// Whether every label set matches.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether the labels satisfy every requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }
}

impl Requirement {
    /// The key that the requirement speaks of.
    pub fn key(&self) -> &str {
        match self {
            Requirement::In(key, _) | Requirement::NotIn(key, _) => key,
            Requirement::Exists(key) | Requirement::DoesNotExist(key) => key,
        }
    }

    /// Whether the labels satisfy this requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(self.key());
        match self {
            Requirement::In(_, values) => value.is_some_and(|v| values.contains(v)),
            Requirement::NotIn(_, values) => value.is_none_or(|v| !values.contains(v)),
            Requirement::Exists(_) => value.is_some(),
            Requirement::DoesNotExist(_) => value.is_none(),
        }
    }
}

impl std::fmt::Display for Selector {
    /// The notation of `kubectl -l`: `app=web,tier in (a,b),!legacy`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let one = |requirement: &Requirement| match requirement {
            Requirement::In(key, values) if values.len() == 1 => format!("{key}={}", values[0]),
            Requirement::In(key, values) => format!("{key} in ({})", values.join(",")),
            Requirement::NotIn(key, values) => format!("{key} notin ({})", values.join(",")),
            Requirement::Exists(key) => key.clone(),
            Requirement::DoesNotExist(key) => format!("!{key}"),
        };
        f.write_str(&self.requirements.iter().map(one).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_operators_hold_where_the_key_is_absent() {
        let none = Labels::new();
        assert!(Requirement::NotIn("a".into(), vec!["b".into()]).matches(&none));
        assert!(Requirement::DoesNotExist("a".into()).matches(&none));
        assert!(!Requirement::In("a".into(), vec![String::new()]).matches(&none));
    }
}
