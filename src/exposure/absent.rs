//! Controllers whose pods the input does not show: pods are put in their place, and the same
//! policies are evaluated for them.
//!
//! One pod looks as the controller usually does (or has no labels, in a namespace of which nothing
//! is known); what is open for it is open. Others look as the rules at the targets want their peers
//! to look; what is open only for them may be open. A rule for pods that the input has, or for a
//! namespace that it has pods of, is about those: they may be the controller only where they look
//! like one or have a way in of their own.

use super::judge::{Judge, Verdict, among};
use super::{Access, Target, WhyClosed, WhyUnknown};
use crate::entry::{EntryPoint, Usual};
use crate::graph::{AllowedGraph, Direction, Namespaces, Peer, PeerId, Selection};
use crate::inventory::{Inventory, NAME_LABEL, Namespace, Network, Variant, Workload};
use crate::model::{EndpointName, Few, Labels, Origin, Requirement, Selector, Text, fact};
use crate::policy::Tier;
use std::collections::{BTreeMap, BTreeSet};

/// The pods that stand for controllers, and the graph with them in it.
#[derive(Default)]
pub(super) struct Guests {
    graph: Option<AllowedGraph>,
    /// Index of the pod for each way that a controller usually looks.
    usual: BTreeMap<Option<Usual>, usize>,
    /// Pods that look as a rule wants its peers to look, by the number of the rule.
    wanted: BTreeMap<u32, Vec<Wanted>>,
}

/// What a rule wants its peers to look like.
struct Wanted {
    looks: Usual,
    index: usize,
    origin: Origin,
}

impl Guests {
    pub fn invite(
        inventory: &Inventory,
        graph: &AllowedGraph,
        targets: &[(&EntryPoint, Target)],
        tiers: Vec<Tier>,
    ) -> Guests {
        let mut house = inventory.clone();
        let mut guests = Guests::default();
        let usual: BTreeSet<&Option<Usual>> =
            targets.iter().map(|(point, _)| &point.controller.usual).collect();
        for usual in usual {
            let looks = usual.clone().unwrap_or_else(|| Usual {
                namespace: String::new(),
                namespace_labels: Labels::new(),
                labels: Labels::new(),
            });
            let index = seat(&mut house, &looks);
            guests.usual.insert(usual.clone(), index);
        }
        let classes: BTreeSet<PeerId> =
            targets.iter().map(|(_, t)| graph.class_of(t.workload, t.variant)).collect();
        let policies: BTreeSet<u32> = classes
            .iter()
            .flat_map(|class| graph.row(*class, Direction::Ingress).policies.iter().copied())
            .collect();
        let mut seats: BTreeMap<Usual, usize> = BTreeMap::new();
        for policy in policies {
            for rule in graph.policies[policy as usize].rules.clone() {
                let info = &graph.rules[rule as usize];
                for looks in info.rule.peers.named().iter().filter_map(|peer| look(peer, inventory)) {
                    let index = *seats.entry(looks.clone()).or_insert_with(|| seat(&mut house, &looks));
                    let origin = info.rule.origin.clone();
                    guests.wanted.entry(rule).or_default().push(Wanted { looks, index, origin });
                }
            }
        }
        guests.graph = Some(AllowedGraph::build(&house, tiers, graph.dataplane.clone()));
        guests
    }

    pub fn verdict(
        &self,
        graph: &AllowedGraph,
        point: &EntryPoint,
        target: Target,
        judge: &Judge<'_>,
    ) -> Verdict {
        let usual = &point.controller.usual;
        let unknown = |rules| Verdict {
            access: Access::Unknown(WhyUnknown::ControllerAbsent),
            sources: crate::model::AddressSet::none(),
            rules,
        };
        let (Some(house), Some(index)) = (&self.graph, self.usual.get(usual)) else {
            return unknown(Vec::new());
        };
        let class = house.class_of(target.workload, target.variant);
        let sure = among(house, house.classes_of(*index), class, target);
        if !matches!(sure.access, Access::Closed(_)) {
            return sure;
        }
        let row = graph.row(graph.class_of(target.workload, target.variant), Direction::Ingress);
        let own = row.policies.iter().flat_map(|policy| graph.policies[*policy as usize].rules.clone());
        let may = |wanted: &&Wanted| {
            usual.as_ref().is_none_or(|usual| agree(usual, &wanted.looks))
                && !matches!(
                    among(house, house.classes_of(wanted.index), class, target).access,
                    Access::Closed(_)
                )
        };
        let wanted = own.filter_map(|rule| self.wanted.get(&rule)).flatten();
        let mut rules: Vec<Origin> = wanted.filter(may).map(|wanted| wanted.origin.clone()).collect();
        // It may be something that is there and that nobody recognises; a controller of which
        // nothing is known may be outside of the cluster too.
        let mut others = vec![judge.through_candidates(usual.as_ref(), target)];
        if usual.is_none() {
            others.push(judge.through_nobody(target));
        }
        others.retain(|verdict| !matches!(verdict.access, Access::Closed(_)));
        if rules.is_empty() && others.is_empty() {
            return Verdict { access: Access::Closed(WhyClosed::Policies), ..unknown(rules) };
        }
        rules.extend(others.into_iter().flat_map(|verdict| verdict.rules));
        rules.sort();
        rules.dedup();
        unknown(rules)
    }
}

