//! What meshes make of one connection: how it is carried, on one stretch or on two with somebody in
//! between, who the server sees, and whether mesh authorization lets it through.
//!
//! Nothing here names a mesh; what meets what is decided in `policy/transport`, and who sends, takes
//! and relays what was resolved in `mesh`. What comes of all the ways of a call is joined here: a
//! pair may do what one of its ways lets it do.

use super::backing::Backing;
use super::build::AllowedGraph;
use super::classes::{ClassId, PeerId};
use super::rows::Rows;
use crate::model::{ExpectedProtection, PortSet, Protocol, TrafficSet};
use crate::policy::transport::Meeting;
use crate::policy::{Admission, Decision, decide};

/// Some ports, and the ways to call them.
type Part = (PortSet, Vec<Option<Backing>>);

/// A part of what may travel, and how it is carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// What travels this way, by the ports of the application.
    pub traffic: TrafficSet,
    /// The protection, the weaker of two where somebody is in between; `Refused` where two ends do
    /// not understand each other.
    pub protection: ExpectedProtection,
    /// Whether the server sees who calls: the client, or who is in between.
    pub identity: Admission,
    /// The port on the wire at the client, where it is not the application's.
    pub wire: Option<u16>,
    /// The acceptance that decided, by position in `Transport::accepts`.
    pub accepts: Option<u32>,
    /// The sending that decided, by position in `Transport::sends`.
    pub sends: Option<u32>,
    /// Who is in between.
    pub via: Option<Via>,
}

/// Somebody between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Via {
    /// The relay that leads there, by position in `Transport::relays`.
    pub relay: u32,
    /// The class of the intermediary.
    pub by: ClassId,
    /// The protection on the way to it, and from it to the server.
    pub stretches: [ExpectedProtection; 2],
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
    /// The same, part by part.
    pub refusals: Vec<Leg>,
    /// What would be carried if network policy let the port of the tunnel through.
    pub blocked: TrafficSet,
    /// What authorization keeps out.
    pub unauthorized: TrafficSet,
    /// The part of the allowed traffic that mesh authorization governs.
    pub governed: TrafficSet,
    /// The answer of authorization, with its reasons.
    pub decision: Decision,
}

/// A way to call a server: through a service or by its address, straight or through somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The service and its port; `None` for a call by address.
    pub call: Option<Backing>,
    /// The relay; `None` for a call that goes straight to the server.
    pub relay: Option<u32>,
}

/// How one part travels between two ends with nobody in between, before anybody asks who calls.
struct Stretch {
    meeting: Meeting,
    accepts: Option<u32>,
    sends: Option<u32>,
    /// What the network lets through.
    passing: TrafficSet,
    /// What it does not, because it closes the port of a tunnel.
    blocked: TrafficSet,
    /// Whether a proxy of the server sees it.
    proxied: Admission,
}

impl AllowedGraph {
    /// What meshes make of what the network lets through; `None` where they say nothing.
    pub(super) fn mesh_edge(&self, from: PeerId, to: PeerId, network: &TrafficSet) -> Option<MeshEdge> {
        if self.mesh.is_empty() {
            return None;
        }
        let server = self.class(to)?;
        let governed_by_mesh = !self.mesh.policies[to as usize].is_empty();
        if !self.is_member(from) && !self.mesh.is_in(to) && !governed_by_mesh {
            return None;
        }
        let mut straight: Vec<Part> = Vec::new();
        let mut relayed: Vec<(PortSet, u32, Option<Backing>)> = Vec::new();
        for part in self.mesh.parts(from, to, &server.backs) {
            let Some((port, _)) = part.intervals().first().copied() else { continue };
            let mut calls = Vec::new();
            for way in self.mesh.ways(from, to, port, &server.backs) {
                match way.relay {
                    Some(relay) => relayed.push((part.clone(), relay, way.call)),
                    None => calls.push(way.call),
                }
            }
            if !calls.is_empty() {
                straight.push((part, calls));
            }
        }
        let edge = self.straight(from, to, network, &straight, None);
        let edge = self.otherwise_proven(from, to, network, straight, edge);
        let through = relayed.into_iter().flat_map(|(part, relay, call)| {
            let by = self.mesh.intermediaries(relay).iter();
            by.map(move |by| self.relayed(from, (relay, *by), to, &part, call))
        });
        Some(through.fold(edge, MeshEdge::or))
    }

    /// Whether a peer has a part in a mesh.
    fn is_member(&self, peer: PeerId) -> bool {
        self.class(peer).is_some() && self.mesh.is_in(peer)
    }

