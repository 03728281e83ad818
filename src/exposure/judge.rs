//! Whether one container port is open for those who come through one entry point.

use super::absent::Guests;
use super::{Access, Exposure, Target, WhyClosed, WhyOpen, WhyUnknown};
use crate::entry::{EntryPoint, Presence, Usual};
use crate::graph::{AllowedGraph, Direction, PeerId};
use crate::inventory::{Inventory, Network, Variant};
use crate::model::{AddressSet, Origin, Text};
use crate::policy::Tier;
use std::collections::{BTreeMap, BTreeSet};

/// The answer for one target.
pub(super) struct Verdict {
    pub access: Access,
    /// Outside addresses that get in, where nothing stands between.
    pub sources: AddressSet,
    /// The rules that let it in, or that may.
    pub rules: Vec<Origin>,
}

/// What is known when entries are judged.
pub(super) struct Judge<'a> {
    inventory: &'a Inventory,
    graph: &'a AllowedGraph,
    /// For each workload with a way in of its own: whether one of them is open.
    ways_in: BTreeMap<usize, bool>,
    /// Workloads that may be a controller: they look like one, or have a way in of their own.
    candidates: BTreeSet<usize>,
    guests: Guests,
}

impl<'a> Judge<'a> {
    pub fn new(inventory: &'a Inventory, graph: &'a AllowedGraph) -> Self {
        Judge {
            inventory,
            graph,
            ways_in: BTreeMap::new(),
            candidates: BTreeSet::new(),
            guests: Guests::default(),
        }
    }

    /// Controllers are reached by the direct ways in, which were judged before.
    pub fn learn_ways_in(&mut self, direct: &[Exposure], controllers: &[usize]) {
        for exposure in direct {
            let open = matches!(exposure.access, Access::Open(_));
            *self.ways_in.entry(exposure.workload).or_default() |= open;
        }
        self.candidates = self.ways_in.keys().chain(controllers).copied().collect();
    }

    /// Puts pods in place of the controllers that the input does not show.
    pub fn invite(&mut self, targets: &[(&EntryPoint, Target)], tiers: Vec<Tier>) {
        if !targets.is_empty() {
            self.guests = Guests::invite(self.inventory, self.graph, targets, tiers);
        }
    }

    pub fn verdict(&self, point: &EntryPoint, target: Target) -> Verdict {
        let pod = &self.inventory.workloads[target.workload].variants[target.variant];
        if pod.network != Network::Pod && point.controller.presence == Presence::Direct {
            return Verdict {
                access: Access::Open(WhyOpen::HostNetwork),
                sources: AddressSet::all(),
                rules: Vec::new(),
            };
        }
        match &point.controller.presence {
            Presence::Direct | Presence::Outside(None) => self.through_nobody(target),
            Presence::Outside(Some(own)) => {
                let verdict = self.through_addresses(own, target);
                // Whoever reaches the controller is not known: anybody.
                let sources = if verdict.sources.is_empty() { AddressSet::none() } else { AddressSet::all() };
                Verdict { sources, ..verdict }
            }
            Presence::Inside(controllers) => self.through_controllers(controllers, target),
            Presence::Absent => self.guests.verdict(self.graph, point, target, self),
            Presence::Missing => {
                let verdict = self.guests.verdict(self.graph, point, target, self);
                match verdict.access {
                    Access::Closed(_) => verdict,
                    _ => Verdict { access: Access::Unknown(WhyUnknown::GatewayMissing), ..verdict },
                }
            }
        }
    }

    /// Any outside address; clients that appear as a node count as its address does.
    pub fn through_nobody(&self, target: Target) -> Verdict {
        self.through_addresses(&AddressSet::all(), target)
    }

