//! Flows on the wire that break a rule: what should not have been, or not in the clear.

use super::super::ground::segments_of_flow;
use super::super::mesh_seen::tunnelled;
use super::super::node_tunnels::{Beside, NodeTunnels};
use super::super::settle::{holding, in_segment};
use super::super::shared::{
    fact, flow_ends, flow_subject, is_ours, known_tunnels, paths, protocol_of, with_counts,
};
use super::{Evidence, Finding, SegmentRuleBroken, pair, severity, words};
use crate::contract::{Protect, Rule, SegmentId};
use crate::model::{Encryption, IpProtocols, Origin, Protection, TrafficSet};
use crate::observed::{ObservedFlow, Party, TUNNEL};
use std::collections::BTreeMap;

/// One finding for each pair, rule and way of breaking it, with a flow as its witness; what an exception
/// covers stands apart, so that it hides nothing else.
pub(super) fn of(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut found: BTreeMap<(String, String), (Finding, usize)> = BTreeMap::new();
    let tunnels = NodeTunnels::of(evidence);
    let carriers = known_tunnels(evidence);
    for seen in evidence.observed.flows.iter().chain(carriers).filter(is_ours) {
        let pairs = segments(evidence, &seen);
        let Some(first) = pairs.first() else { continue };
        let breaks = |pair: &(SegmentId, SegmentId)| broken(evidence, &tunnels, &seen, *pair);
        // Where an address may be one of several, all of them must agree.
        if !pairs.iter().all(|pair| !breaks(pair).is_empty()) {
            continue;
        }
        // Nothing tells who opened a tunnel.
        if fact(&seen, TUNNEL).is_some()
            && let Some(turned) = seen.turned()
            && segments(evidence, &turned)
                .iter()
                .any(|pair| broken(evidence, &tunnels, &turned, *pair).is_empty())
        {
            continue;
        }
        for (rule, how) in breaks(first) {
            let mut finding = finding(evidence, &seen, *first, rule, &how);
            if let Some(subject) = excepted(evidence, &seen, *first, &finding) {
                finding.subject = subject;
            }
            let key = (finding.subject.clone(), finding.detail.clone());
            found.entry(key).or_insert((finding, 0)).1 += 1;
        }
    }
    with_counts(found)
}

/// The pairs of segments that a flow may be between.
fn segments(evidence: &Evidence<'_>, seen: &ObservedFlow) -> Vec<(SegmentId, SegmentId)> {
    let (sources, targets) = segments_of_flow(evidence, seen);
    sources.iter().flat_map(|from| targets.iter().map(move |to| (*from, *to))).collect()
}

/// The ends of a flow as an exception names them that covers what was found of it.
fn excepted(
    evidence: &Evidence<'_>,
    seen: &ObservedFlow,
    (from, to): (SegmentId, SegmentId),
    finding: &Finding,
) -> Option<String> {
    let (caller, called) = flow_ends(evidence, seen);
    let (from, to) = (evidence.segments.name(from), evidence.segments.name(to));
    // A service has no segment of its own, nor has an address.
    let ends = [(&*caller, &*called), (&*caller, to), (from, &*called)];
    let subjects = || ends.iter().map(|(from, to)| format!("{from} -> {to}"));
    let inside = |name: &str, segment: &str| in_segment(evidence, name, segment);
    holding(evidence, finding.check).find_map(|(_, exception)| {
        subjects().find(|subject| exception.covers(subject, &finding.traffic, &inside))
    })
}

