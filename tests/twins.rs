//! Two policies of one name cannot both exist, and files do not tell which does: what one of them
//! closes is not called closed. The pages on the languages have the problems that are told.

mod common;

const PODS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: x, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: x, labels: {app: a}}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: x, labels: {app: b}}
spec: {containers: [{name: c}]}
";

/// Connections between the pods beside two objects of the name `p`.
fn connections(api: &str, kind: &str, specs: [&str; 2]) -> Vec<String> {
    let object = |spec: &str| {
        format!("---\napiVersion: {api}\nkind: {kind}\nmetadata: {{name: p, namespace: x}}\nspec: {spec}\n")
    };
    let (analysis, problems) = common::analyse(&format!("{PODS}{}{}", object(specs[0]), object(specs[1])));
    let is_same = specs[0] == specs[1];
    let told = problems.iter().filter(|problem| problem.message.contains("the same name is taken")).count();
    assert_eq!((told, problems.len()), if is_same { (0, 0) } else { (1, 1) }, "{problems:?}");
    common::connection_lines(&analysis, false)
}

const OPEN: [&str; 2] = ["x/Pod/a -> x/Pod/b: all", "x/Pod/b -> x/Pod/a: all"];

#[test]
fn one_for_each_direction_isolates_in_neither() {
    let deny = |way: &str| format!("{{podSelector: {{matchLabels: {{app: b}}}}, policyTypes: [{way}]}}");
    let (into, out) = (deny("Ingress"), deny("Egress"));
    assert_eq!(connections("networking.k8s.io/v1", "NetworkPolicy", [&into, &out]), OPEN);
    assert_eq!(connections("networking.k8s.io/v1", "NetworkPolicy", [&into, &into]), OPEN[1..]);
}

#[test]
fn what_one_of_them_denies_may_be_let_in() {
    let deny = "{endpointSelector: {matchLabels: {app: b}}, ingressDeny: [{fromEndpoints: [{}]}]}";
    let out = "{endpointSelector: {matchLabels: {app: b}}, egress: [{toEndpoints: [{}]}]}";
    assert_eq!(connections("cilium.io/v2", "CiliumNetworkPolicy", [deny, out]), OPEN);
    assert_eq!(connections("cilium.io/v2", "CiliumNetworkPolicy", [deny, deny]), OPEN[1..]);
}

#[test]
fn in_meshes_too() {
    let deny = "{selector: {matchLabels: {app: b}}, action: DENY, rules: [{}]}";
    let allow = "{selector: {matchLabels: {app: b}}, rules: [{to: [{operation: {ports: ['80']}}]}]}";
    assert_eq!(connections("security.istio.io/v1", "AuthorizationPolicy", [deny, allow]), OPEN);
    let twice = connections("security.istio.io/v1", "AuthorizationPolicy", [deny, deny]);
    assert!(!twice.contains(&OPEN[0].to_owned()), "{twice:?}");
}
