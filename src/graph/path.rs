//! Ways through the allowed graph: who reaches whom over others, by the fewest steps.
//!
//! Pairs are never listed: what rows name is kept as it is, and what they leave to the rest is kept
//! as groups of peers whose rest lets the same traffic through. A search visits each peer once and
//! leaves the lists of those that are left shorter behind it, so it costs what rows name.

use super::build::AllowedGraph;
use super::callers::Known;
use super::classes::PeerId;
use crate::model::TrafficSet;
use crate::policy::Direction;
use std::collections::{BTreeMap, VecDeque};

/// Number of a group of peers whose rest lets the same traffic through.
pub type GroupId = usize;

/// The direct connections of a graph, in a form that can be searched.
pub struct Links<'a> {
    graph: &'a AllowedGraph,
    peers: usize,
    /// For each peer, those that it may send to because a row names one of the two; sorted.
    out: Vec<Vec<PeerId>>,
    /// The same, seen from the target.
    into: Vec<Vec<PeerId>>,
    /// The traffic of each group.
    groups: Vec<TrafficSet>,
    /// The group of a peer's rest, as a source and as a target; `None` where the rest is shut.
    sends: Vec<Option<GroupId>>,
    takes: Vec<Option<GroupId>>,
    /// For each group, those with which it has traffic in common.
    meets: Vec<Vec<GroupId>>,
    /// The same, to be asked: by source, then target.
    meeting: Vec<Vec<bool>>,
    /// Whether pairs let anything through.
    open: Known<'a, bool>,
}

/// Which way a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// From the starts along the connections: whom do they reach?
    Onward,
    /// Against the connections: who reaches them?
    Backward,
}

/// What a search found: for each peer the steps to the nearest start, and the next peer there.
pub struct Reached {
    steps: Vec<Option<(u32, PeerId)>>,
    search: Search,
}

impl<'a> Links<'a> {
    /// Reads the rows of all classes.
    pub fn new(graph: &'a AllowedGraph) -> Links<'a> {
        let classes = graph.classes().len();
        let peers = graph.peer_count() as usize;
        let mut links = Links {
            graph,
            peers,
            out: vec![Vec::new(); peers],
            into: vec![Vec::new(); peers],
            groups: Vec::new(),
            sends: vec![None; peers],
            takes: vec![None; peers],
            meets: Vec::new(),
            meeting: Vec::new(),
            open: Known::of(graph),
        };
        links.group();
        for class in 0..classes as PeerId {
            // A target whose rest is shut takes only what it names, and is looked at from there.
            for (target, _) in &graph.row(class, Direction::Egress).named {
                if links.takes[*target as usize].is_some() || *target >= graph.first_domain() {
                    links.link(class, *target);
                }
            }
            for (source, _) in &graph.row(class, Direction::Ingress).named {
                links.link(*source, class);
            }
        }
        for list in links.out.iter_mut().chain(&mut links.into) {
            list.sort_unstable();
            list.dedup();
        }
        links
    }

    fn group(&mut self) {
        let mut numbers: BTreeMap<TrafficSet, GroupId> = BTreeMap::new();
        // Outside endpoints by name have addresses, which stand for themselves: only who names them
        // reaches them as such.
        for peer in 0..self.graph.first_domain() {
            let inside = self.graph.class(peer).is_some();
            let rest = |direction| match inside {
                true => self.graph.row(peer, direction).rest.allowed.clone(),
                false => TrafficSet::all(),
            };
            let mut number = |traffic: TrafficSet| {
                let next = numbers.len();
                (!traffic.is_empty()).then(|| *numbers.entry(traffic).or_insert(next))
            };
            self.sends[peer as usize] = number(rest(Direction::Egress));
            self.takes[peer as usize] = number(rest(Direction::Ingress));
        }
        let mut groups: Vec<(GroupId, TrafficSet)> = numbers.into_iter().map(|(set, n)| (n, set)).collect();
        groups.sort_unstable_by_key(|(number, _)| *number);
        self.groups = groups.into_iter().map(|(_, set)| set).collect();
        let all = 0..self.groups.len();
        let meets = |a: GroupId| all.clone().map(|b| !self.between(a, b).is_empty()).collect();
        self.meeting = all.clone().map(meets).collect();
        let numbers = |row: &Vec<bool>| (0..).zip(row).filter(|(_, meets)| **meets).map(|(n, _)| n).collect();
        self.meets = self.meeting.iter().map(numbers).collect();
    }

    fn link(&mut self, from: PeerId, to: PeerId) {
        // Most pairs that one end names are shut at the other: that costs one look.
        let shut = self.sends[from as usize].is_none()
            && self.graph.row(from, Direction::Egress).decision(to).allowed.is_empty();
        if !shut && self.is_open(from, to) {
            self.out[from as usize].push(to);
            self.into[to as usize].push(from);
        }
    }

    /// Whether meshes close what groups leave open: refused by the ends, or by authorization.
    fn shut_by_mesh(&self, from: PeerId, to: PeerId) -> bool {
        let meshed = |peer: PeerId| self.graph.class(peer).is_some() && self.graph.is_meshed(peer);
        (meshed(from) || meshed(to)) && !self.is_open(from, to)
    }

    fn is_open(&self, from: PeerId, to: PeerId) -> bool {
        self.open.get(from, to, |graph| !graph.edge(from, to).traffic.is_empty())
    }

    /// The pairs that may connect because a row names one of the two.
    pub fn named(&self) -> impl Iterator<Item = (PeerId, PeerId)> + '_ {
        (0..).zip(&self.out).flat_map(|(from, targets)| targets.iter().map(move |to| (from, *to)))
    }

