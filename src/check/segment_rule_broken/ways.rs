//! Ways over others into a segment that a rule keeps shut: each step is allowed, the whole is not.
//!
//! The shortest way is shown. A way of which every step stays within a segment or is allowed by a
//! rule of the contract was built by the contract itself, and counts as worth knowing only; every
//! other way has a step that is a finding or a change of its own.

use super::super::ground::Ground;
use super::{Evidence, Finding, SegmentRuleBroken, because, pair, remarks, severity};
use crate::check::Severity;
use crate::contract::{Allow, End, Rule, SegmentId, Ways};
use crate::graph::{PeerId, Reached, Search};
use crate::model::{Origin, TrafficSet};
use std::collections::{BTreeMap, BTreeSet};

/// Pairs of segments that a rule keeps shut and between which nothing goes directly (but what is
/// excepted), by the rule.
pub(super) type Shut = BTreeSet<(usize, SegmentId, SegmentId)>;

/// The shortest way for each pair, where there is one.
pub(super) fn of(evidence: &Evidence<'_>, ground: &Ground<'_>, shut: &Shut) -> Vec<Finding> {
    let mut by_rule: BTreeMap<usize, Vec<(SegmentId, SegmentId)>> = BTreeMap::new();
    for (rule, from, to) in shut {
        if from != to && counts(&evidence.contract.rules[*rule]) {
            by_rule.entry(*rule).or_default().push((*from, *to));
        }
    }
    let mut findings = Vec::new();
    for (rule, pairs) in by_rule {
        let ends =
            |pick: fn(&(SegmentId, SegmentId)) -> SegmentId| pairs.iter().map(pick).collect::<BTreeSet<_>>();
        let (sources, targets) = (ends(|p| p.0), ends(|p| p.1));
        // One search for each segment at the end of which there are fewer.
        let search = if targets.len() <= sources.len() { Search::Backward } else { Search::Onward };
        let mut by_root: BTreeMap<SegmentId, Vec<(SegmentId, SegmentId)>> = BTreeMap::new();
        for (from, to) in pairs {
            by_root.entry(if search == Search::Backward { to } else { from }).or_default().push((from, to));
        }
        for (root, pairs) in by_root {
            let found = ground.links.search(ground.peers(root), search, &|_, _| false);
            findings.extend(pairs.into_iter().filter_map(|(from, to)| {
                let far = if search == Search::Backward { from } else { to };
                // What goes directly here is excepted, or the pair would not be shut.
                let direct = ground.peers(far).iter().any(|peer| found.steps(*peer) == Some(1));
                let way = match direct {
                    true => past_exceptions(ground, from, to)?,
                    false => shortest(evidence, ground, &found, search, far)?,
                };
                Some(finding(evidence, ground, rule, (from, to), &way))
            }));
        }
    }
    findings
}

/// Rules that shut, name somebody, and mind ways over others.
fn counts(rule: &Rule) -> bool {
    let anyone = |ends: &[End]| ends.iter().all(|end| *end == End::Anyone);
    rule.allow == Allow::Never && rule.ways == Ways::Any && !(anyone(&rule.from) && anyone(&rule.to))
}

/// The shortest way of two or more steps between the roots of a search and a segment.
fn shortest(
    evidence: &Evidence<'_>,
    ground: &Ground<'_>,
    found: &Reached,
    search: Search,
    far: SegmentId,
) -> Option<Vec<PeerId>> {
    let peers = ground.peers(far);
    let walked = peers.iter().filter(|peer| found.steps(**peer).is_some_and(|steps| steps >= 2));
    let nearest = walked.min_by_key(|peer| (found.steps(**peer), **peer)).map(|peer| found.way(*peer));
    nearest.or_else(|| {
        let shared = peers.iter().filter(|peer| found.steps(**peer) == Some(0));
        shared
            .filter_map(|peer| around(evidence, found, search, *peer))
            .min_by_key(|way| (way.len(), way.clone()))
    })
}

