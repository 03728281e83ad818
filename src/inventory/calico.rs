//! Endpoints that Calico objects declare: interfaces of nodes, and pods as `calicoctl` lists them.
//!
//! `HostEndpoint` and `WorkloadEndpoint` of `projectcalico.org/v3`; what policies make of them is
//! left to `policy`.

use super::build::{labels, refuse};
use super::workload::{ContainerPort, Network, Variant};
use crate::model::{AddressRange, Document, EndpointName, Labels, Node, Problem, Protocol, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Labels that profiles give to their endpoints (`Profile.spec.labelsToApply`), by profile.
pub(super) type Profiles = BTreeMap<String, Labels>;

/// Labels that Calico itself puts on the endpoint of a pod; selectors see them as facts.
const OWN_LABELS: &[&str] =
    &["projectcalico.org/namespace", "projectcalico.org/orchestrator", "projectcalico.org/serviceaccount"];
/// What begins labels of namespaces and service accounts, which nobody may set on a pod.
const INHERITED: &[&str] = &["pcns.", "pcsa."];

/// Whether an object is one of Calico's.
pub(super) fn is_calico(document: &Document) -> bool {
    matches!(document.api_version.as_str(), "projectcalico.org/v3" | "crd.projectcalico.org/v1")
}

/// Reads a HostEndpoint or WorkloadEndpoint.
///
/// # Errors
/// Labels or ports that are none.
pub(super) fn endpoint(document: &Document) -> Result<(EndpointName, Variant), Problem> {
    let spec = document.body.get("spec");
    let text = |field: &str| spec.and_then(|spec| spec.text_of(field)).filter(|text| !text.is_empty());
    let texts = |field: &str| spec.map_or(&[][..], |spec| spec.items_of(field)).iter().filter_map(Node::text);
    let host = &*document.origin.kind == "HostEndpoint";
    let mut own = labels(document, &document.body)?;
    let account = own.get("projectcalico.org/serviceaccount").cloned();
    let mut profiles: Vec<String> = texts("profiles").map(str::to_owned).collect();
    let name = match host {
        true => EndpointName {
            namespace: String::new(),
            kind: "HostEndpoint".to_owned(),
            name: document.origin.name.to_string(),
        },
        false => EndpointName {
            namespace: document.namespace().to_owned(),
            kind: "Pod".to_owned(),
            name: text("pod").or(text("workload")).unwrap_or(&document.origin.name).to_owned(),
        },
    };
    let prefix = format!("ksa.{}.", name.namespace);
    let by_profile = profiles.iter().find_map(|profile| profile.strip_prefix(&prefix)).map(Text::new);
    if !host {
        own.retain(|key, _| {
            !OWN_LABELS.contains(&key.as_str()) && !INHERITED.iter().any(|prefix| key.starts_with(prefix))
        });
        let generated =
            text("orchestrator") == Some("k8s") && spec.is_some_and(|s| s.get("profiles").is_none());
        if profiles.is_empty() && !generated {
            // Tells an endpoint without profiles, which is closed, from a pod, which lists none.
            profiles.push(String::new());
        }
    }
    let ports = spec.map_or(&[][..], |spec| spec.items_of("ports"));
    let mut ports = ports.iter().map(|port| named_port(document, port)).collect::<Result<Vec<_>, _>>()?;
    ports.sort();
    ports.dedup();
    let addresses = texts("expectedIPs").chain(texts("ipNetworks")).filter_map(address).collect();
    let pod = (!host).then(|| name.name.clone());
    let variant = Variant {
        users: Default::default(),
        proxies: BTreeSet::new(),
        attachments: super::Attachments::new(),
        labels: own,
        annotations: Labels::new(),
        containers: Default::default(),
        ports,
        network: if host { Network::HostEndpoint } else { Network::Pod },
        service_account: account.or(by_profile).map_or_else(|| "default".to_owned(), String::from),
        profiles,
        addresses,
        nodes: text("node").map(Text::new).into_iter().collect(),
        runs_on: Default::default(),
        pods: pod.into_iter().map(Text::from).collect(),
    };
    Ok((name, variant))
}

/// `spec.labelsToApply` of a Profile.
pub(super) fn profile_labels(document: &Document) -> Labels {
    let fields = document.body.path(&["spec", "labelsToApply"]).map_or(&[][..], Node::fields);
    let inherited = |key: &str| INHERITED.iter().any(|prefix| key.starts_with(prefix));
    let own = fields.iter().filter(|(key, _)| !inherited(key));
    own.filter_map(|(key, node)| Some((key.clone(), node.text()?))).collect()
}

/// Labels of the profiles that a variant lists; its own come first.
pub(super) fn inherit(variant: &mut Variant, profiles: &Profiles) {
    for (key, value) in variant.profiles.iter().filter_map(|name| profiles.get(name)).flatten() {
        variant.labels.insert_if_absent(key, value);
    }
}

/// `EndpointPort`.
fn named_port(document: &Document, node: &Node) -> Result<ContainerPort, Problem> {
    let number = node.get("port").and_then(Node::int).and_then(|port| u16::try_from(port).ok());
    let port = number.filter(|port| *port > 0).ok_or_else(|| {
        let hint = "an endpoint's port has a name, a protocol and a number from 1 to 65535";
        refuse(document, node.line, "port is not a port number".to_owned(), hint)
    })?;
    let protocol = node.text_of("protocol").map(str::to_ascii_uppercase);
    Ok(ContainerPort {
        name: node.text_of("name").unwrap_or_default().to_owned(),
        port,
        protocol: protocol.as_deref().and_then(Protocol::from_name).unwrap_or(Protocol::Tcp),
        host_port: None,
        host_ip: None,
    })
}

/// A single address, also as a network of one.
fn address(text: &str) -> Option<IpAddr> {
    let range = AddressRange::from_cidr(text).filter(|range| range.first == range.last);
    text.parse().ok().or(range.map(|range| range.first))
}
