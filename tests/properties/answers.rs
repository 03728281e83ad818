//! Laws of answers: explanations say what the graph decides, proposed changes do what they say,
//! and a diff is the difference of the connections.

use super::cluster::{Cluster, PORTS};
use super::manifests::{manifests, terms_yaml};
use super::naive::naive;
use super::random::cluster;
use super::{answer, read};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use watertight::analysis;
use watertight::graph::diff::ChangedEnd;
use watertight::graph::{self, Action, Direction, Spot};
use watertight::model::{AddressSet, Protocol, TrafficSet};
use watertight::observed::Observed;
use watertight::report::explain::{Answer, Case};
use watertight::report::{FORMATS, View};

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn explanations_say_what_the_graph_decides(cluster in cluster()) {
        let analysis = read(&manifests(&cluster));
        let graph = &analysis.graph;
        for from in 0..graph.peer_count() {
            for to in (0..graph.peer_count()).filter(|to| *to != from) {
                let edge = graph.edge(from, to);
                let sides = [(Direction::Egress, from, to, edge.egress), (Direction::Ingress, to, from, edge.ingress)];
                for (direction, subject, peer, decision) in sides {
                    let told = graph::walk(graph, direction, subject, peer, &TrafficSet::all());
                    prop_assert_eq!(&told.decision, decision);
                    prop_assert_eq!(allowed_by_the_telling(graph, &told), decision.allowed.clone());
                }
            }
        }
    }

    #[test]
    fn proposed_yaml_does_what_it_says(cluster in cluster(), port in prop::sample::select(PORTS.to_vec())) {
        let parts = manifests(&cluster);
        let analysis = read(&parts);
        for (i, from) in cluster.pods.iter().enumerate() {
            for (j, to) in cluster.pods.iter().enumerate().filter(|(j, _)| *j != i) {
                let asked = TrafficSet::port(Protocol::Tcp, port);
                let allowed = naive(&cluster, from, to, Protocol::Tcp, port);
                let changes = proposals(&analysis, i, j, &asked);
                // A denied pair of pods can always be opened by NetworkPolicies, and an allowed one closed.
                prop_assert!(!changes.is_empty() || !cluster.admin.is_empty(), "nothing is proposed for p{} -> p{}", i, j);
                for change in changes {
                    let added = applied(&cluster, &change);
                    prop_assert!(allowed || added.is_some() || !cluster.admin.is_empty(), "what is denied is opened by an addition");
                    let Some(added) = added else { continue };
                    let mut more = parts.clone();
                    more.extend(added);
                    let flipped = answer(&read(&more), i, j, Protocol::Tcp, port);
                    prop_assert_eq!(flipped, !allowed, "p{} -> p{} {}: {:#?}", i, j, port, change);
                }
            }
        }
    }

    #[test]
    fn a_diff_is_the_difference_of_the_connections(before in cluster(), after in cluster(), same_pods in any::<bool>()) {
        let mut after = after;
        if same_pods {
            after.pods = before.pods.clone();
            after.namespaces = before.namespaces.clone();
        }
        let (old, new) = (read(&manifests(&before)), read(&manifests(&after)));
        let (diff, _) = analysis::compared(&old, &new, &Observed::default());
        let (was, is) = (pointwise(&old), pointwise(&new));
        let mut expected = BTreeMap::new();
        for pair in was.keys().chain(is.keys()) {
            let traffic = |map: &Pairs| map.get(pair).cloned().unwrap_or_default();
            if traffic(&was) != traffic(&is) {
                expected.insert(pair.clone(), (traffic(&was), traffic(&is)));
            }
        }
        let mut found = BTreeMap::new();
        for pair in diff.pairs.iter().filter(|pair| pair.old != pair.new) {
            prop_assert!(!pair.causes.is_empty());
            for from in changed_points(&pair.from) {
                for to in changed_points(&pair.to).into_iter().filter(|to| *to != from) {
                    found.insert((from.clone(), to), (pair.old.clone(), pair.new.clone()));
                }
            }
        }
        prop_assert_eq!(found, expected);
    }
}