/// Out of a class that is in both segments and back into it, where its members cannot go directly.
fn around(evidence: &Evidence<'_>, found: &Reached, search: Search, peer: PeerId) -> Option<Vec<PeerId>> {
    let graph = evidence.graph;
    let pair = |other: PeerId| if search == Search::Backward { (peer, other) } else { (other, peer) };
    let all = 0..graph.classes().len() as PeerId;
    let next = all.filter(|other| *other != peer && found.steps(*other).is_some_and(|steps| steps >= 1));
    let open = next.filter(|other| {
        let (from, to) = pair(*other);
        !graph.edge(from, to).traffic.is_empty()
    });
    let best = open.min_by_key(|other| (found.steps(*other), *other))?;
    let mut way = found.way(best);
    match search {
        Search::Backward => way.insert(0, peer),
        Search::Onward => way.push(peer),
    }
    Some(way)
}

/// A way that does without the direct connections, which exceptions cover here.
fn past_exceptions(ground: &Ground<'_>, from: SegmentId, to: SegmentId) -> Option<Vec<PeerId>> {
    let (sources, targets) = (ground.peers(from), ground.peers(to));
    let is_in = |peers: &[PeerId], peer: PeerId| peers.binary_search(&peer).is_ok();
    let found =
        ground.links.search(targets, Search::Backward, &|a, b| is_in(sources, a) && is_in(targets, b));
    let walked = sources.iter().filter(|peer| found.steps(**peer).is_some_and(|steps| steps >= 2));
    walked.min_by_key(|peer| (found.steps(**peer), **peer)).map(|peer| found.way(*peer))
}

fn finding(
    evidence: &Evidence<'_>,
    ground: &Ground<'_>,
    rule: usize,
    (from, to): (SegmentId, SegmentId),
    way: &[PeerId],
) -> Finding {
    let rule = &evidence.contract.rules[rule];
    let last = way.len() - 1;
    let segment_at = |step: usize| match step {
        0 => from,
        _ if step == last => to,
        _ => ground.segments_of(way[step]).first().copied().unwrap_or(from),
    };
    let hops: Vec<(usize, TrafficSet)> =
        (1..way.len()).map(|step| (step, evidence.graph.edge(way[step - 1], way[step]).traffic)).collect();
    let mut words = ground.name(way[0], from);
    let mut origins: Vec<Origin> = Vec::new();
    for (step, traffic) in &hops {
        words.push_str(&format!(" -> {} ({traffic})", ground.name(way[*step], segment_at(*step))));
        for origin in because(evidence, way[step - 1], way[*step]) {
            if !origins.contains(&origin) {
                origins.push(origin);
            }
        }
    }
    origins.push(rule.origin.clone());
    let built = hops
        .iter()
        .all(|(step, traffic)| is_built(evidence, segment_at(step - 1), segment_at(*step), traffic));
    let arriving = hops.last().map_or_else(TrafficSet::none, |(_, traffic)| traffic.clone());
    let (verdict, fix) = match built {
        true => (
            "every step is allowed by the contract itself",
            "Know it; if the parts between may not pass things on, say so in their rules, or write `ways: direct`.",
        ),
        false => (
            "each step is allowed",
            "Close the step that nobody needs: let its policies name who needs it, or write its rule into the contract.",
        ),
    };
    let mut finding = SegmentRuleBroken.finding(
        pair(evidence, from, to),
        format!(
            "By the contract nothing may get here, and in {} steps something can, because {verdict}: {words}.{}",
            hops.len(),
            remarks(evidence, rule, to, &arriving)
        ),
        origins,
        fix,
    );
    finding.severity = if built { Severity::Low } else { severity(evidence, to, &TrafficSet::none()) };
    finding.detail = "never, over others".to_owned();
    finding.traffic = arriving;
    finding
}

/// Whether a step stays within a segment, or a rule of the contract allows all of it.
fn is_built(evidence: &Evidence<'_>, from: SegmentId, to: SegmentId, traffic: &TrafficSet) -> bool {
    let rules = evidence.segments.deciding(from, to);
    let allowed =
        |rule: &usize| traffic.difference(&evidence.contract.rules[*rule].allow.traffic()).is_empty();
    rules.iter().all(allowed) && (from == to || !rules.is_empty())
}
