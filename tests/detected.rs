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
    assert_eq!(image("20240813-c6f155d6"), DataplaneKind::Kubernetes);
    assert_eq!(image("20240202-8f1494ea"), none);
    let router = agent("kube-router", "{args: [--run-firewall=false]}");
    assert_eq!(kind(&(router + &agent("calico-node", "{name: c}"))), DataplaneKind::Calico);
}
