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
            DomainPattern::WithinLabels(pattern) => label_glob(pattern, &name),
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

/// `*` stands for any number of characters but dots, so labels are compared one by one.
fn label_glob(pattern: &str, name: &str) -> bool {
    let (patterns, names) = (pattern.split('.'), name.split('.'));
    patterns.clone().count() == names.clone().count()
        && patterns.zip(names).all(|(pattern, label)| glob(pattern.as_bytes(), label.as_bytes()))
}

/// Where a piece does not fit, the last star takes one character more; earlier ones never need to.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read, mut star) = (0, 0, None);
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, read));
                at += 1;
            }
            Some(byte) if *byte == text[read] => (at, read) = (at + 1, read + 1),
            _ => match star {
                Some((behind, from)) => {
                    star = Some((behind, from + 1));
                    (at, read) = (behind, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
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
        assert!(DomainPattern::within_labels("a*b*c.d").fits("a-b-b-c.d"));
        assert!(!DomainPattern::within_labels("a*b*c.d").fits("a-c-b.d"));
    }

    #[test]
    fn many_stars_cost_no_more_than_few() {
        let pattern = DomainPattern::within_labels(&format!("{}b", "*a".repeat(60)));
        assert!(!pattern.fits(&"a".repeat(250)));
    }
}
