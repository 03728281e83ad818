//! OVN-Kubernetes → tiers of two layers: isolation between networks, and the firewall for what
//! leaves the cluster. Both take away only; what they do not deny meets the other layers.

use super::super::kubernetes::refusal;
use super::super::{
    Action, Direction, Isolation, Layer, Lowered, Namespaces, Peer, Peers, Policy, PolicyOrder, PortName,
    Rule, Selection, ServiceChoice, Services, Tier, TierRank, TrafficMatch, fields, one_of,
};
use super::firewall::{self, FirewallRule};
use super::joining::{self, Joining};
use super::networks::{self, NamespaceLabels, PrimaryNetwork};
use super::{CLUSTER_NETWORK, FIREWALL, KINDS, NETWORK, OLD_FIREWALL};
use crate::model::{Bend, Condition, Document, Gap, Narrowing, Requirement, Selector, fact};
use std::collections::BTreeMap;

/// Services that pods reach from every network (`docs/features/user-defined-networks`, default
/// network services): the API server and DNS.
const REACHED_FROM_ALL: &[(&str, &str)] =
    &[("default", "kubernetes"), ("kube-system", "kube-dns"), ("openshift-dns", "dns-default")];

/// Lowers all objects of the engine.
pub fn lower(documents: &[Document]) -> Lowered {
    let mut lowered = Lowered::default();
    let labels = NamespaceLabels::of(documents);
    let (mut firewalls, mut networks) = (Vec::new(), Vec::new());
    // The objects in which the DNS of the cluster keeps what it resolved for firewalls.
    let stars_resolved = documents.iter().any(|document| &*document.origin.kind == "DNSNameResolver");
    for document in documents {
        let Some(kind) = fields::kind_of(KINDS, document) else { continue };
        lowered.gaps.extend(fields::doubts(kind, document));
        let problem = match kind.name {
            FIREWALL | OLD_FIREWALL => {
                let read = firewall::read(document, stars_resolved);
                read.map(|rules| {
                    lowered.gaps.extend(doubts_of_rules(document, &rules));
                    firewalls.push(firewall(document, rules));
                })
                .err()
            }
            NETWORK | CLUSTER_NETWORK => networks::read(document, &labels, &mut lowered.gaps)
                .map(|network| networks.extend(network))
                .err(),
            _ => None,
        };
        lowered.problems.extend(problem);
    }
    apart(&mut networks, &mut lowered);
    let joining = joining::read(documents);
    if !networks.is_empty() {
        lowered.gaps.extend(joining.gaps());
    }
    for direction in Direction::BOTH {
        let policies = networks.iter().map(|network| isolation(network, &joining, direction)).collect();
        lowered.tiers.push(tier(Layer::Isolation, direction, "primary networks", policies));
    }
    lowered.tiers.push(tier(Layer::Firewall, Direction::Egress, "egress firewall", firewalls));
    lowered
}

fn tier(layer: Layer, direction: Direction, name: &str, policies: Vec<Policy>) -> Tier {
    let (rank, policies) = (TierRank::declared(0.0, name), Policy::shared(policies));
    Tier { layer, direction, rank, unmatched: Action::Pass, policies }
}

fn firewall(document: &Document, rules: Vec<FirewallRule>) -> Policy {
    let origin = &document.origin;
    let lowered = rules.into_iter().enumerate().map(|(index, rule)| {
        let FirewallRule { line, action, peer, traffic, doubt } = rule;
        let place = origin.at(&format!("egress[{index}]"), line);
        let narrowed = doubt.map(only_where);
        Rule { narrowed, ..Rule::new(action, Peers::Among(vec![peer]), TrafficMatch::fixed(traffic), place) }
    });
    Policy {
        subjects: vec![Selection::pods(
            Namespaces::Named(origin.namespace.to_string()),
            Selector::everything(),
        )],
        isolation: Isolation::Leaves,
        order: PolicyOrder::new(0.0, &*origin.name),
        rules: lowered.collect(),
        origin: origin.clone(),
    }
}

