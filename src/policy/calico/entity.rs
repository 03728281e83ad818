//! One side of a rule (`EntityRule`) → the peers that it means.

use super::super::{Peer, Peers, ServiceChoice, Services};
use super::families::Families;
use super::known::KnownAddresses;
use super::place::Place;
use super::scope::{self, All, Scope};
use super::selector::Expr;
use super::wire::{AccountSpec, EntitySpec, ServiceSpec};
use crate::model::{Problem, Requirement, Selector, fact};

/// What rules of one policy have in common.
pub struct Owner<'a> {
    /// The namespace of a namespaced policy.
    pub namespace: Option<&'a str>,
    /// Addresses that selectors match.
    pub known: &'a KnownAddresses,
}

/// What cannot be known of a rule whose service has no namespace: the API says that it is that of
/// the policy (`ServiceMatch.namespace`), and Felix looks for a service without one and finds none
/// (`ruleToParsedRule`). Such a rule may match or not.
pub const BARE_SERVICE: &str =
    "a service without a namespace, which Felix does not look for in that of the policy";

/// Which side of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `source`.
    Source,
    /// `destination`.
    Destination,
}

impl Side {
    /// The field.
    pub fn word(self) -> &'static str {
        match self {
            Side::Source => "source",
            Side::Destination => "destination",
        }
    }
}

/// What a selector of a side can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Whatever has labels.
    Everything,
    /// What has ports with names: where `ports` holds names alone, the selector chooses among the
    /// owners of such ports, and addresses of network sets are not asked (`ruleToParsedRule`).
    NamedPorts,
}

/// All conditions of a side; ports are left to `rule`.
///
/// # Errors
/// A selector, network or combination that the API refuses.
pub fn conditions(
    owner: &Owner<'_>,
    place: &Place<'_>,
    entity: &EntitySpec,
    families: Families,
    reach: Reach,
) -> Result<Vec<Condition>, Problem> {
    let EntitySpec {
        nets,
        not_nets,
        selector,
        not_selector,
        namespace_selector,
        services,
        service_accounts,
        ..
    } = entity;
    let mut conditions = Vec::new();
    if let Some(nets) = nets.as_ref().filter(|nets| !nets.is_empty()) {
        let set = families.cut(&place.field("nets").networks(nets)?);
        conditions.push(vec![Peer::Addresses(set)]);
    }
    if let Some(nets) = not_nets.as_ref().filter(|nets| !nets.is_empty()) {
        let set = families.cut(&place.field("notNets").networks(nets)?);
        conditions.push(vec![Peer::Not(Box::new(Peer::Addresses(set)))]);
    }
    let given = |text: &Option<String>| text.as_ref().filter(|text| !text.is_empty()).cloned();
    let accounts = service_accounts.as_ref().map_or(Ok(None), |accounts| of_accounts(place, accounts))?;
    let own = match given(selector) {
        Some(text) => Some(own_labels(&place.selector_without_global("selector", &text)?)),
        None => None,
    };
    let chosen = match (own, accounts) {
        (None, None) => None,
        (own, accounts) => Some(own.unwrap_or_default().and(accounts.unwrap_or_default())),
    };
    let not_selector = given(not_selector);
    let among = match given(namespace_selector) {
        Some(text) => {
            let expr = place.selector("namespaceSelector", &text)?;
            Some(scope::lower(&expr, Scope::Namespace, All::InNamespace))
        }
        None if chosen.is_some() || not_selector.is_some() => {
            owner.namespace.map(|name| Selector::equals(fact::NAMESPACE, name))
        }
        None => None,
    };
    let positive = among.into_iter().chain(chosen).reduce(Selector::and);
    let left_out = match not_selector {
        Some(text) => Some(own_labels(&place.selector_without_global("notSelector", &text)?)),
        None => None,
    };
    match (positive, left_out) {
        // Beside another selector it thins out what that matches, one labelled thing after the
        // other: an address is not taken away because something else has it too.
        (Some(chosen), Some(left_out)) => {
            conditions.push(known(owner, &chosen.and(left_out.negated()), reach));
        }
        (Some(chosen), None) => conditions.push(known(owner, &chosen, reach)),
        (None, Some(left_out)) => {
            conditions.push(vec![Peer::Not(Box::new(any_of(known(owner, &left_out, Reach::Everything))))]);
        }
        (None, None) => {}
    }
    if let Some(services) = services {
        conditions.push(vec![Peer::Backends(of_service(owner, place, services)?)]);
    }
    Ok(conditions)
}

