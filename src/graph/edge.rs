//! Rows and edges: what one class may send or take, and where two rows meet.

use super::classes::PeerId;
use super::mesh_edge::MeshEdge;
use crate::model::TrafficSet;
use crate::policy::Decision;
use hashbrown::HashSet;
use std::sync::{Arc, LazyLock};

/// All decisions for one class in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The policies that select the class, by number; nothing governs it where there are none.
    pub policies: Vec<u32>,
    /// For peers that no rule names.
    pub rest: Arc<Decision>,
    /// For peers that a rule names, sorted by peer.
    pub named: Vec<(PeerId, Arc<Decision>)>,
}

/// What one class may send to another, and why.
#[derive(Clone, Debug)]
pub struct Edge<'a> {
    /// What the policies of both ends let through.
    pub traffic: TrafficSet,
    /// The decision at the source.
    pub egress: &'a Decision,
    /// The decision at the target.
    pub ingress: &'a Decision,
    /// What meshes make of it; `None` where they say nothing.
    pub mesh: Option<MeshEdge>,
    /// Whether policies at the target may not count, because a node's own traffic is exempt.
    pub exemption: Exemption,
}

/// Why policies at the target may not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exemption {
    /// They count.
    None,
    /// The source is on the host network of a node that may be the target's own, or the target is an
    /// interface of a node that may be the source's own.
    LocalNode,
    /// The source is an interface of a node that may be the target's own: its policies do not count
    /// either.
    OwnPods,
}

static EVERYTHING: LazyLock<TrafficSet> = LazyLock::new(TrafficSet::all);

impl Row {
    /// The decision for a peer.
    pub fn decision(&self, peer: PeerId) -> &Decision {
        match self.named.binary_search_by_key(&peer, |(named, _)| *named) {
            Ok(index) => &self.named[index].1,
            Err(_) => &self.rest,
        }
    }

    /// What it lets through with anybody at all.
    pub fn with_anyone(&self) -> TrafficSet {
        let mut known = HashSet::new();
        let decisions = self.named.iter().map(|(_, decision)| decision).chain([&self.rest]);
        let decisions = decisions.filter(|decision| known.insert(Arc::as_ptr(decision)));
        decisions.fold(TrafficSet::none(), |all, decision| all.union(&decision.allowed))
    }

    /// Whether something becomes of traffic that no rule names: some policy isolates the class in
    /// this direction, or its rules decide everything.
    pub fn is_governed(&self) -> bool {
        self.rest.ungoverned.is_empty()
    }
}

impl Edge<'_> {
    /// What may really arrive: the exempt traffic of a node counts too.
    pub fn reaching(&self) -> &TrafficSet {
        match self.exemption {
            Exemption::LocalNode => &self.egress.allowed,
            Exemption::OwnPods => &EVERYTHING,
            Exemption::None => &self.traffic,
        }
    }

    /// Whether policies of the network let traffic through at both ends, whatever meshes make of it.
    pub fn passes_network(&self, traffic: &TrafficSet) -> bool {
        [self.egress, self.ingress].iter().all(|end| traffic.difference(&end.allowed).is_empty())
    }

    /// The part of the traffic that nothing governs at the receiving side.
    pub fn unsegmented(&self) -> TrafficSet {
        let open = self.traffic.intersection(&self.ingress.ungoverned);
        match &self.mesh {
            Some(mesh) => open.difference(&mesh.governed),
            None => open,
        }
    }

    /// The part of the traffic of which only some passes, by conditions above packets at either end.
    pub fn narrowed(&self) -> TrafficSet {
        let network = self.egress.narrowed.union(&self.ingress.narrowed);
        let mesh = self.mesh.as_ref().map_or_else(TrafficSet::none, |mesh| mesh.decision.narrowed.clone());
        self.traffic.intersection(&network.union(&mesh))
    }

    /// Numbers of the rules that allow it, at both ends.
    pub fn because(&self) -> Vec<u32> {
        let mesh = self.mesh.iter().flat_map(|mesh| &mesh.decision.because);
        let network = self.egress.because.iter().chain(&self.ingress.because);
        let mut rules: Vec<u32> = network.chain(mesh).copied().collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}
