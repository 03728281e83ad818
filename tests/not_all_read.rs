//! What findings say where manifests do not hold all pods that policies speak of: nothing that, done,
//! would break what was not read.

mod common;

use watertight::analysis;
use watertight::observed::Observed;

const POD: &str = "---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: shop}
spec: {template: {metadata: {labels: {app: agent}}, spec: {hostNetwork: true, containers: [{name: c}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 443, targetPort: 8080}]}
";

fn policy(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n"
    )
}

/// The findings of a check, each as its subject and its message.
fn found(manifests: &str, check: &str) -> Vec<String> {
    let (analysis, problems) = common::analyse(manifests);
    assert!(problems.is_empty(), "{problems:?}");
    let findings = analysis::reviewed(analysis, Observed::default()).findings;
    let of_check = findings.iter().filter(|finding| finding.check == check);
    of_check.map(|finding| format!("{}: {}", finding.subject, finding.message)).collect()
}

#[test]
fn a_selector_of_pods_that_an_operator_makes_is_not_called_dead() {
    let own = policy("kafka", "{podSelector: {matchLabels: {strimzi.io/name: events-kafka}}}");
    assert_eq!(found(&format!("{POD}{own}"), "dead-selector").len(), 1);
    let made = "---\napiVersion: kafka.strimzi.io/v1beta2\nkind: Kafka\nmetadata: {name: events, namespace: shop}\nspec: {}\n";
    assert_eq!(found(&format!("{POD}{own}{made}"), "dead-selector"), [""; 0]);
    let peers = policy(
        "web",
        "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {a: b}}}]}]}",
    );
    assert_eq!(found(&format!("{POD}{peers}"), "dead-selector").len(), 1);
    assert_eq!(found(&format!("{POD}{peers}{made}"), "dead-selector"), [""; 0]);
}

#[test]
fn pods_on_the_host_network_are_told_as_such_and_not_as_a_dead_selector() {
    let own = policy("agent", "{podSelector: {matchLabels: {app: agent}}}");
    assert_eq!(found(&format!("{POD}{own}"), "dead-selector"), [""; 0]);
    assert_eq!(found(&format!("{POD}{own}"), "host-network-bypass").len(), 1);
    let peers = policy(
        "web",
        "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: agent}}}]}]}",
    );
    let said = found(&format!("{POD}{peers}"), "dead-selector");
    assert!(
        said[0].contains("shop/DaemonSet/agent, which are known by the addresses of their nodes"),
        "{said:?}"
    );
}

#[test]
fn policies_alone_and_those_for_all_pods_of_a_namespace_have_no_dead_selectors() {
    let all = policy("deny", "{podSelector: {}}");
    assert_eq!(found(&all, "dead-selector"), [""; 0]);
    let elsewhere = all.replace("namespace: shop", "namespace: later");
    assert_eq!(found(&format!("{POD}{elsewhere}"), "dead-selector"), [""; 0]);
}

#[test]
fn a_policy_that_opens_the_way_to_other_namespaces_is_not_called_redundant() {
    let own = policy("own", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]}");
    let dns = "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: 53, protocol: UDP}]}]}";
    let dns = policy("dns", dns);
    assert_eq!(found(&format!("{POD}{own}{dns}"), "redundant-policy"), [""; 0]);
    // Where a whole cluster was read, nobody is there whom it lets reach.
    let node = "---\napiVersion: v1\nkind: Node\nmetadata: {name: n}\n";
    assert_eq!(found(&format!("{POD}{own}{dns}{node}"), "redundant-policy").len(), 1);
    let wide = policy("wide", "{podSelector: {}, policyTypes: [Egress], egress: [{}]}");
    assert_eq!(found(&format!("{POD}{own}{dns}{wide}"), "redundant-policy").len(), 2);
    // A client that was not read.
    let client = policy(
        "client",
        "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: late}}}]}]}",
    );
    let deny = policy("deny", "{podSelector: {}}");
    assert_eq!(found(&format!("{POD}{client}{deny}"), "redundant-policy"), [""; 0]);
}

#[test]
fn a_rule_for_other_namespaces_is_not_called_shadowed_by_one_for_its_own() {
    let both = "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}, {from: [{namespaceSelector: {}}], ports: [{port: 8080}]}]}";
    assert_eq!(found(&format!("{POD}{}", policy("p", both)), "shadowed-rule"), [""; 0]);
    let all = "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}, {from: [{podSelector: {}}], ports: [{port: 8080}]}]}";
    assert_eq!(found(&format!("{POD}{}", policy("p", all)), "shadowed-rule").len(), 1);
}

#[test]
fn a_way_out_to_everyone_is_not_held_against_the_ports_of_services() {
    let out = "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}";
    assert_eq!(found(&format!("{POD}{}", policy("p", out)), "service-port-in-policy"), [""; 0]);
    let named = out.replace("[{ports", "[{to: [{podSelector: {}}], ports");
    assert_eq!(found(&format!("{POD}{}", policy("p", &named)), "service-port-in-policy").len(), 1);
}

#[test]
fn ports_by_name_are_told_in_a_rule_for_everyone() {
    let open = policy("p", "{podSelector: {}, ingress: [{ports: [{port: http}, {port: 80}]}]}");
    let said = found(&format!("{POD}{open}"), "unrestricted-ingress");
    assert!(said[0].ends_with("for TCP 80, TCP port \"http\"."), "{said:?}");
}
