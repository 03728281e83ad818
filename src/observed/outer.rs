//! Tunnels by themselves: what carries other flows is a conversation of its own two ends, which policies
//! have a say in where these are pods.

use super::{Answer, Detection, Directory, Flow, FlowEnd, Flows, Handshake, Observed, ObservedFlow, Party};
use super::{Seen, Stored, StreamStart, Stretch, Transport, attribute};
use crate::capture::{Counters, Tunnel};
use crate::inventory::Inventory;
use crate::model::{Bend, Gap, Origin, Protection, WhyUnknown};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The fact that names what kind of tunnel it is.
pub const TUNNEL: &str = "tunnel";

/// What was seen of a tunnel by the flows in it.
struct Carried {
    first: u64,
    last: u64,
    flows: u64,
    both_ways: bool,
}

/// The tunnels of pods that captures show, each as a flow of which nothing tells who opened it. Those of
/// which the port is not known have none.
pub fn tunnels_of_pods(flows: &Flows, inventory: &Inventory) -> Vec<ObservedFlow> {
    let tunnels = flows.tunnels();
    if tunnels.is_empty() {
        return Vec::new();
    }
    let directory = Directory::new(inventory);
    let of_pod = |tunnel: &Tunnel| {
        let (initiator, responder) = attribute(&directory, &bare(tunnel));
        // Who held an address depends on the time.
        let may_be = |party: &Party| is_pod(party) || matches!(party, Party::Unsettled(_));
        [initiator, responder].iter().any(may_be)
    };
    let mut all: BTreeMap<Tunnel, Option<Carried>> =
        tunnels.into_iter().filter(of_pod).map(|tunnel| (tunnel, None)).collect();
    // Nearly all tunnels are those of nodes.
    if all.is_empty() {
        return Vec::new();
    }
    for stored in flows.stored_among(0..flows.len()) {
        let (tunnel, flow) = match &stored {
            Stored::Shared(kept) => (kept.around.and_then(|around| around.tunnel), kept.flow),
            Stored::Whole(seen) => {
                let more = seen.flow.seen.more.as_deref();
                (more.and_then(|more| more.tunnel), super::Brief::of(&seen.flow))
            }
        };
        if let Some(carried) = tunnel.and_then(|tunnel| all.get_mut(&tunnel)) {
            let new = Carried { first: flow.first, last: flow.last, flows: 0, both_ways: false };
            let carried = carried.get_or_insert(new);
            carried.first = carried.first.min(flow.first);
            carried.last = carried.last.max(flow.last);
            carried.flows += 1;
            carried.both_ways |= flow.forward.packets > 0 && flow.backward.packets > 0;
        }
    }
    let carrying = all.into_iter().filter_map(|(tunnel, carried)| Some((tunnel, carried?)));
    let each = carrying.map(|(tunnel, carried)| seen(&tunnel, &carried, &directory));
    each.filter(|seen| is_pod(&seen.initiator) || is_pod(&seen.responder)).collect()
}

/// Tunnels of pods that nothing can be held against: their port or their other end is not known.
pub fn gaps(observed: &Observed, inventory: &Inventory) -> Vec<Gap> {
    let untold = |seen: &ObservedFlow| {
        let nobody = |party: &Party| matches!(party, Party::Unknown | Party::Unsettled(_) | Party::Group);
        let portless = seen.flow.transport == Transport::Udp && seen.flow.responder.port == 0;
        portless || nobody(&seen.initiator) || nobody(&seen.responder)
    };
    let mut of_nobody = observed.tunnels.iter().filter(|seen| untold(seen));
    let Some(first) = of_nobody.next() else { return Vec::new() };
    let [from, to] = [(&first.initiator, first.flow.initiator), (&first.responder, first.flow.responder)]
        .map(|(party, end)| party.name(inventory, end.ip));
    let what = format!(
        "{} x tunnels of pods that no policy was held against, for their port or their other end is not \
         known: as {} between {from} and {to}",
        of_nobody.count() + 1,
        first.detection.protocol,
    );
    vec![Gap { what, origin: Origin::of_file(&super::losses::files(observed)), bends: Bend::MayMissTraffic }]
}

fn is_pod(party: &Party) -> bool {
    matches!(party, Party::Endpoint { .. })
}

/// A tunnel as a flow of which nothing is known but its ends.
fn bare(tunnel: &Tunnel) -> Flow {
    let end = |ip| FlowEnd { ip, port: tunnel.port };
    Flow {
        initiator: end(tunnel.ends.0),
        responder: end(tunnel.ends.1),
        transport: tunnel.over,
        handshake: Handshake::FirstPacket,
        forward: Counters::default(),
        backward: Counters::default(),
        first: 0,
        last: 0,
        start: StreamStart::default(),
        via: Vec::new(),
        evicted: false,
        seen: Seen { answer: Answer::Unknown, ..Seen::default() },
    }
}

/// A tunnel as a flow.
fn seen(tunnel: &Tunnel, carried: &Carried, directory: &Directory<'_>) -> ObservedFlow {
    let counters = |packets| Counters { packets, bytes: 0 };
    let flow = Flow {
        forward: counters(carried.flows),
        backward: counters(u64::from(carried.both_ways)),
        first: carried.first,
        last: carried.last,
        ..bare(tunnel)
    };
    let detection = Detection {
        protocol: tunnel.kind.name(),
        protection: Protection::Unknown(WhyUnknown::NoPayload),
        why: "a tunnel, whose content is told by the flows in it".into(),
        facts: vec![(TUNNEL, tunnel.kind.name().into())],
        names: Vec::new(),
    };
    let (initiator, responder) = attribute(directory, &flow);
    ObservedFlow { flow, detection: Arc::new(detection), initiator, responder, stretch: Stretch::Wire }
}
