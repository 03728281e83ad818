//! Laws of the checks on segments: on random small clusters they find what a walk from pod to pod
//! finds, no more and no less, and by as few steps.

mod common;

use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use watertight::analysis::{self, Analysis};
use watertight::graph::{Links, PeerId, Search};
use watertight::observed::Observed;
use watertight::report::reach;

const NAMESPACES: [&str; 3] = ["a", "b", "c"];
const APPS: [&str; 3] = ["x", "y", "z"];

/// `sx` and `sy` go across namespaces; everybody else belongs to a namespace.
const CONTRACT: &str = "segments:\n  sx: {podLabels: {app: x}}\n  sy: {podLabels: {app: y}}\n\
                        rules:\n- {from: sx, to: sy, allow: never}\n";

fn rule() -> impl Strategy<Value = String> {
    let peer = prop_oneof![
        Just("{namespaceSelector: {}}".to_owned()),
        (0..3_usize).prop_map(|n| {
            format!(
                "{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {}}}}}}}",
                NAMESPACES[n]
            )
        }),
        (0..3_usize).prop_map(|n| format!("{{podSelector: {{matchLabels: {{app: {}}}}}}}", APPS[n])),
        (0..3_usize).prop_map(|n| {
            format!("{{namespaceSelector: {{}}, podSelector: {{matchLabels: {{app: {}}}}}}}", APPS[n])
        }),
        Just("{ipBlock: {cidr: 192.0.2.0/24}}".to_owned()),
    ];
    let peers = prop::collection::vec(peer, 0..3);
    let port = prop_oneof![Just(None), Just(Some(80)), Just(Some(5432))];
    (peers, port).prop_map(|(peers, port)| {
        let ports = port.map_or(String::new(), |port| format!("ports: [{{port: {port}}}]"));
        match (peers.is_empty(), ports.is_empty()) {
            (true, _) => format!("{{{ports}}}"),
            (false, true) => format!("{{KEY: [{}]}}", peers.join(", ")),
            (false, false) => format!("{{KEY: [{}], {ports}}}", peers.join(", ")),
        }
    })
}

fn policy() -> impl Strategy<Value = String> {
    let rules = || prop::collection::vec(rule(), 0..3);
    let types = prop_oneof![Just("[Ingress]"), Just("[Egress]"), Just("[Ingress, Egress]")];
    (0..3_usize, prop::option::of(0..3_usize), types, rules(), rules()).prop_map(
        |(namespace, app, types, ingress, egress)| {
            let selector = app.map_or("{}".to_owned(), |n| format!("{{matchLabels: {{app: {}}}}}", APPS[n]));
            let mut spec = format!("podSelector: {selector}, policyTypes: {types}");
            for (key, peers, rules) in [("ingress", "from", ingress), ("egress", "to", egress)] {
                if types.to_lowercase().contains(key) {
                    let _ = write!(spec, ", {key}: [{}]", rules.join(", ").replace("KEY", peers));
                }
            }
            format!("{}, {{{spec}}}", NAMESPACES[namespace])
        },
    )
}

fn manifests() -> impl Strategy<Value = String> {
    let pods = prop::collection::vec((0..3_usize, 0..3_usize), 2..7);
    let policies = prop::collection::vec(policy(), 0..6);
    (pods, policies).prop_map(|(pods, policies)| {
        let mut text = String::new();
        for (number, (namespace, app)) in pods.into_iter().enumerate() {
            let (namespace, app) = (NAMESPACES[namespace], APPS[app]);
            let _ = writeln!(
                text,
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, namespace: {namespace}, labels: {{app: {app}}}}}\n\
                 status: {{podIP: 10.0.0.{number}}}"
            );
        }
        for (number, policy) in policies.iter().enumerate() {
            let (namespace, spec) = policy.split_once(", ").expect("a namespace");
            let _ = writeln!(
                text,
                "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
                 metadata: {{name: n{number}, namespace: {namespace}}}\nspec: {spec}"
            );
        }
        text
    })
}

fn review(contract: &str, manifests: &str) -> Analysis {
    let (analysis, problems) = common::analyse_under(contract, manifests, None);
    // A cluster without `x` and `y` still declares their segments, so that nothing is wrong.
    assert!(problems.is_empty(), "{problems:?}");
    analysis::reviewed(analysis, Observed::default())
}

