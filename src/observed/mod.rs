//! Flows ↔ endpoints: who the two ends of an observed flow are.
//!
//! Services are followed to their backends; what cannot be attributed is kept and says so.

mod alike;
mod announced;
mod attribute;
mod doors;
mod flows;
mod legs;
mod live;
mod losses;
mod made_up;
mod mingled;
mod names;
mod opened;
mod outer;
mod packed;
mod stretch;
mod undecided;
mod witness;

pub use announced::{Announced, follow_announcements};
pub use attribute::{Directory, attribute};
pub use flows::{Around, Flows, Kept, SharedNumber, Stored};
pub use legs::{join, join_few};
pub use live::{Follower, Glance, Wanted, Watch};
pub use losses::{CaptureRead, NOT_KEPT, NOT_WRITTEN, gaps, unread};
pub use mingled::networks_apart;
pub use names::{Call, NamedBy, Names};
pub use outer::{TUNNEL, gaps as tunnel_gaps, tunnels_of_pods};
pub use packed::Brief;
pub use stretch::{Stretch, WhyInside, leave_open};
pub use undecided::undecided;
pub use witness::Witness;

pub use crate::capture::{
    Answer, Counters, Flow, FlowEnd, Handshake, Leg, OpenFlow, Opening, Place, Seen, StreamStart, Transport,
};
use crate::inventory::{Inventory, Unsettled};
use crate::model::{Protection, Protocol, WhyUnknown};
pub use crate::protocol::Detection;
use std::sync::Arc;

/// Everything that was seen on the wire.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Flows in the order of time.
    pub flows: Flows,
    /// Captures that were read; empty where none was given.
    pub captures: Vec<CaptureRead>,
    /// Packets that were met again at another place and not counted twice.
    pub copies: u64,
    /// Tunnels of pods by themselves, once flows are held against what is declared.
    pub tunnels: Vec<ObservedFlow>,
    /// Names that flows gave to addresses outside.
    pub names: Names,
    /// Packets that are malformed or make no flow, and what was given up, counted.
    pub oddities: std::collections::BTreeMap<String, u64>,
}

/// One flow with its meaning.
#[derive(Clone, Debug)]
pub struct ObservedFlow {
    /// Ends, counts and times.
    pub flow: Flow,
    /// Protocol and protection; equal ones are shared.
    pub detection: Arc<Detection>,
    /// Who opened it.
    pub initiator: Party,
    /// Who was called.
    pub responder: Party,
    /// Where on its way it was met.
    pub stretch: Stretch,
}

/// A flow on its way from who saw it to who tells of it: it is large, and moves often.
pub type Handed = Box<ObservedFlow>;

/// The protocol of ports, where a transport has them.
pub fn protocol_of(transport: Transport) -> Option<Protocol> {
    match transport {
        Transport::Tcp => Some(Protocol::Tcp),
        Transport::Udp => Some(Protocol::Udp),
        Transport::Sctp => Some(Protocol::Sctp),
        Transport::Icmp | Transport::Other(_) => None,
    }
}

impl ObservedFlow {
    /// Whether readable bytes were on the wire.
    pub fn in_the_clear(&self) -> bool {
        self.detection.protection.is_plaintext()
    }

    /// The flow as it is where its direction, which rests on nothing but who was heard first, is the
    /// other one; `None` where the direction is known better.
    pub fn turned(&self) -> Option<ObservedFlow> {
        let mut turned = (self.flow.handshake == Handshake::FirstPacket).then(|| self.clone())?;
        turned.flow = turned.flow.turned();
        (turned.initiator, turned.responder) = (self.responder.clone(), self.initiator.clone());
        Some(turned)
    }

    /// Whether the server turned the connection away, as far as the wire shows it.
    pub fn turned_away(&self) -> bool {
        self.flow.seen.answer == Answer::Refusal
    }

    /// Whether a handshake began and came to nothing.
    pub fn failed_handshake(&self) -> bool {
        self.detection.protection == Protection::Unknown(WhyUnknown::HandshakeIncomplete)
    }
}

/// Who stands behind an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// A pod.
    Endpoint {
        /// Index into `Inventory::workloads`.
        workload: usize,
        /// Index into `Workload::variants`.
        variant: usize,
    },
    /// Several workloads share the address (host network): any of them, by index.
    Shared(Vec<usize>),
    /// A service's virtual address, by index into `Inventory::services`.
    Service(usize),
    /// A node, by index into `Inventory::nodes`.
    Node(usize),
    /// An address outside the cluster: public, or named by no object where objects have addresses.
    Outside,
    /// A private address that no object explains.
    Unknown,
    /// Pods held the address, and who did when the flow was seen is not known.
    Unsettled(Unsettled),
    /// No single endpoint's address: broadcast, multicast, unspecified, IPv6 link-local.
    Group,
}

impl Party {
    /// The name for people: `ns/Kind/name`, or the address where nothing holds it.
    pub fn name(&self, inventory: &Inventory, address: std::net::IpAddr) -> String {
        let workload = |index: &usize| inventory.workloads[*index].name.to_string();
        match self {
            Party::Endpoint { workload: index, .. } => workload(index),
            Party::Shared(all) => all.iter().map(workload).collect::<Vec<_>>().join("|"),
            Party::Service(index) => {
                let service = &inventory.services[*index];
                format!("{}/Service/{}", service.namespace, service.name)
            }
            Party::Node(index) => format!("Node/{}", inventory.nodes[*index].name),
            Party::Outside | Party::Unknown | Party::Unsettled(_) | Party::Group => address.to_string(),
        }
    }

    /// The workloads that it may be.
    pub fn workloads(&self) -> Vec<usize> {
        match self {
            Party::Endpoint { workload, .. } => vec![*workload],
            Party::Shared(workloads) => workloads.clone(),
            _ => Vec::new(),
        }
    }
}
