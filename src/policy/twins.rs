//! Objects of one name: they cannot both exist, and which of them does depends on the order in which
//! they are applied, which files do not tell.

use super::{Action, Isolation, Layer, Policy, Tier};
use crate::model::{Document, Origin, Problem, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The groups of meshes whose objects decide by themselves.
const OF_MESHES: &[&str] = &["consul.hashicorp.com/", "policy.linkerd.io/", "security.istio.io/"];

/// Kind, namespace and name.
type Name = (Text, Text, Text);

/// The names that several objects have, which say different things.
#[derive(Debug, Default)]
pub struct Twins {
    names: BTreeSet<Name>,
    /// One for each object but the first of its name.
    pub problems: Vec<Problem>,
}

impl Twins {
    /// Looks for them among objects that the API server takes.
    pub fn among<'a>(documents: impl IntoIterator<Item = &'a Document>) -> Twins {
        let mut twins = Twins::default();
        let mut seen: BTreeMap<Name, &Document> = BTreeMap::new();
        for document in documents {
            let name = name_of(&document.origin);
            let Some(earlier) = seen.insert(name.clone(), document) else { continue };
            // The same said twice is said once.
            if document.body.says_the_same(&earlier.body) {
                continue;
            }
            let hint = "rename one of them; what either allows was counted, and neither isolates or denies";
            twins.problems.push(same_name(&document.origin, &earlier.origin, hint));
            twins.names.insert(name);
        }
        twins
    }

    /// Those among the policies of meshes, whose engines do not look for them.
    pub fn of_meshes(documents: &[Document]) -> Twins {
        let mut all = Twins::default();
        for group in OF_MESHES {
            let Twins { names, problems } =
                Twins::among(documents.iter().filter(|document| document.api_version.starts_with(group)));
            all.names.extend(names);
            all.problems.extend(problems);
        }
        all
    }

    /// Takes from the tiers of a mesh what cannot be relied on.
    pub fn unsettle_mesh(&self, tiers: &mut [Tier]) {
        if self.names.is_empty() {
            return;
        }
        let of_mesh = tiers.iter_mut().filter(|tier| tier.layer != Layer::Network);
        self.unsettle(of_mesh.flat_map(|tier| &mut tier.policies).map(Arc::make_mut));
    }

    /// Takes from policies what cannot be relied on: whoever comes later may not isolate or deny.
    pub fn unsettle<'a>(&self, policies: impl IntoIterator<Item = &'a mut Policy>) {
        if self.names.is_empty() {
            return;
        }
        for policy in policies.into_iter().filter(|policy| self.names.contains(&name_of(&policy.origin))) {
            policy.isolation = Isolation::Leaves;
            policy.rules.retain(|rule| rule.action == Action::Allow);
        }
    }
}

/// What is said of an object whose name is taken by an earlier one; what became of both is the hint.
pub fn same_name(origin: &Origin, earlier: &Origin, hint: &str) -> Problem {
    let Origin { file, line, .. } = earlier;
    let message = format!("the same name is taken at {file}:{line}; the later object replaces the earlier");
    super::kubernetes::refusal(origin, 0, message, hint)
}

fn name_of(origin: &Origin) -> Name {
    let namespace = if origin.namespace.is_empty() { "default".into() } else { origin.namespace.clone() };
    (origin.kind.clone(), namespace, origin.name.clone())
}
