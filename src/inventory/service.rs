//! Services and nodes: the other holders of addresses, and the ways in from outside.

use super::{Variant, build};
use crate::model::{
    AddressRange, AddressSet, Document, Labels, Node as Yaml, Origin, Problem, Protocol, Requirement,
    Selector, Text, Value,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A Service with its backends' description.
#[derive(Clone, Debug)]
pub struct Service {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Labels of the object itself.
    pub labels: Labels,
    /// Annotations that say how traffic is carried.
    pub annotations: Labels,
    /// `spec.type` and headlessness.
    pub kind: ServiceKind,
    /// Pods behind it; `None` where endpoints are managed by hand.
    pub selector: Option<Selector>,
    /// Ports.
    pub ports: Vec<ServicePort>,
    /// ClusterIPs.
    pub cluster_ips: BTreeSet<IpAddr>,
    /// `spec.externalIPs` and load-balancer addresses of the status.
    pub external_ips: BTreeSet<IpAddr>,
    /// Addresses of Endpoints and EndpointSlices of this service.
    pub endpoints: BTreeSet<IpAddr>,
    /// `spec.externalTrafficPolicy`.
    pub external_traffic: TrafficPolicy,
    /// `spec.loadBalancerSourceRanges`: whom the load balancer is asked to let in; everyone where no
    /// network is named.
    pub source_ranges: AddressSet,
    /// `spec.externalName`.
    pub external_name: Option<String>,
    /// Where it stands.
    pub origin: Origin,
}

/// A name that a mesh gives to endpoints (Istio ServiceEntry); only clients of the mesh know it.
#[derive(Clone, Debug)]
pub struct ServiceEntry {
    /// The same as a service: its selector and addresses, and the addresses of its endpoints.
    pub service: Service,
    /// `hosts`.
    pub hosts: BTreeSet<String>,
    /// Services of the cluster that its hosts or endpoints name, by namespace and name.
    pub aliases: BTreeSet<(String, String)>,
    /// Ports that its endpoints have of their own, by their address and the name of the port.
    pub own_ports: BTreeMap<IpAddr, BTreeMap<String, u16>>,
}

/// `spec.type`, with headless services told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceKind {
    /// Reachable inside the cluster at a virtual address.
    ClusterIp,
    /// Only names: DNS answers with the pods' addresses.
    Headless,
    /// Open on a port of every node.
    NodePort,
    /// Open at a load balancer, and on nodes.
    LoadBalancer,
    /// An alias of an outside name.
    ExternalName,
}

/// `spec.externalTrafficPolicy`: whether outside clients keep their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrafficPolicy {
    /// Clients may appear as a node.
    Cluster,
    /// Clients keep their address; only local pods answer.
    Local,
}

/// `spec.ports[]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Name; may be empty.
    pub name: String,
    /// The service's port.
    pub port: u16,
    /// The container's port.
    pub target: TargetPort,
    /// The nodes' port.
    pub node_port: Option<u16>,
    /// Protocol.
    pub protocol: Protocol,
    /// `appProtocol`; empty where none is given.
    pub app_protocol: String,
}

/// `spec.ports[].targetPort`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetPort {
    /// A number.
    Number(u16),
    /// A container port's name.
    Named(String),
}

/// A Node and its addresses.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// `status.addresses` that are IP addresses, and those of all interfaces where they are noted.
    pub addresses: BTreeSet<IpAddr>,
    /// Those that are surely addresses of its interfaces: the ones that are noted, or where none are, all
    /// that it is not said to be reached at from outside (`ExternalIP`).
    pub interfaces: BTreeSet<IpAddr>,
    /// Where it stands.
    pub origin: Origin,
}

/// What Endpoints and EndpointSlices say of a service.
#[derive(Default)]
pub(super) struct Found {
    pub addresses: BTreeSet<IpAddr>,
    pub ports: BTreeSet<EndpointPort>,
}

