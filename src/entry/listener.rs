//! A listener of a Gateway: what it takes, and which routes may be bound to it.

use super::Tls;
use super::context::{port_in, texts};
use crate::inventory::{Inventory, NAME_LABEL};
use crate::model::{Node, Requirement, Selector};
use std::collections::BTreeSet;

/// `Gateway.spec.listeners[]`.
pub(super) struct Listener<'a> {
    pub name: &'a str,
    pub host: &'a str,
    pub port: Option<u16>,
    pub protocol: &'a str,
    pub mode: Mode,
    pub node: &'a Node,
    namespaces: From,
    kinds: BTreeSet<String>,
}

/// `listeners[].tls.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// TLS ends here; the default.
    Terminate,
    /// TLS goes through.
    Passthrough,
}

/// Whether a listener takes a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    Yes,
    No,
    /// The labels that decide are not in the input.
    Perhaps,
}

/// `listeners[].allowedRoutes.namespaces.from`.
enum From {
    /// That of the Gateway; the default.
    Same,
    /// Any.
    All,
    /// Those whose labels match.
    Selector(Selector),
    /// None.
    None,
}

/// Which kinds of route a protocol serves where the listener does not say (`RouteNamespaces`,
/// `ProtocolType`), in which mode.
const SERVES: &[(&str, &[&str])] = &[
    ("HTTP", &["HTTPRoute", "GRPCRoute"]),
    ("HTTPS", &["HTTPRoute", "GRPCRoute"]),
    ("TLS", &["TLSRoute", "TCPRoute"]),
    ("TCP", &["TCPRoute"]),
    ("UDP", &["UDPRoute"]),
];

impl<'a> Listener<'a> {
    pub fn read(node: &'a Node) -> Listener<'a> {
        let allowed = node.get("allowedRoutes");
        let namespaces = allowed.and_then(|a| a.get("namespaces"));
        let from = match namespaces.and_then(|n| n.text_of("from")) {
            Some("All") => From::All,
            Some("Selector") => From::Selector(selector(namespaces.and_then(|n| n.get("selector")))),
            Some("None") => From::None,
            _ => From::Same,
        };
        let kinds = allowed.map_or(&[][..], |a| a.items_of("kinds"));
        let mode = match node.path(&["tls", "mode"]).and_then(Node::text) {
            Some("Passthrough") => Mode::Passthrough,
            _ => Mode::Terminate,
        };
        Listener {
            name: node.text_of("name").unwrap_or_default(),
            host: node.text_of("hostname").unwrap_or_default(),
            port: port_in(node, "port"),
            protocol: node.text_of("protocol").unwrap_or_default(),
            mode,
            node,
            namespaces: from,
            kinds: kinds.iter().filter_map(|k| Some(k.text_of("kind")?.to_owned())).collect(),
        }
    }

    /// Whether its protocol can serve routes of this kind.
    pub fn serves(&self, kind: &str) -> bool {
        let kinds =
            SERVES.iter().find(|(protocol, _)| *protocol == self.protocol).map_or(&[][..], |(_, k)| k);
        // `TCPRoute` takes the content of terminated TLS, never the TLS stream itself.
        let through = kind == "TCPRoute" && self.protocol == "TLS" && self.mode == Mode::Passthrough;
        kinds.contains(&kind) && !through
    }

    /// Whether it takes routes of this kind from this namespace.
    pub fn allows(&self, kind: &str, namespace: &str, own: &str, inventory: &Inventory) -> Allowed {
        let sure = |yes: bool| if yes { Allowed::Yes } else { Allowed::No };
        if !self.kinds.is_empty() && !self.kinds.contains(kind) {
            return Allowed::No;
        }
        match &self.namespaces {
            From::All => Allowed::Yes,
            From::Same => sure(namespace == own),
            From::None => Allowed::No,
            From::Selector(selector) => {
                let known = inventory.namespaces.get(namespace);
                let mut labels = known.map(|n| n.labels.clone()).unwrap_or_default();
                labels.insert(NAME_LABEL, namespace);
                let written = known.is_some_and(|n| n.origin.is_some());
                match selector.matches(&labels) {
                    false if !written && !selector.requirements.iter().all(is_name) => Allowed::Perhaps,
                    yes => sure(yes),
                }
            }
        }
    }

    /// Where TLS ends, if the backend is not asked for TLS again.
    pub fn tls(&self) -> Tls {
        match (self.protocol, self.mode) {
            ("TLS" | "HTTPS", Mode::Passthrough) => Tls::Passthrough,
            ("TLS" | "HTTPS", Mode::Terminate) => Tls::Edge,
            _ => Tls::None,
        }
    }
}

/// Whether a requirement is about the name of a namespace, which is always known.
fn is_name(requirement: &Requirement) -> bool {
    requirement.key() == Some(NAME_LABEL)
}

/// A `LabelSelector`; an operator that nobody knows matches nothing.
fn selector(node: Option<&Node>) -> Selector {
    let Some(node) = node else { return Selector::nothing() };
    let mut requirements: Vec<Requirement> = node
        .get("matchLabels")
        .map_or(&[][..], Node::fields)
        .iter()
        .filter_map(|(key, value)| Some(Requirement::In(key.to_string(), vec![value.text()?.to_owned()])))
        .collect();
    for item in node.items_of("matchExpressions") {
        let key = item.text_of("key").unwrap_or_default().to_owned();
        let values: Vec<String> = texts(item.get("values")).into_iter().collect();
        requirements.push(match item.text_of("operator") {
            Some("In") => Requirement::In(key, values),
            Some("NotIn") => Requirement::NotIn(key, values),
            Some("Exists") => Requirement::Exists(key),
            Some("DoesNotExist") => Requirement::DoesNotExist(key),
            _ => return Selector::nothing(),
        });
    }
    Selector { requirements }
}
