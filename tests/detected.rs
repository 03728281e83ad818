//! Which dataplane is found: whoever enforces policies by default may be told not to.

mod common;

use watertight::model::Document;
use watertight::policy::{DataplaneKind, detect};

fn agent(name: &str, containers: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: DaemonSet\nmetadata: {{name: {name}}}\nspec: {{template: {{spec: {{containers: [{containers}]}}}}}}\n"
    )
}

/// The dataplane that is found, in files and in what is kept of a cluster alike.
fn kind(text: &str) -> DataplaneKind {
    let documents = common::documents(text);
    let found = detect(&documents).kind;
    let kept: Vec<Document> = documents.into_iter().map(watertight::cluster::clean).collect();
    assert_eq!(detect(&kept).kind, found, "{text}");
    found
}

#[test]
fn the_aws_network_enforces_where_agent_and_controller_are_switched_on() {
    let config = |value: &str| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: amazon-vpc-cni}}\ndata: {{enable-network-policy-controller: '{value}'}}\n"
        )
    };
    let with =
        |value: &str| agent("aws-node", &format!("{{name: a, args: [--enable-network-policy={value}]}}"));
    assert_eq!(kind(&(with("true") + &config("true"))), DataplaneKind::AwsVpcCni);
    assert_eq!(kind(&with("true")), DataplaneKind::AwsVpcCni);
    assert_eq!(kind(&(with("true") + &config("false"))), DataplaneKind::None);
    assert_eq!(kind(&(with("false") + &config("true"))), DataplaneKind::None);
}

#[test]
fn who_is_told_not_to_enforce_enforces_nothing() {
    let of = |name: &str, containers: &str| kind(&agent(name, containers));
    let (only, none) = (DataplaneKind::NetworkPolicyOnly, DataplaneKind::None);
    assert_eq!(of("kube-router", "{args: [--run-router=true, --run-firewall=true]}"), only);
    assert_eq!(of("kube-router", "{args: [--run-router=true, --run-firewall=false]}"), none);
    assert_eq!(of("weave-net", "{name: weave}, {name: weave-npc}"), only);
    assert_eq!(of("weave-net", "{name: weave}"), none);
    assert_eq!(of("kube-ovn-cni", "{name: cni-server}"), only);
    let controller = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: kube-ovn-controller}\nspec: {template: {spec: {containers: [{args: [--enable-np=false]}]}}}\n";
    assert_eq!(kind(&(agent("kube-ovn-cni", "{name: cni-server}") + controller)), none);
    let image = |built: &str| of("kindnet", &format!("{{image: 'docker.io/kindest/kindnetd:v{built}'}}"));
    assert_eq!(image("20240813-c6f155d6"), only);
    assert_eq!(image("20240202-8f1494ea"), none);
    let router = agent("kube-router", "{args: [--run-firewall=false]}");
    assert_eq!(kind(&(router + &agent("calico-node", "{name: c}"))), DataplaneKind::Calico);
}

#[test]
fn policies_of_administrators_count_where_somebody_is_told_to_enforce_them() {
    let of = |container: &str| kind(&agent("kube-network-policies", container));
    assert_eq!(of("{args: [--v=2]}"), DataplaneKind::NetworkPolicyOnly);
    assert_eq!(of("{args: [--admin-network-policy=false]}"), DataplaneKind::NetworkPolicyOnly);
    assert_eq!(of("{args: [--admin-network-policy=true]}"), DataplaneKind::Kubernetes);
    assert_eq!(
        of("{image: 'registry.k8s.io/networking/kube-network-policies:v1.0.0-npa-v1alpha2'}"),
        DataplaneKind::Kubernetes
    );
}

#[test]
fn k3s_notes_on_its_nodes_whether_it_enforces() {
    let node = |arguments: &str| {
        format!(
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: n, annotations: {{k3s.io/node-args: '{arguments}'}}}}\n"
        )
    };
    let (only, none) = (DataplaneKind::NetworkPolicyOnly, DataplaneKind::None);
    assert_eq!(kind(&node(r#"["server","--token","********"]"#)), only);
    assert_eq!(kind(&node(r#"["server","--disable-network-policy","--tls-san","x"]"#)), none);
    assert_eq!(kind(&node(r#"["server","--disable-network-policy","true"]"#)), none);
    assert_eq!(kind(&node(r#"["server","--disable-network-policy=false"]"#)), only);
    assert_eq!(kind(&node(r#"["server","--disable-network-policy","false"]"#)), only);
    assert_eq!(
        kind(&(node(r#"["server","--disable-network-policy"]"#) + &agent("cilium", "{name: c}"))),
        DataplaneKind::Cilium
    );
}

const ADMIN: &str = "---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: x}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: x}
spec: {containers: [{name: c}]}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: p}
spec: {priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}
";

/// Connections between two pods that an AdminNetworkPolicy keeps apart, and how many gaps there are.
fn under_admin(agent: &str) -> (usize, usize) {
    let (analysis, problems) = common::analyse(&format!("{agent}{ADMIN}"));
    assert!(problems.is_empty(), "{problems:?}");
    let about = |gap: &&watertight::model::Gap| &*gap.origin.kind == "AdminNetworkPolicy";
    let gaps = analysis.gaps.iter().filter(about).count();
    let lines = common::connection_lines(&analysis, false);
    let between = |line: &&String| line.matches("x/Pod/").count() == 2;
    (lines.iter().filter(between).count(), gaps)
}

#[test]
fn the_version_of_calico_is_that_of_its_agents() {
    let node = |image: &str| under_admin(&agent("calico-node", &format!("{{image: '{image}'}}")));
    assert_eq!(node("docker.io/calico/node:v3.30.1"), (0, 0));
    assert_eq!(node("quay.io/calico/node:v3.28.5@sha256:0123"), (2, 0));
    assert_eq!(node("registry/rancher/mirrored-calico-node:v3.32.0"), (2, 0));
    assert_eq!(node("quay.io/tigera/cnx-node:v3.30.0"), (2, 1));
}

#[test]
fn antrea_has_policies_of_administrators_behind_a_gate() {
    let config = |gates: &str| {
        let text = format!("featureGates:\n{gates}\n");
        let map = format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: antrea-config, namespace: kube-system}}\ndata: {{antrea-controller.conf: {text:?}}}\n"
        );
        under_admin(&(map + &agent("antrea-agent", "{name: c}")))
    };
    assert_eq!(config("  AdminNetworkPolicy: true"), (0, 0));
    assert_eq!(config("  AllAlpha: true"), (0, 0));
    assert_eq!(config("#  AdminNetworkPolicy: true"), (2, 0));
    assert_eq!(config("  AllAlpha: true\n  AdminNetworkPolicy: false"), (2, 0));
    assert_eq!(under_admin(&agent("antrea-agent", "{name: c}")), (2, 1));
}