/// A port of Endpoints (`subsets[].ports[]`) or of an EndpointSlice (`ports[]`): name, protocol, number.
pub(super) type EndpointPort = (String, Protocol, u16);

/// The ports that an object of either kind lists.
pub(super) fn endpoint_ports(object: &Yaml) -> BTreeSet<EndpointPort> {
    let lists = object.items_of("subsets").iter().chain([object]);
    let one = |port: &Yaml| {
        let number = port.get("port")?.int().and_then(|number| u16::try_from(number).ok())?;
        let protocol = port.text_of("protocol").and_then(Protocol::from_name).unwrap_or(Protocol::Tcp);
        Some((port.text_of("name").unwrap_or_default().to_owned(), protocol, number))
    };
    lists.flat_map(|list| list.items_of("ports")).filter_map(one).collect()
}

/// A Service object.
pub(super) fn read(document: &Document) -> Result<Service, Problem> {
    let spec = document.body.get("spec");
    let text = |field: &str| spec.and_then(|s| s.text_of(field));
    let addresses = |field: &str| -> BTreeSet<IpAddr> {
        let items = spec.map_or(&[][..], |s| s.items_of(field));
        items.iter().filter_map(|n| n.text()?.parse().ok()).collect()
    };
    let headless = text("clusterIP") == Some("None");
    let kind = match text("type") {
        Some("NodePort") => ServiceKind::NodePort,
        Some("LoadBalancer") => ServiceKind::LoadBalancer,
        Some("ExternalName") => ServiceKind::ExternalName,
        _ if headless => ServiceKind::Headless,
        _ => ServiceKind::ClusterIp,
    };
    let mut cluster_ips = addresses("clusterIPs");
    cluster_ips.extend(text("clusterIP").and_then(|ip| ip.parse::<IpAddr>().ok()));
    let mut external_ips = addresses("externalIPs");
    let balancer = document.body.path(&["status", "loadBalancer", "ingress"]);
    external_ips.extend(
        balancer.map_or(&[][..], Yaml::items).iter().filter_map(|i| i.text_of("ip")?.parse::<IpAddr>().ok()),
    );
    Ok(Service {
        namespace: document.namespace().to_owned(),
        name: document.origin.name.to_string(),
        labels: build::labels(document, &document.body)?,
        annotations: build::annotations(&document.body),
        kind,
        selector: service_selector(document, spec)?,
        ports: spec.map_or(&[][..], |s| s.items_of("ports")).iter().filter_map(service_port).collect(),
        cluster_ips,
        external_ips,
        endpoints: BTreeSet::new(),
        external_traffic: match text("externalTrafficPolicy") {
            Some("Local") => TrafficPolicy::Local,
            _ => TrafficPolicy::Cluster,
        },
        source_ranges: source_ranges(document, spec),
        external_name: text("externalName").map(str::to_owned),
        origin: document.origin.clone(),
    })
}

/// The field, or where that is empty the annotation from which it comes (`GetLoadBalancerSourceRanges`
/// of Kubernetes' service helpers). What is no network names nobody.
fn source_ranges(document: &Document, spec: Option<&Yaml>) -> AddressSet {
    const ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let listed = spec.map_or(&[][..], |spec| spec.items_of("loadBalancerSourceRanges"));
    let annotation = || document.body.path(&["metadata", "annotations"])?.text_of(ANNOTATION);
    let texts: Vec<&str> = match listed.is_empty() {
        true => annotation().map_or_else(Vec::new, |text| text.split(',').collect()),
        false => listed.iter().filter_map(Yaml::text).collect(),
    };
    let ranges: AddressSet = texts.iter().filter_map(|text| AddressRange::from_cidr(text.trim())).collect();
    if ranges.is_empty() { AddressSet::all() } else { ranges }
}

