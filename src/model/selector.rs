//! Label selectors as all Kubernetes-style languages share them.
//!
//! The rules are those of `metav1.LabelSelector`: requirements are joined by AND, values are
//! compared byte by byte, and the negative operators hold where the key is absent.

use super::Labels;

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
    /// The key is present, with a value that fits.
    Fits(String, Pattern),
    /// One of these holds; none does where the list is empty.
    AnyOf(Vec<Selector>),
    /// This does not hold.
    Not(Box<Selector>),
}

/// What a value looks like, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pattern {
    /// It holds this text.
    Contains(String),
    /// It begins with it.
    StartsWith(String),
    /// It ends with it.
    EndsWith(String),
}

/// What selectors see of an endpoint beside its own labels. No label key begins with `@`, so
/// nothing that a user writes on a pod can stand for one of these.
pub mod fact {
    /// Name of the namespace; absent where the endpoint has none.
    pub const NAMESPACE: &str = "@namespace";
    /// Name of the service account.
    pub const SERVICE_ACCOUNT: &str = "@serviceaccount";
    /// What begins the key of a label of the namespace.
    pub const NAMESPACE_LABEL: &str = "@ns:";
    /// What begins the key of a label of the service account.
    pub const ACCOUNT_LABEL: &str = "@sa:";
    /// What begins the key of a profile that the endpoint lists; the value is its place in the list.
    pub const PROFILE: &str = "@profile:";
    /// Name of the node that the endpoint runs on, where it is one.
    pub const NODE: &str = "@node";
    /// What begins the key of an annotation of the pod (or of its template).
    pub const ANNOTATION: &str = "@annotation:";
    /// What begins the key of an annotation of the namespace.
    pub const NAMESPACE_ANNOTATION: &str = "@ns-annotation:";
    /// What begins the key of the name of a container; the value is empty.
    pub const CONTAINER: &str = "@container:";
    /// Begins the key of a user that a container beside the proxies runs as; its value is empty.
    pub const USER: &str = "@user:";
    /// Present on machines outside of the cluster (Istio WorkloadEntry); the value is empty.
    pub const MACHINE: &str = "@machine";
    /// `pod`, `host` or `machine`: whose network the endpoint lives in.
    pub const NETWORK: &str = "@network";
    /// Present where agents of nodes do not run (`NodeKind`); the value is empty.
    pub const NO_AGENT: &str = "@no-agent";
    /// Present where a pod was seen running: its status has an address; the value is empty.
    pub const RUNNING: &str = "@running";
    /// What begins the key of a proxy that the endpoint is or has beside it (`model::proxy`); the
    /// value is empty.
    pub const PROXY: &str = "@proxy:";
    /// What begins the key of an address that the endpoint has; the value is empty.
    pub const ADDRESS: &str = "@address:";
    /// `whole` where the Namespace object was read, `name` where only its name is known.
    pub const NAMESPACE_KNOWN: &str = "@namespace-known";
}

impl Selector {
    /// Selects everything.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Selects nothing.
    pub fn nothing() -> Self {
        Selector { requirements: vec![Requirement::AnyOf(Vec::new())] }
    }

    /// Both must hold.
    pub fn and(mut self, other: Selector) -> Self {
        self.requirements.extend(other.requirements);
        self.requirements.sort();
        self.requirements.dedup();
        self
    }

    /// One of these holds.
    pub fn any_of(choices: Vec<Selector>) -> Self {
        Selector { requirements: vec![Requirement::AnyOf(choices)] }
    }

    /// The opposite.
    pub fn negated(self) -> Self {
        Selector { requirements: vec![Requirement::Not(Box::new(self))] }
    }

    /// Calls `visit` with every key that the selector speaks of.
    pub fn for_each_key(&self, visit: &mut impl FnMut(&str)) {
        for requirement in &self.requirements {
            match requirement {
                Requirement::AnyOf(choices) => {
                    for choice in choices {
                        choice.for_each_key(visit);
                    }
                }
                Requirement::Not(selector) => selector.for_each_key(visit),
                other => visit(other.key().unwrap_or_default()),
            }
        }
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
    /// The key that the requirement speaks of; `None` where it is made of several selectors.
    pub fn key(&self) -> Option<&str> {
        match self {
            Requirement::In(key, _) | Requirement::NotIn(key, _) | Requirement::Fits(key, _) => Some(key),
            Requirement::Exists(key) | Requirement::DoesNotExist(key) => Some(key),
            Requirement::AnyOf(_) | Requirement::Not(_) => None,
        }
    }

    /// Whether the labels satisfy this requirement.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = self.key().and_then(|key| labels.get(key));
        match self {
            Requirement::Fits(_, pattern) => value.is_some_and(|v| pattern.fits(v)),
            Requirement::AnyOf(choices) => choices.iter().any(|choice| choice.matches(labels)),
            Requirement::Not(selector) => !selector.matches(labels),
            Requirement::In(_, values) => value.is_some_and(|v| values.iter().any(|one| one == v)),
            Requirement::NotIn(_, values) => value.is_none_or(|v| values.iter().all(|one| one != v)),
            Requirement::Exists(_) => value.is_some(),
            Requirement::DoesNotExist(_) => value.is_none(),
        }
    }
}

impl Pattern {
    /// Whether a value looks like this.
    pub fn fits(&self, value: &str) -> bool {
        match self {
            Pattern::Contains(text) => value.contains(text.as_str()),
            Pattern::StartsWith(text) => value.starts_with(text.as_str()),
            Pattern::EndsWith(text) => value.ends_with(text.as_str()),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Pattern::Contains(text) => write!(f, "contains {text:?}"),
            Pattern::StartsWith(text) => write!(f, "starts with {text:?}"),
            Pattern::EndsWith(text) => write!(f, "ends with {text:?}"),
        }
    }
}

impl std::fmt::Display for Selector {
    /// The notation of `kubectl -l` (`app=web,tier in (a,b),!legacy`), with words for what it lacks.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let one = |requirement: &Requirement| match requirement {
            Requirement::In(key, values) if values.len() == 1 => format!("{key}={}", values[0]),
            Requirement::In(key, values) => format!("{key} in ({})", values.join(",")),
            Requirement::NotIn(key, values) => format!("{key} notin ({})", values.join(",")),
            Requirement::Exists(key) => key.clone(),
            Requirement::DoesNotExist(key) => format!("!{key}"),
            Requirement::Fits(key, pattern) => format!("{key} {pattern}"),
            Requirement::AnyOf(choices) if choices.is_empty() => "nothing".to_owned(),
            Requirement::AnyOf(choices) => {
                let each: Vec<String> = choices.iter().map(ToString::to_string).collect();
                format!("({})", each.join(" or "))
            }
            Requirement::Not(selector) => format!("not ({selector})"),
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
