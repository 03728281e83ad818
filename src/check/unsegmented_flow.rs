//! `unsegmented-flow`: a flow between segments that is allowed only because nothing governs it.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{flow_subject, paths, protocol_of};
use super::{Evidence, Finding, check};
use crate::graph::Direction;
use std::collections::BTreeMap;

check! {
    UnsegmentedFlow, "unsegmented-flow", High, "A flow between segments that is allowed only because nothing governs it.",
    ["CIS-K8s-5.3.2", "PCI-DSS-4.0-1.4"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut found: BTreeMap<(String, String), Finding> = BTreeMap::new();
    for seen in &evidence.observed.flows {
        let Some(protocol) = protocol_of(seen) else { continue };
        for (from, to, port) in paths(evidence, seen) {
            let (Some(source), Some(target)) = (evidence.graph.class(from), evidence.graph.class(to)) else {
                continue;
            };
            let crosses = source.namespace != target.namespace;
            let open = evidence.graph.edge(from, to).unsegmented().contains(protocol, port);
            if !crosses || !open || evidence.graph.row(to, Direction::Ingress).is_governed() {
                continue;
            }
            let member = target.members[0].workload as usize;
            let subject = flow_subject(evidence, seen);
            let detail = format!("{protocol}/{port}");
            let mut finding = UnsegmentedFlow.finding(
                subject.clone(),
                format!("{detail} crossed namespaces, and no policy governs ingress at the receiver."),
                vec![evidence.inventory.workloads[member].origin.clone()],
                format!(
                    "Write an ingress policy in {} that names this initiator and {detail}.",
                    target.namespace
                ),
            );
            finding.detail = detail.clone();
            found.entry((subject, detail)).or_insert(finding);
        }
    }
    found.into_values().collect()
}
