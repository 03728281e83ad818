//! On which stretch of its way a flow was met: between pods, or inside of one.
//!
//! A capture in a pod, or on all interfaces of one, also shows what goes between an application and
//! the proxy beside it. That is in the clear by design, and nobody outside the pod can read it, so
//! it is told apart and never judged as if it were on the wire. Ambient meshes make it hard: their
//! proxy speaks to the application with the address of the remote pod. The interface decides first;
//! where it is not known, a tunnel in parallel leaves the question open, and that is said.

use super::{Flows, ObservedFlow, Party};
use crate::capture::{Flow, FlowEnd, Medium, Transport};
use crate::model::{Encryption, Protection, WhyUnknown};
use crate::protocol::Detection;
use hashbrown::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// On which stretch of its way a flow was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stretch {
    /// Between pods, nodes or the outside; also where nothing speaks against it.
    #[default]
    Wire,
    /// Inside of one pod, or of one node.
    Inside(WhyInside),
    /// It may be the leg between an ambient proxy and its application, or the wire.
    Ambiguous,
}

/// What proves that a flow never left a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhyInside {
    /// Both ends have the same address.
    SameAddress,
    /// An end has a loopback address, 127.0.0.6 and ::6 of Istio's sidecars among them.
    LoopbackAddress,
    /// It was met on a loopback interface and nowhere else.
    LoopbackInterface,
}

/// The port of the tunnels of ambient meshes.
const TUNNEL: u16 = 15_008;
/// How long before the first packet of a tunnel the leg behind it may begin, in nanoseconds: what
/// a capture of several interfaces shows is not in order.
const SLACK: u64 = 1_000_000_000;

impl Stretch {
    /// What the flow alone tells.
    pub fn of(flow: &Flow) -> Stretch {
        let (from, to) = (flow.initiator.ip, flow.responder.ip);
        if from == to {
            Stretch::Inside(WhyInside::SameAddress)
        } else if is_loopback(from) || is_loopback(to) {
            Stretch::Inside(WhyInside::LoopbackAddress)
        } else if flow.seen.medium == Medium::Loopback {
            Stretch::Inside(WhyInside::LoopbackInterface)
        } else {
            Stretch::Wire
        }
    }

    /// The word of the flow records and why; `None` for the wire.
    pub fn words(self) -> Option<&'static str> {
        match self {
            Stretch::Wire => None,
            Stretch::Inside(WhyInside::SameAddress) => Some("in-pod: both ends have one address"),
            Stretch::Inside(WhyInside::LoopbackAddress) => Some("in-pod: an end has a loopback address"),
            Stretch::Inside(WhyInside::LoopbackInterface) => Some("in-pod: met on a loopback interface"),
            Stretch::Ambiguous => Some(
                "ambiguous-in-pod: a tunnel runs in parallel, and the capture does not tell the interface",
            ),
        }
    }
}

/// Istio's sidecars pass connections on from ::6, which is a loopback address there and nowhere else.
fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.segments() == [0, 0, 0, 0, 0, 0, 0, 6],
    }
}

/// Leaves open what may be the leg behind a tunnel: a flow between two pods of an ambient mesh
/// that runs in parallel to a tunnel between the same two, where the interface is not known.
pub fn leave_open(flows: &mut Flows, is_ambient: impl Fn(&Party) -> bool) {
    let mut tunnels: HashMap<(IpAddr, IpAddr), Vec<(u64, u64)>> = HashMap::new();
    for seen in flows.iter().filter(is_tunnel) {
        let FlowEnd { ip, .. } = seen.flow.responder;
        tunnels.entry((seen.flow.initiator.ip, ip)).or_default().push((seen.flow.first, seen.flow.last));
    }
    if tunnels.is_empty() {
        return;
    }
    let mut left_open = Vec::new();
    for (number, mut seen) in flows.iter().enumerate() {
        let flow = &seen.flow;
        let open = seen.stretch == Stretch::Wire
            && flow.transport == Transport::Tcp
            && flow.responder.port != TUNNEL
            && flow.seen.medium == Medium::Unknown;
        let parallel = |(first, last): &(u64, u64)| {
            first.saturating_sub(SLACK) <= flow.first && flow.first <= last.saturating_add(SLACK)
        };
        let beside = tunnels.get(&(flow.initiator.ip, flow.responder.ip));
        if open
            && beside.is_some_and(|all| all.iter().any(parallel))
            && is_ambient(&seen.initiator)
            && is_ambient(&seen.responder)
        {
            seen.stretch = Stretch::Ambiguous;
            note(&mut seen);
            left_open.push((number, seen));
        }
    }
    left_open.into_iter().for_each(|(number, seen)| flows.put(number, seen));
}

/// Writes the stretch into the facts of a flow that was not met on the wire; what may be either
/// loses the claim that it can be read on the wire.
pub(super) fn note(seen: &mut ObservedFlow) {
    if seen.stretch != Stretch::Wire {
        say(Arc::make_mut(&mut seen.detection), seen.stretch);
    }
}

/// Writes a stretch into the facts of a verdict.
pub(super) fn say(detection: &mut Detection, stretch: Stretch) {
    let Some(words) = stretch.words() else { return };
    detection.facts.push(("stretch", words.into()));
    if stretch == Stretch::Ambiguous && detection.protection.is_plaintext() {
        detection.protection = Protection::Unknown(WhyUnknown::AmbiguousInPod);
        detection.why = format!("{}; it may be the leg inside of a pod", detection.why).into();
    }
}

/// TLS to the port of the tunnels, joined late or not.
fn is_tunnel(seen: &ObservedFlow) -> bool {
    let encrypted = Protection::Encrypted(Encryption::Tls);
    let mutual = Protection::Encrypted(Encryption::MutualTls);
    seen.flow.responder.port == TUNNEL && [encrypted, mutual].contains(&seen.detection.protection)
}