/// Adds a pod that looks so; returns its index among the workloads. Indices before it stay.
fn seat(house: &mut Inventory, looks: &Usual) -> usize {
    let index = house.workloads.len();
    let fresh = || format!("controller-{index}.invalid");
    let namespace = if looks.namespace.is_empty() { fresh() } else { looks.namespace.clone() };
    let known = house.namespaces.entry(namespace.clone()).or_insert_with(|| Namespace {
        labels: Labels::new(),
        annotations: Labels::new(),
        origin: None,
        disputed: Default::default(),
    });
    let unknown = known.origin.is_none();
    if unknown {
        known.labels.extend(looks.namespace_labels.clone());
    }
    known.labels.insert(NAME_LABEL, namespace.as_str());
    let name = EndpointName { namespace, kind: "Pod".to_owned(), name: format!("controller-{index}") };
    let variant = Variant {
        labels: looks.labels.clone(),
        annotations: Labels::new(),
        containers: Few::new(),
        users: Default::default(),
        ports: Vec::new(),
        network: Network::Pod,
        service_account: "default".to_owned(),
        profiles: Vec::new(),
        proxies: BTreeSet::new(),
        attachments: Default::default(),
        addresses: Few::new(),
        nodes: Few::new(),
        runs_on: Default::default(),
        pods: Few::new(),
    };
    let nowhere = Text::default();
    let origin = Origin {
        file: "".into(),
        document: 0,
        line: 0,
        column: 0,
        kind: nowhere.clone(),
        namespace: nowhere.clone(),
        name: nowhere.clone(),
        rule: nowhere,
    };
    house.workloads.push(Workload { name, variants: vec![variant], origin });
    index
}

/// How a pod looks that a peer of a rule matches; `None` where the peer names others.
fn look(peer: &Peer, inventory: &Inventory) -> Option<Usual> {
    let selection = match peer {
        Peer::Endpoints(selection) => selection,
        // A conjunction or a negation: the first selection in it is as good a guess as any.
        Peer::All(peers) => return peers.iter().find_map(|peer| look(peer, inventory)),
        _ => return None,
    };
    let (mut namespace_labels, mut labels) = (Labels::new(), Labels::new());
    let mut namespace = match &selection.namespaces {
        Namespaces::Named(name) => name.clone(),
        Namespaces::Matching(selector) => {
            satisfy(selector, &mut namespace_labels);
            String::new()
        }
    };
    satisfy(&selection.endpoints, &mut labels);
    let (facts, labels): (Vec<_>, Vec<_>) = labels.into_iter().partition(|(key, _)| key.starts_with('@'));
    let labels: Labels = labels.into_iter().collect();
    for (key, value) in facts {
        match key.strip_prefix(fact::NAMESPACE_LABEL) {
            Some(label) => drop(namespace_labels.insert(label, value)),
            None if key == fact::NAMESPACE => namespace = value.to_string(),
            None => {}
        }
    }
    if let Some(name) = namespace_labels.get(NAME_LABEL) {
        namespace = name.to_string();
    }
    let inhabited = inventory.workloads.iter().any(|w| w.name.namespace == namespace);
    let of_others = !labels.is_empty() && matches_someone(selection, inventory);
    (!inhabited && !of_others).then_some(Usual { namespace, namespace_labels, labels })
}

fn matches_someone(selection: &Selection, inventory: &Inventory) -> bool {
    inventory.workloads.iter().any(|workload| {
        let namespace = &workload.name.namespace;
        let inside = match &selection.namespaces {
            Namespaces::Named(name) => name == namespace,
            Namespaces::Matching(selector) => {
                inventory.namespaces.get(namespace).is_some_and(|n| selector.matches(&n.labels))
            }
        };
        inside && workload.variants.iter().any(|variant| selection.endpoints.matches(&variant.labels))
    })
}

/// Adds labels with which a selector matches, as far as it says what it wants.
fn satisfy(selector: &Selector, labels: &mut Labels) {
    for requirement in &selector.requirements {
        match requirement {
            Requirement::In(key, values) => {
                values.first().map(|value| labels.insert(key, value));
            }
            Requirement::Exists(key) => labels.insert_if_absent(key, "any"),
            Requirement::Fits(key, pattern) => {
                let text = match pattern {
                    crate::model::Pattern::Contains(text)
                    | crate::model::Pattern::StartsWith(text)
                    | crate::model::Pattern::EndsWith(text) => text,
                };
                labels.insert(key, text);
            }
            Requirement::AnyOf(choices) => {
                if let Some(choice) = choices.first() {
                    satisfy(choice, labels);
                }
            }
            Requirement::NotIn(..) | Requirement::DoesNotExist(_) | Requirement::Not(_) => {}
        }
    }
}

/// Whether what a rule wants can be said of a controller as it usually looks: no label has another
/// value. It may have been installed into any namespace.
fn agree(usual: &Usual, wanted: &Usual) -> bool {
    wanted.labels.iter().all(|(key, value)| usual.labels.get(key).is_none_or(|known| known == value))
}
