//! What meshes see of pods before they run: annotations, where the pod's counts before the
//! namespace's, labels and declared ports. Who exists is left to `inventory`; here are only the
//! values that occur, so that engines can make selections of them.

use super::{ServiceChoice, Services};
use crate::model::{Document, Labels, Node, Origin, PortSet, Requirement, Selector, fact};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// A pod, or the template of pods.
#[derive(Clone, Debug)]
pub struct Shape<'a> {
    /// The object that it stands in.
    pub origin: &'a Origin,
    /// The pod or the template itself.
    pub body: &'a Node,
    labels: OnceLock<Labels>,
    ports: OnceLock<Vec<(String, u16)>>,
}

impl Shape<'_> {
    /// Its labels.
    pub fn labels(&self) -> &Labels {
        self.labels.get_or_init(|| labels(self.body))
    }

    /// One of its labels.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.body.path(&["metadata", "labels", key]).and_then(Node::text)
    }

    /// Its TCP ports with their names, init containers' too.
    pub fn ports(&self) -> &[(String, u16)] {
        self.ports.get_or_init(|| ports_of(self.body))
    }
}

/// A value of an annotation, with the pods on which it is in effect.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The pods.
    pub pods: Selector,
    /// The value; `None` where nobody gives one.
    pub value: Option<String>,
    /// An object that has it.
    pub origin: Option<Origin>,
}

/// Whose annotation counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// The pod's alone.
    Pod,
    /// The namespace's too, where the pod has none and does not run yet: the injector writes what the
    /// namespace says to the pods that it makes, and only they are asked from then on.
    PodOrNamespace,
}

/// All pods and templates of pods.
pub fn shapes(documents: &[Document]) -> Vec<Shape<'_>> {
    documents.iter().flat_map(shapes_of).collect()
}

fn shapes_of(document: &Document) -> impl Iterator<Item = Shape<'_>> {
    const INSIDE: &[&[&str]] = &[&["spec", "template"], &["spec", "jobTemplate", "spec", "template"]];
    let own = (&*document.origin.kind == "Pod").then_some(&document.body);
    let bodies = own.into_iter().chain(INSIDE.iter().filter_map(|path| document.body.path(path)));
    bodies.map(|body| {
        let (labels, ports) = (OnceLock::new(), OnceLock::new());
        Shape { origin: &document.origin, body, labels, ports }
    })
}

/// The labels of an object.
pub fn labels(object: &Node) -> Labels {
    labels_in(object.path(&["metadata", "labels"]))
}

/// The labels that a field holds, where it is there.
pub fn labels_in(field: Option<&Node>) -> Labels {
    let fields = field.map_or(&[][..], Node::fields);
    fields.iter().filter_map(|(key, node)| Some((key.clone(), node.text()?))).collect()
}

/// An annotation of an object.
pub fn annotation<'a>(object: &'a Node, key: &str) -> Option<&'a str> {
    object.path(&["metadata", "annotations", key]).and_then(Node::text)
}

fn ports_of(body: &Node) -> Vec<(String, u16)> {
    let lists = ["containers", "initContainers"].iter();
    let containers = lists.flat_map(|list| body.path(&["spec", list]).map_or(&[][..], Node::items));
    let tcp = |port: &&Node| matches!(port.text_of("protocol"), None | Some("TCP"));
    let one = |port: &Node| {
        let number = port.get("containerPort").and_then(Node::int).and_then(|n| u16::try_from(n).ok())?;
        Some((port.text_of("name").unwrap_or_default().to_owned(), number))
    };
    containers.flat_map(|container| container.items_of("ports")).filter(tcp).filter_map(one).collect()
}

