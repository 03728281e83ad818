//! `segment-without-rule`: allowed traffic between segments about which the contract says nothing.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::ground::{Ground, Pairs, sensitive_behind};
use super::{Evidence, Finding, Severity, check};
use crate::contract::{SegmentId, Sensitivity};
use crate::graph::PeerId;
use crate::model::{Origin, TrafficSet};
use rayon::prelude::*;

check! {
    SegmentWithoutRule, "segment-without-rule", Medium, "Allowed traffic between segments about which the contract says nothing.",
    ["NSA-CISA-network-separation", "PCI-DSS-4.0-1.2.5"]
}

/// Where more pairs than this have no rule, they are told by target.
const MOST_PAIRS: usize = 200;

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    if evidence.contract.rules.is_empty() {
        return Vec::new();
    }
    let ground = Ground::new(evidence);
    let count = evidence.segments.segments.len() as SegmentId;
    let silent = |to: SegmentId| -> Vec<SegmentId> {
        let crosses = |from: &SegmentId| {
            *from != to && ground.may_cross(*from, to) && !evidence.segments.is_decided(*from, to)
        };
        (0..count).filter(crosses).collect()
    };
    // With thousands of namespaces as segments these are millions of pairs.
    let silent: Vec<Vec<SegmentId>> = (0..count).into_par_iter().map(silent).collect();
    let many = silent.iter().map(Vec::len).sum::<usize>() > MOST_PAIRS;
    let mut findings = Vec::new();
    for (to, sources) in (0..).zip(&silent) {
        match many {
            false => findings.extend(sources.iter().filter_map(|from| of_pair(evidence, &ground, *from, to))),
            true => findings.extend(of_target(evidence, &ground, sources, to)),
        }
    }
    findings
}

/// What crosses between two segments, and a connection that shows it.
fn crossing(
    evidence: &Evidence<'_>,
    ground: &Ground<'_>,
    from: SegmentId,
    to: SegmentId,
) -> Option<(TrafficSet, (PeerId, PeerId))> {
    let mut found: Option<(TrafficSet, (PeerId, PeerId))> = None;
    for (a, b) in ground.crossing(from, to, Pairs::Witnesses) {
        let traffic = evidence.graph.edge(a, b).traffic;
        found = Some(match found {
            None => (traffic, (a, b)),
            Some((known, witness)) => (known.union(&traffic), witness),
        });
    }
    found
}

fn of_pair(evidence: &Evidence<'_>, ground: &Ground<'_>, from: SegmentId, to: SegmentId) -> Option<Finding> {
    let (traffic, (a, b)) = crossing(evidence, ground, from, to)?;
    let (source, target) = (evidence.segments.name(from), evidence.segments.name(to));
    let message = format!(
        "The contract says nothing about it, and {traffic} may travel, for example {} -> {}.",
        ground.name(a, from),
        ground.name(b, to)
    );
    let fix = format!(
        "Add a rule to the contract: {{from: {source}, to: {target}, allow: never}}, or the ports that are needed."
    );
    Some(finding(
        evidence,
        format!("{source} -> {target}"),
        message,
        origin(evidence, a, b),
        fix,
        to,
        traffic,
    ))
}

fn of_target(
    evidence: &Evidence<'_>,
    ground: &Ground<'_>,
    sources: &[SegmentId],
    to: SegmentId,
) -> Option<Finding> {
    let (first, traffic) = ground.taken(sources, to)?;
    let (_, (a, b)) = crossing(evidence, ground, first, to)?;
    let open = sources.len();
    let target = evidence.segments.name(to);
    let message = format!(
        "The contract says nothing about {open} segments that may send {traffic} here, for example {} -> {}.",
        ground.name(a, first),
        ground.name(b, to)
    );
    let fix =
        format!("Add rules to the contract, and {{from: \"*\", to: {target}, allow: never}} for the rest.");
    Some(finding(evidence, format!("* -> {target}"), message, origin(evidence, a, b), fix, to, traffic))
}

fn finding(
    evidence: &Evidence<'_>,
    subject: String,
    message: String,
    because: Vec<Origin>,
    fix: String,
    to: SegmentId,
    traffic: TrafficSet,
) -> Finding {
    let sensitive = sensitive_behind(evidence, to, &traffic);
    let matters = evidence.segments.segments[to as usize].sensitivity >= Some(Sensitivity::Confidential);
    let remark = match sensitive.is_empty() {
        true => String::new(),
        false => format!(" Behind these ports: {}.", sensitive.join(", ")),
    };
    let mut finding = SegmentWithoutRule.finding(subject, message + &remark, because, fix);
    if matters || !sensitive.is_empty() {
        finding.severity = Severity::High;
    }
    finding.traffic = traffic;
    finding
}

/// The rule that lets it through, or the workload that nothing governs.
fn origin(evidence: &Evidence<'_>, from: PeerId, to: PeerId) -> Vec<Origin> {
    let graph = evidence.graph;
    let rules = graph.edge(from, to).because();
    if let Some(rule) = rules.first() {
        return vec![graph.rules[*rule as usize].rule.origin.clone()];
    }
    let class = graph.class(to).or(graph.class(from));
    let member = class.and_then(|class| class.members.first());
    member.map(|m| evidence.inventory.workloads[m.workload as usize].origin.clone()).into_iter().collect()
}
