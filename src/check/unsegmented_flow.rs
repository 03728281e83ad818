//! `unsegmented-flow`: a flow between segments that is allowed only because nothing governs it.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::ground::segments_of_flow;
use super::mesh_seen::tunnelled;
use super::shared::{flow_subject, known_tunnels, paths, protocol_of, turned_paths};
use super::{Evidence, Finding, check};
use crate::contract::SegmentId;
use crate::graph::{Class, Direction};
use crate::model::TrafficSet;
use crate::observed::ObservedFlow;
use std::collections::{BTreeMap, BTreeSet};

check! {
    UnsegmentedFlow, "unsegmented-flow", High, "A flow between segments that is allowed only because nothing governs it.",
    ["CIS-K8s-5.3.2", "PCI-DSS-4.0-1.4"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut found: BTreeMap<(String, String), Finding> = BTreeMap::new();
    for seen in evidence.observed.flows.iter().chain(known_tunnels(evidence)) {
        let Some(protocol) = protocol_of(&seen) else { continue };
        // Of a tunnel, the port that it leads to is not known, and with it what governs it.
        if tunnelled(evidence, &seen).is_some() {
            continue;
        }
        // If it was opened by the other side, that side's receiver is who has to be governed.
        let governed = |(_, to, _): &(u32, u32, u16)| {
            evidence.graph.class(*to).is_none() || evidence.graph.row(*to, Direction::Ingress).is_governed()
        };
        if turned_paths(evidence, &seen).iter().any(governed) {
            continue;
        }
        for (from, to, port) in paths(evidence, &seen) {
            let (Some(source), Some(target)) = (evidence.graph.class(from), evidence.graph.class(to)) else {
                continue;
            };
            let crosses = crosses(evidence, &seen, source, target);
            let open = evidence.graph.edge(from, to).unsegmented().contains(protocol, port);
            if !crosses || !open || evidence.graph.row(to, Direction::Ingress).is_governed() {
                continue;
            }
            let member = target.members[0].workload as usize;
            let subject = flow_subject(evidence, &seen);
            let detail = format!("{protocol}/{port}");
            let mut finding = UnsegmentedFlow.finding(
                subject.clone(),
                format!(
                    "{detail} crossed {}, and no policy governs ingress at the receiver.",
                    evidence.segments.word()
                ),
                vec![evidence.inventory.workloads[member].origin.clone()],
                format!(
                    "Write an ingress policy in {} that names this initiator and {detail}.",
                    target.namespace
                ),
            );
            finding.detail = detail.clone();
            finding.traffic = TrafficSet::port(protocol, port);
            found.entry((subject, detail)).or_insert(finding);
        }
    }
    found.into_values().collect()
}

/// Whether the two ends share no segment: where the flow does not tell which workload it was, all
/// that it may have been count.
fn crosses(evidence: &Evidence<'_>, seen: &ObservedFlow, source: &Class, target: &Class) -> bool {
    let (from, to) = segments_of_flow(evidence, seen);
    let of = |class: &Class| -> BTreeSet<SegmentId> {
        let segment =
            |m: &crate::graph::Member| evidence.segments.of(m.workload as usize, m.variant as usize);
        class.members.iter().map(segment).collect()
    };
    let (from, to): (BTreeSet<_>, BTreeSet<_>) = (&from & &of(source), &to & &of(target));
    from.is_disjoint(&to)
}