/// How a flow breaks a rule.
enum How {
    /// It should not have been.
    Forbidden,
    /// It should have been protected better: what the bytes showed instead.
    Unprotected(&'static str),
}

fn broken(
    evidence: &Evidence<'_>,
    tunnels: &NodeTunnels<'_, '_>,
    seen: &ObservedFlow,
    (from, to): (SegmentId, SegmentId),
) -> Vec<(usize, How)> {
    let mut broken = Vec::new();
    let answered = seen.flow.backward.packets > 0;
    let possible = traffics(evidence, seen);
    for number in evidence.segments.deciding(from, to) {
        let rule = &evidence.contract.rules[number];
        let allowed = rule.allow.traffic();
        if possible.iter().all(|traffic| traffic.intersection(&allowed).is_empty()) {
            if answered {
                broken.push((number, How::Forbidden));
            }
            continue;
        }
        let by_nodes = || matches!(tunnels.beside(seen), Some(Beside::Encrypted(_)));
        if rule.protect == Protect::Encrypted && by_nodes() {
            continue;
        }
        broken.extend(lack(rule, seen).map(|what| (number, How::Unprotected(what))));
    }
    broken
}

/// What the bytes of a flow prove against the protection that a rule asks for; what they leave open
/// is not held against it.
fn lack(rule: &Rule, seen: &ObservedFlow) -> Option<&'static str> {
    let protection = seen.detection.protection;
    let certificate = seen.detection.facts.iter().find(|(name, _)| *name == "client_certificate");
    let refused = certificate.is_some_and(|(_, value)| value == "not-shown" || value == "declined");
    match (rule.protect, protection) {
        (Protect::AsItIs, _) => None,
        (_, Protection::Plaintext(_)) => Some("it can be read on the wire"),
        (Protect::MutualTls, Protection::Encrypted(Encryption::Tls)) if refused => {
            Some("the client showed no certificate")
        }
        _ => None,
    }
}

/// The traffic of a flow where it arrives: behind a service the port is another one.
fn traffics(evidence: &Evidence<'_>, seen: &ObservedFlow) -> Vec<TrafficSet> {
    let Some(protocol) = protocol_of(seen) else {
        return vec![TrafficSet::portless(IpProtocols::all())];
    };
    // A tunnel carries what its ends may say to each other, on ports that are not seen.
    if let Some(inside) = tunnelled(evidence, seen) {
        return vec![inside];
    }
    let behind: Vec<TrafficSet> = match seen.responder {
        Party::Service(_) | Party::Endpoint { .. } => {
            paths(evidence, seen).iter().map(|(_, _, port)| TrafficSet::port(protocol, *port)).collect()
        }
        _ => Vec::new(),
    };
    match behind.is_empty() {
        true => vec![TrafficSet::port(protocol, seen.flow.responder.port)],
        false => behind,
    }
}

fn finding(
    evidence: &Evidence<'_>,
    seen: &ObservedFlow,
    (from, to): (SegmentId, SegmentId),
    rule: usize,
    how: &How,
) -> Finding {
    let rule = &evidence.contract.rules[rule];
    let flow = flow_subject(evidence, seen);
    let port = protocol_of(seen).map_or("traffic without ports".to_owned(), |protocol| {
        format!("{protocol}/{}", seen.flow.responder.port)
    });
    let (message, fix, detail) = match how {
        How::Forbidden => (
            format!("By the contract {port} may not travel here, and on the wire it was answered: {flow}."),
            "Find out who needs it; then stop it with a policy, or write it into the contract.",
            format!("seen {port}"),
        ),
        How::Unprotected(what) => (
            format!(
                "By the contract this must be {}, and {what}: {flow}, {} on {port} ({}).",
                words(rule.protect),
                seen.detection.protocol,
                seen.detection.why
            ),
            "Turn TLS on in the protocol, or put both ends into a mesh with strict mutual TLS.",
            format!("not {} {port}", rule.protect.word()),
        ),
    };
    let ends = [&seen.responder, &seen.initiator].into_iter().flat_map(Party::workloads);
    let mut origins: Vec<Origin> = ends.map(|w| evidence.inventory.workloads[w].origin.clone()).collect();
    origins.push(rule.origin.clone());
    let mut finding = SegmentRuleBroken.finding(pair(evidence, from, to), message, origins, fix);
    finding.traffic = traffics(evidence, seen).iter().fold(TrafficSet::none(), |all, one| all.union(one));
    finding.severity = severity(evidence, to, &finding.traffic);
    finding.detail = detail;
    finding
}
