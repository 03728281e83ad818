//! MultiNetworkPolicy → the tiers of NetworkPolicy, for the networks that its annotation names.

use super::super::kubernetes::{policy, refusal};
use super::super::twins::{self, Place};
use super::super::{Action, Dataplane, Direction, Layer, Lowered, Policy, Tier, TierRank, fields, joined};
use super::{KINDS, POLICY};
use crate::model::{Bend, Document, Gap, Node, Problem};
use std::sync::Arc;

/// Namespace and name of a NetworkAttachmentDefinition.
type AttachmentName = (String, String);

/// Which attachments a policy is for.
const POLICY_FOR: &str = "k8s.v1.cni.cncf.io/policy-for";

/// All policies for networks beside that of the cluster.
#[derive(Clone, Debug, Default)]
pub struct NetworkPolicies(Vec<(Stands, Arc<Policy>)>);

/// The direction of a policy, and the attachments that it is for.
type Stands = (Direction, Vec<AttachmentName>);

impl Place for Stands {
    fn unmatched(&self) -> Action {
        Action::Deny
    }

    fn goes_by_subjects(&self) -> bool {
        true
    }
}

impl NetworkPolicies {
    /// The tiers of a network, by the attachments that lead to it.
    pub fn tiers(&self, leads: impl Fn(&AttachmentName) -> bool) -> Vec<Tier> {
        let of = |direction| {
            let counts = self
                .0
                .iter()
                .filter(|((own, attachments), _)| *own == direction && attachments.iter().any(&leads));
            Tier {
                layer: Layer::Network,
                direction,
                rank: TierRank::default_tier(),
                unmatched: Action::Deny,
                policies: counts.map(|(_, policy)| policy.clone()).collect(),
            }
        };
        joined(Direction::BOTH.into_iter().map(of).collect())
    }
}

/// Reads all policies for networks beside that of the cluster; broken ones are said by `doubts`.
pub fn read(documents: &[Document]) -> NetworkPolicies {
    NetworkPolicies(twins::each_way(documents, is_policy, policies))
}

fn policies(documents: &[Document]) -> Vec<(Stands, Arc<Policy>)> {
    let (mut all, standard) = (Vec::new(), Dataplane::kubernetes());
    for document in documents.iter().filter(|document| is_policy(document)) {
        let (Ok(attachments), Ok((ingress, egress))) = (attachments(document), policy(document, &standard))
        else {
            continue;
        };
        for (direction, policy) in [(Direction::Ingress, ingress), (Direction::Egress, egress)] {
            all.extend(policy.map(|policy| ((direction, attachments.clone()), Arc::new(policy))));
        }
    }
    all
}

/// Problems and gaps of the objects of the engine.
pub fn doubts(documents: &[Document]) -> Lowered {
    let (mut lowered, standard) = (Lowered::default(), Dataplane::kubernetes());
    for document in documents {
        let Some(kind) = fields::kind_of(KINDS, document) else { continue };
        lowered.gaps.extend(fields::doubts(kind, document));
        if kind.name == POLICY {
            lowered
                .problems
                .extend(attachments(document).err().or_else(|| policy(document, &standard).err()));
        }
    }
    if let Some(first) = documents.iter().find(|document| is_policy(document)) {
        lowered.gaps.push(Gap {
            what: "whether a controller enforces MultiNetworkPolicy is not known; it was assumed".to_owned(),
            origin: first.origin.clone(),
            bends: Bend::MayAllowMore,
        });
    }
    lowered.problems.sort();
    lowered.problems.dedup();
    lowered
}

fn is_policy(document: &Document) -> bool {
    fields::kind_of(KINDS, document).is_some_and(|kind| kind.name == POLICY)
}

/// `a, namespace/b`: names without a namespace are of the policy's own.
fn attachments(document: &Document) -> Result<Vec<AttachmentName>, Problem> {
    let text = document.body.path(&["metadata", "annotations", POLICY_FOR]).and_then(Node::text);
    let names = text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    let own = document.namespace();
    let one = |name: &str| match name.split_once('/') {
        Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
        None => (own.to_owned(), name.to_owned()),
    };
    let attachments: Vec<AttachmentName> = names.map(one).collect();
    match attachments.is_empty() {
        true => {
            let message = format!("the annotation {POLICY_FOR} is missing, so the policy is for no network");
            Err(refusal(&document.origin, 0, message, "name the NetworkAttachmentDefinition there"))
        }
        false => Ok(attachments),
    }
}