/// What is not known of rules that were read; what they deny is not relied on.
fn doubts_of_rules(document: &Document, rules: &[FirewallRule]) -> Vec<Gap> {
    let gap = |(index, rule): (usize, &FirewallRule)| {
        let origin = document.origin.at(&format!("egress[{index}]"), rule.line);
        let what = format!("this rule counts only where {}; what it denies is not relied on", rule.doubt?);
        Some(Gap { what, origin, bends: Bend::MayAllowLess })
    };
    rules.iter().enumerate().filter_map(gap).collect()
}

fn only_where(condition: &str) -> Narrowing {
    Narrowing::default().and(Condition::Other(condition.to_owned()))
}

/// A namespace has one primary network: a second one has no effect there.
fn apart(networks: &mut Vec<PrimaryNetwork<'_>>, lowered: &mut Lowered) {
    networks.sort_by(|a, b| a.origin.cmp(b.origin));
    let mut taken = BTreeMap::new();
    for network in networks.iter_mut() {
        let origin = network.origin;
        network.namespaces.retain(|namespace| match taken.get(namespace) {
            None => taken.insert(namespace.clone(), origin).is_none(),
            Some(first) => {
                let message = format!(
                    "the namespace {namespace} has a primary network already: {} {}",
                    first.kind, first.name
                );
                let hint = "one primary network for each namespace: remove one of them";
                lowered.problems.push(refusal(origin, 0, message, hint));
                false
            }
        });
    }
    networks.retain(|network| !network.namespaces.is_empty());
}

/// Pods of one network and pods of all others do not meet, in neither direction. Nodes and the
/// outside are reached from every network.
fn isolation(network: &PrimaryNetwork<'_>, joining: &Joining<'_>, direction: Direction) -> Policy {
    let PrimaryNetwork { origin, namespaces } = network;
    let own = Selection::pods(
        Namespaces::Matching(one_of("kubernetes.io/metadata.name", namespaces.clone())),
        Selector::everything(),
    );
    let others = Peer::All(vec![
        Peer::Endpoints(Selection::all_pods()),
        Peer::Not(Box::new(Peer::Endpoints(own.clone()))),
    ]);
    let mut rules = Vec::new();
    if direction == Direction::Egress {
        rules.extend(REACHED_FROM_ALL.iter().map(|(namespace, name)| {
            let services = Services {
                namespace: Some((*namespace).to_owned()),
                chosen: ServiceChoice::Named((*name).to_owned()),
            };
            let named = vec![PortName::Backend(services.clone())];
            let traffic = TrafficMatch { named, ..TrafficMatch::default() };
            Rule::new(
                Action::Allow,
                Peers::Among(vec![Peer::Backends(services)]),
                traffic,
                Clone::clone(*origin),
            )
        }));
    }
    let all = TrafficMatch::all();
    if direction == Direction::Ingress {
        let opened =
            Rule::new(Action::Allow, Peers::Among(vec![others.clone()]), all.clone(), Clone::clone(*origin));
        let own = Peers::Among(vec![Peer::Endpoints(with_open_ports(&own))]);
        rules.push(Rule { own, narrowed: Some(only_where(joining::OPENED)), ..opened });
    }
    let apart = Rule::new(Action::Deny, Peers::Among(vec![others]), all, Clone::clone(*origin));
    rules.push(Rule { narrowed: joining.condition().map(only_where), ..apart });
    Policy {
        subjects: vec![own],
        isolation: Isolation::Leaves,
        order: PolicyOrder::new(0.0, format!("{}/{}", origin.name, origin.namespace)),
        rules,
        origin: Clone::clone(*origin),
    }
}

/// Those of some pods that open ports of theirs to the network of the cluster.
fn with_open_ports(own: &Selection) -> Selection {
    let annotation = format!("{}{}", fact::ANNOTATION, joining::OPEN_PORTS);
    let opens = Selector { requirements: vec![Requirement::Exists(annotation)] };
    Selection { endpoints: own.endpoints.clone().and(opens), ..own.clone() }
}
