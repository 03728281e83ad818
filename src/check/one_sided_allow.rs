//! `one-sided-allow`: a rule that the other end's policies make void.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{policy_name, workload_name};
use super::{Evidence, Finding, check};
use crate::graph::{Action, ClassId, Direction, RuleInfo};

check! {
    OneSidedAllow, "one-sided-allow", Low, "A rule that the other end's policies make void.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    evidence.graph.rules.iter().filter_map(|info| of_rule(evidence, info)).collect()
}

fn of_rule(evidence: &Evidence<'_>, info: &RuleInfo) -> Option<Finding> {
    let graph = evidence.graph;
    if info.rule.action != Action::Allow {
        return None;
    }
    let policy = &graph.policies[info.policy as usize];
    let peers = info.matches.as_ref()?.iter().copied().filter(|peer| graph.class(*peer).is_some());
    let pairs = peers.flat_map(|peer| policy.selected.iter().map(move |subject| (peer, *subject)));
    let mut void: Option<(ClassId, ClassId)> = None;
    for (peer, subject) in pairs.filter(|(peer, subject)| peer != subject) {
        let (own, other, far) = match policy.direction {
            Direction::Ingress => (Direction::Ingress, Direction::Egress, graph.row(peer, Direction::Egress)),
            Direction::Egress => (Direction::Egress, Direction::Ingress, graph.row(peer, Direction::Ingress)),
        };
        let _ = other;
        let near = graph.row(subject, own).decision(peer);
        let meets = near.allowed.intersection(&far.decision(subject).allowed);
        if !meets.is_empty() || near.allowed.is_empty() {
            return None;
        }
        void.get_or_insert((peer, subject));
    }
    let (peer, _) = void?;
    let member = graph.class(peer)?.members.first()?;
    let name = workload_name(evidence, member.workload as usize);
    let far = match policy.direction {
        Direction::Ingress => graph.row(peer, Direction::Egress),
        Direction::Egress => graph.row(peer, Direction::Ingress),
    };
    let origin = &info.rule.origin;
    let mut because = vec![origin.clone()];
    because.extend(far.policies.iter().map(|p| graph.policies[*p as usize].origin.clone()));
    let mut finding = OneSidedAllow.finding(
        policy_name(origin),
        format!("{} allows traffic with {name}, and the policies there deny all of it.", origin.rule),
        because,
        "Allow it at the other end too, or remove the rule.",
    );
    finding.detail = origin.rule.to_string();
    Some(finding)
}
