//! What meshes make of an allowed connection: how it is carried, who the server sees, and whether
//! mesh authorization lets it through. Nothing here names a mesh; `policy/transport` decides.

use super::backing::Backing;
use super::build::{AllowedGraph, PolicyInfo};
use super::classes::{ClassId, Classes, PeerId};
use super::mentioned::chosen_services;
use super::rows::Rows;
use crate::inventory::{Inventory, Service};
use crate::model::{ExpectedProtection, PortSet, Protocol, TrafficSet};
use crate::policy::transport::{Meeting, choose, meet};
use crate::policy::{
    Acceptance, Accepts, Admission, Decision, Dialect, Direction, Layer, Membership, MeshMode, Sends, Target,
    Transport,
};
use std::collections::{BTreeMap, BTreeSet};

/// What meshes say, resolved to classes.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    pub transport: Transport,
    /// For each class: what selects it, by position in the lists of `transport`, in order.
    members: Vec<Option<u32>>,
    accepts: Vec<Vec<u32>>,
    sends: Vec<Vec<u32>>,
    /// For each sending: the services or peers that it means.
    targets: Vec<Meant>,
    /// For each class: the policies of mesh layers that select it, by number.
    pub policies: Vec<Vec<u32>>,
    /// For rules that ask who calls: whom they match where nobody knows.
    pub unproven: BTreeMap<u32, Vec<PeerId>>,
    /// For each service that meshes know: the classes behind it.
    backends: BTreeMap<u32, Vec<ClassId>>,
}

/// Whom a sending means.
#[derive(Debug)]
enum Meant {
    Everybody,
    Services(BTreeSet<u32>, Option<u16>),
    Peers(Vec<PeerId>),
}

/// A part of what may travel, and how it is carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// What travels this way, by the ports of the application.
    pub traffic: TrafficSet,
    /// The protection; `Refused` where client and server do not understand each other.
    pub protection: ExpectedProtection,
    /// Whether the server sees who calls.
    pub identity: Admission,
    /// The port on the wire, where it is not the application's.
    pub wire: Option<u16>,
    /// The acceptance that decided, by position in `Transport::accepts`.
    pub accepts: Option<u32>,
    /// The sending that decided, by position in `Transport::sends`.
    pub sends: Option<u32>,
}

/// What meshes make of one edge.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MeshEdge {
    /// How it is carried, part by part; what the network keeps from passing is left out.
    pub legs: Vec<Leg>,
    /// What gets through in the end.
    pub allowed: TrafficSet,
    /// What the ends refuse because they do not understand each other.
    pub refused: TrafficSet,
    /// What would be carried if network policy let the port of the tunnel through.
    pub blocked: TrafficSet,
    /// What authorization keeps out.
    pub unauthorized: TrafficSet,
    /// The part of the allowed traffic that mesh authorization governs.
    pub governed: TrafficSet,
    /// The answer of authorization, with its reasons.
    pub decision: Decision,
}

impl Mesh {
    pub fn build(transport: Transport, classes: &Classes, inventory: &Inventory) -> Mesh {
        let count = classes.classes.len();
        let mut mesh =
            Mesh { members: vec![None; count], policies: vec![Vec::new(); count], ..Mesh::default() };
        (mesh.accepts, mesh.sends) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        let selected = |subjects: &[crate::policy::Selection]| -> BTreeSet<ClassId> {
            subjects.iter().flat_map(|selection| classes.selected(selection)).copied().collect()
        };
        for (number, member) in (0..).zip(&transport.members) {
            for class in selected(&member.subjects) {
                mesh.members[class as usize].get_or_insert(number);
            }
        }
        for (number, acceptance) in (0..).zip(&transport.accepts) {
            for class in selected(&acceptance.subjects) {
                mesh.accepts[class as usize].push(number);
            }
        }
        for (number, sending) in (0..).zip(&transport.sends) {
            for class in selected(&sending.subjects) {
                mesh.sends[class as usize].push(number);
            }
        }
        mesh.targets = transport
            .sends
            .iter()
            .map(|sending| match &sending.to {
                Target::Anything => Meant::Everybody,
                Target::Peer(peer) => Meant::Peers(classes.peer(peer, Admission::Refused)),
                Target::Service(services, port) => {
                    let chosen =
                        chosen_services(inventory, services).map(|service| number(inventory, service));
                    Meant::Services(chosen.collect(), *port)
                }
            })
            .collect();
        for (class, one) in (0..).zip(&classes.classes) {
            for backing in &one.backs {
                mesh.backends.entry(backing.service).or_default().push(class);
            }
        }
        mesh.transport = transport;
        mesh
    }

