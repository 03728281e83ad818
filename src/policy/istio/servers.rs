//! What gateways take: the servers of Gateways, and the listeners of the Gateway API.
//!
//! A server without TLS takes everything. One with ISTIO_MUTUAL takes mutual TLS of the mesh alone,
//! and the others TLS with certificates of their own, which ends there or goes on by name.

use super::super::{Acceptance, Accepts, Admission, Dialect, Holds, Namespaces};
use super::membership::{GATEWAY_NAME, Members, all, pods, templates};
use crate::model::{Document, Node, Origin, PortSet, Requirement, Selector, Text};
use std::collections::{BTreeMap, BTreeSet};

/// What the gateways of the documents take on the ports of their servers.
pub fn acceptances(documents: &[Document], members: &Members) -> Vec<Acceptance> {
    let mut list = Vec::new();
    let of = |kind: &'static str, group: &'static str| {
        documents.iter().filter(move |d| &*d.origin.kind == kind && d.api_version.starts_with(group))
    };
    for gateway in of("Gateway", "networking.istio.io/") {
        let spec = gateway.body.get("spec").unwrap_or(&gateway.body);
        let selector = labels(spec.get("selector"));
        let mut by_port: BTreeMap<u16, Taken> = BTreeMap::new();
        for server in spec.items_of("servers") {
            let Some(port) = number(server.get("port").and_then(|port| port.get("number"))) else { continue };
            let taken = match server.path(&["tls", "mode"]).and_then(Node::text) {
                Some("ISTIO_MUTUAL") => Taken::Mesh,
                Some(_) => Taken::Tls,
                None => Taken::Anything,
            };
            for target in targets(documents, &selector, port) {
                by_port.entry(target).and_modify(|known| *known = taken.min(*known)).or_insert(taken);
            }
        }
        let subjects = vec![pods(Namespaces::any(), all([members.gateway.clone(), selector]))];
        add(&mut list, &subjects, by_port, &super::place(gateway));
    }
    for gateway in of("Gateway", "gateway.networking.k8s.io/") {
        let origin = super::place(gateway);
        let listeners = gateway.body.path(&["spec", "listeners"]).map_or(&[][..], Node::items);
        let mut by_port: BTreeMap<u16, Taken> = BTreeMap::new();
        for listener in listeners {
            let Some(port) = number(listener.get("port")) else { continue };
            let taken = match listener.text_of("protocol") {
                Some("HTTPS" | "TLS") => Taken::Tls,
                // The tunnel of a waypoint is told by what the pods advertise.
                Some("HBONE") => continue,
                _ => Taken::Anything,
            };
            by_port.entry(port).and_modify(|known| *known = taken.min(*known)).or_insert(taken);
        }
        let namespace = Namespaces::Named(origin.namespace.to_string());
        let made = Selector::equals(GATEWAY_NAME, &origin.name);
        add(&mut list, &[pods(namespace, all([members.gateway.clone(), made]))], by_port, &origin);
    }
    list
}

/// What a port takes; where servers share one, what is least protected counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Taken {
    Anything,
    Tls,
    Mesh,
}

fn add(
    list: &mut Vec<Acceptance>,
    subjects: &[super::super::Selection],
    by_port: BTreeMap<u16, Taken>,
    origin: &Origin,
) {
    for (port, taken) in by_port {
        let (terminates, what) = match taken {
            Taken::Anything => continue,
            Taken::Tls => (Dialect::Foreign, "TLS with a certificate of its own"),
            Taken::Mesh => (Dialect::IstioMtls, "ISTIO_MUTUAL"),
        };
        list.push(Acceptance {
            holds: Holds::Surely,
            subjects: subjects.to_vec(),
            ports: PortSet::range(port, port),
            accepts: Accepts {
                plaintext: Admission::Refused,
                terminates: Some(terminates),
                advertises: None,
                proxied: Admission::Admitted,
            },
            why: format!("Gateway {}/{} takes {what} there", origin.namespace, origin.name),
            origin: Some(origin.clone()),
        });
    }
}

fn number(node: Option<&Node>) -> Option<u16> {
    node?.int().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0)
}

fn labels(node: Option<&Node>) -> Selector {
    let one =
        |(key, value): &(Text, Node)| Some(Requirement::In(key.to_string(), vec![value.text()?.to_owned()]));
    Selector { requirements: node.map_or(&[][..], Node::fields).iter().filter_map(one).collect() }
}

/// The container ports of a server's port: those behind the port of that number of the services in
/// front of the selected pods, or else the number itself.
fn targets(documents: &[Document], selector: &Selector, port: u16) -> BTreeSet<u16> {
    let mut found = BTreeSet::new();
    let own_labels = |object: &Node| -> crate::model::Labels {
        let fields = object.path(&["metadata", "labels"]).map_or(&[][..], Node::fields);
        fields.iter().filter_map(|(k, v)| Some((k.to_string(), v.text()?.to_owned()))).collect()
    };
    for document in documents {
        let chosen = templates(document).map(own_labels).filter(|labels| selector.matches(labels));
        for labels in chosen.collect::<Vec<_>>() {
            let namespace = super::place(document).namespace;
            let services = documents
                .iter()
                .filter(|d| &*d.origin.kind == "Service" && super::place(d).namespace == namespace);
            for spec in services.filter_map(|d| d.body.get("spec")) {
                let front = self::labels(spec.get("selector"));
                if front.requirements.is_empty() || !front.matches(&labels) {
                    continue;
                }
                for entry in spec.items_of("ports").iter().filter(|p| number(p.get("port")) == Some(port)) {
                    found.insert(number(entry.get("targetPort")).unwrap_or(port));
                }
            }
        }
    }
    if found.is_empty() {
        found.insert(port);
    }
    found
}
