//! Identities that rules name, as selections of the pods that have them.
//!
//! A pod's identity is `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, so patterns on it are conditions on
//! its namespace and account.

use super::super::{Namespaces, Peer, one_of};
use super::membership::{all, pods};
use super::mesh_config::MeshConfig;
use super::trust_domain;
use crate::model::{Pattern, Requirement, Selector, fact};

/// Whoever has one of these identities and proves it.
fn proven(choices: Vec<Selector>) -> Peer {
    let selection = pods(Namespaces::any(), Selector::any_of(choices));
    Peer::All(vec![Peer::Endpoints(selection), Peer::Authenticated])
}

fn is(key: &str, value: &str) -> Selector {
    one_of(key, vec![value.to_owned()])
}

/// `abc`, `abc*`, `*abc`, `*` and, as `namespaces` has it, `a*c` on the value of a fact.
fn like(key: &str, pattern: &str) -> Selector {
    let fits = |pattern| Selector { requirements: vec![Requirement::Fits(key.to_owned(), pattern)] };
    let Some((head, rest)) = pattern.split_once('*') else { return is(key, pattern) };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    let mut selector = Selector { requirements: vec![Requirement::Exists(key.to_owned())] };
    if !head.is_empty() {
        selector = selector.and(fits(Pattern::StartsWith(head.to_owned())));
    }
    if !tail.is_empty() {
        selector = selector.and(fits(Pattern::EndsWith(tail.to_owned())));
    }
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        selector = selector.and(fits(Pattern::Contains(part.to_owned())));
    }
    selector
}

/// `namespaces`. The pattern is a regular expression on the whole identity (`srcNamespaceGenerator`):
/// what a star stands for may go on to the `/sa` behind the namespace.
pub fn namespaces(values: &[String]) -> Peer {
    let one = |value: &String| [Some(like(fact::NAMESPACE, value)), up_to_account(value)];
    proven(values.iter().flat_map(one).flatten().collect())
}

/// `namespaces` as ztunnel compares them: with the name alone, and with a star at one end.
pub fn namespace_names(values: &[String]) -> Peer {
    let one = |value: &String| match plain(value) {
        true => like(fact::NAMESPACE, value),
        false => Selector::nothing(),
    };
    proven(values.iter().map(one).collect())
}

/// Whether a pattern has a star at one end at most; any other star is compared as it is, and no name
/// has one.
fn plain(value: &str) -> bool {
    let rest = value.strip_prefix('*').or_else(|| value.strip_suffix('*')).unwrap_or(value);
    !rest.contains('*')
}

/// Namespaces that fit a pattern together with the `/sa` behind them.
fn up_to_account(pattern: &str) -> Option<Selector> {
    const BEHIND: &str = "/sa";
    let parts: Vec<&str> = pattern.split('*').collect();
    let [head, between @ .., tail] = &parts[..] else { return None };
    let front = tail.strip_suffix(BEHIND);
    let ends = front.is_some() || BEHIND.ends_with(tail);
    let reaches = !tail.is_empty() || between.iter().any(|part| !part.is_empty() && BEHIND.contains(*part));
    if !ends || !reaches {
        return None;
    }
    let fits = |pattern| one_that(Requirement::Fits(fact::NAMESPACE.to_owned(), pattern));
    let mut selector = one_that(Requirement::Exists(fact::NAMESPACE.to_owned()));
    if !head.is_empty() {
        selector = selector.and(fits(Pattern::StartsWith((*head).to_owned())));
    }
    if let Some(front) = front.filter(|front| !front.is_empty()) {
        selector = selector.and(fits(Pattern::EndsWith(front.to_owned())));
    }
    for part in between.iter().filter(|part| !BEHIND.contains(*part)) {
        selector = selector.and(fits(Pattern::Contains((*part).to_owned())));
    }
    Some(selector)
}

fn one_that(requirement: Requirement) -> Selector {
    Selector { requirements: vec![requirement] }
}

/// `serviceAccounts`: `account` of the policy's namespace, or `namespace/account`.
pub fn accounts(values: &[String], own: &str) -> Peer {
    let one = |value: &String| {
        let (namespace, account) = value.split_once('/').unwrap_or((own, value));
        all([is(fact::NAMESPACE, namespace), is(fact::SERVICE_ACCOUNT, account)])
    };
    proven(values.iter().map(one).collect())
}

/// `trustDomains`: everybody of this mesh, or nobody.
pub fn trust_domains(values: &[String], config: &MeshConfig) -> Peer {
    let local = values.iter().any(|value| trust_domain::like(&config.trust_domains.own, value));
    proven(vec![if local { Selector::everything() } else { Selector::nothing() }])
}

/// `principals`.
pub fn principals(values: &[String], config: &MeshConfig) -> Peer {
    if values.iter().any(|value| value == "*") {
        return Peer::Authenticated;
    }
    proven(values.iter().flat_map(|value| principal(value, config)).collect())
}

fn principal(value: &str, config: &MeshConfig) -> Vec<Selector> {
    if !plain(value) {
        return Vec::new();
    }
    if let Some(tail) = value.strip_prefix('*') {
        return ending(tail, config);
    }
    let prefix = format!("{}/ns/", config.trust_domains.own);
    let exact = || {
        let (namespace, account) = value.strip_prefix(&prefix)?.split_once("/sa/")?;
        Some(all([is(fact::NAMESPACE, namespace), is(fact::SERVICE_ACCOUNT, account)]))
    };
    let choice = match value.strip_suffix('*') {
        Some(head) if prefix.starts_with(head) => Some(Selector::everything()),
        Some(head) => head.strip_prefix(&prefix).and_then(starting),
        None => exact(),
    };
    choice.into_iter().collect()
}

/// Behind the trust domain: `NAMESPACE`, `NAMESPACE/s`, `NAMESPACE/sa/ACCOUNT`, cut anywhere.
fn starting(rest: &str) -> Option<Selector> {
    let Some((namespace, rest)) = rest.split_once('/') else {
        return Some(like(fact::NAMESPACE, &format!("{rest}*")));
    };
    match rest.strip_prefix("sa/") {
        Some(account) => {
            Some(all([is(fact::NAMESPACE, namespace), like(fact::SERVICE_ACCOUNT, &format!("{account}*"))]))
        }
        None => "sa/".starts_with(rest).then(|| is(fact::NAMESPACE, namespace)),
    }
}

fn ending(tail: &str, config: &MeshConfig) -> Vec<Selector> {
    let Some((before, account)) = tail.rsplit_once('/') else {
        return vec![like(fact::SERVICE_ACCOUNT, &format!("*{tail}"))];
    };
    let account = is(fact::SERVICE_ACCOUNT, account);
    let with = |namespace: Selector| vec![all([account.clone(), namespace])];
    if "/sa".ends_with(before) {
        return with(Selector::everything());
    }
    let Some(front) = before.strip_suffix("/sa") else { return Vec::new() };
    match front.rsplit_once('/') {
        None => with(like(fact::NAMESPACE, &format!("*{front}"))),
        Some((domain, namespace)) => {
            if format!("{}/ns", config.trust_domains.own).ends_with(domain) {
                with(is(fact::NAMESPACE, namespace))
            } else {
                Vec::new()
            }
        }
    }
}