    /// Whether nobody says anything.
    pub fn is_empty(&self) -> bool {
        self.transport.is_empty() && self.policies.iter().all(Vec::is_empty)
    }

    pub fn member(&self, class: ClassId) -> Option<&Membership> {
        let number = (*self.members.get(class as usize)?)?;
        self.transport.members.get(number as usize)
    }

    fn is_in(&self, class: ClassId) -> bool {
        self.member(class).is_some_and(|member| member.mode != MeshMode::Outside)
    }

    fn is_unclear(&self, class: ClassId) -> bool {
        self.member(class).is_some_and(|member| member.mode == MeshMode::Unclear)
    }

    /// What a server takes on a port, and the acceptance behind it.
    fn accepted(&self, class: ClassId, port: u16) -> (Accepts, Option<u32>) {
        let list = self.accepts.get(class as usize).map_or(&[][..], Vec::as_slice);
        let fits = |number: &&u32| self.transport.accepts[**number as usize].ports.contains(port);
        match list.iter().find(fits) {
            Some(number) => (self.transport.accepts[*number as usize].accepts, Some(*number)),
            None => (Accepts::BARE, None),
        }
    }

    /// What a client sends to a server's port when it calls it through a service, or by its address.
    fn sent(&self, from: PeerId, to: ClassId, port: u16, way: Option<Backing>) -> (Sends, Option<u32>) {
        let list = self.sends.get(from as usize).map_or(&[][..], Vec::as_slice);
        let fits = |number: &&u32| {
            let meant = match &self.targets[**number as usize] {
                Meant::Everybody => true,
                Meant::Peers(peers) => peers.binary_search(&to).is_ok(),
                Meant::Services(services, wanted) => way.is_some_and(|way| {
                    services.contains(&way.service) && wanted.is_none_or(|port| port == way.service_port)
                }),
            };
            meant && self.transport.sends[**number as usize].ports.contains(port)
        };
        match list.iter().find(fits) {
            Some(number) => (self.transport.sends[*number as usize].sends, Some(*number)),
            None => (Sends::AsIs, None),
        }
    }

    /// Whether every endpoint behind a service advertises a dialect for all of its ports.
    fn all_advertise(&self, service: u32, dialect: Dialect) -> bool {
        let classes = self.backends.get(&service).map_or(&[][..], Vec::as_slice);
        let whole = |class: &ClassId| {
            let mut list = self.accepts[*class as usize].iter().map(|n| &self.transport.accepts[*n as usize]);
            list.find(|acceptance| acceptance.ports.is_all())
                .is_some_and(|a| a.accepts.advertises.is_some_and(|own| own.shared_with(dialect).is_some()))
        };
        !classes.is_empty() && classes.iter().all(whole)
    }

    /// How one port is carried: the weakest over the ways to call it, refused where all are.
    fn carried(
        &self,
        from: PeerId,
        to: ClassId,
        port: u16,
        backs: &[Backing],
    ) -> (Meeting, Option<u32>, Option<u32>) {
        let (accepts, acceptance) = self.accepted(to, port);
        let mut ways: Vec<Option<Backing>> =
            backs.iter().filter(|b| b.target == port).copied().map(Some).collect();
        if ways.is_empty() {
            ways.push(None);
        }
        let meetings = ways.into_iter().map(|way| {
            let (sends, sending) = self.sent(from, to, port, way);
            let all = match (sends, way) {
                (Sends::IfAllAdvertise(dialect), Some(way)) => self.all_advertise(way.service, dialect),
                _ => false,
            };
            (meet(choose(sends, accepts.advertises, all), accepts), acceptance, sending)
        });
        let weaker = |a: (Meeting, _, _), b: (Meeting, _, _)| if b.0 > a.0 { b } else { a };
        meetings.reduce(weaker).unwrap_or((meet(Sends::AsIs, accepts), acceptance, None))
    }