    /// Some of the outside addresses.
    fn through_addresses(&self, own: &AddressSet, target: Target) -> Verdict {
        let class = self.graph.class_of(target.workload, target.variant);
        let (mut ranges, mut rules, mut governed) = (Vec::new(), Vec::new(), true);
        for (atom, addresses) in self.graph.atoms() {
            let addresses = addresses.intersection(own);
            if addresses.is_empty() {
                continue;
            }
            let edge = self.graph.edge(atom, class);
            if edge.traffic.contains(target.protocol, target.port) {
                ranges.extend_from_slice(addresses.ranges());
                governed &= !edge.unsegmented().contains(target.protocol, target.port);
                rules.extend(edge.because());
            }
        }
        let sources: AddressSet = ranges.into_iter().collect();
        let access = match (sources.is_empty(), governed) {
            (true, _) => Access::Closed(WhyClosed::Policies),
            (false, true) => Access::Open(WhyOpen::Allowed),
            (false, false) => Access::Open(WhyOpen::Ungoverned),
        };
        Verdict { access, sources, rules: origins(self.graph, rules, target) }
    }

    /// From those that may be a controller of which no more is known than how it usually looks; what
    /// has another value for one of its labels is another program.
    pub fn through_candidates(&self, usual: Option<&Usual>, target: Target) -> Verdict {
        let same = |variant: &Variant| {
            let label = |(key, value): (&Text, &Text)| variant.labels.get(key).is_none_or(|own| own == value);
            usual.is_none_or(|usual| usual.labels.iter().all(label))
        };
        let fits = |index: &&usize| {
            **index != target.workload && self.inventory.workloads[**index].variants.iter().any(same)
        };
        let candidates: Vec<usize> = self.candidates.iter().filter(fits).copied().collect();
        let peers: Vec<PeerId> = candidates.iter().flat_map(|w| self.graph.classes_of(*w)).copied().collect();
        among(self.graph, &peers, self.graph.class_of(target.workload, target.variant), target)
    }

    /// From the pods of a controller, which outside addresses must reach first.
    fn through_controllers(&self, controllers: &[usize], target: Target) -> Verdict {
        let peers: Vec<PeerId> =
            controllers.iter().flat_map(|w| self.graph.classes_of(*w)).copied().collect();
        let class = self.graph.class_of(target.workload, target.variant);
        let mut verdict = among(self.graph, &peers, class, target);
        if matches!(verdict.access, Access::Closed(_)) {
            return verdict;
        }
        let ways: Vec<bool> = controllers.iter().filter_map(|w| self.ways_in.get(w)).copied().collect();
        verdict.access = match (ways.is_empty(), ways.contains(&true)) {
            (true, _) => Access::Unknown(WhyUnknown::ControllerHidden),
            (false, false) => Access::Closed(WhyClosed::Controller),
            (false, true) => verdict.access,
        };
        verdict
    }
}

/// The most that one of several peers may do.
pub(super) fn among(graph: &AllowedGraph, peers: &[PeerId], class: PeerId, target: Target) -> Verdict {
    let (mut rules, mut best) = (Vec::new(), Access::Closed(WhyClosed::Policies));
    for peer in peers {
        let edge = graph.edge(*peer, class);
        let access = if edge.traffic.contains(target.protocol, target.port) {
            rules.extend(edge.because());
            match edge.unsegmented().contains(target.protocol, target.port) {
                true => Access::Open(WhyOpen::Ungoverned),
                false => Access::Open(WhyOpen::Allowed),
            }
        } else if edge.reaching().contains(target.protocol, target.port) {
            Access::Unknown(WhyUnknown::NodeExempt)
        } else {
            continue;
        };
        best = best.min(access);
    }
    Verdict { access: best, sources: AddressSet::none(), rules: origins(graph, rules, target) }
}

/// Where rules stand that are about the target's port; those of the source come last.
fn origins(graph: &AllowedGraph, mut rules: Vec<u32>, target: Target) -> Vec<Origin> {
    rules.sort_unstable();
    rules.dedup();
    let about = |rule: &&u32| {
        let info = &graph.rules[**rule as usize];
        let traffic = &info.rule.traffic;
        let ingress = graph.policies[info.policy as usize].direction == Direction::Ingress;
        ingress && (traffic.has_names() || traffic.fixed.contains(target.protocol, target.port))
    };
    rules.iter().filter(about).map(|rule| graph.rules[*rule as usize].rule.origin.clone()).collect()
}
