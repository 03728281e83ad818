//! Other names of the trust domain: what istiod makes of principals and trust domains in rules before
//! Envoy compares them (`pilot/pkg/security/trustdomain/bundle.go`). Policies for ztunnel are not
//! changed so (`stringToMatch` of `ambient/authorization.go`).

use super::mesh_config::{CLUSTER_LOCAL, TrustDomains};

/// A principal with each name of the trust domain, where it names one as a part of its own
/// (`ReplaceTrustDomainAliases`): `DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, and no other form.
pub fn principals(value: &str, domains: &TrustDomains) -> Vec<String> {
    let parts: Vec<&str> = value.split('/').collect();
    let [named, rest @ ..] = &parts[..] else { return vec![value.to_owned()] };
    let known = || std::iter::once(&domains.own).chain(&domains.aliases);
    let is_local = || *named == CLUSTER_LOCAL || known().any(|own| like(named, own) || like(own, named));
    if parts.len() != 5 || *named == "*" || !is_local() {
        return vec![value.to_owned()];
    }
    let one = |own: &String| match named.strip_prefix('*') {
        Some(tail) if own.ends_with(tail) => value.to_owned(),
        _ => format!("{own}/{}", rest.join("/")),
    };
    let mut all: Vec<String> = known().map(one).collect();
    all.dedup();
    all
}

/// A trust domain, with its other names where it is the local one (`ExpandTrustDomainAliases`).
pub fn domains(value: &str, domains: &TrustDomains) -> Vec<String> {
    let known = || std::iter::once(&domains.own).chain(&domains.aliases);
    match known().any(|own| own == value) {
        true => known().cloned().collect(),
        false => vec![value.to_owned()],
    }
}

/// `abc`, `abc*`, `*abc`.
pub fn like(text: &str, pattern: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(tail), _) => text.ends_with(tail),
        (_, Some(head)) => text.starts_with(head),
        (None, None) => text == pattern,
    }
}
