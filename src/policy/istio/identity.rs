//! Identities that rules name, as selections of the pods that have them.
//!
//! A pod's identity is `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, so patterns on it are conditions on
//! its namespace and account.

use super::super::{Namespaces, Peer, one_of};
use super::membership::{all, pods};
use super::mesh_config::MeshConfig;
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

/// `namespaces`.
pub fn namespaces(values: &[String]) -> Peer {
    proven(values.iter().map(|value| like(fact::NAMESPACE, value)).collect())
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
    let local = |value: &String| {
        let fits = |domain: &String| match (value.strip_prefix('*'), value.strip_suffix('*')) {
            (Some(tail), _) => domain.ends_with(tail),
            (_, Some(head)) => domain.starts_with(head),
            (None, None) => domain == value,
        };
        config.trust_domains.iter().any(fits)
    };
    let choice = if values.iter().any(local) { Selector::everything() } else { Selector::nothing() };
    proven(vec![choice])
}

/// `principals`.
pub fn principals(values: &[String], config: &MeshConfig) -> Peer {
    if values.iter().any(|value| value == "*") {
        return Peer::Authenticated;
    }
    proven(values.iter().flat_map(|value| principal(value, config)).collect())
}

fn principal(value: &str, config: &MeshConfig) -> Vec<Selector> {
    if let Some(tail) = value.strip_prefix('*') {
        return ending(tail, config);
    }
    let choices = config.trust_domains.iter().filter_map(|domain| {
        let prefix = format!("{domain}/ns/");
        match value.strip_suffix('*') {
            Some(head) if prefix.starts_with(head) => Some(Selector::everything()),
            Some(head) => starting(head.strip_prefix(&prefix)?),
            None => {
                let (namespace, account) = value.strip_prefix(&prefix)?.split_once("/sa/")?;
                Some(all([is(fact::NAMESPACE, namespace), is(fact::SERVICE_ACCOUNT, account)]))
            }
        }
    });
    let mut choices: Vec<Selector> = choices.collect();
    choices.dedup();
    choices
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
            let local = |known: &String| format!("{known}/ns").ends_with(domain);
            if config.trust_domains.iter().any(local) {
                with(is(fact::NAMESPACE, namespace))
            } else {
                Vec::new()
            }
        }
    }
}
