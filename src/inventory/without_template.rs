//! Objects that make pods and do not say which: patches for other files, mostly.

use super::Inventory;
use super::build::{TEMPLATES, is_workload_group};
use crate::model::{Bend, Document, Gap, Node};

/// The gaps that such objects leave where nothing else of the input tells their pods.
pub fn without_template(documents: &[Document], inventory: &Inventory) -> Vec<Gap> {
    documents.iter().filter_map(|document| gap(document, inventory)).collect()
}

fn gap(document: &Document, inventory: &Inventory) -> Option<Gap> {
    let (kind, path) = TEMPLATES.iter().find(|(kind, _)| **kind == *document.origin.kind)?;
    if !is_workload_group(&document.api_version) || document.body.path(path).is_some_and(|t| !t.is_null()) {
        return None;
    }
    let namespace = document.namespace().to_owned();
    let spec = document.body.get("spec");
    // A Rollout may name the Deployment that has the template; a Deployment of none runs nothing.
    let elsewhere = spec.is_some_and(|spec| spec.get("workloadRef").is_some());
    let asleep = spec.and_then(|spec| spec.get("replicas")).and_then(Node::int) == Some(0);
    let known = inventory.workloads.iter().any(|workload| {
        let name = &workload.name;
        name.namespace == namespace && name.kind == *kind && *name.name == *document.origin.name
    });
    (!elsewhere && !asleep && !known).then(|| Gap {
        what: format!(
            "this {kind} has no {}: its pods are not in the graph (is it a patch? give what it is applied to)",
            path.join(".")
        ),
        origin: document.origin.clone(),
        bends: Bend::MayAllowMore,
    })
}
