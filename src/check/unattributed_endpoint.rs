//! `unattributed-endpoint`: an address on the wire that no object explains.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::is_named;
use super::{Evidence, Finding, check};
use crate::inventory::Unsettled;
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
                    "{count} flows have this end, and no pod, service or node that was read holds the address; \
                     no policy is judged by them."
                ),
                "Read the objects that hold it: nodes, and pods with their status. If it is outside of the \
                 cluster, give it a name under `networks` of the contract.",
            ),
            false => (
                format!(
                    "{count} flows have this end, and who held the address then is not known: {}.",
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
    flows.into_iter().map(finding).collect()
}
