//! Server objects: which pods and which port they are about, and which of several counts.

use super::super::kubernetes::{label_selector, refusal};
use super::super::shapes::{self, Shape};
use super::super::{PortName, TrafficMatch};
use super::access::Access;
use crate::model::{
    Bend, Document, Gap, Labels, Node, Origin, PortSet, Problem, Protocol, Selector, TrafficSet,
};
use std::collections::BTreeSet;

/// A Server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it stands.
    pub origin: Origin,
    /// Its own labels, by which ServerAuthorizations may select it.
    pub labels: Labels,
    /// `metadata.creationTimestamp`; empty where it is not written.
    pub created: String,
    /// Which pods of its namespace.
    pub pods: Selector,
    /// Which port of theirs.
    pub port: ServerPort,
    /// What it grants by itself.
    pub access: Access,
    /// What routes are asked about.
    pub asked: Asked,
}

/// `spec.proxyProtocol`: which of the connections are requests that routes match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Those that turn out to be HTTP; others pass without being asked.
    Anything,
    /// All, as HTTP.
    Http,
    /// All, as gRPC.
    Grpc,
    /// None: bytes are passed on as they are.
    Nothing,
}

/// `spec.port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerPort {
    /// By number.
    Number(u16),
    /// By the name of a container port.
    Name(String),
}

/// The numbers that a port has.
#[derive(Clone, Debug)]
pub enum Numbers {
    /// The same on all pods.
    Same(PortSet),
    /// One of these; which differs from pod to pod.
    Differing(PortSet),
}

impl Server {
    /// The traffic that it is about.
    pub fn traffic(&self) -> TrafficMatch {
        match &self.port {
            ServerPort::Number(port) => TrafficMatch::fixed(TrafficSet::port(Protocol::Tcp, *port)),
            ServerPort::Name(name) => TrafficMatch {
                named: vec![PortName::Container(Some(Protocol::Tcp), name.clone())],
                ..TrafficMatch::default()
            },
        }
    }

    /// The numbers of its port on the pods that it selects.
    pub fn numbers(&self, shapes: &[Shape<'_>]) -> Numbers {
        let of = |port: u16| PortSet::range(port, port);
        if let ServerPort::Number(port) = self.port {
            return Numbers::Same(of(port));
        }
        let selected = shapes.iter().filter(|shape| self.selects(shape));
        let each: BTreeSet<BTreeSet<u16>> = selected.map(|shape| self.ports_on(shape)).collect();
        let union = each.iter().flatten().fold(PortSet::none(), |set, port| set.union(&of(*port)));
        match each.len() {
            0 | 1 => Numbers::Same(union),
            _ => Numbers::Differing(union),
        }
    }

    fn selects(&self, shape: &Shape<'_>) -> bool {
        shape.origin.namespace == self.origin.namespace && self.pods.matches(shape.labels())
    }

    /// Its ports on one pod.
    pub fn ports_on(&self, shape: &Shape<'_>) -> BTreeSet<u16> {
        match &self.port {
            ServerPort::Number(port) => [*port].into(),
            ServerPort::Name(name) => {
                shape.ports().iter().filter(|(own, _)| own == name).map(|(_, port)| *port).collect()
            }
        }
    }
}

/// Reads a Server; `None` where it is about external workloads alone.
///
/// # Errors
/// What the API server would refuse, with its line.
pub fn read(document: &Document) -> Result<Option<Server>, Problem> {
    let origin = &document.origin;
    let refuse = |node: &Node, message: String, hint: &str| Err(refusal(origin, node.line, message, hint));
    let Some(spec) = document.body.get("spec") else {
        return refuse(&document.body, "spec is missing".to_owned(), "a Server has podSelector and port");
    };
    let port = match spec.get("port") {
        Some(node) => match (node.int().and_then(|n| u16::try_from(n).ok()), node.text()) {
            (Some(port), _) if port > 0 => ServerPort::Number(port),
            (None, Some(name)) => ServerPort::Name(name.to_owned()),
            _ => return refuse(node, "port is no port".to_owned(), "a number from 1 to 65535, or a name"),
        },
        None => return refuse(spec, "port is missing".to_owned(), "name the container port"),
    };
    let access = match spec.get("accessPolicy") {
        None => Access::Deny,
        Some(node) => match node.text().and_then(Access::parse) {
            Some(access) => access,
            None => {
                return refuse(
                    node,
                    "accessPolicy is not known".to_owned(),
                    "deny, audit, all-authenticated …",
                );
            }
        },
    };
    let Some(selector) = spec.get("podSelector") else {
        return match spec.get("externalWorkloadSelector") {
            Some(_) => Ok(None),
            None => refuse(spec, "podSelector is missing".to_owned(), "podSelector: {} selects all pods"),
        };
    };
    let pods = selector_of(origin, selector)?;
    let asked = match spec.text_of("proxyProtocol") {
        Some("HTTP/1" | "HTTP/2") => Asked::Http,
        Some("gRPC") => Asked::Grpc,
        Some("opaque" | "TLS") => Asked::Nothing,
        _ => Asked::Anything,
    };
    let created = document.body.path(&["metadata", "creationTimestamp"]).and_then(Node::text);
    Ok(Some(Server {
        origin: origin.clone(),
        labels: shapes::labels(&document.body),
        created: created.unwrap_or_default().to_owned(),
        pods,
        port,
        access,
        asked,
    }))
}

/// Reads a label selector.
///
/// # Errors
/// What the API server would refuse, with its line.
pub fn selector_of(origin: &Origin, node: &Node) -> Result<Selector, Problem> {
    let hint = "a selector has matchLabels and matchExpressions";
    let selector = node.read().map_err(|misfit| refusal(origin, misfit.line, misfit.message, hint))?;
    label_selector(origin, selector, node.line)
}

/// The oldest first, then by name: where several select a port of a pod, the first counts alone
/// (`policy-controller/k8s/index/src/inbound/index.rs`, `reindex_servers`).
pub fn sort(servers: &mut [Server]) {
    servers.sort_by(|a, b| {
        let key =
            |s: &Server| (s.created.is_empty(), s.created.clone(), s.origin.name.clone(), s.origin.clone());
        key(a).cmp(&key(b))
    });
}

/// Servers of which another one may be the older, for manifests do not tell; and the numbers of those
/// that come before it here.
pub fn ambiguous(servers: &[Server], shapes: &[Shape<'_>]) -> (Vec<Gap>, BTreeSet<usize>) {
    let (mut gaps, mut unsure) = (Vec::new(), BTreeSet::new());
    for (index, server) in servers.iter().enumerate() {
        let meets = |other: &&Server| {
            (server.created.is_empty() || other.created.is_empty())
                && shapes.iter().any(|shape| {
                    server.selects(shape)
                        && other.selects(shape)
                        && !server.ports_on(shape).is_disjoint(&other.ports_on(shape))
                })
        };
        for (before, other) in servers[..index].iter().enumerate().filter(|(_, other)| meets(other)) {
            unsure.insert(before);
            let what = format!(
                "the Server {} selects the same port of the same pods, and the older one counts alone: \
                 manifests do not tell which that is, whoever one of them lets in is shown as let in",
                other.origin.name
            );
            gaps.push(Gap { what, origin: server.origin.clone(), bends: Bend::MayAllowMore });
        }
    }
    (gaps, unsure)
}
