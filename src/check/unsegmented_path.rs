//! `unsegmented-path`: an allowed path between segments that no policy governs at the receiving side.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::ground::{Cell, cells, workload};
use super::shared::alike;
use super::{Evidence, Finding, check};
use crate::contract::SegmentId;
use crate::graph::Direction;
use crate::inventory::Network;
use crate::model::names::counted;
use std::collections::BTreeMap;

check! {
    UnsegmentedPath, "unsegmented-path", High, "An allowed path between segments that no policy governs at the receiving side.",
    ["CIS-K8s-5.3.2", "NSA-CISA-network-separation", "NIST-800-190-4.3.3", "PCI-DSS-4.0-1.4"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let cells = cells(evidence);
    let open = |cell: &&Cell| !graph.row(cell.class, Direction::Egress).is_governed();
    let mut free: BTreeMap<SegmentId, usize> = BTreeMap::new();
    for cell in cells.iter().filter(open) {
        *free.entry(cell.segment).or_default() += cell.members.len();
    }
    let all: usize = free.values().sum();
    let governed: Vec<&Cell> = cells.iter().filter(|cell| !open(cell)).collect();
    let mut findings = Vec::new();
    for target in &cells {
        let class = &graph.classes()[target.class as usize];
        if class.network != Network::Pod || graph.row(target.class, Direction::Ingress).is_governed() {
            continue;
        }
        let elsewhere = |source: &&&Cell| {
            source.segment != target.segment && !graph.edge(source.class, target.class).traffic.is_empty()
        };
        let allowed: Vec<&&Cell> = governed.iter().filter(elsewhere).collect();
        let sources = all - free.get(&target.segment).copied().unwrap_or(0)
            + allowed.iter().map(|source| source.members.len()).sum::<usize>();
        let witness = allowed
            .first()
            .map(|source| **source)
            .or_else(|| cells.iter().find(|source| open(source) && source.segment != target.segment));
        if let Some(witness) = witness {
            findings.push(finding(evidence, target, witness, sources));
        }
    }
    findings
}

fn finding(evidence: &Evidence<'_>, target: &Cell, witness: &Cell, sources: usize) -> Finding {
    let (subject, origin, others) = alike(evidence, &target.members);
    let witness_name = workload(evidence.inventory, witness.members[0]);
    let traffic = evidence.graph.edge(witness.class, target.class).traffic;
    let namespace = &evidence.graph.classes()[target.class as usize].namespace;
    let mut finding = UnsegmentedPath.finding(
        subject.clone(),
        format!(
            "No policy governs ingress here{others}; {} of other {} may connect, \
             for example {witness_name} ({traffic}).",
            counted(sources, ["workload", "workloads"]),
            evidence.segments.word()
        ),
        vec![origin],
        format!(
            "Add a NetworkPolicy in {namespace} that selects {subject} for ingress and names its clients."
        ),
    );
    finding.traffic = traffic;
    finding
}
