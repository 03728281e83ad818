//! Istio's WorkloadEntry and WorkloadGroup: machines outside of the cluster that are in the mesh; and
//! ServiceEntry: names that its clients know (`networking.istio.io`).

use super::Attachments;
use super::build::{self, Owned, refuse};
use super::workload::{ContainerPort, Network, Variant};
use super::{Service, ServiceEntry, ServiceKind, ServicePort, TargetPort, TrafficPolicy};
use crate::model::{
    AddressRange, AddressSet, Document, EndpointName, Few, Labels, Node, Problem, Protocol, Requirement,
    Selector,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub(super) fn is_istio(document: &Document) -> bool {
    document.api_version.starts_with("networking.istio.io/")
}

/// A machine, or the template of machines that register themselves.
pub(super) fn machine(document: &Document) -> Result<Owned, Problem> {
    let group = &*document.origin.kind == "WorkloadGroup";
    let spec = document.body.get("spec");
    let template = if group { spec.and_then(|spec| spec.get("template")) } else { spec };
    // Labels of the object count too, those of the spec before them.
    let mut labels = build::labels(document, &document.body)?;
    if group {
        labels = Labels::new();
        take_labels(&mut labels, spec.and_then(|spec| spec.path(&["metadata", "labels"])));
    }
    take_labels(&mut labels, template.and_then(|template| template.get("labels")));
    let address = template.and_then(|template| template.text_of("address")).unwrap_or_default();
    let weightless = |node: &Node| node.int().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
    let mut ports = Vec::new();
    for (name, number) in template.and_then(|t| t.get("ports")).map_or(&[][..], Node::fields) {
        let Some(port) = weightless(number) else {
            let hint = "ports run from 1 to 65535";
            return Err(refuse(document, number.line, format!("the port {name} is no port number"), hint));
        };
        let (name, protocol) = (name.to_string(), Protocol::Tcp);
        ports.push(ContainerPort { name, port, protocol, host_port: None, host_ip: None });
    }
    ports.sort();
    let account = template.and_then(|t| t.text_of("serviceAccount")).unwrap_or_default();
    let variant = Variant {
        proxies: Default::default(),
        labels,
        annotations: build::annotations(&document.body),
        containers: Few::new(),
        users: BTreeSet::new(),
        ports,
        network: Network::Machine,
        service_account: account.to_owned(),
        profiles: Vec::new(),
        addresses: address.parse().into_iter().collect(),
        nodes: Few::new(),
        runs_on: Default::default(),
        pods: Few::new(),
        attachments: Attachments::new(),
    };
    let name = EndpointName {
        namespace: document.namespace().to_owned(),
        kind: document.origin.kind.to_string(),
        name: document.origin.name.to_string(),
    };
    let owner = build::owner(document, &Labels::new()).filter(|owner| owner.kind == "WorkloadGroup");
    Ok(Owned {
        name,
        owner,
        variant: Some(Box::new(variant)),
        from_template: group,
        origin: document.origin.clone(),
    })
}

fn take_labels(labels: &mut Labels, node: Option<&Node>) {
    for (key, value) in node.map_or(&[][..], Node::fields) {
        if let Some(value) = value.text() {
            labels.insert(key.clone(), value);
        }
    }
}

/// A ServiceEntry, as a service that only the mesh knows.
pub(super) fn entry(document: &Document) -> Result<ServiceEntry, Problem> {
    let spec = document.body.get("spec").unwrap_or(&document.body);
    if spec.items_of("hosts").is_empty() {
        let hint = "name at least one host under spec.hosts";
        return Err(refuse(document, spec.line, "a ServiceEntry without hosts".to_owned(), hint));
    }
    let number = |node: &Node, field: &str| node.get(field)?.int().and_then(|n| u16::try_from(n).ok());
    for port in spec.items_of("ports") {
        if number(port, "number").is_none_or(|number| number == 0) {
            let hint = "write number: with a port from 1 to 65535";
            return Err(refuse(document, port.line, "a port without a number".to_owned(), hint));
        }
    }
    let endpoints = spec.items_of("endpoints");
    let port = |node: &Node| -> Option<ServicePort> {
        let port = number(node, "number")?;
        let target = number(node, "targetPort").filter(|port| *port > 0).unwrap_or(port);
        Some(ServicePort {
            name: node.text_of("name").unwrap_or_default().to_owned(),
            port,
            target: TargetPort::Number(target),
            node_port: None,
            protocol: Protocol::Tcp,
            app_protocol: node.text_of("protocol").unwrap_or_default().to_ascii_lowercase(),
        })
    };
    let own_ports = |endpoint: &Node| -> Option<(IpAddr, BTreeMap<String, u16>)> {
        let ports = endpoint.get("ports")?;
        let names =
            ports.fields().iter().filter_map(|(name, _)| Some((name.to_string(), number(ports, name)?)));
        Some((endpoint.text_of("address")?.parse().ok()?, names.collect()))
    };
    let selector = spec.path(&["workloadSelector", "labels"]).map(|labels| Selector {
        requirements: labels
            .fields()
            .iter()
            .filter_map(|(key, value)| Some(Requirement::In(key.to_string(), vec![value.text()?.to_owned()])))
            .collect(),
    });
    let resolution = spec.text_of("resolution").unwrap_or("NONE");
    if resolution == "NONE" && !endpoints.is_empty() {
        let hint = "write resolution: STATIC, or DNS where endpoints have names";
        return Err(refuse(document, spec.line, "endpoints without resolution".to_owned(), hint));
    }
    let named: Vec<&str> = endpoints.iter().filter_map(|e| e.text_of("address")).collect();
    let hosts = spec.items_of("hosts").iter().filter_map(Node::text);
    // Who has no endpoints is looked up by its own name.
    let asked: Vec<&str> = match named.is_empty() && selector.is_none() {
        true => hosts.collect(),
        false => named.clone(),
    };
    let single = |node: &Node| -> Option<IpAddr> {
        let text = node.text()?;
        text.parse().ok().or_else(|| {
            let range = AddressRange::from_cidr(text)?;
            (range.first == range.last).then_some(range.first)
        })
    };
    let service = Service {
        namespace: document.namespace().to_owned(),
        name: document.origin.name.to_string(),
        labels: build::labels(document, &document.body)?,
        annotations: Labels::new(),
        kind: if resolution == "NONE" { ServiceKind::Headless } else { ServiceKind::ClusterIp },
        selector,
        ports: spec.items_of("ports").iter().filter_map(port).collect(),
        cluster_ips: spec.items_of("addresses").iter().filter_map(single).collect(),
        external_ips: BTreeSet::new(),
        endpoints: named.iter().filter_map(|address| address.parse().ok()).collect(),
        external_traffic: TrafficPolicy::Cluster,
        source_ranges: AddressSet::all(),
        external_name: None,
        origin: document.origin.clone(),
    };
    let hosts = spec.items_of("hosts").iter().filter_map(|host| Some(host.text()?.to_owned())).collect();
    let aliases = asked.into_iter().filter_map(in_cluster).collect();
    Ok(ServiceEntry { service, hosts, aliases, own_ports: endpoints.iter().filter_map(own_ports).collect() })
}

/// `name.namespace.svc.cluster.local`, as namespace and name.
fn in_cluster(host: &str) -> Option<(String, String)> {
    let (name, rest) = host.strip_suffix(".svc.cluster.local")?.split_once('.')?;
    (!rest.contains('.')).then(|| (rest.to_owned(), name.to_owned()))
}
