//! `unsegmented-path`: an allowed path between segments that no policy governs at the receiving side.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{alike, workload_name};
use super::{Evidence, Finding, check};
use crate::graph::{Class, ClassId, Direction};
use crate::inventory::Network;
use std::collections::BTreeMap;

check! {
    UnsegmentedPath, "unsegmented-path", High, "An allowed path between segments that no policy governs at the receiving side.",
    ["CIS-K8s-5.3.2", "NSA-CISA-network-separation", "NIST-800-190-4.3.3", "PCI-DSS-4.0-1.4"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let open = |id: &ClassId| !graph.row(*id, Direction::Egress).is_governed();
    let ids = || 0..graph.classes().len() as ClassId;
    let mut free: BTreeMap<&str, usize> = BTreeMap::new();
    for id in ids().filter(open) {
        let class = &graph.classes()[id as usize];
        *free.entry(&class.namespace).or_default() += class.members.len();
    }
    let all: usize = free.values().sum();
    let governed: Vec<ClassId> = ids().filter(|id| !open(id)).collect();
    let mut findings = Vec::new();
    for id in ids() {
        let class = &graph.classes()[id as usize];
        if class.network != Network::Pod || graph.row(id, Direction::Ingress).is_governed() {
            continue;
        }
        let elsewhere = |from: &&ClassId| {
            let source = &graph.classes()[**from as usize];
            source.namespace != class.namespace && !graph.edge(**from, id).traffic.is_empty()
        };
        let allowed: Vec<&ClassId> = governed.iter().filter(elsewhere).collect();
        let members = |from: &&ClassId| graph.classes()[**from as usize].members.len();
        let sources = all - free.get(class.namespace.as_str()).copied().unwrap_or(0)
            + allowed.iter().map(members).sum::<usize>();
        let witness = allowed.first().copied().copied().or_else(|| {
            ids().find(|from| open(from) && graph.classes()[*from as usize].namespace != class.namespace)
        });
        if let Some(witness) = witness {
            findings.push(finding(evidence, class, id, witness, sources));
        }
    }
    findings
}

fn finding(evidence: &Evidence<'_>, class: &Class, id: ClassId, witness: ClassId, sources: usize) -> Finding {
    let (subject, origin, others) = alike(evidence, class);
    let source = &evidence.graph.classes()[witness as usize].members[0];
    let witness_name = workload_name(evidence, source.workload as usize);
    let traffic = evidence.graph.edge(witness, id).traffic;
    UnsegmentedPath.finding(
        subject.clone(),
        format!(
            "No policy governs ingress here{others}; {sources} workloads of other namespaces may connect, \
             for example {witness_name} ({traffic})."
        ),
        vec![origin],
        format!(
            "Add a NetworkPolicy in {} that selects {subject} for ingress and names its clients.",
            class.namespace
        ),
    )
}