    /// Adds what authorization lets through on ways on which the client proves itself otherwise than on
    /// the weakest, and by address where that is a way.
    fn otherwise_proven(
        &self,
        from: PeerId,
        to: ClassId,
        network: &TrafficSet,
        parts: Vec<Part>,
        edge: MeshEdge,
    ) -> MeshEdge {
        let by_address = self.mesh.by_address.contains(&to);
        // What authorization lets through in part passes whole by address.
        let in_part = if by_address { edge.decision.narrowed.clone() } else { TrafficSet::none() };
        if edge.unauthorized.is_empty() && in_part.is_empty() {
            return edge;
        }
        let beside = |edge: MeshEdge, mut other: MeshEdge, in_part: &TrafficSet| {
            let known = edge.allowed.difference(in_part);
            for leg in &mut other.legs {
                leg.traffic = leg.traffic.difference(&known);
            }
            other.legs.retain(|leg| !leg.traffic.is_empty());
            edge.or(other)
        };
        let edge = match by_address {
            true => {
                let parts: Vec<Part> = parts.iter().map(|(part, _)| (part.clone(), vec![None])).collect();
                let other = self.straight(from, to, network, &parts, None);
                beside(edge, other, &in_part)
            }
            false => edge,
        };
        [Admission::Admitted, Admission::Refused].into_iter().fold(edge, |edge, identity| {
            let differs = |(part, calls): &&Part| {
                let port = part.intervals().first().map_or(0, |(first, _)| *first);
                self.mesh.carried(from, to, port, calls).0.identity != identity
                    && self.mesh.carried_as(from, to, port, calls, identity).is_some()
            };
            let parts: Vec<Part> = parts.iter().filter(differs).cloned().collect();
            if parts.is_empty() {
                return edge;
            }
            let other = self.straight(from, to, network, &parts, Some(identity));
            beside(edge, other, &TrafficSet::none())
        })
    }

    /// The calls that nobody carries on, each part with the ways to make it; with an identity those
    /// that prove it.
    fn straight(
        &self,
        from: PeerId,
        to: ClassId,
        network: &TrafficSet,
        parts: &[Part],
        identity: Option<Admission>,
    ) -> MeshEdge {
        let mut edge = MeshEdge::default();
        let (mut proven, mut proxied) = (PortSet::none(), PortSet::none());
        for (part, calls) in parts {
            let stretch = self.stretch(from, to, part, calls, network, identity);
            edge.blocked = edge.blocked.union(&stretch.blocked);
            if stretch.proxied == Admission::Admitted {
                proxied = proxied.union(part);
            }
            if stretch.meeting.identity == Admission::Admitted {
                proven = proven.union(part);
            }
            let Stretch { meeting, accepts, sends, passing, .. } = stretch;
            let Meeting { protection, identity, wire } = meeting;
            edge.add(Leg { traffic: passing, protection, identity, wire, accepts, sends, via: None });
        }
        edge.add(Leg {
            traffic: TrafficSet { tcp: PortSet::none(), ..network.clone() },
            protection: ExpectedProtection::Unknown,
            identity: Admission::Refused,
            wire: None,
            accepts: None,
            sends: None,
            via: None,
        });
        let proven = TrafficSet::of(Protocol::Tcp, proven);
        let policies = &self.mesh.policies[to as usize];
        let decision = Rows::of(self).decide_mesh(&self.mesh, from, to, policies, &proven);
        edge.answer(decision, &TrafficSet::of(Protocol::Tcp, proxied));
        edge
    }

    /// One part of a call that an intermediary carries on: the network, the ends and authorization
    /// must agree twice, first on client and intermediary, then on intermediary and server.
    fn relayed(
        &self,
        from: PeerId,
        (relay, by): (u32, ClassId),
        to: ClassId,
        part: &PortSet,
        call: Option<Backing>,
    ) -> MeshEdge {
        let networks = [self.network(from, by), self.network(by, to)];
        let first = self.stretch(from, by, part, &[None], &networks[0].0, None);
        let second = self.stretch(by, to, part, &[call], &networks[1].0, None);
        let (one, two) = (first.meeting, second.meeting);
        let stretches = [one.protection, two.protection];
        let protection = match stretches.contains(&ExpectedProtection::Refused) {
            true => ExpectedProtection::Refused,
            false => one.protection.max(two.protection),
        };
        let weaker = if two.protection >= one.protection { &second } else { &first };
        let mut edge = MeshEdge { blocked: first.blocked.union(&second.blocked), ..MeshEdge::default() };
        edge.add(Leg {
            traffic: first.passing.intersection(&second.passing),
            protection,
            identity: two.identity,
            wire: one.wire,
            accepts: weaker.accepts,
            sends: weaker.sends,
            via: Some(Via { relay, by, stretches }),
        });
        let whole = TrafficSet::of(Protocol::Tcp, part.clone());
        let proven = |meeting: Meeting| match meeting.identity {
            Admission::Admitted => whole.clone(),
            Admission::Refused => TrafficSet::none(),
        };
        let (rows, mesh) = (Rows::of(self), &self.mesh);
        let on_the_way = rows.decide_relay(mesh, from, (to, call), mesh.guards(relay), &proven(one));
        let at_the_end = match second.proxied {
            Admission::Admitted => rows.decide_mesh(mesh, by, to, &mesh.policies[to as usize], &proven(two)),
            Admission::Refused => decide(&[]),
        };
        let mut decision = on_the_way.and(at_the_end);
        for (_, egress, ingress) in networks {
            decision.because.extend(egress.because.iter().chain(&ingress.because));
        }
        edge.answer(decision, &whole);
        edge
    }

