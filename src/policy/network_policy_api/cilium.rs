//! What Cilium makes of a ClusterNetworkPolicy in its own way (`ParseClusterNetworkPolicy` in
//! `pkg/k8s/cluster_network_policy.go` of 1.20): what it refuses as a whole, the order of rules, and the
//! DNS that it lets out for names.

use super::super::cilium::settings::{is_cilium, is_on};
use super::super::{
    Action, Dataplane, Namespaces, Peer, Peers, PolicyOrder, PortName, Rule, Selection, TierRank,
    TrafficMatch,
};
use super::kinds::Stage;
use super::wire::{PeerShape, Shape};
use crate::model::{Condition, DomainPattern, Narrowing, Origin, Requirement, Selector};
use std::collections::{BTreeMap, BTreeSet};

/// Why the agent takes no rule of an object; `None` where it takes it.
pub fn refused(dataplane: &Dataplane, shape: &Shape) -> Option<&'static str> {
    if !is_cilium(dataplane.kind) {
        return None;
    }
    let peers = || shape.egress.iter().flat_map(|rule| rule.peers.iter().map(|peer| (rule.action, peer)));
    let names =
        |(action, peer): &(Action, &PeerShape)| matches!(peer, PeerShape::Domains(_)).then_some(*action);
    let mut names = peers().filter_map(|peer| names(&peer)).peekable();
    if !is_on(dataplane, "enable-node-selector-labels", "false")
        && peers().any(|(_, peer)| matches!(peer, PeerShape::Nodes(_)))
    {
        return Some("Cilium knows peers by nodes, for which it needs enable-node-selector-labels");
    }
    if names.peek().is_some() && !is_on(dataplane, "enable-l7-proxy", "true") {
        return Some("Cilium knows peers by domainNames, for which it needs enable-l7-proxy");
    }
    names
        .any(|action| action != Action::Allow)
        .then_some("Cilium knows domainNames in rules that do not accept")
}

/// The places among the policies at which Cilium takes rules of several objects by turns.
pub fn shared<'a>(dataplane: &Dataplane, shapes: impl Iterator<Item = &'a Shape>) -> BTreeSet<(Stage, u16)> {
    if !is_cilium(dataplane.kind) {
        return BTreeSet::new();
    }
    let mut counts: BTreeMap<(Stage, u16), usize> = BTreeMap::new();
    shapes.for_each(|shape| *counts.entry((shape.stage, shape.priority)).or_default() += 1);
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(place, _)| place).collect()
}

/// The place of one rule: the first rules of all objects of a priority come before the second ones, and
/// of those at one place what denies comes first and what passes last (`Precedence`).
pub fn order((stage, priority): (Stage, u16), index: usize, action: Action, name: &str) -> PolicyOrder {
    let first = match stage {
        Stage::Admin => 0.0,
        Stage::Baseline => BEHIND,
    };
    let turn = match action {
        Action::Deny => 0,
        Action::Allow => 1,
        Action::Pass => 2,
    };
    PolicyOrder::new(first + f64::from(priority) + index as f64 / 100.0, format!("{turn}{name}"))
}

/// Where the baseline stands among the policies of the tier before it.
const BEHIND: f64 = 1_000_000_000.0;

/// The tier of the baseline: what isolated pods are denied is denied behind it (`DefaultPolicy` in
/// `pkg/policy/types/policyentry.go`), so that what it accepts is let in whatever isolates.
pub fn baseline() -> (TierRank, Action) {
    (TierRank::default_tier(), Action::Deny)
}

/// What a rule that accepts names lets out beside them: questions for these names to the DNS of the
/// cluster.
pub fn dns(names: &[DomainPattern], origin: &Origin) -> Rule {
    let labels = Requirement::In("k8s-app".to_owned(), vec!["kube-dns".to_owned()]);
    let servers = Selection::pods(Namespaces::any(), Selector { requirements: vec![labels] });
    let ports = ["dns", "dns-tcp"].map(|name| PortName::Container(None, name.to_owned()));
    let traffic = TrafficMatch { named: ports.to_vec(), ..TrafficMatch::default() };
    let asked = Condition::DnsNames(names.iter().map(ToString::to_string).collect());
    let narrowed = Some(Narrowing::default().and(asked));
    let to = Peers::Among(vec![Peer::Endpoints(servers)]);
    Rule { narrowed, ..Rule::new(Action::Allow, to, traffic, origin.clone()) }
}
