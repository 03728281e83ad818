//! The graph seen by segments: who stands in which, and what crosses from one to another.

use super::Evidence;
use crate::contract::{SegmentId, SensitivePorts};
use crate::graph::{GroupId, Links, Member, PeerId};
use crate::inventory::Inventory;
use crate::model::{IpProtocols, Protocol, TrafficSet};
use crate::observed::{ObservedFlow, Party};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};

/// Members of one class that are in one segment.
pub(super) struct Cell {
    /// Their class.
    pub class: PeerId,
    /// Their segment.
    pub segment: SegmentId,
    /// Who they are; never empty.
    pub members: Vec<Member>,
}

/// Classes and atoms by segment, and what may cross.
pub(super) struct Ground<'a> {
    evidence: &'a Evidence<'a>,
    /// Direct connections.
    pub links: Links<'a>,
    /// For each segment its peers, sorted.
    peers: Vec<Vec<PeerId>>,
    /// For each peer its segments.
    segments: Vec<Vec<SegmentId>>,
    /// Pairs that rows name, by the segments of their ends.
    named: HashMap<(SegmentId, SegmentId), Vec<(PeerId, PeerId)>>,
    /// For each segment its peers by what their rest sends and takes.
    sends: Vec<BTreeMap<GroupId, Vec<PeerId>>>,
    takes: Vec<BTreeMap<GroupId, Vec<PeerId>>>,
}

/// How many pairs of a crossing are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pairs {
    /// One of each kind of traffic; enough for what crosses.
    Witnesses,
    /// All of them.
    Every,
}

/// The members of every class, by segment.
pub(super) fn cells(evidence: &Evidence<'_>) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (class, info) in (0..).zip(evidence.graph.classes()) {
        let mut by_segment: BTreeMap<SegmentId, Vec<Member>> = BTreeMap::new();
        for member in &info.members {
            let segment = evidence.segments.of(member.workload as usize, member.variant as usize);
            by_segment.entry(segment).or_default().push(*member);
        }
        cells.extend(by_segment.into_iter().map(|(segment, members)| Cell { class, segment, members }));
    }
    cells
}

impl<'a> Ground<'a> {
    /// Puts peers into their segments.
    pub fn new(evidence: &'a Evidence<'a>) -> Ground<'a> {
        let links = Links::new(evidence.graph);
        let count = evidence.segments.segments.len();
        let mut peers: Vec<Vec<PeerId>> = vec![Vec::new(); count];
        let mut segments: Vec<Vec<SegmentId>> = vec![Vec::new(); evidence.graph.classes().len()];
        for cell in cells(evidence) {
            segments[cell.class as usize].push(cell.segment);
        }
        segments.extend(evidence.graph.atoms().map(|(_, atom)| evidence.segments.of_addresses(atom)));
        // Where a name leads is not known before it is looked up.
        segments.extend(evidence.graph.domains().map(|_| vec![evidence.segments.outside()]));
        let (mut sends, mut takes) = (vec![BTreeMap::new(); count], vec![BTreeMap::new(); count]);
        for (peer, own) in (0..).zip(&segments) {
            for segment in own.iter().map(|s| *s as usize) {
                peers[segment].push(peer);
                let add = |map: &mut BTreeMap<GroupId, Vec<PeerId>>, group: Option<GroupId>| {
                    group.into_iter().for_each(|group| map.entry(group).or_default().push(peer));
                };
                add(&mut sends[segment], links.sends(peer));
                add(&mut takes[segment], links.takes(peer));
            }
        }
        let mut named: HashMap<(SegmentId, SegmentId), Vec<(PeerId, PeerId)>> = HashMap::new();
        for (from, to) in links.named() {
            for a in &segments[from as usize] {
                for b in &segments[to as usize] {
                    named.entry((*a, *b)).or_default().push((from, to));
                }
            }
        }
        Ground { evidence, links, peers, segments, named, sends, takes }
    }

    /// The peers of a segment.
    pub fn peers(&self, segment: SegmentId) -> &[PeerId] {
        &self.peers[segment as usize]
    }

    /// The segments of a peer.
    pub fn segments_of(&self, peer: PeerId) -> &[SegmentId] {
        &self.segments[peer as usize]
    }

    /// Whether anything can cross; cheap, and never wrong about "no".
    pub fn may_cross(&self, from: SegmentId, to: SegmentId) -> bool {
        let (sends, takes) = (&self.sends[from as usize], &self.takes[to as usize]);
        sends.keys().any(|a| takes.keys().any(|b| self.links.meet(*a, *b)))
            || self.named.contains_key(&(from, to))
    }

    /// What some segments together may send to another, and the first of them that can.
    pub fn taken(&self, sources: &[SegmentId], to: SegmentId) -> Option<(SegmentId, TrafficSet)> {
        let exact = |from: &&SegmentId| !self.crossing(**from, to, Pairs::Witnesses).is_empty();
        let first = *sources.iter().find(exact)?;
        let mut traffic = TrafficSet::none();
        let groups: BTreeSet<GroupId> =
            sources.iter().flat_map(|from| self.sends[*from as usize].keys().copied()).collect();
        for sends in groups {
            for takes in self.takes[to as usize].keys() {
                traffic = traffic.union(&self.links.between(sends, *takes));
            }
        }
        for from in sources {
            for (a, b) in self.named.get(&(*from, to)).into_iter().flatten() {
                traffic = traffic.union(&self.evidence.graph.edge(*a, *b).traffic);
            }
        }
        Some((first, traffic))
    }

    /// Pairs of peers that may connect, from one segment to another. Between addresses outside no
    /// policy is asked, so such pairs are left out.
    pub fn crossing(&self, from: SegmentId, to: SegmentId, pairs: Pairs) -> Vec<(PeerId, PeerId)> {
        let class = |peer: PeerId| self.evidence.graph.class(peer);
        let alone = |peer: PeerId| class(peer).is_some_and(|class| class.members.len() == 1);
        let fits = |a: PeerId, b: PeerId| (class(a).is_some() || class(b).is_some()) && !(a == b && alone(a));
        let named = self.named.get(&(from, to)).into_iter().flatten().copied();
        let mut all: Vec<(PeerId, PeerId)> = named.filter(|(a, b)| fits(*a, *b)).collect();
        for (sends, sources) in &self.sends[from as usize] {
            for (takes, targets) in &self.takes[to as usize] {
                if !self.links.meet(*sends, *takes) {
                    continue;
                }
                let mut open = sources
                    .iter()
                    .flat_map(|a| targets.iter().map(move |b| (*a, *b)))
                    .filter(|(a, b)| fits(*a, *b) && !self.links.is_named(*a, *b));
                match pairs {
                    Pairs::Every => all.extend(open),
                    Pairs::Witnesses => all.extend(open.next()),
                }
            }
        }
        all
    }

    /// The name of a peer as a member of a segment: a workload, a network, or addresses.
    pub fn name(&self, peer: PeerId, segment: SegmentId) -> String {
        let evidence = self.evidence;
        match evidence.graph.class(peer) {
            Some(class) => {
                let here =
                    |m: &&Member| evidence.segments.of(m.workload as usize, m.variant as usize) == segment;
                let member = class.members.iter().find(here).or(class.members.first());
                member.map_or_else(String::new, |m| workload(evidence.inventory, *m))
            }
            None => evidence.segments.name(segment).to_owned(),
        }
    }
}

