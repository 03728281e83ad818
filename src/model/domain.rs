//! Names of outside endpoints, and the patterns that rules write for them.

use std::fmt;

/// A name or pattern; lower case, without a trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DomainPattern {
    /// This name alone.
    Exact(String),
    /// `*.example.com` in ClusterNetworkPolicy: one or more labels before it, never the name itself.
    Below(String),
    /// Each `*` stands for characters within one label (Cilium `matchPattern`).
    WithinLabels(String),
    /// Every name.
    Any,
}

/// Lower case, no trailing dot: how names are compared (RFC 4343).
fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

impl DomainPattern {
    /// One name.
    pub fn exact(name: &str) -> Self {
        DomainPattern::Exact(canonical(name))
    }

    /// Names at any depth below one.
    pub fn below(name: &str) -> Self {
        DomainPattern::Below(canonical(name))
    }

    /// Names with `*` inside labels.
    pub fn within_labels(pattern: &str) -> Self {
        DomainPattern::WithinLabels(canonical(pattern))
    }

    /// Whether a name fits.
    pub fn fits(&self, name: &str) -> bool {
        let name = canonical(name);
        match self {
            DomainPattern::Exact(exact) => *exact == name,
            DomainPattern::Below(apex) => {
                name.strip_suffix(apex.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            DomainPattern::WithinLabels(pattern) => label_glob(pattern.as_bytes(), name.as_bytes()),
            DomainPattern::Any => true,
        }
    }

    /// Whether a name that fits `other` may fit this one too; exact for single names.
    pub fn covers(&self, other: &DomainPattern) -> bool {
        match other {
            DomainPattern::Exact(name) => self.fits(name),
            _ => self == other || *self == DomainPattern::Any,
        }
    }
}

/// `*` stands for any number of characters but dots.
fn label_glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            label_glob(rest, name)
                || matches!(name, [first, more @ ..] if *first != b'.' && label_glob(pattern, more))
        }
        ([p, rest @ ..], [n, more @ ..]) if p == n => label_glob(rest, more),
        _ => false,
    }
}

impl fmt::Display for DomainPattern {
    /// As it was written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DomainPattern::Exact(name) | DomainPattern::WithinLabels(name) => f.write_str(name),
            DomainPattern::Below(apex) => write!(f, "*.{apex}"),
            DomainPattern::Any => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_below_are_at_any_depth_and_never_the_apex() {
        let pattern = DomainPattern::below("example.com");
        assert!(pattern.fits("a.b.Example.com.") && pattern.fits("a.example.com"));
        assert!(!pattern.fits("example.com") && !pattern.fits("badexample.com"));
    }

    #[test]
    fn a_star_stays_within_its_label() {
        let pattern = DomainPattern::within_labels("*.example.com");
        assert!(pattern.fits("a.example.com"));
        assert!(!pattern.fits("a.b.example.com") && !pattern.fits("example.com"));
        assert!(DomainPattern::within_labels("api-*.example.com").fits("api-.example.com"));
    }
}
