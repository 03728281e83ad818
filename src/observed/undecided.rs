//! Flows of which nobody could tell whether they are protected: what a review does not know of them, it
//! says, for its silence would be taken for safety.

use super::{Detection, FlowEnd, Observed, Party, Stored, Stretch, Transport};
use crate::inventory::Inventory;
use crate::model::{Bend, Gap, Origin, Protection, WhyUnknown};
use std::collections::BTreeMap;

/// Kinds of such flows that are told one by one.
const MOST_KINDS: usize = 16;

/// What is asked of a flow, however it is kept.
struct Met<'a> {
    detection: &'a Detection,
    transport: Transport,
    ends: [(FlowEnd, &'a Party); 2],
    /// It is known to have left its pod, or may have.
    left: bool,
}

/// Flows of one protocol that are not decided for one reason: how many, and one of them.
struct Kind {
    count: usize,
    example: String,
}

/// What is not known of flows that touch the cluster, a gap for each protocol and reason.
pub fn undecided(observed: &Observed, inventory: &Inventory) -> Vec<Gap> {
    let mut kinds: BTreeMap<(&'static str, String), Kind> = BTreeMap::new();
    let mut add = |met: &Met<'_>| {
        if is_open(met) {
            let key = (met.detection.protocol, met.detection.why.to_string());
            let new = || Kind { count: 0, example: example(met, inventory) };
            kinds.entry(key).or_insert_with(new).count += 1;
        }
    };
    for stored in observed.flows.stored_among(0..observed.flows.len()) {
        match &stored {
            Stored::Shared(kept) if !matches!(kept.detection.protection, Protection::Unknown(_)) => {}
            Stored::Shared(kept) => add(&Met {
                detection: kept.detection,
                transport: kept.flow.transport,
                ends: [(kept.flow.initiator, kept.initiator), (kept.flow.responder, kept.responder)],
                left: !matches!(Stretch::of(&kept.flow.flow()), Stretch::Inside(_)),
            }),
            Stored::Whole(seen) => add(&Met {
                detection: &seen.detection,
                transport: seen.flow.transport,
                ends: [(seen.flow.initiator, &seen.initiator), (seen.flow.responder, &seen.responder)],
                left: !matches!(seen.stretch, Stretch::Inside(_)),
            }),
        }
    }
    told(kinds, &super::losses::files(observed))
}

/// Whether something was said that may be readable: not where there was nothing, where a handshake came
/// to nothing, and not the control messages of the network.
fn is_open(met: &Met<'_>) -> bool {
    const CONTROL: [&str; 6] = ["icmp", "igmp", "ospf", "pim", "vrrp", "eigrp"];
    let Protection::Unknown(why) = met.detection.protection else { return false };
    let silent = matches!(why, WhyUnknown::NoPayload | WhyUnknown::HandshakeIncomplete);
    let [(caller, initiator), (called, responder)] = met.ends;
    let ours = |party: &Party| {
        let known = matches!(party, Party::Endpoint { .. } | Party::Shared(_) | Party::Service(_));
        known || matches!(party, Party::Node(_) | Party::Unsettled(_))
    };
    let group = [initiator, responder].contains(&&Party::Group);
    !silent
        && met.transport != Transport::Icmp
        && !CONTROL.contains(&met.detection.protocol)
        && met.left
        && caller.ip != called.ip
        && !group
        && (ours(initiator) || ours(responder))
}

/// The ends of a flow as people know them.
fn example(met: &Met<'_>, inventory: &Inventory) -> String {
    let [(caller, initiator), (called, responder)] = met.ends;
    let [from, to] = [initiator.name(inventory, caller.ip), responder.name(inventory, called.ip)];
    let how = match met.transport {
        Transport::Tcp => format!("TCP/{}", called.port),
        Transport::Udp => format!("UDP/{}", called.port),
        Transport::Sctp => format!("SCTP/{}", called.port),
        Transport::Icmp => "ICMP".to_owned(),
        Transport::Other(number) => format!("IP{number}"),
    };
    format!("{from} -> {to} {how}")
}

fn told(kinds: BTreeMap<(&'static str, String), Kind>, files: &str) -> Vec<Gap> {
    let mut kinds: Vec<((&str, String), Kind)> = kinds.into_iter().collect();
    kinds.sort_by(|(a_key, a), (b_key, b)| b.count.cmp(&a.count).then_with(|| a_key.cmp(b_key)));
    let others = kinds.split_off(kinds.len().min(MOST_KINDS));
    let whether = "of which nobody can tell whether they are protected";
    let each = kinds.iter().map(|((protocol, why), Kind { count, example })| {
        format!("{count} x flows {whether}: {protocol} ({why}), as {example}")
    });
    let rest = others.iter().map(|(_, kind)| kind.count).sum::<usize>();
    let rest = (rest > 0).then(|| format!("{rest} x other flows {whether}"));
    let gap = |what| Gap { what, origin: Origin::of_file(files), bends: Bend::MayMissTraffic };
    each.chain(rest).map(gap).collect()
}
