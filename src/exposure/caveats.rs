//! What a closed exposure rests on that the input does not prove, and what is open on a node without
//! being declared; said as gaps, once for each object.

use super::{Access, EntryKind, Exposure};
use crate::graph::AllowedGraph;
use crate::inventory::{Inventory, Network, TrafficPolicy, Variant};
use crate::model::{Bend, Gap};
use std::collections::BTreeSet;

/// The assumptions behind what is called closed.
pub(super) fn of(inventory: &Inventory, graph: &AllowedGraph, all: &[Exposure]) -> Vec<Gap> {
    let mut gaps = undeclared(inventory);
    if graph.dataplane.local_node_exempt {
        let closed = all.iter().filter(|exposure| matches!(exposure.access, Access::Closed(_)));
        gaps.extend(closed.filter_map(|exposure| gap(inventory, exposure)));
    }
    gaps.into_iter().collect()
}

/// Pods on the network of their node whose ports nobody declares: whatever they listen on is open.
fn undeclared(inventory: &Inventory) -> BTreeSet<Gap> {
    let hidden = |variant: &Variant| {
        variant.network == Network::Host && variant.ports.is_empty() && variant.proxies.is_empty()
    };
    let workloads = inventory.workloads.iter().filter(|workload| workload.variants.iter().any(hidden));
    let gap = |workload: &crate::inventory::Workload| Gap {
        what: "is on the network of its node and declares no port: whatever it listens on is reached from \
               outside"
            .to_owned(),
        origin: workload.origin.clone(),
        bends: Bend::MayAllowMore,
    };
    workloads.map(gap).collect()
}

fn gap(inventory: &Inventory, exposure: &Exposure) -> Option<Gap> {
    let what = match exposure.kind {
        EntryKind::LoadBalancer | EntryKind::NodePort | EntryKind::ExternalAddress => {
            translated(inventory, exposure).then(|| {
                "is called closed, but its clients may appear as a node (externalTrafficPolicy: Cluster), and a node \
                 reaches its own pods whatever their policies say"
                    .to_owned()
            })?
        }
        EntryKind::Ingress | EntryKind::Route | EntryKind::GatewayRoute | EntryKind::VirtualService => {
            exposure.controllers.is_empty().then(|| {
                format!(
                    "is called closed, but the pods of {} are not in the input: it is taken not to run on the host network",
                    exposure.controller
                )
            })?
        }
        EntryKind::HostPort | EntryKind::HostNetwork => return None,
    };
    Some(Gap { what, origin: exposure.because.first()?.clone(), bends: Bend::MayAllowMore })
}

fn translated(inventory: &Inventory, exposure: &Exposure) -> bool {
    let own = |service: &&crate::inventory::Service| {
        service.namespace == exposure.entry.namespace && service.name == exposure.entry.name
    };
    inventory.services.iter().find(own).is_some_and(|s| s.external_traffic == TrafficPolicy::Cluster)
}
