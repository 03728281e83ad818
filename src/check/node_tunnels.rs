//! What nodes are to encrypt between them, beside the tunnels of theirs that were seen.
//!
//! At the interface of a pod everything is as the pod sent it; encryption between nodes comes behind
//! that. Whether a capture was taken there or on the wire is not told by a flow alone: a tunnel
//! between the two nodes at the same time is evidence that it is encrypted on its way.

use super::Evidence;
use crate::graph::{WhyExpected, expected};
use crate::model::{Encryption, Protection};
use crate::observed::{Brief, Flow, ObservedFlow, Party, Stored};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// How far apart a flow and a tunnel may be and still be at one time, in nanoseconds.
const SLACK: u64 = 1_000_000_000;

/// Two addresses, the lower one first.
type Pair = (IpAddr, IpAddr);

/// Encrypted tunnels that were seen, by their ends, with the times at which they were.
type Seen = BTreeMap<Pair, Vec<(u64, u64)>>;

/// The tunnels of nodes, which are looked for where configuration has nodes encrypt.
pub(super) struct NodeTunnels<'e, 'a> {
    evidence: &'e Evidence<'a>,
    seen: OnceCell<Seen>,
}

/// What becomes of a flow between nodes that was met in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Configuration has it encrypted, and so it was seen between these two nodes, by the name.
    Encrypted(&'static str),
    /// Configuration has it encrypted, by the name, and nothing of that was seen.
    Promised(&'static str),
}

impl<'e, 'a> NodeTunnels<'e, 'a> {
    /// Nothing was looked for yet.
    pub fn of(evidence: &'e Evidence<'a>) -> NodeTunnels<'e, 'a> {
        NodeTunnels { evidence, seen: OnceCell::new() }
    }

    /// What nodes do to a flow between two pods; `None` where they are not known to encrypt it all.
    pub fn beside(&self, seen: &ObservedFlow) -> Option<Beside> {
        let evidence = self.evidence;
        let (Party::Endpoint { workload: from, .. }, Party::Endpoint { workload: to, .. }) =
            (&seen.initiator, &seen.responder)
        else {
            return None;
        };
        let workloads = &evidence.inventory.workloads;
        let (from, to) = (&workloads[*from], &workloads[*to]);
        let WhyExpected::BetweenNodes(by) = expected(&evidence.graph.dataplane, Some(from), Some(to)).why
        else {
            return None;
        };
        let nodes = |party: &Party| -> Vec<IpAddr> {
            let Party::Endpoint { workload, variant } = party else { return Vec::new() };
            let names = &workloads[*workload].variants[*variant].nodes;
            let own = evidence.inventory.nodes.iter().filter(|node| names.contains(node.name.as_str()));
            own.flat_map(|node| node.addresses.iter().copied()).collect()
        };
        let (here, there) = (nodes(&seen.initiator), nodes(&seen.responder));
        let mut pairs = here.iter().flat_map(|a| there.iter().map(move |b| pair(*a, *b)));
        let Flow { first, last, .. } = seen.flow;
        let at_once = |(begin, end): &(u64, u64)| {
            begin.saturating_sub(SLACK) <= last && first <= end.saturating_add(SLACK)
        };
        let tunnels = self.seen.get_or_init(|| tunnels(evidence));
        let tunnelled = pairs.any(|ends| tunnels.get(&ends).is_some_and(|times| times.iter().any(at_once)));
        // What is in another tunnel has left its pod.
        Some(match tunnelled && seen.flow.via.is_empty() {
            true => Beside::Encrypted(by.name()),
            false => Beside::Promised(by.name()),
        })
    }
}

/// Collects the tunnels.
fn tunnels(evidence: &Evidence<'_>) -> Seen {
    let mut seen = Seen::new();
    let opaque = [Encryption::WireGuard, Encryption::Ipsec].map(Protection::Encrypted);
    for stored in evidence.observed.flows.stored_with(|d| opaque.contains(&d.protection)) {
        let flow = match stored {
            Stored::Shared(kept) => kept.flow,
            Stored::Whole(whole) => Brief::of(&whole.flow),
        };
        let ends = pair(flow.initiator.ip, flow.responder.ip);
        seen.entry(ends).or_default().push((flow.first, flow.last));
    }
    seen
}

impl Beside {
    /// A sentence on it.
    pub fn words(&self) -> String {
        match self {
            Beside::Encrypted(by) => format!(
                "{by} of the nodes encrypts it on its way between them, and was seen to run: this was met at a pod"
            ),
            Beside::Promised(by) => format!(
                "{by} of the nodes should encrypt it on its way between them, and was not seen around it: either \
                 this was met at a pod, or it is not encrypted"
            ),
        }
    }
}

fn pair(one: IpAddr, other: IpAddr) -> Pair {
    (one.min(other), one.max(other))
}
