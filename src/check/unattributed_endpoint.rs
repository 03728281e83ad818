//! `unattributed-endpoint`: an address on the wire that no object explains.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{is_named, protocol_of, traffic_name};
use super::{Evidence, Finding, check};
use crate::inventory::Unsettled;
use crate::model::Origin;
use crate::model::names::counted;
use crate::observed::{ObservedFlow, Party, Stretch};
use std::collections::{BTreeMap, BTreeSet};

check! {
    UnattributedEndpoint, "unattributed-endpoint", Low, "An address on the wire that no object explains.",
    ["NIST-800-190-4.4.2"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut flows: BTreeMap<String, (usize, BTreeSet<Unsettled>)> = BTreeMap::new();
    let inside = |seen: &ObservedFlow| matches!(seen.stretch, Stretch::Inside(_));
    for seen in evidence.observed.flows.iter().filter(|seen| !inside(seen)) {
        for (party, end) in [(&seen.initiator, seen.flow.initiator), (&seen.responder, seen.flow.responder)] {
            let why = match party {
                Party::Unknown if is_named(evidence, end.ip) => continue,
                Party::Unknown => None,
                Party::Unsettled(why) => Some(*why),
                _ => continue,
            };
            let (count, reasons) = flows.entry(end.ip.to_string()).or_default();
            *count += 1;
            reasons.extend(why);
        }
    }
    let finding = |(address, (count, reasons)): (String, (usize, BTreeSet<Unsettled>))| {
        let settled_by_nobody = reasons.contains(&Unsettled::HeldBySeveral);
        let reasons: Vec<&str> = reasons.into_iter().map(Unsettled::why).collect();
        let (message, fix) = match reasons.is_empty() {
            true => (
                format!(
                    "{}, and no pod, service or node that was read holds the address; no policy is judged by {}.",
                    counted(count, ["flow has this end", "flows have this end"]),
                    if count == 1 { "it" } else { "them" }
                ),
                "Read the objects that hold it: nodes, and pods with their status. If it is outside of the \
                 cluster, give it a name under `networks` of the contract.",
            ),
            false => (
                format!(
                    "{}, and who held the address then is not known: {}.",
                    counted(count, ["flow has this end", "flows have this end"]),
                    reasons.join("; ")
                ),
                match settled_by_nobody {
                    true => "Compare captures of one cluster with the objects of that cluster alone.",
                    false => "Take snapshots more often, and one before the capture begins.",
                },
            ),
        };
        UnattributedEndpoint.finding(address, message, Vec::new(), fix)
    };
    flows.into_iter().map(finding).chain(unknown_ports(evidence)).collect()
}

/// Services that answered at ports which they do not have in what was read: who did is not known.
fn unknown_ports(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut called: BTreeMap<(String, String), (usize, Origin)> = BTreeMap::new();
    let wire = evidence.observed.flows.iter().filter(|seen| seen.stretch == Stretch::Wire);
    for seen in wire.filter(|seen| seen.flow.backward.packets > 0 && !seen.turned_away()) {
        let (Party::Service(index), Some(protocol)) = (&seen.responder, protocol_of(&seen)) else { continue };
        let (service, end) = (&evidence.inventory.services[*index], seen.flow.responder);
        if service.called(end.ip, end.port).all(|port| port.protocol != protocol) {
            let names = (format!("{}/Service/{}", service.namespace, service.name), traffic_name(&seen.flow));
            called.entry(names).or_insert_with(|| (0, service.origin.clone())).0 += 1;
        }
    }
    let finding = |((subject, traffic), (count, origin)): ((String, String), (usize, Origin))| {
        let message = format!(
            "{} called {traffic} of this service, which it does not have in what was read, and {} answered; no \
             policy is judged by {}.",
            counted(count, ["flow", "flows"]),
            if count == 1 { "was" } else { "were" },
            if count == 1 { "it" } else { "them" }
        );
        let fix = "Read the service as it was when the capture was taken.";
        let mut finding = UnattributedEndpoint.finding(subject, message, vec![origin], fix);
        finding.detail = traffic;
        finding
    };
    called.into_iter().map(finding).collect()
}