    /// The ports of a pair, cut so that each part is carried in one way.
    fn parts(&self, from: PeerId, to: ClassId, backs: &[Backing]) -> Vec<PortSet> {
        let accepts = self.accepts.get(to as usize).into_iter().flatten();
        let sends = self.sends.get(from as usize).into_iter().flatten();
        let single = |backing: &Backing| PortSet::range(backing.target, backing.target);
        let mut cuts: BTreeSet<PortSet> = backs.iter().map(single).collect();
        cuts.extend(accepts.map(|n| self.transport.accepts[*n as usize].ports.clone()));
        cuts.extend(sends.map(|n| self.transport.sends[*n as usize].ports.clone()));
        let split = |parts: Vec<PortSet>, cut: &PortSet| -> Vec<PortSet> {
            let both = parts.iter().flat_map(|part| [part.intersection(cut), part.difference(cut)]);
            both.filter(|part| !part.is_empty()).collect()
        };
        cuts.iter().fold(vec![PortSet::all()], split)
    }
}

impl AllowedGraph {
    /// How an endpoint takes part in a mesh; `None` where no mesh was read or none speaks of it.
    pub fn membership(&self, class: ClassId) -> Option<&Membership> {
        self.mesh.member(class)
    }

    /// Whether a mesh has a say in what an endpoint sends or takes.
    pub(super) fn is_meshed(&self, class: ClassId) -> bool {
        self.mesh.is_in(class) || self.mesh.policies.get(class as usize).is_some_and(|all| !all.is_empty())
    }

