//! User-defined networks as users write them, with the checks that the API server and the
//! controller make, and the namespaces that a network is for.

use super::super::kubernetes::{label_selector, refusal};
use super::NETWORK;
use crate::model::{Bend, Document, Gap, Labels, Node, Origin, Problem, Selector};
use std::collections::BTreeMap;

/// The label that a namespace must have from its beginning, so that its pods get a primary network.
pub const PRIMARY_LABEL: &str = "k8s.ovn.org/primary-user-defined-network";

/// What a network is to the pods on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Their only network beside the way of the kubelet.
    Primary,
    /// One more interface.
    Secondary,
}

/// A primary network and who is on it.
#[derive(Debug)]
pub struct PrimaryNetwork<'a> {
    /// The object.
    pub origin: &'a Origin,
    /// Its namespaces, sorted.
    pub namespaces: Vec<String>,
}

/// Namespaces by name, with what is known of their labels.
pub struct NamespaceLabels(BTreeMap<String, Labels>);

impl NamespaceLabels {
    /// Those that have an object.
    pub fn of(documents: &[Document]) -> NamespaceLabels {
        let namespaces = documents.iter().filter(|d| &*d.origin.kind == "Namespace" && d.api_version == "v1");
        let labels = |document: &Document| {
            let name = document.origin.name.to_string();
            let fields = document.body.path(&["metadata", "labels"]).map_or(&[][..], Node::fields);
            let pairs = fields.iter().map(|(key, value)| (key.clone(), value.text().unwrap_or_default()));
            let mut labels: Labels = pairs.collect();
            labels.insert("kubernetes.io/metadata.name", name.as_str());
            (name, labels)
        };
        NamespaceLabels(namespaces.map(labels).collect())
    }
}

/// Reads a network; none where it is secondary.
///
/// # Errors
/// What the API server or the controller would refuse, with its line.
pub fn read<'a>(
    document: &'a Document,
    namespaces: &NamespaceLabels,
    gaps: &mut Vec<Gap>,
) -> Result<Option<PrimaryNetwork<'a>>, Problem> {
    let origin = &document.origin;
    let of_one = &*origin.kind == NETWORK;
    let path: &[&str] = if of_one { &["spec"] } else { &["spec", "network"] };
    let Some(spec) = document.body.path(path) else {
        let message = format!("{} is missing", path.join("."));
        return Err(refusal(origin, document.body.line, message, "a network needs a topology"));
    };
    if &*origin.name == "default" {
        let hint = "the network of the cluster has that name: choose another one";
        return Err(refusal(origin, document.body.line, "a network must not be named default", hint));
    }
    if role(origin, spec, of_one)? == Role::Secondary {
        return Ok(None);
    }
    let selected = match of_one {
        true => of_namespace(origin, namespaces, gaps)?,
        false => of_selector(document, namespaces, gaps)?,
    };
    Ok(Some(PrimaryNetwork { origin, namespaces: selected }))
}

fn role(origin: &Origin, spec: &Node, of_one: bool) -> Result<Role, Problem> {
    const TOPOLOGIES: &[(&str, &str)] =
        &[("Layer2", "layer2"), ("Layer3", "layer3"), ("Localnet", "localnet")];
    let topologies = if of_one { &TOPOLOGIES[..2] } else { TOPOLOGIES };
    let names: Vec<&str> = topologies.iter().map(|(name, _)| *name).collect();
    let topology = spec.text_of("topology").unwrap_or_default();
    let Some((_, field)) = topologies.iter().find(|(name, _)| *name == topology) else {
        let line = spec.get("topology").unwrap_or(spec).line;
        let hint = format!("write one of {}", names.join(", "));
        return Err(refusal(origin, line, format!("topology {topology:?} is not known"), &hint));
    };
    let given = TOPOLOGIES.iter().filter(|(_, field)| spec.get(field).is_some_and(|node| !node.is_null()));
    let given: Vec<&str> = given.map(|(_, field)| *field).collect();
    let Some(layer) = spec.get(field).filter(|_| given == [*field]) else {
        let message = format!("topology {topology} needs {field}, and no other");
        return Err(refusal(origin, spec.line, message, "topology and configuration must fit"));
    };
    match layer.text_of("role") {
        Some("Primary") if *field != "localnet" => Ok(Role::Primary),
        Some("Secondary") => Ok(Role::Secondary),
        other => {
            let message = format!("role {:?} is not known for {topology}", other.unwrap_or_default());
            Err(refusal(origin, layer.line, message, "write Primary or Secondary; Localnet is Secondary"))
        }
    }
}

fn of_namespace(
    origin: &Origin,
    namespaces: &NamespaceLabels,
    gaps: &mut Vec<Gap>,
) -> Result<Vec<String>, Problem> {
    let name = &*origin.namespace;
    if is_of_the_system(name) {
        let message = format!("networks must not be made in the namespace {name}: nothing may be isolated");
        return Err(refusal(origin, 0, message, "make a namespace of your own, or leave the network out"));
    }
    match namespaces.0.get(name) {
        Some(labels) if !labels.contains_key(PRIMARY_LABEL) => {
            gaps.push(unlabelled(origin, name));
            Ok(Vec::new())
        }
        Some(_) => Ok(vec![name.to_owned()]),
        None => {
            gaps.push(Gap {
                what: format!(
                    "whether the namespace {name} has the label {PRIMARY_LABEL} is not known; without it \
                     its pods are not on this network"
                ),
                origin: origin.clone(),
                bends: Bend::MayAllowMore,
            });
            Ok(vec![name.to_owned()])
        }
    }
}

fn of_selector(
    document: &Document,
    namespaces: &NamespaceLabels,
    gaps: &mut Vec<Gap>,
) -> Result<Vec<String>, Problem> {
    let origin = &document.origin;
    let Some(node) = document.body.path(&["spec", "namespaceSelector"]).filter(|node| !node.is_null()) else {
        let hint = "write namespaceSelector with matchLabels or matchExpressions";
        return Err(refusal(origin, 0, "namespaceSelector is missing", hint));
    };
    let hint = "a selector has matchLabels and matchExpressions";
    let selector = node.read().map_err(|misfit| refusal(origin, misfit.line, misfit.message, hint))?;
    let selector: Selector = label_selector(origin, selector, node.line)?;
    let mut selected = Vec::new();
    for (name, _) in namespaces.0.iter().filter(|(_, labels)| selector.matches(labels)) {
        match namespaces.0[name].contains_key(PRIMARY_LABEL) {
            true => selected.push(name.clone()),
            false => gaps.push(unlabelled(origin, name)),
        }
    }
    Ok(selected)
}

fn unlabelled(origin: &Origin, namespace: &str) -> Gap {
    Gap {
        what: format!(
            "the namespace {namespace} has not the label {PRIMARY_LABEL}, so its pods stay on the network of \
             the cluster"
        ),
        origin: origin.clone(),
        bends: Bend::MayAllowLess,
    }
}

/// Namespaces of the platform, in which the documentation forbids such networks.
fn is_of_the_system(namespace: &str) -> bool {
    namespace == "default" || ["openshift-", "kube-"].iter().any(|prefix| namespace.starts_with(prefix))
}
