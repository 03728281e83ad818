//! `unattributed-endpoint`: an address on the wire that no object explains.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::{Evidence, Finding, check};
use crate::observed::{ObservedFlow, Party, Stretch};
use std::collections::BTreeMap;

check! {
    UnattributedEndpoint, "unattributed-endpoint", Low, "An address on the wire that no object explains.",
    ["NIST-800-190-4.4.2"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut flows: BTreeMap<String, usize> = BTreeMap::new();
    let inside = |seen: &&ObservedFlow| matches!(seen.stretch, Stretch::Inside(_));
    for seen in evidence.observed.flows.iter().filter(|seen| !inside(seen)) {
        for (party, end) in [(&seen.initiator, seen.flow.initiator), (&seen.responder, seen.flow.responder)] {
            if *party == Party::Unknown {
                *flows.entry(end.ip.to_string()).or_default() += 1;
            }
        }
    }
    let finding = |(address, count): (String, usize)| {
        UnattributedEndpoint.finding(
            address,
            format!(
                "{count} flows have this end, and no pod, service or node that was read holds the address."
            ),
            Vec::new(),
            "Read the objects that hold it: nodes, and pods with their status.",
        )
    };
    flows.into_iter().map(finding).collect()
}
