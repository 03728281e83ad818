//! `one-sided-allow`: a rule that the other end's policies make void.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{policy_name, workload_name};
use super::{Evidence, Finding, check};
use crate::graph::{Action, ClassId, Direction, PeerId, Row, RuleInfo};
use crate::model::TrafficSet;
use hashbrown::HashMap;

check! {
    OneSidedAllow, "one-sided-allow", Low, "A rule that the other end's policies make void.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut bounds = HashMap::new();
    evidence.graph.rules.iter().filter_map(|info| of_rule(evidence, info, &mut bounds)).collect()
}

/// What a row lets through at most.
struct Bound {
    to_anyone: TrafficSet,
    /// Whether there is somebody with whom it lets nothing through.
    shuts: bool,
}

type Bounds = HashMap<*const Row, Bound>;

fn of_rule(evidence: &Evidence<'_>, info: &RuleInfo, bounds: &mut Bounds) -> Option<Finding> {
    let graph = evidence.graph;
    if info.rule.action != Action::Allow {
        return None;
    }
    let policy = &graph.policies[info.policy as usize];
    let other = match policy.direction {
        Direction::Ingress => Direction::Egress,
        Direction::Egress => Direction::Ingress,
    };
    let is_class = |peer: &PeerId| graph.class(*peer).is_some();
    let peers: Vec<PeerId> = info.matches.as_ref()?.iter().copied().filter(is_class).collect();
    let pairs = peers.iter().flat_map(|peer| policy.selected.iter().map(move |subject| (*peer, *subject)));
    let mut pairs = pairs.filter(|(peer, subject)| peer != subject);
    let is_void = |(peer, subject): (PeerId, ClassId)| {
        let near = &graph.row(subject, policy.direction).decision(peer).allowed;
        let far = &graph.row(peer, other).decision(subject).allowed;
        !near.is_empty() && near.intersection(far).is_empty()
    };
    let first = pairs.next()?;
    // Most rules allow something to the first; where one does not, all rows together say at once
    // whether any can.
    let near = policy.selected.iter().map(|subject| graph.row(*subject, policy.direction));
    let far = peers.iter().map(|peer| graph.row(*peer, other));
    let all_void =
        is_void(first) && (info.own.is_none() && never_meet(near, far, bounds) || pairs.all(is_void));
    if !all_void {
        return None;
    }
    let (peer, _) = first;
    let member = graph.class(peer)?.members.first()?;
    let name = workload_name(evidence, member.workload as usize);
    let far = graph.row(peer, other);
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

/// Whether the one rows let something through with everybody, and nothing that the others do.
fn never_meet<'a>(
    near: impl Iterator<Item = &'a Row>,
    far: impl Iterator<Item = &'a Row>,
    bounds: &mut Bounds,
) -> bool {
    let (near, far) = (distinct(near, bounds), distinct(far, bounds));
    let near: Vec<&Bound> = near.iter().map(|row| &bounds[row]).collect();
    near.iter().all(|near| {
        let meet = |far: &*const Row| !near.to_anyone.intersection(&bounds[far].to_anyone).is_empty();
        !near.shuts && !far.iter().any(meet)
    })
}

/// The rows, each once, and what they let through.
fn distinct<'a>(rows: impl Iterator<Item = &'a Row>, bounds: &mut Bounds) -> Vec<*const Row> {
    let mut distinct: Vec<*const Row> = Vec::new();
    for row in rows {
        // Classes that share a row stand beside each other, mostly.
        if distinct.last() != Some(&std::ptr::from_ref(row)) {
            bounds.entry(std::ptr::from_ref(row)).or_insert_with(|| bound(row));
            distinct.push(std::ptr::from_ref(row));
        }
    }
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

fn bound(row: &Row) -> Bound {
    let shuts = row.named.iter().any(|(_, decision)| decision.allowed.is_empty());
    Bound { to_anyone: row.with_anyone(), shuts }
}
