//! What the Calico engine offers beside the graph: staged policies put into effect, settings of
//! the dataplane, and the way that tiers and selections come out.

mod common;

use std::sync::Arc;
use watertight::analysis;
use watertight::model::Document;
use watertight::policy::{self, Dataplane, DataplaneKind};
use watertight::source;

const PODS: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x, labels: {app: a}}, spec: {containers: [{name: c}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b, namespace: x, labels: {app: b}}, spec: {containers: [{name: c}]}}
---
";

fn documents(text: &str) -> Vec<Document> {
    let reading = source::parse(&Arc::from("example.yaml"), text);
    assert!(reading.problems.is_empty(), "{:?}", reading.problems);
    reading.documents
}

/// Connections as the manifests are, and as they would be with staged policies put into effect.
fn before_and_after(policies: &str) -> (Vec<String>, Vec<String>) {
    let now = documents(&format!("{PODS}{policies}"));
    let later = policy::committed(&now);
    let lines = |documents: &[Document]| {
        let analysis = analysis::declared(documents, Dataplane::new(DataplaneKind::Calico));
        assert!(analysis.problems.is_empty(), "{:?}", analysis.problems);
        common::connection_lines(&analysis, false)
    };
    (lines(&now), lines(&later))
}

const BOTH: [&str; 2] = ["x/Pod/a -> x/Pod/b: all", "x/Pod/b -> x/Pod/a: all"];
const TO_A: [&str; 1] = ["x/Pod/b -> x/Pod/a: all"];

#[test]
fn a_staged_policy_would_be_added() {
    let (now, later) = before_and_after(
        "{apiVersion: projectcalico.org/v3, kind: StagedNetworkPolicy, metadata: {name: p, namespace: x},
          spec: {stagedAction: Set, selector: app == 'b'}}",
    );
    assert_eq!(now, BOTH);
    assert_eq!(later, TO_A);
}

#[test]
fn a_staged_policy_would_replace_the_one_of_its_name() {
    let (now, later) = before_and_after(
        "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: p}, spec: {selector: app == 'b'}}
---
{apiVersion: crd.projectcalico.org/v1, kind: StagedGlobalNetworkPolicy, metadata: {name: default.p},
  spec: {tier: default, selector: app == 'b', ingress: [{action: Allow, protocol: UDP}]}}",
    );
    assert_eq!(now, TO_A);
    assert_eq!(later, ["x/Pod/a -> x/Pod/b: UDP", TO_A[0]]);
}

#[test]
fn a_staged_deletion_would_remove_the_policy() {
    let (now, later) = before_and_after(
        "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: x}, spec: {podSelector: {}}}
---
{apiVersion: projectcalico.org/v3, kind: StagedKubernetesNetworkPolicy, metadata: {name: p, namespace: x},
  spec: {stagedAction: Delete}}",
    );
    assert!(now.is_empty());
    assert_eq!(later, BOTH);
}

#[test]
fn a_staged_kubernetes_policy_becomes_one() {
    let (now, later) = before_and_after(
        "{apiVersion: projectcalico.org/v3, kind: StagedKubernetesNetworkPolicy, metadata: {name: p, namespace: x},
  spec: {podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress]}}",
    );
    assert_eq!(now, BOTH);
    assert_eq!(later, TO_A);
}

#[test]
fn learning_and_ignored_policies_would_change_nothing() {
    for action in ["Learn", "Ignore"] {
        let (now, later) = before_and_after(&format!(
            "{{apiVersion: projectcalico.org/v3, kind: StagedNetworkPolicy, metadata: {{name: p, namespace: x}},
              spec: {{stagedAction: {action}, selector: all()}}}}"
        ));
        assert_eq!(now, BOTH);
        assert_eq!(later, BOTH);
    }
}

#[test]
fn staged_rules_are_read_apart() {
    let all = documents(
        "{apiVersion: projectcalico.org/v3, kind: StagedNetworkPolicy, metadata: {name: p, namespace: x}, spec: {selector: all()}}",
    );
    let dataplane = Dataplane::new(DataplaneKind::Calico);
    assert!(policy::read(&all, &dataplane).tiers.is_empty());
    assert_eq!(policy::read_staged(&all, &dataplane).tiers.len(), 1);
}

#[test]
fn what_the_api_server_refuses_keeps_nothing_back_and_may_let_in() {
    let policies = "
{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: one-address}, spec: {order: 1,
  selector: app == 'b', ingress: [{action: Deny, source: {nets: [10.1.0.1]}}, {action: Allow, protocol: UDP}]}}