/// The name of the workload of a member.
pub(super) fn workload(inventory: &Inventory, member: Member) -> String {
    inventory.workloads[member.workload as usize].name.to_string()
}

/// More ports than this name none of them.
const BROAD: u32 = 10_000;

/// The sensitive ports of the contract in some traffic to a segment, by name: those that the traffic
/// names, and where it is broad those on which somebody in the segment says to listen.
pub(super) fn sensitive_behind<'a>(
    evidence: &Evidence<'a>,
    to: SegmentId,
    traffic: &TrafficSet,
) -> Vec<&'a str> {
    let width = |protocol: Protocol| -> u32 {
        traffic.ports(protocol).intervals().iter().map(|(a, b)| u32::from(b - a) + 1).sum()
    };
    let listens = |protocol: Protocol, ports: &TrafficSet| {
        evidence.inventory.workloads.iter().enumerate().any(|(w, workload)| {
            let mut own =
                workload.variants.iter().enumerate().filter(|(v, _)| evidence.segments.of(w, *v) == to);
            own.any(|(_, v)| {
                v.ports.iter().any(|p| p.protocol == protocol && ports.contains(protocol, p.port))
            })
        })
    };
    let touched = |one: &&SensitivePorts| {
        let both = one.ports.intersection(traffic);
        let open = Protocol::ALL.into_iter().filter(|protocol| !both.ports(*protocol).is_empty());
        open.into_iter().any(|protocol| width(protocol) <= BROAD || listens(protocol, &both))
    };
    evidence.contract.sensitive.iter().filter(touched).map(|one| one.name.as_str()).collect()
}

/// The segments that the initiator and the responder of a flow may stand in; none for nodes, whose
/// addresses serve many.
pub(super) fn segments_of_flow(
    evidence: &Evidence<'_>,
    seen: &ObservedFlow,
) -> (BTreeSet<SegmentId>, BTreeSet<SegmentId>) {
    let segments = evidence.segments;
    let of = |party: &Party, address: std::net::IpAddr| -> BTreeSet<SegmentId> {
        match party {
            Party::Endpoint { workload, variant } => [segments.of(*workload, *variant)].into(),
            Party::Shared(all) => all.iter().flat_map(|w| segments.of_workload(*w)).copied().collect(),
            Party::Service(index) => {
                let service = &evidence.inventory.services[*index];
                super::shared::backends(evidence.inventory, service)
                    .map(|(workload, variant)| segments.of(workload, variant))
                    .collect()
            }
            Party::Outside => [segments.of_address(address)].into(),
            // Private and not explained: it may be inside, unless the contract knows the address.
            Party::Unknown | Party::Unsettled(_) => {
                let known = segments.of_address(address);
                (known != segments.outside()).then_some(known).into_iter().collect()
            }
            Party::Node(_) | Party::Group => BTreeSet::new(),
        }
    };
    (of(&seen.initiator, seen.flow.initiator.ip), of(&seen.responder, seen.flow.responder.ip))
}

/// The traffic of a flow, by its port at the responder; everything without ports for the others.
pub(super) fn traffic_of(seen: &ObservedFlow) -> TrafficSet {
    match super::shared::protocol_of(seen) {
        Some(protocol) => TrafficSet::port(protocol, seen.flow.responder.port),
        None => TrafficSet::portless(IpProtocols::all()),
    }
}
