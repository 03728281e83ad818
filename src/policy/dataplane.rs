//! What differs between dataplanes, as a value that the evaluator and the graph read.

/// The behaviour of whatever enforces the policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dataplane {
    /// Name, as reports print it.
    pub name: &'static str,
    /// Whether an `ipBlock` matches pods by their addresses.
    pub ipblock_matches_pods: bool,
    /// Whether traffic from a node to its own pods is always admitted.
    pub local_node_exempt: bool,
}

impl Dataplane {
    /// The reading of the NetworkPolicy reference suite, shared by most implementations.
    pub const KUBERNETES: Dataplane =
        Dataplane { name: "kubernetes", ipblock_matches_pods: true, local_node_exempt: true };
}