/// One condition: any of these peers.
pub type Condition = Vec<Peer>;

/// All conditions at once.
pub fn together(mut conditions: Vec<Condition>) -> Peers {
    match conditions.len() {
        0 => Peers::Everyone,
        1 => Peers::Among(conditions.swap_remove(0)),
        _ => Peers::Among(vec![Peer::All(conditions.into_iter().map(any_of).collect())]),
    }
}

/// Some peers, but for others among them.
pub fn but(peers: Peers, left_out: &Peers) -> Peers {
    let (Peers::Among(all), Peers::Among(left_out)) = (&peers, left_out) else { return peers };
    let left = Peer::Not(Box::new(any_of(left_out.clone())));
    Peers::Among(vec![Peer::All(vec![any_of(all.clone()), left])])
}

fn any_of(mut peers: Vec<Peer>) -> Peer {
    match peers.len() {
        1 => peers.swap_remove(0),
        _ => {
            let nots = peers.into_iter().map(|peer| Peer::Not(Box::new(peer))).collect();
            Peer::Not(Box::new(Peer::All(nots)))
        }
    }
}

fn own_labels(expr: &Expr) -> Selector {
    scope::lower(expr, Scope::Endpoint, All::Everything)
}

/// Pods that a selector matches, and the addresses of everything else that it matches.
fn known(owner: &Owner<'_>, selector: &Selector, reach: Reach) -> Condition {
    let addresses = match reach {
        Reach::Everything => owner.known.matching(selector),
        Reach::NamedPorts => owner.known.matching_hosts(selector),
    };
    let mut peers = vec![Peer::Endpoints(scope::pods(None, selector))];
    if !addresses.is_empty() {
        peers.push(Peer::Addresses(addresses));
    }
    peers
}

/// `serviceAccounts`: one of the names, and the selector.
fn of_accounts(place: &Place<'_>, accounts: &AccountSpec) -> Result<Option<Selector>, Problem> {
    let AccountSpec { names, selector } = accounts;
    let place = place.field("serviceAccounts");
    let mut parts = Vec::new();
    if let Some(names) = names.as_ref().filter(|names| !names.is_empty()) {
        let member = Requirement::In(fact::SERVICE_ACCOUNT.to_owned(), names.clone());
        parts.push(Selector { requirements: vec![member] });
    }
    if let Some(text) = selector.as_ref().filter(|text| !text.is_empty()) {
        let expr = place.selector_without_global("selector", text)?;
        // Here `all()` stays what it is elsewhere: everything that has labels, network sets too.
        parts.push(scope::lower(&expr, Scope::Account, All::Everything));
    }
    Ok(parts.into_iter().reduce(Selector::and))
}

/// The service that a side names; a namespaced policy means one of its own namespace.
///
/// # Errors
/// No name, or no namespace where the policy has none.
pub fn of_service(owner: &Owner<'_>, place: &Place<'_>, service: &ServiceSpec) -> Result<Services, Problem> {
    let ServiceSpec { name, namespace } = service;
    let place = place.field("services");
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let Some(name) = filled(name) else {
        return Err(place.refuse("services has no name", "name the service"));
    };
    match filled(namespace).or(owner.namespace.map(str::to_owned)) {
        Some(namespace) => Ok(Services { namespace: Some(namespace), chosen: ServiceChoice::Named(name) }),
        None => {
            let hint = "a global policy has no namespace of its own: add namespace beside the name";
            Err(place.refuse("services has no namespace", hint))
        }
    }
}
