//! Staged policies: without effect, until somebody asks what they would do.

use super::policies::bare_name;
use crate::model::{Document, Node, Value};
use crate::policy::fields;
use crate::policy::twins::StoredName;

/// Staged kinds: what each becomes, with its `apiVersion` where that changes.
const STAGED: &[(&str, &str, Option<&str>)] = &[
    ("StagedNetworkPolicy", "NetworkPolicy", None),
    ("StagedGlobalNetworkPolicy", "GlobalNetworkPolicy", None),
    ("StagedKubernetesNetworkPolicy", "NetworkPolicy", Some("networking.k8s.io/v1")),
];

/// The documents as they would be with all staged policies committed.
pub fn committed(documents: &[Document]) -> Vec<Document> {
    let is_ours = |document: &&Document| fields::kind_of(super::KINDS, document).is_some();
    let mut all = documents.to_vec();
    for document in documents.iter().filter(is_ours) {
        let kind = &*document.origin.kind;
        let Some((staged, kind, api_version)) = STAGED.iter().find(|(staged, ..)| *staged == kind) else {
            continue;
        };
        all.retain(|other| !(&*other.origin.kind == *staged && other.origin == document.origin));
        let action = document.body.path(&["spec", "stagedAction"]).and_then(Node::text).unwrap_or("Set");
        if !matches!(action, "Set" | "Delete") {
            continue;
        }
        let mut policy = document.clone();
        policy.origin.kind = (*kind).into();
        if let Some(api_version) = api_version {
            policy.api_version = (*api_version).into();
        }
        all.retain(|other| StoredName::of(other) != StoredName::of(&policy));
        if action == "Set" {
            remove_action(&mut policy.body);
            all.push(policy);
        }
    }
    all
}

/// The tier of an object of Calico and the name behind it: with its tier or without, a policy has one
/// name, and policies of several tiers are not one. `None` for all other documents.
pub fn tier_and_name(document: &Document) -> Option<(&str, &str)> {
    fields::kind_of(super::KINDS, document)?;
    let tier = document.body.path(&["spec", "tier"]).and_then(Node::text);
    let tier = tier.filter(|tier| !tier.is_empty()).unwrap_or("default");
    Some((tier, bare_name(&document.origin.name, tier)))
}

fn remove_action(body: &mut Node) {
    let Value::Map(fields) = &mut body.value else { return };
    let spec = fields.iter_mut().find(|(name, _)| &**name == "spec");
    if let Some((_, spec)) = spec {
        spec.change_fields(|fields| fields.retain(|(name, _)| name != "stagedAction"));
    }
}