fn opens(analysis: &Analysis, from: usize, to: usize) -> bool {
    let class = |pod: usize| analysis.graph.class_of(pod, 0);
    from != to && !analysis.graph.edge(class(from), class(to)).traffic.is_empty()
}

/// Pod by pod: the fewest steps from one segment to another.
fn steps(analysis: &Analysis, from: &str, to: &str) -> Option<usize> {
    let count = analysis.inventory.workloads.len();
    let is_in = |pod: usize, name: &str| analysis.segments.name(analysis.segments.of(pod, 0)) == name;
    let mut seen: BTreeSet<usize> = (0..count).filter(|pod| is_in(*pod, from)).collect();
    let mut queue: VecDeque<(usize, usize)> = seen.iter().map(|pod| (*pod, 0)).collect();
    while let Some((pod, depth)) = queue.pop_front() {
        if is_in(pod, to) {
            return Some(depth);
        }
        for next in (0..count).filter(|next| opens(analysis, pod, *next)) {
            if seen.insert(next) {
                queue.push_back((next, depth + 1));
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_broken_rule_is_found_with_as_few_steps_as_a_walk_from_pod_to_pod(manifests in manifests()) {
        let analysis = review(CONTRACT, &manifests);
        let found: Vec<_> = analysis.findings.iter().filter(|f| f.check == "segment-rule-broken").collect();
        match steps(&analysis, "sx", "sy") {
            None => prop_assert!(found.is_empty(), "{:?}\n{}", found, manifests),
            Some(1) => {
                prop_assert_eq!(found.len(), 1, "{}", manifests);
                prop_assert_eq!(&found[0].detail, "never", "{}", manifests);
            }
            Some(steps) => {
                prop_assert_eq!(found.len(), 1, "{}", manifests);
                let told = format!("in {steps} steps");
                prop_assert!(found[0].message.contains(&told), "{}: {}\n{}", told, found[0].message, manifests);
            }
        }
    }

    #[test]
    fn every_open_pair_without_a_rule_is_found_and_no_other(manifests in manifests()) {
        let analysis = review(CONTRACT, &manifests);
        let count = analysis.inventory.workloads.len();
        let name = |pod: usize| analysis.segments.name(analysis.segments.of(pod, 0)).to_owned();
        let mut want: BTreeSet<String> = BTreeSet::new();
        for from in 0..count {
            for to in (0..count).filter(|to| opens(&analysis, from, *to)) {
                let (a, b) = (name(from), name(to));
                if a != b && (a.as_str(), b.as_str()) != ("sx", "sy") {
                    want.insert(format!("{a} -> {b}"));
                }
            }
        }
        let found = analysis.findings.iter().filter(|f| f.check == "segment-without-rule");
        let inside = found.map(|f| f.subject.clone()).filter(|subject| !subject.contains("outside"));
        prop_assert_eq!(inside.collect::<BTreeSet<_>>(), want, "{}", manifests);
    }

    #[test]
    fn an_exception_for_a_workload_hides_its_connections_and_no_others(manifests in manifests(), pod in 0..7_usize) {
        let exception = format!(
            "exceptions:\n- {{check: segment-rule-broken, from: '*/p{pod}', why: w, approvedBy: a, expires: 2030-01-01}}\n"
        );
        let analysis = review(&format!("{CONTRACT}{exception}"), &manifests);
        let count = analysis.inventory.workloads.len();
        let is_in = |pod: usize, name: &str| analysis.segments.name(analysis.segments.of(pod, 0)) == name;
        let open = |excepted: bool| (0..count).any(|from| {
            let named = analysis.inventory.workloads[from].name.name == format!("p{pod}");
            named == excepted && is_in(from, "sx") && (0..count).any(|to| is_in(to, "sy") && opens(&analysis, from, to))
        });
        let direct = analysis.findings.iter().any(|f| f.check == "segment-rule-broken" && f.detail == "never");
        prop_assert_eq!(direct, open(false), "{}", manifests);
        prop_assert_eq!(!analysis.excepted.is_empty(), open(true), "{}", manifests);
    }

    #[test]
    fn reach_is_a_walk_from_pod_to_pod(manifests in manifests()) {
        let analysis = review("", &manifests);
        let count = analysis.inventory.workloads.len();
        for start in 0..count {
            let mut depth = vec![None; count];
            depth[start] = Some(0);
            let mut queue = VecDeque::from([start]);
            while let Some(pod) = queue.pop_front() {
                for next in (0..count).filter(|next| opens(&analysis, pod, *next)) {
                    if depth[next].is_none() {
                        depth[next] = depth[pod].map(|depth: u32| depth + 1);
                        queue.push_back(next);
                    }
                }
            }
            let name = |pod: usize| analysis.inventory.workloads[pod].name.to_string();
            let walked = (0..count).filter(|pod| *pod != start).filter_map(|pod| Some((depth[pod]?, name(pod))));
            let want: BTreeSet<(u32, String)> = walked.collect();
            let reach = reach::of(&analysis, start);
            let got: BTreeSet<(u32, String)> = reach.steps.into_iter().map(|s| (s.steps, s.workload)).collect();
            prop_assert_eq!(got, want, "{}\n{}", name(start), manifests);
        }
    }

    #[test]
    fn both_directions_of_a_search_agree_with_a_plain_one(manifests in manifests()) {
        let analysis = review("", &manifests);
        let graph = &analysis.graph;
        let links = Links::new(graph);
        let classes = graph.classes().len() as PeerId;
        let peers = classes + graph.atoms().count() as PeerId;
        let onward: Vec<_> = (0..peers).map(|p| links.search(&[p], Search::Onward, &|_, _| false)).collect();
        let backward: Vec<_> = (0..peers).map(|p| links.search(&[p], Search::Backward, &|_, _| false)).collect();
        for from in 0..peers {
            for to in 0..peers {
                let (there, back) = (onward[from as usize].steps(to), backward[to as usize].steps(from));
                prop_assert_eq!(there, back, "{} {}\n{}", from, to, manifests);
                let direct = from != to && (from < classes || to < classes) && !graph.edge(from, to).traffic.is_empty();
                prop_assert_eq!(there == Some(1), direct, "{} {}\n{}", from, to, manifests);
                if let Some(steps) = there {
                    let ways = [onward[from as usize].way(to), backward[to as usize].way(from)];
                    for way in ways {
                        prop_assert_eq!(way.len() as u32, steps + 1);
                        prop_assert_eq!((way[0], way[steps as usize]), (from, to));
                        prop_assert!(way.windows(2).all(|hop| !graph.edge(hop[0], hop[1]).traffic.is_empty()));
                        prop_assert!(way.iter().skip(1).rev().skip(1).all(|peer| *peer < classes));
                    }
                }
            }
        }
    }
}

/// Cilium: one workload may call a name outside and nothing else, another calls the first.
const BY_NAME: &str = "
apiVersion: v1
kind: Pod
metadata: {name: one, namespace: x, labels: {app: one}}
---
apiVersion: v1
kind: Pod
metadata: {name: two, namespace: y, labels: {app: two}}
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: one, namespace: x}
spec:
  endpointSelector: {matchLabels: {app: one}}
  egress:
  - toEndpoints: [{matchLabels: {k8s:io.kubernetes.pod.namespace: kube-system, k8s-app: kube-dns}}]
    toPorts: [{ports: [{port: '53', protocol: UDP}], rules: {dns: [{matchPattern: '*'}]}}]
  - toFQDNs: [{matchName: api.example.org}]
    toPorts: [{ports: [{port: '443', protocol: TCP}]}]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: two, namespace: y}
spec:
  endpointSelector: {matchLabels: {app: two}}
  egress:
  - toEndpoints: [{matchLabels: {k8s:io.kubernetes.pod.namespace: x, app: one}}]
";

#[test]
fn an_outside_endpoint_that_a_rule_names_is_a_way_out() {
    let analysis = review("rules:\n- {from: y, to: outside, allow: never}\n", BY_NAME);
    let outside = |name: &str| {
        let index = analysis.inventory.workloads.iter().position(|w| w.name.name == name);
        reach::of(&analysis, index.expect("the pod")).outside
    };
    assert_eq!((outside("one"), outside("two")), (Some(1), Some(2)));
    let broken: Vec<&str> = analysis
        .findings
        .iter()
        .filter(|finding| finding.check == "segment-rule-broken")
        .map(|finding| finding.message.as_str())
        .collect();
    assert!(matches!(broken[..], [only] if only.contains("in 2 steps")), "{broken:?}");
}
