//! Host names with a wildcard in front, and what two of them have in common.
//!
//! Gateway API, `HTTPRouteSpec.hostnames`: `*.example.com` stands for one or more labels in front
//! of `example.com`, never for `example.com` itself. No name, and `*`, stand for any.

use std::collections::BTreeSet;

/// The names that are in both; `None` where none is. An empty set stands for any name.
pub(super) fn common(listener: &str, wanted: &BTreeSet<String>) -> Option<BTreeSet<String>> {
    let any = |host: &str| host.is_empty() || host == "*";
    if wanted.is_empty() || wanted.iter().any(|host| any(host)) {
        return Some(if any(listener) { BTreeSet::new() } else { BTreeSet::from([listener.to_lowercase()]) });
    }
    let both: BTreeSet<String> = match any(listener) {
        true => wanted.iter().map(|host| host.to_lowercase()).collect(),
        false => wanted.iter().filter_map(|host| narrower(listener, host)).collect(),
    };
    (!both.is_empty()).then_some(both)
}

/// The narrower of two names, where one holds the other. Names are compared without case.
pub(super) fn narrower(a: &str, b: &str) -> Option<String> {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    if a == b || host_covers(&a, &b) {
        return Some(b);
    }
    host_covers(&b, &a).then_some(a)
}

/// Whether a name with a wildcard holds another one.
pub fn host_covers(wide: &str, host: &str) -> bool {
    wide.strip_prefix('*').is_some_and(|rest| host.len() > rest.len() && host.ends_with(rest))
}

/// Whether the TLS section of an Ingress that lists `wide` covers `host`; there the wildcard stands
/// for one label (`IngressTLS.hosts`, RFC 6125).
pub(super) fn certificate_covers(wide: &str, host: &str) -> bool {
    let one_label = |rest: &str| host.split_once('.').is_some_and(|(_, tail)| tail == &rest[1..]);
    wide == host || wide.strip_prefix('*').is_some_and(|rest| rest.starts_with('.') && one_label(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_or_more_labels_and_not_for_none() {
        assert_eq!(narrower("*.example.com", "a.b.example.com").as_deref(), Some("a.b.example.com"));
        assert_eq!(narrower("*.example.com", "*.b.example.com").as_deref(), Some("*.b.example.com"));
        assert_eq!(narrower("*.example.com", "example.com"), None);
        assert_eq!(narrower("*.example.com", "badexample.com"), None);
    }

    #[test]
    fn a_certificate_covers_one_label() {
        assert!(certificate_covers("*.example.com", "a.example.com"));
        assert!(!certificate_covers("*.example.com", "a.b.example.com"));
        assert!(!certificate_covers("*.example.com", "example.com"));
    }
}