/// Every value that an annotation has, with the pods on which it is in effect; last those without one.
pub fn choices(documents: &[Document], shapes: &[Shape<'_>], key: &str, carrier: Carrier) -> Vec<Choice> {
    let mut values: BTreeMap<String, Origin> = BTreeMap::new();
    let of_pods = shapes.iter().map(|shape| (shape.body, shape.origin));
    let namespaces = documents.iter().filter(|d| &*d.origin.kind == "Namespace" && d.api_version == "v1");
    let of_namespaces =
        namespaces.map(|d| (&d.body, &d.origin)).filter(|_| carrier == Carrier::PodOrNamespace);
    for (object, origin) in of_pods.chain(of_namespaces) {
        if let Some(value) = annotation(object, key) {
            let line = object.path(&["metadata", "annotations", key]).map_or(origin.line, |node| node.line);
            let place = || origin.at("", line);
            let known = values.entry(value.to_owned()).or_insert_with(place);
            // Of several objects one is named, whatever the order of the input: a pod before a namespace.
            let rank = |one: &Origin| &*one.kind == "Namespace";
            if (rank(origin), origin.names()) < (rank(known), known.names()) {
                *known = place();
            }
        }
    }
    let (own, inherited) = (of_pod(key), of_namespace(key));
    let of = |(value, origin): (String, Origin)| {
        let mut ways = vec![Selector::equals(&own, &value)];
        if carrier == Carrier::PodOrNamespace {
            ways.push(all([lacks(&own), lacks(fact::RUNNING), Selector::equals(&inherited, &value)]));
        }
        Choice { pods: Selector::any_of(ways), value: Some(value), origin: Some(origin) }
    };
    let mut unset = lacks(&own);
    if carrier == Carrier::PodOrNamespace {
        unset = unset.and(Selector::any_of(vec![lacks(&inherited), has(fact::RUNNING)]));
    }
    let unset = Choice { pods: unset, value: None, origin: None };
    values.into_iter().map(of).chain([unset]).collect()
}

/// A port of a service as clients dial it.
#[derive(Clone, Debug)]
pub struct Dialled {
    /// The service.
    pub services: Services,
    /// Its port.
    pub port: u16,
    /// Whether it is among the ports that were asked for; the ports of pods behind others are.
    pub passes: Passes,
}

/// Whether what a client dials is among some ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    /// It is, so it passes by the proxy.
    By,
    /// It is not, though the port of the pods may be: the proxy takes it.
    Through,
}

/// Ports of services about which a list of ports says something else than the ports of their pods
/// do: redirection in a client's pod sees the port that is dialled.
pub fn dialled(documents: &[Document], listed: &PortSet) -> Vec<Dialled> {
    let mut found = Vec::new();
    for service in documents.iter().filter(|d| &*d.origin.kind == "Service" && d.api_version == "v1") {
        let name = ServiceChoice::Named(service.origin.name.to_string());
        let services = Services { namespace: Some(service.origin.namespace.to_string()), chosen: name };
        for port in service.body.get("spec").map_or(&[][..], |spec| spec.items_of("ports")) {
            let number = |field| port.get(field).and_then(Node::int).and_then(|n| u16::try_from(n).ok());
            let Some(dialled) = number("port") else { continue };
            // A named target may be any port.
            let lands = number("targetPort").or((port.get("targetPort").is_none()).then_some(dialled));
            let passes = match listed.contains(dialled) {
                true => Passes::By,
                false if lands.is_none_or(|port| listed.contains(port)) => Passes::Through,
                false => continue,
            };
            found.push(Dialled { services: services.clone(), port: dialled, passes });
        }
    }
    found
}

/// The fact that is an annotation of a pod.
pub fn of_pod(key: &str) -> String {
    format!("{}{key}", fact::ANNOTATION)
}

/// The fact that is an annotation of a namespace.
pub fn of_namespace(key: &str) -> String {
    format!("{}{key}", fact::NAMESPACE_ANNOTATION)
}

/// All of these hold.
pub fn all(parts: impl IntoIterator<Item = Selector>) -> Selector {
    parts.into_iter().fold(Selector::everything(), Selector::and)
}

/// A key is there.
pub fn has(key: &str) -> Selector {
    Selector { requirements: vec![Requirement::Exists(key.to_owned())] }
}

/// A key is not there.
pub fn lacks(key: &str) -> Selector {
    Selector { requirements: vec![Requirement::DoesNotExist(key.to_owned())] }
}

/// A key is there with one of these values.
pub fn is_one_of(key: &str, values: &[&str]) -> Selector {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Selector { requirements: vec![Requirement::In(key.to_owned(), values)] }
}

/// A key is not there, or has none of these values.
pub fn is_none_of(key: &str, values: &[&str]) -> Selector {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Selector { requirements: vec![Requirement::NotIn(key.to_owned(), values)] }
}

/// Ports and ranges of them, `4567,8000-8010`; what is neither is returned beside.
pub fn ports(text: &str) -> (PortSet, Vec<String>) {
    let (mut set, mut strange) = (PortSet::none(), Vec::new());
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            (Ok(first), Ok(last)) if first <= last && last > 0 => {
                set = set.union(&PortSet::range(first.max(1), last));
            }
            _ => strange.push(part.to_owned()),
        }
    }
    (set, strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_and_ranges() {
        let (set, strange) = ports("25, 8000-8002,web,9-1");
        assert_eq!(set.intervals(), [(25, 25), (8000, 8002)]);
        assert_eq!(strange, ["web", "9-1"]);
    }
}
