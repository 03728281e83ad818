//! Virtual machines of KubeVirt: each is a workload, and the pod that runs it belongs to it.

use super::build::{self, Owned};
use super::network;
use super::workload::{ContainerPort, Network, Variant};
use crate::model::{Document, EndpointName, Few, Node, Problem, Protocol, Text};
use std::collections::BTreeSet;

/// Reads a VirtualMachine or a VirtualMachineInstance.
pub(super) fn read(document: &Document) -> Result<Owned, Problem> {
    let namespace = document.namespace().to_owned();
    let kind = document.origin.kind.to_string();
    let name = EndpointName { namespace, kind, name: document.origin.name.to_string() };
    let running = &*document.origin.kind == "VirtualMachineInstance";
    let object = match running {
        true => Some(&document.body),
        false => document.body.path(&["spec", "template"]),
    };
    let variant = object.map(|object| variant(document, object)).transpose()?.map(Box::new);
    let owner = build::owner(document, &crate::model::Labels::new());
    Ok(Owned { name, owner, variant, from_template: true, origin: document.origin.clone() })
}

/// What runs the machine is a pod with the labels of its template, and two of KubeVirt's own.
fn variant(document: &Document, object: &Node) -> Result<Variant, Problem> {
    let namespace = document.namespace().to_owned();
    let mut labels = build::labels(document, object)?;
    labels.insert("kubevirt.io", "virt-launcher");
    labels.insert("vm.kubevirt.io/name", document.origin.name.clone());
    let spec = object.get("spec");
    let interfaces = spec.and_then(|spec| spec.path(&["domain", "devices", "interfaces"]));
    let ports = interfaces.map_or(&[][..], Node::items).iter().flat_map(|i| i.items_of("ports"));
    let mut attachments = network::of_pod(&namespace, object);
    for entry in spec.map_or(&[][..], |spec| spec.items_of("networks")) {
        if let Some(name) = entry.path(&["multus", "networkName"]).and_then(Node::text) {
            attachments.insert(network::qualified(&namespace, name), BTreeSet::new());
        }
    }
    let status = object.get("status");
    let address = status.and_then(|s| s.items_of("interfaces").first()?.text_of("ipAddress")?.parse().ok());
    Ok(Variant {
        users: BTreeSet::new(),
        labels,
        annotations: build::annotations(object),
        containers: Few::from_iter([Text::new("compute")]),
        ports: ports.filter_map(port).collect(),
        network: Network::Pod,
        service_account: "default".to_owned(),
        profiles: Vec::new(),
        addresses: address.into_iter().collect(),
        nodes: status.and_then(|s| s.text_of("nodeName")).map(Text::new).into_iter().collect(),
        runs_on: Default::default(),
        pods: Few::new(),
        proxies: BTreeSet::new(),
        attachments,
    })
}

/// `spec.domain.devices.interfaces[].ports[]`.
fn port(node: &Node) -> Option<ContainerPort> {
    Some(ContainerPort {
        name: node.text_of("name").unwrap_or_default().to_owned(),
        port: node.get("port")?.int().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0)?,
        protocol: node.text_of("protocol").and_then(Protocol::from_name).unwrap_or(Protocol::Tcp),
        host_port: None,
        host_ip: None,
    })
}
