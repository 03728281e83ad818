//! Whom a condition on the client means, in three values: those for whom it holds, and those for
//! whom it may hold, because their certificate or their request is not known.

use super::super::{Namespaces, Peer, Population, Selection};
use super::wire::Text;
use crate::model::{AddressSet, Condition, Requirement, Selector, fact};

/// A condition on the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Any of these: it holds.
    pub sure: Vec<Peer>,
    /// Any of these: it may hold, the sure ones among them.
    pub possible: Vec<Peer>,
    /// What makes the difference; empty where there is none.
    pub conditions: Vec<Condition>,
}

/// A proxy whose configuration was read, and the names that its certificates have.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its key.
    pub key: String,
    /// The names; `None` where they are not known.
    pub names: Option<Vec<String>>,
}

impl Who {
    /// Everybody.
    pub fn everyone() -> Who {
        Who::exactly(vec![Peer::All(Vec::new())])
    }

    /// Nobody.
    pub fn nobody() -> Who {
        Who::exactly(Vec::new())
    }

    /// These.
    pub fn exactly(peers: Vec<Peer>) -> Who {
        Who { sure: peers.clone(), possible: peers, conditions: Vec::new() }
    }

    /// Some of everybody, by a condition that connections do not show.
    pub fn narrowed(condition: Condition) -> Who {
        Who { sure: Vec::new(), possible: Who::everyone().possible, conditions: vec![condition] }
    }

    /// Both conditions hold.
    pub fn and(self, other: Who) -> Who {
        let (sure, possible) = (both(&self.sure, &other.sure), both(&self.possible, &other.possible));
        Who { sure, possible, conditions: joined(self.conditions, other.conditions) }
    }

    /// One of them holds.
    pub fn or(mut self, other: Who) -> Who {
        self.sure.extend(other.sure);
        self.possible.extend(other.possible);
        Who { conditions: joined(self.conditions, other.conditions), ..self }
    }

    /// It does not hold.
    pub fn negated(self) -> Who {
        let words = |conditions: Vec<Condition>| {
            conditions.into_iter().map(|c| Condition::Other(format!("not ({c})"))).collect()
        };
        Who { sure: none_of(self.possible), possible: none_of(self.sure), conditions: words(self.conditions) }
    }

    /// Only where something else holds for certain.
    pub fn within(self, peer: &Peer) -> Who {
        self.and(Who::exactly(vec![peer.clone()]))
    }
}

fn joined(mut a: Vec<Condition>, b: Vec<Condition>) -> Vec<Condition> {
    a.extend(b);
    a.sort();
    a.dedup();
    a
}

/// Whoever is in both lists.
fn both(a: &[Peer], b: &[Peer]) -> Vec<Peer> {
    let flat = |peer: &Peer| match peer {
        Peer::All(parts) => parts.clone(),
        other => vec![other.clone()],
    };
    let pair = |(one, two): (&Peer, &Peer)| {
        let mut parts = flat(one);
        parts.extend(flat(two).into_iter().filter(|part| !flat(one).contains(part)));
        if parts.len() == 1 { parts.remove(0) } else { Peer::All(parts) }
    };
    a.iter().flat_map(|one| b.iter().map(move |two| (one, two))).map(pair).collect()
}

/// Whoever is in none.
fn none_of(peers: Vec<Peer>) -> Vec<Peer> {
    if peers.iter().any(|peer| matches!(peer, Peer::All(parts) if parts.is_empty())) {
        return Vec::new();
    }
    let mut parts: Vec<Peer> = peers.into_iter().map(|peer| Peer::Not(Box::new(peer))).collect();
    vec![if parts.len() == 1 { parts.remove(0) } else { Peer::All(parts) }]
}

/// Endpoints of every kind that proxies can stand for.
pub fn endpoints(selector: &Selector) -> Vec<Selection> {
    let of =
        |population| Selection { population, namespaces: Namespaces::any(), endpoints: selector.clone() };
    [Population::Pods, Population::HostNetwork, Population::Standalone].map(of).into()
}

/// The endpoints of proxies.
pub fn proxies<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<Selection> {
    any_proxy(keys).map_or_else(Vec::new, |selector| endpoints(&selector))
}

/// Whoever has one of these proxies; `None` where there is none.
pub fn any_proxy<'a>(keys: impl IntoIterator<Item = &'a str>) -> Option<Selector> {
    let one =
        |key: &str| Selector { requirements: vec![Requirement::Exists(format!("{}{key}", fact::PROXY))] };
    let mut choices: Vec<Selector> = keys.into_iter().map(one).collect();
    match choices.len() {
        0 | 1 => choices.pop(),
        _ => Some(Selector::any_of(choices)),
    }
}

