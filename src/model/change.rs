//! What changed between two readings of one cluster, object by object.

use super::{Document, Text};

/// What tells an object from all others of a cluster, whatever version of its API it is written in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// API group; empty for the core API.
    pub group: Text,
    /// Kind.
    pub kind: Text,
    /// Namespace; empty for objects of the cluster.
    pub namespace: Text,
    /// Name.
    pub name: Text,
}

/// Objects that are not what they were, each once on either side.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// As they were; those that are new are missing here.
    pub before: Vec<Document>,
    /// As they are; those that are gone are missing here.
    pub now: Vec<Document>,
}

impl ObjectKey {
    /// The key of a document.
    pub fn of(document: &Document) -> ObjectKey {
        let group = document.api_version.split_once('/').map_or("", |(group, _)| group);
        let origin = &document.origin;
        ObjectKey {
            group: group.into(),
            kind: origin.kind.clone(),
            namespace: origin.namespace.clone(),
            name: origin.name.clone(),
        }
    }
}

impl Changes {
    /// Everything that changed, as it was and as it is.
    pub fn all(&self) -> impl Iterator<Item = &Document> {
        self.before.iter().chain(&self.now)
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.now.is_empty()
    }
}
