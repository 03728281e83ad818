//! `segment-rule-broken`: traffic between segments that a rule of the contract forbids.
//!
//! Direct connections come first, then ways over others, then what was seen on the wire. Its page,
//! which is run as a test, says why it matters and what to do.

mod direct;
mod seen;
mod ways;

use super::ground::{Ground, Pairs, sensitive_behind};
use super::{Evidence, Finding, Severity, check};
use crate::contract::{Allow, Protect, Rule, SegmentId, Sensitivity};
use crate::graph::PeerId;
use crate::model::{Bend, ExpectedProtection, Gap, Origin, TrafficSet};
use std::collections::BTreeSet;

check! {
    SegmentRuleBroken, "segment-rule-broken", High, "Traffic between segments that a rule of the contract forbids.",
    ["NSA-CISA-network-separation", "NIST-800-190-4.3.3", "PCI-DSS-4.0-1.4"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    if evidence.contract.rules.is_empty() {
        return Vec::new();
    }
    let ground = Ground::new(evidence);
    let mut findings = Vec::new();
    let mut shut: BTreeSet<(usize, SegmentId, SegmentId)> = BTreeSet::new();
    for (rule, from, to) in decided(evidence) {
        let broken = direct::of(evidence, &ground, rule, from, to);
        if broken.is_empty() || broken.iter().all(|one| one.excepted) {
            shut.insert((rule, from, to));
        }
        findings.extend(broken.into_iter().map(|one| one.finding));
    }
    findings.extend(ways::of(evidence, &ground, &shut));
    findings.extend(seen::of(evidence));
    findings
}

/// Every rule with every pair of segments about which it decides.
fn decided(evidence: &Evidence<'_>) -> Vec<(usize, SegmentId, SegmentId)> {
    let mut all = BTreeSet::new();
    for rule in 0..evidence.contract.rules.len() {
        let (sources, targets) = evidence.segments.named_by(rule);
        for from in &sources {
            for to in &targets {
                if evidence.segments.deciding(*from, *to).contains(&rule) {
                    all.insert((rule, *from, *to));
                }
            }
        }
    }
    all.into_iter().collect()
}

/// What a rule asks for and no configuration shows: encryption of what may cross.
pub(super) fn gaps(evidence: &Evidence<'_>) -> Vec<Gap> {
    if evidence.contract.rules.iter().all(|rule| rule.protect == Protect::AsItIs) {
        return Vec::new();
    }
    let ground = Ground::new(evidence);
    let mut pairs: Vec<Vec<String>> = vec![Vec::new(); evidence.contract.rules.len()];
    for (rule, from, to) in decided(evidence) {
        if evidence.contract.rules[rule].protect == Protect::AsItIs {
            continue;
        }
        let may = evidence.contract.rules[rule].allow.traffic();
        let unknown = |(a, b): &(PeerId, PeerId)| {
            let edge = evidence.graph.edge(*a, *b);
            let kept = edge.traffic.intersection(&may);
            let promised = evidence.graph.promised((*a, *b), &edge, &kept);
            !kept.is_empty() && promised.protection == ExpectedProtection::Unknown
        };
        if ground.crossing(from, to, Pairs::Witnesses).iter().any(unknown) {
            pairs[rule].push(pair(evidence, from, to));
        }
    }
    let asked = evidence.contract.rules.iter().zip(pairs).filter(|(_, pairs)| !pairs.is_empty());
    asked.map(|(rule, pairs)| gap(evidence, rule, &pairs)).collect()
}

fn gap(evidence: &Evidence<'_>, rule: &Rule, pairs: &[String]) -> Gap {
    let shown = pairs.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if pairs.len() > 4 { format!(" and {} more", pairs.len() - 4) } else { String::new() };
    let asked = words(rule.protect);
    let seen = match evidence.observed.captures.is_empty() {
        true => "and no capture was given",
        false => "so only the flows of the captures were judged",
    };
    Gap {
        what: format!(
            "{shown}{more} must be {asked}: no configuration that was read says whether it is, {seen}"
        ),
        origin: rule.origin.clone(),
        bends: Bend::MayMissTraffic,
    }
}

/// `from -> to`, the subject of findings about segments.
fn pair(evidence: &Evidence<'_>, from: SegmentId, to: SegmentId) -> String {
    format!("{} -> {}", evidence.segments.name(from), evidence.segments.name(to))
}

/// What a rule says of what may travel, for people.
fn law(rule: &Rule) -> String {
    match &rule.allow {
        Allow::Never => "nothing may".to_owned(),
        Allow::Only(traffic) => format!("only {traffic} may"),
        Allow::All => "everything may".to_owned(),
    }
}

fn words(protect: Protect) -> &'static str {
    match protect {
        Protect::AsItIs => "as it is",
        Protect::Encrypted => "encrypted",
        Protect::MutualTls => "under mutual TLS",
    }
}

/// A hole is as bad as what lies behind it.
fn severity(evidence: &Evidence<'_>, to: SegmentId, traffic: &TrafficSet) -> Severity {
    let restricted = evidence.segments.segments[to as usize].sensitivity == Some(Sensitivity::Restricted);
    let sensitive = !sensitive_behind(evidence, to, traffic).is_empty();
    if restricted || sensitive { Severity::Critical } else { Severity::High }
}

/// What the reader of a contract wrote about the rule, and what is sensitive about the traffic.
fn remarks(evidence: &Evidence<'_>, rule: &Rule, to: SegmentId, traffic: &TrafficSet) -> String {
    let sensitive = sensitive_behind(evidence, to, traffic);
    let mut text = match (sensitive.is_empty(), rule.why.is_empty()) {
        (true, _) => String::new(),
        (false, _) => format!(" Behind these ports: {}.", sensitive.join(", ")),
    };
    if !rule.why.is_empty() {
        text.push_str(&format!(" The contract says why: {}", rule.why));
    }
    text
}

/// What lets one peer connect to another: the rules of both ends, or the target that nothing governs.
fn because(evidence: &Evidence<'_>, from: PeerId, to: PeerId) -> Vec<Origin> {
    let graph = evidence.graph;
    let edge = graph.edge(from, to);
    let rules = edge.because();
    let mut origins: Vec<Origin> =
        rules.iter().map(|rule| graph.rules[*rule as usize].rule.origin.clone()).collect();
    if edge.ingress.because.is_empty() || origins.is_empty() {
        let open = graph.class(to).or(graph.class(from)).and_then(|class| class.members.first());
        origins.extend(open.map(|m| evidence.inventory.workloads[m.workload as usize].origin.clone()));
    }
    origins
}