/// Addresses.
pub fn addresses(set: AddressSet) -> Who {
    Who::exactly(vec![Peer::Addresses(set)])
}

/// Whoever proves a name that a matcher takes.
pub fn named(matcher: &Text, known: &[Known]) -> Who {
    let proven = |selections: Vec<Selection>| -> Vec<Peer> {
        let peer = |selection| Peer::All(vec![Peer::Endpoints(selection), Peer::Authenticated]);
        selections.into_iter().map(peer).collect()
    };
    let verdict = |one: &&Known| -> Option<bool> {
        let names = one.names.as_ref()?;
        let each: Option<Vec<bool>> = names.iter().map(|name| matcher.matches(name)).collect();
        let each = each?;
        match (each.iter().all(|fits| *fits), each.iter().any(|fits| *fits)) {
            (true, _) => Some(true),
            (false, false) => Some(false),
            (false, true) => None,
        }
    };
    let keys = |wanted: &[Option<bool>]| -> Vec<&str> {
        known.iter().filter(|one| wanted.contains(&verdict(one))).map(|one| one.key.as_str()).collect()
    };
    let sure = keys(&[Some(true)]);
    let unsure = keys(&[None]);
    let (mut certain, mut possible) = (proxies(sure), proxies(keys(&[Some(true), None])));
    let mut conditions = Vec::new();
    if !unsure.is_empty() {
        conditions.push(Condition::Principals(vec![matcher.words()]));
    }
    match of_mesh(matcher) {
        OfMesh::Exactly(selector) => {
            certain.extend(pods(&selector));
            possible.extend(pods(&selector));
        }
        OfMesh::Nobody => {}
        OfMesh::Somebody => {
            possible.extend(pods(&Selector::everything()));
            conditions = vec![Condition::Principals(vec![matcher.words()])];
        }
    }
    Who { sure: proven(certain), possible: proven(possible), conditions }
}

/// Pods of meshes, which are known by namespace and account.
fn pods(selector: &Selector) -> Vec<Selection> {
    let mut all = endpoints(selector);
    all.retain(|selection| selection.population != Population::Standalone);
    all
}

/// Which pods of a mesh a matcher of names takes.
enum OfMesh {
    /// Those.
    Exactly(Selector),
    /// None: the name is no identity of a pod.
    Nobody,
    /// Nobody can say.
    Somebody,
}

/// Identities of pods are `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.
fn of_mesh(matcher: &Text) -> OfMesh {
    let account = |rest: &str| {
        let (namespace, account) = rest.split_once("/sa/")?;
        let both = Selector::equals(fact::NAMESPACE, namespace)
            .and(Selector::equals(fact::SERVICE_ACCOUNT, account));
        Some(both)
    };
    if let Some(name) = matcher.exact() {
        let found = name.strip_prefix("spiffe://").and_then(|name| account(name.split_once("/ns/")?.1));
        return found.map_or(OfMesh::Nobody, OfMesh::Exactly);
    }
    // As Istio writes `namespaces`.
    let namespace = matcher.regex().and_then(|regex| regex.strip_prefix(".*/ns/")?.strip_suffix("/.*"));
    let plain = |text: &&str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if let Some(namespace) = namespace.filter(plain) {
        return OfMesh::Exactly(Selector::equals(fact::NAMESPACE, namespace));
    }
    let behind = matcher.prefix().and_then(|prefix| prefix.strip_prefix("spiffe://")?.split_once("/ns/"));
    match behind.and_then(|(_, rest)| rest.split_once('/')) {
        Some((namespace, "" | "sa/")) => OfMesh::Exactly(Selector::equals(fact::NAMESPACE, namespace)),
        _ => OfMesh::Somebody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_stays_possible_on_both_sides_of_a_negation() {
        let narrowed = Who::narrowed(Condition::Methods(vec!["GET".into()]));
        let negated = narrowed.clone().negated();
        assert!(negated.sure.is_empty());
        assert_eq!(negated.possible, Who::everyone().possible);
        assert_eq!(negated.conditions, [Condition::Other("not (methods GET)".into())]);
        assert_eq!(Who::everyone().negated(), Who::nobody());
        assert_eq!(Who::nobody().negated(), Who::everyone());
        assert_eq!(Who::everyone().and(Who::everyone()), Who::everyone());
    }
}
