//! What manifests do not tell of the mesh, or what is not modelled: always said, with the way it bends.

use super::super::shapes::{self, Shape};
use super::membership::{INJECT, Members, has_proxy};
use super::settings::{Settings, TransportMode};
use crate::model::{Bend, Document, Gap, Node, Origin};
use std::collections::BTreeSet;

/// Annotations of pods and namespaces that change how traffic is carried and are not modelled.
const NOT_MODELLED: &[&str] = &[
    "config.linkerd.io/proxy-inbound-port",
    "config.linkerd.io/proxy-outbound-port",
    "config.linkerd.io/pod-inbound-ports",
];

/// Annotations of namespaces that the injector writes to pods.
const COPIED: &[&str] = &[
    "config.linkerd.io/default-inbound-policy",
    "config.linkerd.io/proxy-require-identity-inbound-ports",
    "config.linkerd.io/skip-inbound-ports",
    "config.linkerd.io/skip-outbound-ports",
];

/// Everything that is to be said where the mesh is in use.
pub fn of_the_mesh(
    documents: &[Document],
    shapes: &[Shape<'_>],
    settings: &Settings,
    members: &Members,
) -> Vec<Gap> {
    let mut gaps = Vec::new();
    if settings.origin.is_none() {
        let mode = match settings.mode {
            TransportMode::TransportHeader => "transport-header",
            TransportMode::Transparent => "transparent",
        };
        let what = format!(
            "the ConfigMap linkerd-config was not read: the inbound policy {}, the outbound transport mode {mode} \
             and the other settings of the control plane are assumed",
            settings.default_policy.name()
        );
        gaps.push(gap(&members.origin, what, Bend::MayAllowMore));
    }
    let namespaces = documents.iter().filter(|d| &*d.origin.kind == "Namespace" && d.api_version == "v1");
    let bodies = shapes.iter().map(|shape| (shape.body, shape.origin));
    for (body, origin) in bodies.chain(namespaces.map(|d| (&d.body, &d.origin))) {
        for key in NOT_MODELLED.iter().filter(|key| shapes::annotation(body, key).is_some()) {
            gaps.push(gap(origin, format!("the annotation {key} is not modelled"), Bend::MayAllowMore));
        }
        match shapes::annotation(body, INJECT) {
            Some("ingress") => {
                let what = "in ingress mode, requests with the header l5d-dst-override carry an identity, others \
                            are plaintext: all were taken for plaintext";
                gaps.push(gap(origin, what.to_owned(), Bend::MayAllowMore));
            }
            None | Some("enabled" | "disabled" | "") => {}
            Some(other) => {
                let what =
                    format!("{INJECT} has the value {other:?}, which the injector does not know: no proxy");
                gaps.push(gap(origin, what, Bend::MayAllowMore));
            }
        }
    }
    gaps.extend(probes(documents, shapes));
    gaps.extend(left_behind(documents, shapes));
    gaps.extend(documents.iter().filter_map(|document| of_object(document, settings)));
    gaps.extend(opaque_mismatches(documents, shapes));
    gaps
}

fn gap(origin: &Origin, what: String, bends: Bend) -> Gap {
    Gap { what, origin: origin.clone(), bends }
}

/// What a namespace says and pods that run there do not, which it does not change any more.
fn left_behind(documents: &[Document], shapes: &[Shape<'_>]) -> Vec<Gap> {
    let namespaces = documents.iter().filter(|d| &*d.origin.kind == "Namespace" && d.api_version == "v1");
    let mut gaps = Vec::new();
    for namespace in namespaces {
        let here = |shape: &&Shape<'_>| {
            shape.origin.namespace == namespace.origin.name
                && has_proxy(shape.body)
                && shape.body.path(&["status", "podIP"]).is_some()
        };
        for key in COPIED.iter().filter(|key| shapes::annotation(&namespace.body, key).is_some()) {
            let without = |shape: &&Shape<'_>| shapes::annotation(shape.body, key).is_none();
            if let Some(shape) = shapes.iter().filter(here).find(without) {
                let what = format!(
                    "{key} of the namespace does not hold for pods that run without it, as {} does: the injector \
                     writes it to pods that it makes, and pods are asked from then on",
                    shape.origin.name
                );
                gaps.push(gap(&namespace.origin, what, Bend::MayAllowLess));
            }
        }
    }
    gaps
}

/// Probes that pods declare are let in where no route is attached, from everywhere by default.
fn probes(documents: &[Document], shapes: &[Shape<'_>]) -> Vec<Gap> {
    let is_server =
        |d: &Document| &*d.origin.kind == "Server" && d.api_version.starts_with("policy.linkerd.io/");
    let has_servers =
        |namespace: &str| documents.iter().any(|d| is_server(d) && &*d.origin.namespace == namespace);
    let mut gaps = Vec::new();
    for shape in shapes.iter().filter(|shape| has_servers(&shape.origin.namespace)) {
        let asked = probed(shape.body);
        if !asked.is_empty() {
            let what = format!(
                "HTTP requests of its probes ({}) are let in without authorization, from everywhere by default, where \
                 no route is attached to the port",
                asked.into_iter().collect::<Vec<_>>().join(", ")
            );
            gaps.push(gap(shape.origin, what, Bend::MayAllowMore));
        }
    }
    gaps
}

/// Ports and paths of the probes of a pod, in words.
fn probed(body: &Node) -> BTreeSet<String> {
    const PROBES: &[&str] = &["livenessProbe", "readinessProbe", "startupProbe"];
    let containers = body.path(&["spec", "containers"]).map_or(&[][..], Node::items);
    let of = |container: &Node| {
        let asked = PROBES.iter().filter_map(|probe| container.path(&[probe, "httpGet"]));
        let word = |request: &Node| {
            let port = request.get("port");
            let number = port.and_then(Node::int).map(|number| number.to_string());
            let port = number.or(port.and_then(Node::text).map(str::to_owned)).unwrap_or_default();
            format!("{} on port {port}", request.text_of("path").unwrap_or("/"))
        };
        asked.map(word).collect::<Vec<_>>()
    };
    containers.iter().flat_map(of).collect()
}

fn of_object(document: &Document, settings: &Settings) -> Option<Gap> {
    let origin = &document.origin;
    let group = document.api_version.split('/').next().unwrap_or_default();
    match (&*origin.kind, group) {
        ("EgressNetwork", "policy.linkerd.io") => {
            let policy =
                document.body.path(&["spec", "trafficPolicy"]).and_then(Node::text).unwrap_or("Allow");
            let whose = match *origin.namespace == *settings.egress_namespace {
                true => "for namespaces that have none of their own".to_owned(),
                false => format!("for clients in {}", origin.namespace),
            };
            let what = format!(
                "its traffic policy {policy} {whose} is advice to the client's own proxy, which applications can \
                 bypass: it closes nothing in the graph"
            );
            Some(gap(origin, what, Bend::MayAllowLess))
        }
        ("ExternalWorkload", "workload.linkerd.io") => {
            let what = "workloads outside of the cluster are not among the endpoints: what they may call, and what \
                        may call them, is not shown, and identities * do not cover theirs (spiffe://)";
            Some(gap(origin, what.to_owned(), Bend::MayMissTraffic))
        }
        _ => None,
    }
}

/// Services that call a port opaque which the pods behind them do not.
fn opaque_mismatches(documents: &[Document], shapes: &[Shape<'_>]) -> Vec<Gap> {
    const KEY: &str = "config.linkerd.io/opaque-ports";
    let mut gaps = Vec::new();
    for service in documents.iter().filter(|d| &*d.origin.kind == "Service" && d.api_version == "v1") {
        let Some(value) = shapes::annotation(&service.body, KEY) else { continue };
        let selector: Vec<(&str, &str)> = service
            .body
            .path(&["spec", "selector"])
            .map_or(&[][..], Node::fields)
            .iter()
            .filter_map(|(key, node)| Some((&**key, node.text()?)))
            .collect();
        let behind = |shape: &&Shape<'_>| {
            !selector.is_empty()
                && shape.origin.namespace == service.origin.namespace
                && selector.iter().all(|(key, value)| shape.label(key).is_some_and(|own| own == *value))
        };
        for shape in shapes.iter().filter(behind) {
            if shapes::annotation(shape.body, KEY) != Some(value) {
                let what = format!(
                    "the service calls the ports {value} opaque, {} {} behind it does not say the same: each side \
                     looks for other protocols",
                    shape.origin.kind, shape.origin.name
                );
                gaps.push(gap(&service.origin, what, Bend::MayAllowLess));
            }
        }
    }
    gaps
}
