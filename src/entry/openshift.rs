//! Route (`route.openshift.io/v1`).

use super::context::{Context, Draft, Reference, name_of, origin_of};
use super::controller::by_controller;
use super::{Controller, EntryKind, PortChoice, Tls};
use crate::contract::Served;
use crate::inventory::TargetPort;
use crate::model::{Document, Node, Protocol};

/// Reads all Routes.
pub(super) fn read(context: &mut Context<'_>) {
    let routes: Vec<&Document> = context.of_kind("route.openshift.io", "Route").collect();
    for document in routes {
        one(context, document);
    }
}

fn one(context: &mut Context<'_>, document: &Document) {
    let Some(spec) = document.body.get("spec") else { return };
    let name = name_of(document);
    let controller = match (
        context.placed((Served::Route, &name), None),
        by_controller("openshift.io/ingress-to-route"),
    ) {
        (Some(placed), _) => placed,
        (None, Some(known)) => Controller::known(known, context),
        (None, None) => Controller::unknown("openshift-router"),
    };
    let draft = Draft {
        kind: EntryKind::Route,
        name: name.clone(),
        hosts: host_of(spec).into_iter().collect(),
        paths: spec.text_of("path").filter(|p| *p != "/").map(str::to_owned).into_iter().collect(),
        controller,
        tls: tls_of(spec),
        chain: vec![origin_of(document)],
    };
    let backends = spec.get("to").into_iter().chain(spec.items_of("alternateBackends"));
    for backend in backends {
        // `RouteTargetReference.weight`: 0 gets no requests.
        let weightless = backend.get("weight").and_then(Node::int) == Some(0);
        let Some(service) = backend.text_of("name").filter(|_| !weightless) else { continue };
        let (namespace, protocol, line) = (&name.namespace, Some(Protocol::Tcp), backend.line);
        let to = Reference { namespace, service, port: port_of(spec), protocol, line };
        context.lead(draft.clone(), &to);
    }
}

/// `wildcardPolicy: Subdomain` serves every name beside the host.
fn host_of(spec: &Node) -> Option<String> {
    let host = spec.text_of("host").filter(|host| !host.is_empty())?.to_lowercase();
    match (spec.text_of("wildcardPolicy"), host.split_once('.')) {
        (Some("Subdomain"), Some((_, domain))) => Some(format!("*.{domain}")),
        _ => Some(host),
    }
}

/// `RoutePort.targetPort`: a number is a container port, a text the name of a service port; all
/// ports where it is absent.
fn port_of(spec: &Node) -> PortChoice {
    let Some(port) = spec.path(&["port", "targetPort"]) else { return PortChoice::All };
    let number = port.int().and_then(|n| u16::try_from(n).ok());
    let number = number.or_else(|| port.text().and_then(|text| text.parse().ok()));
    match (number, port.text()) {
        (Some(number), _) => PortChoice::Target(TargetPort::Number(number)),
        (None, Some(name)) => PortChoice::Name(name.to_owned()),
        (None, None) => PortChoice::All,
    }
}

/// `TLSConfig.termination`; `insecureEdgeTerminationPolicy: Allow` serves plaintext as well.
fn tls_of(spec: &Node) -> Tls {
    let Some(tls) = spec.get("tls").filter(|tls| !tls.is_null()) else { return Tls::None };
    let plain = tls.text_of("insecureEdgeTerminationPolicy") == Some("Allow");
    match (tls.text_of("termination"), plain) {
        (Some("passthrough"), _) => Tls::Passthrough,
        (_, true) => Tls::Optional,
        (Some("reencrypt"), false) => Tls::Reencrypt,
        _ => Tls::Edge,
    }
}