    fn stretch(
        &self,
        from: PeerId,
        to: ClassId,
        part: &PortSet,
        calls: &[Option<Backing>],
        network: &TrafficSet,
        identity: Option<Admission>,
    ) -> Stretch {
        let port = part.intervals().first().map_or(0, |(first, _)| *first);
        let as_asked = identity.and_then(|wanted| self.mesh.carried_as(from, to, port, calls, wanted));
        let (mut meeting, accepts, sends) =
            as_asked.unwrap_or_else(|| self.mesh.carried(from, to, port, calls));
        let unclear = |class: ClassId| self.class(class).is_some() && self.mesh.is_unclear(class);
        let strict = meeting.protection == ExpectedProtection::MtlsStrict && !unclear(to);
        // Nobody knows whether the proxies are there: nothing is promised, nothing refused. What a
        // strict server lets in is mutual TLS whoever calls.
        if (unclear(to) || unclear(from)) && !strict {
            (meeting.protection, meeting.wire) = (ExpectedProtection::Unknown, None);
            if self.is_member(from) {
                meeting.identity = Admission::Admitted;
            }
        }
        let whole = TrafficSet::of(Protocol::Tcp, part.clone());
        let passing = match meeting.wire {
            None => whole.intersection(network),
            Some(wire) if network.tcp.contains(wire) => whole.clone(),
            Some(_) => TrafficSet::none(),
        };
        let blocked = match meeting.wire {
            Some(_) => whole.difference(&passing),
            None => TrafficSet::none(),
        };
        let proxied = self.mesh.is_proxied(to, port);
        Stretch { meeting, accepts, sends, passing, blocked, proxied }
    }
}

impl MeshEdge {
    fn add(&mut self, leg: Leg) {
        if leg.traffic.is_empty() {
            return;
        }
        if leg.protection == ExpectedProtection::Refused {
            self.refused = self.refused.union(&leg.traffic);
        } else {
            self.allowed = self.allowed.union(&leg.traffic);
        }
        self.join(leg);
    }

    /// Puts a leg to the one that is carried, or refused, alike.
    fn join(&mut self, leg: Leg) {
        let alike = |other: &&mut Leg| {
            (other.protection, other.identity, other.wire, other.accepts, other.sends, other.via)
                == (leg.protection, leg.identity, leg.wire, leg.accepts, leg.sends, leg.via)
        };
        let refused = leg.protection == ExpectedProtection::Refused;
        let list = if refused { &mut self.refusals } else { &mut self.legs };
        match list.iter_mut().find(alike) {
            Some(other) => other.traffic = other.traffic.union(&leg.traffic),
            None => list.push(leg),
        }
    }

    /// Takes away what authorization keeps out of what proxies see.
    fn answer(&mut self, decision: Decision, proxied: &TrafficSet) {
        self.governed = proxied.difference(&decision.ungoverned);
        self.unauthorized = self.allowed.intersection(proxied).difference(&decision.allowed);
        self.allowed = self.allowed.difference(&self.unauthorized);
        for leg in &mut self.legs {
            leg.traffic = leg.traffic.difference(&self.unauthorized);
        }
        self.legs.retain(|leg| !leg.traffic.is_empty());
        // What passes beside the proxy passes whole.
        let narrowed = decision.narrowed.intersection(proxied);
        self.decision = Decision { narrowed, ..decision };
    }

    /// Two ways of one pair: what either lets through gets through, and what keeps something back
    /// counts only where it does so on each way that is open.
    fn or(self, other: MeshEdge) -> MeshEdge {
        let allowed = self.allowed.union(&other.allowed);
        let kept = |a: &TrafficSet, b: &TrafficSet| a.union(b).difference(&allowed);
        let on_each = |a: &TrafficSet, b: &TrafficSet| {
            let free = self.allowed.difference(a).union(&other.allowed.difference(b));
            a.union(b).difference(&free)
        };
        let decision = Decision {
            allowed: self.decision.allowed.union(&other.decision.allowed),
            ungoverned: self.decision.ungoverned.union(&other.decision.ungoverned),
            narrowed: on_each(&self.decision.narrowed, &other.decision.narrowed).intersection(&allowed),
            because: [&self, &other].iter().flat_map(|edge| edge.because()).copied().collect(),
        };
        let mut joined = MeshEdge {
            refused: kept(&self.refused, &other.refused),
            blocked: kept(&self.blocked, &other.blocked),
            unauthorized: kept(&self.unauthorized, &other.unauthorized),
            governed: on_each(&self.governed, &other.governed),
            decision,
            legs: self.legs,
            refusals: self.refusals,
            allowed,
        };
        other.legs.into_iter().chain(other.refusals).for_each(|leg| joined.join(leg));
        for refusal in &mut joined.refusals {
            refusal.traffic = refusal.traffic.difference(&joined.allowed);
        }
        joined.refusals.retain(|refusal| !refusal.traffic.is_empty());
        joined
    }

    /// The rules behind what gets through.
    fn because(&self) -> &[u32] {
        if self.allowed.is_empty() { &[] } else { &self.decision.because }
    }
}
