//! Pods that a controller makes of an object, where the input holds the object alone: those of
//! waypoints, which the Gateway API's controller of Istio deploys for a Gateway.
//!
//! Other gateways are left to `entry`, which tells when their pods are missing.

use super::build::Owned;
use super::workload::{Network, Variant};
use crate::model::{Document, EndpointName, Few, Labels, Node, Text};
use std::collections::{BTreeMap, BTreeSet};

/// The label on what was deployed for a Gateway (GEP-1762).
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
const GATEWAY_CLASS: &str = "gateway.networking.k8s.io/gateway-class-name";
/// The class of waypoints that every installation of Istio has.
const WAYPOINT: &str = "istio-waypoint";
/// `GatewayClass.spec.controllerName` of other classes of waypoints.
const CONTROLLER: &str = "istio.io/mesh-controller";

/// The pods of Gateways of waypoints of which no pods were read; they stand under the Gateway.
pub(super) fn waypoints(documents: &[&Document], owned: &[Owned]) -> Vec<Owned> {
    let of_api = |d: &&Document| d.api_version.starts_with("gateway.networking.k8s.io/");
    let of_kind = |kind: &'static str| {
        documents.iter().copied().filter(of_api).filter(move |d| &*d.origin.kind == kind)
    };
    let text = |document: &Document, field: &str| {
        document.body.path(&["spec", field]).and_then(Node::text).unwrap_or_default().to_owned()
    };
    let own = of_kind("GatewayClass").filter(|class| text(class, "controllerName") == CONTROLLER);
    let classes: BTreeSet<String> =
        own.map(|class| class.origin.name.to_string()).chain([WAYPOINT.to_owned()]).collect();
    let labelled = owned.iter().filter_map(|o| {
        let name = o.variant.as_ref()?.labels.get(GATEWAY_NAME)?;
        Some((o.name.namespace.as_str(), name.as_str()))
    });
    let there: BTreeSet<(&str, &str)> = labelled.collect();
    let mut made: BTreeMap<EndpointName, Owned> = BTreeMap::new();
    for document in of_kind("Gateway") {
        let class = text(document, "gatewayClassName");
        let (namespace, name) = (document.namespace().to_owned(), document.origin.name.to_string());
        if classes.contains(&class) && !there.contains(&(namespace.as_str(), name.as_str())) {
            let one = pods(document, namespace, name, class);
            made.insert(one.name.clone(), one);
        }
    }
    made.into_values().collect()
}

fn pods(document: &Document, namespace: String, name: String, class: String) -> Owned {
    // `GatewayInfrastructure`: what the user wants on everything that is made.
    let mut own: Labels = Labels::new();
    for (key, value) in
        document.body.path(&["spec", "infrastructure", "labels"]).map_or(&[][..], Node::fields)
    {
        own.extend(value.text().map(|value| (key.clone(), value)));
    }
    own.insert(GATEWAY_NAME, name.as_str());
    own.insert(GATEWAY_CLASS, class);
    own.insert("istio.io/dataplane-mode", "none");
    own.insert("sidecar.istio.io/inject", "false");
    let variant = Variant {
        labels: own,
        annotations: Labels::new(),
        containers: Few::from_iter([Text::new("istio-proxy")]),
        ports: Vec::new(),
        network: Network::Pod,
        service_account: name.clone(),
        profiles: Vec::new(),
        addresses: Few::new(),
        nodes: Few::new(),
        runs_on: Default::default(),
        pods: Few::new(),
        users: Default::default(),
        proxies: Default::default(),
        attachments: super::Attachments::default(),
    };
    let kind = "Gateway".to_owned();
    Owned {
        name: EndpointName { namespace, kind, name },
        owner: None,
        variant: Some(Box::new(variant)),
        from_template: true,
        origin: document.origin.clone(),
    }
}
