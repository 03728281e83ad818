//! Pods → the services that they are for Consul: by annotation, by the Kubernetes service in front
//! of them, by the name of their first container (`endpoints controller` and webhook).

use super::super::shapes::{self, Shape, all, lacks};
use super::super::{Namespaces, Selection};
use super::gateways;
use crate::model::{Document, Node, PortSet, Requirement, Selector, Text, fact};
use std::collections::BTreeMap;

/// The annotation that names the service of a pod.
const SERVICE: &str = "consul.hashicorp.com/connect-service";
const PORT: &str = "consul.hashicorp.com/connect-service-port";

/// The pods of every service, and the ports that are known to be served.
#[derive(Clone, Debug, Default)]
pub struct Names {
    by_name: BTreeMap<String, Vec<Selection>>,
    ports: BTreeMap<String, PortSet>,
}

impl Names {
    /// Reads the names that occur.
    pub fn read(documents: &[Document], shapes: &[Shape<'_>]) -> Names {
        let mut names = Names::default();
        let annotation = shapes::of_pod(SERVICE);
        for shape in shapes {
            let Some(value) = shapes::annotation(shape.body, SERVICE) else { continue };
            let port = shapes::annotation(shape.body, PORT).map(|text| numbers(text, shape));
            for name in value.split(',').map(str::trim) {
                let selection = Selection::pods(Namespaces::any(), Selector::equals(&annotation, value));
                names.add(name, selection);
                let declared = shape.ports().iter().map(|(_, port)| *port);
                let declared = declared.fold(PortSet::none(), |set, p| set.union(&PortSet::range(p, p)));
                names.serve(name, port.as_ref().unwrap_or(&declared));
            }
        }
        let gateway = shapes::of_pod(gateways::SERVICE);
        for name in shapes.iter().filter_map(|shape| shapes::annotation(shape.body, gateways::SERVICE)) {
            names.add(name, Selection::pods(Namespaces::any(), Selector::equals(&gateway, name)));
        }
        let services: Vec<&Document> =
            documents.iter().filter(|d| &*d.origin.kind == "Service" && d.api_version == "v1").collect();
        let selects = |service: &Document, shape: &Shape<'_>| {
            let selector = selector(service);
            service.origin.namespace == shape.origin.namespace
                && selector.is_some_and(|selector| selector.matches(shape.labels()))
        };
        for service in &services {
            let Some(selector) = selector(service) else { continue };
            let namespace = Namespaces::Named(service.origin.namespace.to_string());
            names.add(&service.origin.name, Selection::pods(namespace, all([selector, lacks(&annotation)])));
            for shape in shapes.iter().filter(|shape| selects(service, shape)) {
                names.serve(&service.origin.name, &targets(service, shape));
            }
        }
        let unclaimed = shapes.iter().filter(|shape| {
            shapes::annotation(shape.body, SERVICE).is_none() && !services.iter().any(|s| selects(s, shape))
        });
        for shape in unclaimed {
            let first = shape.body.path(&["spec", "containers"]).and_then(|list| list.items().first());
            let Some(name) = first.and_then(|container| container.text_of("name")) else { continue };
            let own = shape.labels().iter().map(|(k, v)| Requirement::In(k.to_string(), vec![v.to_string()]));
            let labels = Selector { requirements: own.collect() };
            let here = shapes::has(&format!("{}{name}", fact::CONTAINER));
            let endpoints = all([labels, here, lacks(&annotation)]);
            let namespace = Namespaces::Named(shape.origin.namespace.to_string());
            names.add(name, Selection::pods(namespace, endpoints));
        }
        names
    }

    fn add(&mut self, name: &str, selection: Selection) {
        let selections = self.by_name.entry(name.to_owned()).or_default();
        if !selections.contains(&selection) {
            selections.push(selection);
        }
    }

    fn serve(&mut self, name: &str, ports: &PortSet) {
        let known = self.ports.entry(name.to_owned()).or_default();
        *known = known.union(ports);
    }

    /// The pods of a service that fulfil a condition besides.
    pub fn pods(&self, name: &str, condition: &Selector) -> Vec<Selection> {
        let one = |selection: &Selection| {
            let endpoints = all([selection.endpoints.clone(), condition.clone()]);
            Selection { endpoints, ..selection.clone() }
        };
        self.by_name.get(name).map_or(&[][..], Vec::as_slice).iter().map(one).collect()
    }

    /// The ports of pods on which a service is served; all where none is known.
    pub fn ports(&self, name: &str) -> PortSet {
        self.ports.get(name).filter(|ports| !ports.is_empty()).cloned().unwrap_or_else(PortSet::all)
    }

    /// All names.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

fn selector(service: &Document) -> Option<Selector> {
    let fields = service.body.path(&["spec", "selector"]).map_or(&[][..], Node::fields);
    let one =
        |(key, node): &(Text, Node)| Some(Requirement::In(key.to_string(), vec![node.text()?.to_owned()]));
    let mut requirements: Vec<Requirement> = fields.iter().filter_map(one).collect();
    requirements.sort();
    (!requirements.is_empty()).then_some(Selector { requirements })
}

/// A port by number or by the name that a container gives it.
fn numbers(text: &str, shape: &Shape<'_>) -> PortSet {
    let named = shape.ports().iter().filter(|(name, _)| name == text).map(|(_, port)| *port);
    let named = named.fold(PortSet::none(), |set, port| set.union(&PortSet::range(port, port)));
    shapes::ports(text).0.union(&named)
}

fn targets(service: &Document, shape: &Shape<'_>) -> PortSet {
    let ports = service.body.get("spec").map_or(&[][..], |spec| spec.items_of("ports"));
    ports.iter().fold(PortSet::none(), |set, port| {
        let target = port.get("targetPort").or(port.get("port"));
        let text = target.and_then(|node| {
            node.text().map(str::to_owned).or_else(|| node.int().map(|number| number.to_string()))
        });
        set.union(&text.map_or_else(PortSet::none, |text| numbers(&text, shape)))
    })
}
