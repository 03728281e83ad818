//! `policy-not-enforced`: a policy to which this dataplane gives no effect.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{policy_name, workload_name};
use super::{Evidence, Finding, Severity, check};
use crate::graph::{AllowedGraph, ClassId, Direction, PeerId, PolicyInfo};
use crate::model::{Origin, TrafficSet};
use std::collections::{BTreeMap, BTreeSet};

check! {
    PolicyNotEnforced, "policy-not-enforced", High, "A policy to which this dataplane gives no effect.",
    ["CIS-K8s-5.3.1", "NSA-CISA-network-policies", "NIST-800-190-4.4.2"]
}

/// Pairs that are looked at for each policy; beyond them the count is a lower bound.
const PAIRS: usize = 4_096;

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = of_kinds(evidence);
    findings.extend(of_pods(evidence));
    findings
}

/// Workloads that the agents of the dataplane do not reach.
fn of_pods(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let mut by_workload: BTreeMap<usize, (String, u32)> = BTreeMap::new();
    for (class, policy) in &graph.left_out {
        let class = &graph.classes()[*class as usize];
        let Some(why) = graph.dataplane.leaves_out(class.standing) else { continue };
        for member in &class.members {
            by_workload.entry(member.workload as usize).or_insert_with(|| (why.clone(), *policy));
        }
    }
    let finding = |(workload, (why, policy)): (usize, (String, u32))| {
        let policy = &graph.policies[policy as usize].origin;
        PolicyNotEnforced.finding(
            workload_name(evidence, workload),
            format!("It {why}, so {} was taken to have no effect on it.", policy_name(policy)),
            vec![evidence.inventory.workloads[workload].origin.clone(), policy.clone()],
            "Run it where the dataplane enforces, or guard it by other means, such as security groups.",
        )
    };
    by_workload.into_iter().map(finding).collect()
}

/// Policies that nobody enforces.
fn of_kinds(evidence: &Evidence<'_>) -> Vec<Finding> {
    let Some(meant) = &evidence.notes.if_enforced else { return Vec::new() };
    let key = |origin: &Origin| (origin.kind.clone(), origin.namespace.clone(), origin.name.clone());
    let real: BTreeSet<_> = evidence.graph.policies.iter().map(|policy| key(&policy.origin)).collect();
    let mut idle: BTreeMap<_, Vec<&PolicyInfo>> = BTreeMap::new();
    for policy in meant.policies.iter().filter(|policy| !real.contains(&key(&policy.origin))) {
        idle.entry(key(&policy.origin)).or_default().push(policy);
    }
    idle.into_values().map(|sides| of_object(evidence, meant, &sides)).collect()
}

/// Paths that would be closed: how many, whether there may be more, and one of them.
#[derive(Default)]
struct Closed {
    count: usize,
    more: bool,
    witness: Option<(PeerId, PeerId, TrafficSet)>,
}

fn of_object(evidence: &Evidence<'_>, meant: &AllowedGraph, sides: &[&PolicyInfo]) -> Finding {
    let origin = &sides[0].origin;
    let mut closed = Closed::default();
    sides.iter().for_each(|policy| look(evidence, meant, policy, &mut closed));
    let dataplane = evidence.graph.dataplane.kind.name();
    let consequence = match (&closed.witness, closed.count) {
        (None, _) => "It would close no path between workloads.".to_owned(),
        (Some((from, to, traffic)), count) => {
            let least = if closed.more { "at least " } else { "" };
            let (paths, are) = if count == 1 { ("path", "is") } else { ("paths", "are") };
            let (from, to) = (name(evidence, meant, *from), name(evidence, meant, *to));
            format!(
                "{least}{count} {paths} that it would close {are} open, for example {from} -> {to} ({traffic})."
            )
        }
    };
    let kind = &origin.kind;
    let (why, fix) = match evidence.graph.dataplane.ignored_kinds.get(&**kind) {
        Some(setting) => (
            format!("The dataplane {dataplane} gives no effect to {kind} objects: {setting}."),
            format!("Change the setting of {dataplane}, or remove what it makes idle."),
        ),
        None => (
            format!("The dataplane {dataplane} does not enforce {kind} objects."),
            format!(
                "Write it in a language that {dataplane} enforces, or name the dataplane with --engine if this is not the one."
            ),
        ),
    };
    let message = format!("{why} {consequence}");
    let mut finding = PolicyNotEnforced.finding(policy_name(origin), message, vec![origin.clone()], fix);
    if closed.witness.is_none() {
        finding.severity = Severity::Low;
    }
    finding
}

fn look(evidence: &Evidence<'_>, meant: &AllowedGraph, policy: &PolicyInfo, closed: &mut Closed) {
    let everyone = || {
        (0..meant.classes().len() as ClassId).filter(|id| !meant.classes()[*id as usize].members.is_empty())
    };
    let pairs = policy.selected.iter().flat_map(|subject| everyone().map(move |peer| (*subject, peer)));
    for (number, (subject, peer)) in pairs.filter(|(subject, peer)| subject != peer).enumerate() {
        if number == PAIRS {
            closed.more = true;
            return;
        }
        let (from, to) = match policy.direction {
            Direction::Ingress => (peer, subject),
            Direction::Egress => (subject, peer),
        };
        let now =
            evidence.graph.edge(class_now(evidence, meant, from), class_now(evidence, meant, to)).traffic;
        let lost = now.difference(&meant.edge(from, to).traffic);
        if !lost.is_empty() {
            closed.count += 1;
            closed.witness.get_or_insert((from, to, lost));
        }
    }
}

/// The class in the real graph of the first member of a class in the other one.
fn class_now(evidence: &Evidence<'_>, meant: &AllowedGraph, class: ClassId) -> ClassId {
    let member = meant.classes()[class as usize].members[0];
    evidence.graph.class_of(member.workload as usize, member.variant as usize)
}

fn name(evidence: &Evidence<'_>, meant: &AllowedGraph, class: ClassId) -> String {
    workload_name(evidence, meant.classes()[class as usize].members[0].workload as usize)
}
