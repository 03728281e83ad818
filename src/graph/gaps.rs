//! What the graph cannot know: addresses that nobody told, and nodes that reach their own pods.

use super::build::{AllowedGraph, RuleInfo};
use super::classes::{Class, ClassId, Classes};
use super::edge::Exemption;
use crate::inventory::{Inventory, Network};
use crate::model::{AddressRange, AddressSet, Bend, Gap};
use crate::policy::{Dataplane, Peer};
use std::collections::BTreeSet;

/// Blocks may cover endpoints whose addresses nobody told, where blocks match endpoints.
pub(super) fn of_addresses(classes: &Classes, rules: &[RuleInfo], dataplane: &Dataplane) -> Vec<Gap> {
    if classes.unaddressed == 0 || !dataplane.ipblock_matches_pods {
        return Vec::new();
    }
    let families = AddressSet::all();
    let partial = |set: &AddressSet| !families.ranges().iter().any(|family| set.ranges().contains(family));
    let may_cover = |peer: &Peer| match peer {
        Peer::Addresses(set) => partial(set) && set.ranges().iter().any(may_be_inside),
        _ => false,
    };
    let may_cover_pods = |info: &&RuleInfo| {
        info.rule.peers.named().iter().chain(info.rule.own.named()).any(|peer| peer.any(may_cover))
    };
    let what = format!(
        "this ipBlock may cover pods: the addresses of {} workload variants are not known",
        classes.unaddressed
    );
    let gap = |info: &RuleInfo| Gap {
        what: what.clone(),
        origin: info.rule.origin.clone(),
        bends: Bend::MayAllowMore,
    };
    rules.iter().filter(may_cover_pods).map(gap).collect()
}

/// Workloads on the host network reach the pods of their nodes whatever the policies say; the
/// graph shows what policies allow, so this is said apart.
pub(super) fn of_exemptions(graph: &AllowedGraph, inventory: &Inventory) -> Vec<Gap> {
    let host = |(_, class): &(usize, &Class)| class.network == Network::Host;
    let classes = graph.classes().len() as ClassId;
    let exempt = graph.classes().iter().enumerate().filter(host).filter(|(from, _)| {
        (0..classes).any(|to| graph.exemption(*from as ClassId, to) == Exemption::LocalNode)
    });
    let members = exempt.flat_map(|(_, class)| &class.members);
    let workloads: BTreeSet<u32> = members.map(|member| member.workload).collect();
    let gap = |workload: u32| Gap {
        what: "runs on the host network, so it reaches the pods of its own node whatever their policies say"
            .to_owned(),
        origin: inventory.workloads[workload as usize].origin.clone(),
        bends: Bend::MayAllowMore,
    };
    workloads.into_iter().map(gap).collect()
}

/// Whether a range touches addresses that clusters use for pods: private or shared ones.
fn may_be_inside(range: &AddressRange) -> bool {
    const POD_RANGES: &[&str] =
        &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
    let touches = |pods: AddressRange| {
        pods.first.is_ipv4() == range.first.is_ipv4() && pods.first <= range.last && range.first <= pods.last
    };
    POD_RANGES.iter().filter_map(|cidr| AddressRange::from_cidr(cidr)).any(touches)
}
