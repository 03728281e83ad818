//! Names of those who can talk.

use std::fmt;

/// The name of a workload or other object in the cluster: `namespace/Kind/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointName {
    /// Namespace; empty for objects that have none.
    pub namespace: String,
    /// Kind of the top owner (`Deployment`, `StatefulSet`, `Pod` …).
    pub kind: String,
    /// Name of the top owner.
    pub name: String,
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind, self.name)
    }
}
