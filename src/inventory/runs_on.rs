//! Pods and the nodes that they run on → what kind of node runs each.

use super::Node as ClusterNode;
use super::build::Owned;
use crate::model::{Node, NodeKind, Text};

/// What a pod or its template says: `nodeSelector`, what affinity requires, `os`, the scheduler, the node
/// it is on, and the label that Fargate gives.
pub(super) fn of_pod(object: &Node) -> NodeKind {
    let Some(spec) = object.get("spec") else { return NodeKind::default() };
    let said = |(key, value): &(Text, Node)| NodeKind::of_label(key, value.text()?);
    let selected = || spec.get("nodeSelector").map_or(&[][..], Node::fields).iter().find_map(said);
    let windows = || (spec.path(&["os", "name"])?.text()? == "windows").then_some(NodeKind::Windows);
    let scheduled = || (spec.text_of("schedulerName")? == "fargate-scheduler").then_some(NodeKind::Fargate);
    let placed = || NodeKind::of_name(spec.text_of("nodeName")?);
    let labelled = || {
        let profile = object.path(&["metadata", "labels", FARGATE_PROFILE])?;
        NodeKind::of_label(FARGATE_PROFILE, profile.text()?)
    };
    let found = selected().or_else(|| required(spec)).or_else(windows);
    found.or_else(scheduled).or_else(placed).or_else(labelled).unwrap_or_default()
}

/// The one label that pods themselves get.
const FARGATE_PROFILE: &str = "eks.amazonaws.com/fargate-profile";

/// What each term of the required node affinity asks for; any of them may be the one that is met.
fn required(spec: &Node) -> Option<NodeKind> {
    const TERMS: [&str; 4] =
        ["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"];
    let asked = |expression: &Node| {
        let (key, values) = (expression.text_of("key")?, expression.items_of("values"));
        let kind = |value: &Node| NodeKind::of_label(key, value.text()?);
        let first = kind(values.first()?)?;
        let is_in = expression.text_of("operator") == Some("In");
        (is_in && values.iter().all(|value| kind(value) == Some(first))).then_some(first)
    };
    let term = |term: &Node| term.items_of("matchExpressions").iter().find_map(asked);
    let mut terms = spec.path(&TERMS)?.items().iter().map(term);
    let first = terms.next()??;
    terms.all(|other| other == Some(first)).then_some(first)
}

/// Adds what nodes say of themselves to the pods that run on them.
pub(super) fn complete(owned: &mut [Owned], nodes: &[ClusterNode]) {
    let of_node =
        |node: &ClusterNode| node.labels.iter().find_map(|(key, value)| NodeKind::of_label(key, value));
    let special: Vec<(&str, NodeKind)> =
        nodes.iter().filter_map(|node| Some((node.name.as_str(), of_node(node)?))).collect();
    if special.is_empty() {
        return;
    }
    for variant in owned.iter_mut().filter_map(|owned| owned.variant.as_deref_mut()) {
        let own = |(name, _): &&(&str, NodeKind)| variant.nodes.iter().any(|node| node == name);
        if let Some((_, kind)) = special.iter().find(own).filter(|_| variant.runs_on == NodeKind::default()) {
            variant.runs_on = *kind;
        }
    }
}