    /// Numbers of the policies of mesh layers that select an endpoint.
    pub(super) fn mesh_policies(&self, class: ClassId) -> &[u32] {
        self.mesh.policies.get(class as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether proxies enforce a policy, and not the network.
    pub fn is_of_mesh(&self, policy: &PolicyInfo) -> bool {
        self.tiers[policy.tier as usize].layer == Layer::Mesh
    }

    /// The acceptances that select an endpoint, in the order in which they are asked.
    pub fn acceptances(&self, class: ClassId) -> impl Iterator<Item = &Acceptance> {
        let numbers = self.mesh.accepts.get(class as usize).map_or(&[][..], Vec::as_slice);
        numbers.iter().map(|number| &self.mesh.transport.accepts[*number as usize])
    }

    /// What meshes say on transport, for the reasons of a leg.
    pub fn transport(&self) -> &Transport {
        &self.mesh.transport
    }

    /// What meshes make of what the network lets through; `None` where they say nothing.
    pub(super) fn mesh_edge(&self, from: PeerId, to: PeerId, network: &TrafficSet) -> Option<MeshEdge> {
        if self.mesh.is_empty() {
            return None;
        }
        let server = self.class(to)?;
        let client_in = self.class(from).is_some() && self.mesh.is_in(from);
        let governed_by_mesh = !self.mesh.policies[to as usize].is_empty();
        if !client_in && !self.mesh.is_in(to) && !governed_by_mesh {
            return None;
        }
        let unclear = self.mesh.is_unclear(to) || (self.class(from).is_some() && self.mesh.is_unclear(from));
        let mut edge = MeshEdge::default();
        let (mut proven, mut proxied) = (PortSet::none(), PortSet::none());
        for part in self.mesh.parts(from, to, &server.backs) {
            let Some((port, _)) = part.intervals().first().copied() else { continue };
            let (mut meeting, accepts, sends) = self.mesh.carried(from, to, port, &server.backs);
            let strict = meeting.protection == ExpectedProtection::MtlsStrict && !self.mesh.is_unclear(to);
            // Nobody knows whether the proxies are there: nothing is promised, nothing refused. What a
            // strict server lets in is mutual TLS whoever calls.
            if unclear && !strict {
                (meeting.protection, meeting.wire) = (ExpectedProtection::Unknown, None);
                if client_in {
                    meeting.identity = Admission::Admitted;
                }
            }
            let whole = TrafficSet::of(Protocol::Tcp, part.clone());
            let passing = match meeting.wire {
                None => whole.intersection(network),
                Some(wire) if network.tcp.contains(wire) => whole.clone(),
                Some(_) => TrafficSet::none(),
            };
            if meeting.wire.is_some() {
                edge.blocked = edge.blocked.union(&whole.difference(&passing));
            }
            if self.mesh.accepted(to, port).0.proxied == Admission::Admitted {
                proxied = proxied.union(&part);
            }
            if meeting.identity == Admission::Admitted {
                proven = proven.union(&part);
            }
            let Meeting { protection, identity, wire } = meeting;
            edge.add(Leg { traffic: passing, protection, identity, wire, accepts, sends });
        }
        let without_tcp = TrafficSet { tcp: PortSet::none(), ..network.clone() };
        let unknown = ExpectedProtection::Unknown;
        let (identity, wire) = (Admission::Refused, None);
        edge.add(Leg {
            traffic: without_tcp,
            protection: unknown,
            identity,
            wire,
            accepts: None,
            sends: None,
        });
        self.authorize(from, to, &proven, &proxied, &mut edge);
        Some(edge)
    }

    fn authorize(&self, from: PeerId, to: ClassId, proven: &PortSet, proxied: &PortSet, edge: &mut MeshEdge) {
        let policies = &self.mesh.policies[to as usize];
        let proven = TrafficSet::of(Protocol::Tcp, proven.clone());
        let proxied = TrafficSet::of(Protocol::Tcp, proxied.clone());
        let decision = Rows::of(self).decide_mesh(&self.mesh, from, to, policies, &proven);
        edge.governed = proxied.difference(&decision.ungoverned);
        edge.unauthorized = edge.allowed.intersection(&proxied).difference(&decision.allowed);
        edge.allowed = edge.allowed.difference(&edge.unauthorized);
        for leg in &mut edge.legs {
            leg.traffic = leg.traffic.difference(&edge.unauthorized);
        }
        edge.legs.retain(|leg| !leg.traffic.is_empty());
        edge.decision = decision;
    }
}

impl MeshEdge {
    fn add(&mut self, leg: Leg) {
        if leg.traffic.is_empty() {
            return;
        }
        if leg.protection == ExpectedProtection::Refused {
            self.refused = self.refused.union(&leg.traffic);
            return;
        }
        self.allowed = self.allowed.union(&leg.traffic);
        let alike = |other: &&mut Leg| {
            (other.protection, other.identity, other.wire, other.accepts, other.sends)
                == (leg.protection, leg.identity, leg.wire, leg.accepts, leg.sends)
        };
        match self.legs.iter_mut().find(alike) {
            Some(other) => other.traffic = other.traffic.union(&leg.traffic),
            None => self.legs.push(leg),
        }
    }

    /// The weakest protection of what gets through, with the leg that has it.
    pub fn weakest(&self) -> Option<&Leg> {
        self.legs.iter().max_by_key(|leg| leg.protection)
    }
}

/// The position of a service in the inventory, which is sorted by namespace and name.
fn number(inventory: &Inventory, service: &Service) -> u32 {
    let key = (&service.namespace, &service.name);
    inventory.services.partition_point(|other| (&other.namespace, &other.name) < key) as u32
}

/// Whether a tier is asked by meshes and not by the network.
pub(super) fn is_mesh(layer: Layer, direction: Direction) -> bool {
    layer == Layer::Mesh && direction == Direction::Ingress
}