/// What the rules and ends of the telling add up to: layers intersect, tiers add.
fn allowed_by_the_telling(graph: &graph::AllowedGraph, told: &graph::Walk) -> TrafficSet {
    let mut allowed = TrafficSet::all();
    for layer in &told.layers {
        let mut here = TrafficSet::none();
        for tier in &layer.tiers {
            for rule in &tier.rules {
                if let (graph::Outcome::Took(traffic), Action::Allow) =
                    (&rule.outcome, graph.rules[rule.rule as usize].rule.action)
                {
                    here = here.union(traffic);
                }
            }
        }
        let onward = layer.tiers.last().map_or_else(TrafficSet::all, |tier| tier.onward.clone());
        allowed = allowed.intersection(&here.union(&onward));
    }
    allowed
}

/// The remedies for two pods, as the JSON report writes them.
fn proposals(a: &analysis::Analysis, from: usize, to: usize, asked: &TrafficSet) -> Vec<serde_json::Value> {
    let spot = |pod: usize| {
        let name = format!("p{pod}");
        let index = a.inventory.workloads.iter().position(|w| w.name.name == name).expect("the pod");
        Spot::Variant(graph::Member { workload: index as u32, variant: 0 })
    };
    let walk = graph::explain(&a.graph, &spot(from), &spot(to), asked).expect("both are known");
    let remedies = graph::remedies(&a.graph, &a.inventory, &walk);
    let names = [from, to].map(|pod| format!("p{pod}"));
    let cases = vec![Case { walk, remedies }];
    let answer = Answer { names, asked: asked.clone(), notes: Vec::new(), cases };
    let mut text = Vec::new();
    let json = FORMATS.iter().find(|format| format.name() == "json").expect("the format");
    json.write(&View::Explain(a, &answer), &mut text).expect("JSON");
    let report: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    report["cases"][0]["remedies"].as_array().expect("a list").clone()
}

/// The objects that carry out a remedy; a rule goes into a policy that selects what the policy
/// selects to which it is to be added. `None` where a rule is to be taken out, which is no addition.
fn applied(cluster: &Cluster, remedy: &serde_json::Value) -> Option<Vec<String>> {
    let one = |(number, change): (usize, &serde_json::Value)| {
        let yaml = change["yaml"].as_str()?;
        let Some(policy) = change["at"]["name"].as_str() else { return Some(yaml.to_owned()) };
        let index: usize = policy.strip_prefix("np")?.parse().ok()?;
        let policy = &cluster.policies[index];
        let side = if yaml.contains("spec.ingress") { ("Ingress", "ingress") } else { ("Egress", "egress") };
        let rule: String = yaml.lines().map(|line| format!("  {line}\n")).collect();
        Some(format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: more{number}, namespace: n{}}}\n\
             spec:\n  podSelector: {}\n  policyTypes: [{}]\n  {}:\n{rule}",
            policy.namespace,
            terms_yaml(&policy.subjects),
            side.0,
            side.1
        ))
    };
    remedy["changes"].as_array()?.iter().enumerate().map(one).collect()
}

type Pairs = BTreeMap<(String, String), TrafficSet>;

/// Addresses that the blocks of the random policies tell apart, one of each part.
fn sample() -> Vec<IpAddr> {
    let v4 = (0..20).map(|n| format!("10.0.0.{n}"));
    let v6 = (0..12).map(|n| format!("fd00::{n}"));
    let more = ["11.0.0.0".to_owned(), "fd01::".to_owned()];
    v4.chain(v6).chain(more).map(|text| text.parse().expect("an address")).collect()
}

fn points(set: &AddressSet) -> Vec<String> {
    sample().into_iter().filter(|ip| set.contains(*ip)).map(|ip| ip.to_string()).collect()
}

fn changed_points(end: &ChangedEnd) -> Vec<String> {
    match end {
        ChangedEnd::Workloads(names) => names.iter().map(ToString::to_string).collect(),
        ChangedEnd::External(set) => points(set),
        ChangedEnd::Domain(name) => vec![name.to_string()],
    }
}

/// All connections, outside ends as single addresses.
fn pointwise(a: &analysis::Analysis) -> Pairs {
    let ends = |end: &graph::End| match end {
        graph::End::Workload(index) => vec![a.inventory.workloads[*index].name.to_string()],
        graph::End::External(set) => points(set),
        graph::End::Domain(name) => vec![name.to_string()],
    };
    let mut all = BTreeMap::new();
    for connection in graph::connections(&a.graph, &a.inventory) {
        for from in ends(&connection.from) {
            for to in ends(&connection.to) {
                all.insert((from.clone(), to), connection.traffic.clone());
            }
        }
    }
    all
}