    /// The group that a peer sends with, to whom no row names.
    pub fn sends(&self, peer: PeerId) -> Option<GroupId> {
        self.sends[peer as usize]
    }

    /// The group that a peer takes with, from whom no row names.
    pub fn takes(&self, peer: PeerId) -> Option<GroupId> {
        self.takes[peer as usize]
    }

    /// What members of one group may send to members of another, where no row names them.
    pub fn between(&self, sends: GroupId, takes: GroupId) -> TrafficSet {
        self.groups[sends].intersection(&self.groups[takes])
    }

    /// Whether members of the one group may send anything to members of the other.
    pub fn meet(&self, sends: GroupId, takes: GroupId) -> bool {
        self.meeting[sends][takes]
    }

    /// Whether a row names one end of the pair, so that groups say nothing about it.
    pub fn is_named(&self, from: PeerId, to: PeerId) -> bool {
        let named = |class: PeerId, direction, other: PeerId| {
            self.graph.class(class).is_some()
                && self.graph.row(class, direction).named.binary_search_by_key(&other, |(p, _)| *p).is_ok()
        };
        named(from, Direction::Egress, to) || named(to, Direction::Ingress, from)
    }

    /// Breadth first from the starts; pairs for which `skip` holds do not count, given as source
    /// and target. Addresses outside are ends of ways and never lie on them.
    pub fn search(
        &self,
        starts: &[PeerId],
        search: Search,
        skip: &dyn Fn(PeerId, PeerId) -> bool,
    ) -> Reached {
        let (near, own, far) = match search {
            Search::Onward => (&self.out, &self.sends, &self.takes),
            Search::Backward => (&self.into, &self.takes, &self.sends),
        };
        let pair = |near: PeerId, far: PeerId| match search {
            Search::Onward => (near, far),
            Search::Backward => (far, near),
        };
        let mut left: Vec<Vec<PeerId>> = vec![Vec::new(); self.groups.len()];
        for (peer, group) in (0..).zip(far) {
            group.iter().for_each(|group| left[*group].push(peer));
        }
        let mut steps: Vec<Option<(u32, PeerId)>> = vec![None; self.peers];
        let mut queue: VecDeque<PeerId> = VecDeque::new();
        for start in starts {
            steps[*start as usize] = Some((0, *start));
            queue.push_back(*start);
        }
        while let Some(here) = queue.pop_front() {
            let depth = steps[here as usize].map_or(0, |(depth, _)| depth);
            let outside = self.graph.class(here).is_none();
            if outside && depth > 0 {
                continue;
            }
            let fits = |other: PeerId| {
                let (from, to) = pair(here, other);
                (!outside || self.graph.class(other).is_some()) && !skip(from, to)
            };
            for other in &near[here as usize] {
                if steps[*other as usize].is_none() && fits(*other) {
                    steps[*other as usize] = Some((depth + 1, here));
                    queue.push_back(*other);
                }
            }
            for group in own[here as usize].iter().flat_map(|group| &self.meets[*group]) {
                left[*group].retain(|other| {
                    if steps[*other as usize].is_some() {
                        return false;
                    }
                    let (from, to) = pair(here, *other);
                    if !fits(*other) || self.is_named(from, to) || self.shut_by_mesh(from, to) {
                        return true;
                    }
                    steps[*other as usize] = Some((depth + 1, here));
                    queue.push_back(*other);
                    false
                });
            }
        }
        Reached { steps, search }
    }
}

impl Reached {
    /// Steps to the nearest start; `None` where there is no way.
    pub fn steps(&self, peer: PeerId) -> Option<u32> {
        self.steps[peer as usize].map(|(steps, _)| steps)
    }

    /// The way between the peer and the nearest start, in the order in which it is walked.
    pub fn way(&self, peer: PeerId) -> Vec<PeerId> {
        let mut way = vec![peer];
        let mut here = peer;
        while let Some((steps, next)) = self.steps[here as usize] {
            if steps == 0 {
                break;
            }
            way.push(next);
            here = next;
        }
        if self.search == Search::Onward {
            way.reverse();
        }
        way
    }
}
