//! The ports on which gRPC servers without a proxy do what a proxy would: those for which istiod
//! has a listener, which are the ports of services (`pilot/pkg/networking/grpcgen/lds.go`), as far
//! as the services do not declare something else there.
//!
//! On every other port of such a pod an application answers by itself, whatever mode is declared.

use super::super::Speech;
use super::super::shapes::{labels, labels_in};
use super::membership::{all, templates};
use crate::model::{Document, Node, PortSet, Requirement, Selector, Text, fact};

/// Ports that some pods serve so.
#[derive(Debug)]
pub struct Served {
    /// The pods behind a service.
    pub pods: Selector,
    /// Ports of their containers.
    pub ports: PortSet,
}

/// Of each service with a selector, what the pods behind it serve.
pub fn served(documents: &[Document]) -> Vec<Served> {
    let services = documents.iter().filter(|d| &*d.origin.kind == "Service" && d.api_version == "v1");
    services.filter_map(|service| of_service(documents, service)).collect()
}

fn of_service(documents: &[Document], service: &Document) -> Option<Served> {
    let spec = service.body.get("spec")?;
    let wanted = labels_in(spec.get("selector"));
    if wanted.is_empty() {
        return None;
    }
    let namespace = super::place(service).namespace.to_string();
    let one = |(key, value): (&Text, &Text)| Requirement::In(key.to_string(), vec![value.to_string()]);
    let pods = Selector { requirements: wanted.iter().map(one).collect() };
    let ports = spec
        .items_of("ports")
        .iter()
        .filter(|port| may_be_grpc(port))
        .flat_map(|port| numbers(documents, &namespace, &pods, port))
        .fold(PortSet::none(), |all, port| all.union(&PortSet::range(port, port)));
    let here = Selector { requirements: vec![Requirement::In(fact::NAMESPACE.to_owned(), vec![namespace])] };
    Some(Served { pods: all([here, pods]), ports })
}

/// Whether a port of a service is declared for gRPC, for HTTP/2, or for nothing that is known.
fn may_be_grpc(port: &Node) -> bool {
    let text = |field: &str| port.text_of(field).unwrap_or_default();
    let (name, declared) = (text("name"), text("appProtocol").to_ascii_lowercase());
    let is_tcp = matches!(text("protocol"), "" | "TCP");
    let is_http_1 = match declared.as_str() {
        "http" | "kubernetes.io/ws" => true,
        "grpc" | "grpc-web" | "http2" | "kubernetes.io/h2c" => false,
        _ => name == "http" || name.starts_with("http-"),
    };
    is_tcp && !is_http_1 && Speech::of(name, &declared) != Speech::Bytes
}

/// The ports of containers behind a port of a service; a name may be several numbers.
fn numbers(documents: &[Document], namespace: &str, pods: &Selector, port: &Node) -> Vec<u16> {
    let number = |node: Option<&Node>| node?.int().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
    let target = port.get("targetPort");
    let Some(name) = target.and_then(Node::text) else {
        return number(target).or(number(port.get("port"))).into_iter().collect();
    };
    let near = documents.iter().filter(|document| *super::place(document).namespace == *namespace);
    let behind = near.flat_map(templates).filter(|template| pods.matches(&labels(template)));
    let containers = behind.flat_map(|template| {
        ["containers", "initContainers"].into_iter().filter_map(|list| template.path(&["spec", list]))
    });
    let ports = containers.flat_map(Node::items).flat_map(|container| container.items_of("ports"));
    let named = ports.filter(|port| port.text_of("name") == Some(name));
    named.filter_map(|port| number(port.get("containerPort"))).collect()
}
