//! Which dataplane enforces, as far as the documents tell.

use super::{Dataplane, DataplaneKind};
use crate::model::Document;

/// API groups whose objects only one dataplane reads.
const GROUPS: &[(&str, DataplaneKind)] = &[
    ("projectcalico.org/", DataplaneKind::Calico),
    ("crd.projectcalico.org/", DataplaneKind::Calico),
    ("cilium.io/", DataplaneKind::Cilium),
    ("k8s.ovn.org/", DataplaneKind::OvnKubernetes),
];

/// The dataplane behind `--engine auto`: the one whose objects are there; where there are none, or
/// those of several, the one that follows the Kubernetes specifications alone.
pub fn detect(documents: &[Document]) -> Dataplane {
    let group = |document: &Document| {
        GROUPS.iter().find(|(group, _)| document.api_version.starts_with(group)).map(|(_, kind)| *kind)
    };
    let mut kinds: Vec<DataplaneKind> = documents.iter().filter_map(group).collect();
    kinds.sort_unstable();
    kinds.dedup();
    match kinds.as_slice() {
        [one] => Dataplane::new(*one),
        _ => Dataplane::kubernetes(),
    }
}