---
{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: below}, spec: {order: 2,
  selector: app == 'b', ingress: [{action: Allow, protocol: TCP}]}}";
    let documents = documents(&format!("{PODS}{policies}"));
    let analysis = analysis::declared(&documents, Dataplane::new(DataplaneKind::Calico));
    assert_eq!(common::connection_lines(&analysis, false), ["x/Pod/a -> x/Pod/b: TCP UDP", BOTH[1]]);
    assert_eq!(analysis.problems.len(), 1, "{:?}", analysis.problems);
    assert!(analysis.problems[0].message.contains("has no prefix length"));
}

#[test]
fn settings_come_from_felix_and_a_node_may_turn_them_off() {
    let felix = |name: &str, spec: &str| {
        format!(
            "{{apiVersion: projectcalico.org/v3, kind: FelixConfiguration, metadata: {{name: {name}}}, spec: {{{spec}}}}}\n---\n"
        )
    };
    let on = felix("default", "wireguardEnabled: true, wireguardListeningPort: 51999, bpfEnabled: true");
    let settings = policy::calico::settings(&documents(&on));
    assert_eq!(settings.get("wireguardEnabled").map(String::as_str), Some("true"));
    assert_eq!(settings.get("wireguardListeningPort").map(String::as_str), Some("51999"));
    assert_eq!(settings.len(), 2);
    let agent = |value: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: DaemonSet, metadata: {{name: calico-node, namespace: kube-system}}, spec: {{template: {{spec: {{containers: [{{name: c, env: [{{name: FELIX_WIREGUARDENABLED, value: '{value}'}}]}}]}}}}}}}}\n---\n"
        )
    };
    let whether = |text: &str| {
        policy::calico::settings(&documents(text)).get("wireguardEnabled").map(|value| value == "true")
    };
    assert_eq!(whether(&(on.clone() + &felix("node.n1", "wireguardEnabled: false"))), Some(false));
    // The environment of the agents counts more, and of two objects of one name nobody knows which counts.
    assert_eq!(whether(&(on.clone() + &agent("No"))), Some(false));
    assert_eq!(whether(&agent("1")), Some(true));
    assert_eq!(whether(&(on.clone() + &felix("default", "bpfEnabled: true"))), Some(false));
    assert_eq!(whether(&(on.clone() + &on)), Some(true));
}

#[test]
fn failsafe_ports_may_be_a_setting_of_the_dataplane() {
    let text = format!(
        "{PODS}{{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {{name: h}}, spec: {{interfaceName: '*'}}}}"
    );
    let mut dataplane = Dataplane::new(DataplaneKind::Calico);
    dataplane.settings.insert("failsafeInboundHostPorts".to_owned(), "udp:0.0.0.0/0:68, 8080".to_owned());
    dataplane.settings.insert("failsafeOutboundHostPorts".to_owned(), "none".to_owned());
    let (analysis, _) = common::analyse_on(&text, Some(dataplane));
    let lines = common::connection_lines(&analysis, false);
    assert_eq!(
        lines.iter().filter(|line| line.ends_with("/HostEndpoint/h: TCP 8080 UDP 68")).count(),
        2,
        "{lines:?}"
    );
    assert!(!lines.iter().any(|line| line.starts_with("/HostEndpoint/h")), "{lines:?}");
}

#[test]
fn lists_of_calicoctl_are_read_as_they_are_written() {
    let text = r#"[{"kind": "WorkloadEndpointList", "apiVersion": "projectcalico.org/v3", "items": [
        {"metadata": {"name": "n-k8s-a-eth0", "namespace": "x"}, "spec": {"orchestrator": "k8s", "pod": "a", "ipNetworks": ["10.0.0.1/32"]}}]},
        {"kind": "HostEndpointList", "apiVersion": "projectcalico.org/v3", "items": [{"metadata": {"name": "h"}, "spec": {"node": "n", "interfaceName": "eth0"}}]}]"#;
    let (analysis, problems) = common::analyse(text);
    assert!(problems.is_empty(), "{problems:?}");
    let names: Vec<String> = analysis.inventory.workloads.iter().map(|w| w.name.to_string()).collect();
    assert_eq!(names, ["/HostEndpoint/h", "x/Pod/a"]);
    assert!(analysis.inventory.namespaces.keys().eq(["x"]));
}