/// The selector; `None` where there is none, so that endpoints are listed by hand.
fn service_selector(document: &Document, spec: Option<&Yaml>) -> Result<Option<Selector>, Problem> {
    let Some(node) = spec.and_then(|spec| spec.get("selector")).filter(|node| !node.is_null()) else {
        return Ok(None);
    };
    let hint = "a selector of a service is a mapping of labels to texts; put values in quotes";
    let refused = |line: u32| {
        build::refuse(document, line, "selector has something that is not a string".to_owned(), hint)
    };
    if !matches!(node.value, Value::Map(_)) {
        return Err(refused(node.line));
    }
    let one = |(key, value): &(Text, Yaml)| match value.text() {
        Some(text) => Ok(Requirement::In(key.to_string(), vec![text.to_owned()])),
        None => Err(refused(value.line)),
    };
    let requirements = node.fields().iter().map(one).collect::<Result<Vec<_>, _>>()?;
    Ok((!requirements.is_empty()).then_some(Selector { requirements }))
}

fn service_port(node: &Yaml) -> Option<ServicePort> {
    let number = |field: &str| node.get(field)?.int().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
    let port = number("port")?;
    let target = match node.text_of("targetPort") {
        Some(name) => match name.parse() {
            Ok(number) => TargetPort::Number(number),
            Err(_) => TargetPort::Named(name.to_owned()),
        },
        None => TargetPort::Number(number("targetPort").unwrap_or(port)),
    };
    Some(ServicePort {
        name: node.text_of("name").unwrap_or_default().to_owned(),
        port,
        target,
        node_port: number("nodePort"),
        protocol: node.text_of("protocol").and_then(Protocol::from_name).unwrap_or(Protocol::Tcp),
        app_protocol: node.text_of("appProtocol").unwrap_or_default().to_owned(),
    })
}

impl Service {
    /// The ports that a call to an address leads to: at its own addresses those of its own number, and
    /// wherever else it is reached, on nodes, those of the nodes' number.
    pub fn called(&self, address: IpAddr, port: u16) -> impl Iterator<Item = &ServicePort> {
        let inside = self.cluster_ips.contains(&address);
        let own = inside || self.external_ips.contains(&address);
        let fits =
            move |one: &&ServicePort| (own && one.port == port) || (!inside && one.node_port == Some(port));
        self.ports.iter().filter(fits)
    }

    /// Without a selector a port leads where the endpoints' port of its name does, whatever its
    /// `targetPort` says: that is how proxies on nodes join them.
    pub(super) fn lead_to(&mut self, found: &BTreeSet<EndpointPort>) {
        if self.selector.is_some() || found.is_empty() {
            return;
        }
        let ports = std::mem::take(&mut self.ports);
        for port in ports {
            let own = |(name, protocol, _): &&EndpointPort| *name == port.name && *protocol == port.protocol;
            let numbers: Vec<u16> = found.iter().filter(own).map(|(_, _, number)| *number).collect();
            let there =
                numbers.iter().map(|n| ServicePort { target: TargetPort::Number(*n), ..port.clone() });
            let (there, none) = (there.collect::<Vec<_>>(), numbers.is_empty());
            self.ports.extend(there);
            self.ports.extend(none.then_some(port));
        }
    }
}

impl ServiceEntry {
    /// Whether it selects nobody in the cluster: it is a name for hosts outside, or for services.
    pub fn leads_out(&self) -> bool {
        self.service.selector.is_none()
    }
}

impl ServicePort {
    /// The container ports behind it, on one variant.
    pub fn targets(&self, variant: &Variant) -> Vec<u16> {
        match &self.target {
            TargetPort::Number(number) => vec![*number],
            TargetPort::Named(name) => variant.named_port(name, self.protocol).collect(),
        }
    }

    /// The port behind it where that is a number.
    pub fn number(&self) -> Option<u16> {
        match self.target {
            TargetPort::Number(number) => Some(number),
            TargetPort::Named(_) => None,
        }
    }
}
