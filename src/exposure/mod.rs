//! Entry points and the allowed graph → what can be reached from outside, where, and through whom.
//!
//! An exposure is asked for by an entry point; it is open where the policies let the controller, or
//! outside addresses where nothing stands between, reach the container port. What that cannot be
//! decided for is unknown, and never closed.

mod absent;
mod caveats;
pub mod change;
mod judge;

use crate::entry::{Backend, Entries, EntryPoint, PortChoice, Presence};
pub use crate::entry::{DeadEnd, EntryKind, Tls, WhyDead};
use crate::graph::AllowedGraph;
use crate::inventory::Inventory;
use crate::model::{AddressSet, EndpointName, Gap, Origin, Protocol, TrafficSet};
use crate::policy::Tier;
use judge::{Judge, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// What leads in from outside.
#[derive(Debug, Default)]
pub struct Exposures {
    /// Workloads that something leads to, in the order of the entries' names.
    pub all: Vec<Exposure>,
    /// Objects that lead nowhere.
    pub dead_ends: Vec<DeadEnd>,
    /// What was not understood.
    pub gaps: Vec<Gap>,
}

/// A workload that an entry point leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The object that leads in.
    pub entry: EndpointName,
    /// Which kind of way it is.
    pub kind: EntryKind,
    /// Host names that lead here; any where there are none.
    pub hosts: BTreeSet<String>,
    /// Paths that lead here; any where there are none.
    pub paths: BTreeSet<String>,
    /// Who opens the connection to the workload.
    pub controller: String,
    /// Its workloads, by index, where it is in the cluster and known.
    pub controllers: Vec<usize>,
    /// Where TLS ends.
    pub tls: Tls,
    /// The workload, by index.
    pub workload: usize,
    /// Its container ports.
    pub ports: TrafficSet,
    /// Whether the policies leave it open.
    pub access: Access,
    /// Which outside addresses get as far as this, where nothing stands between.
    pub sources: AddressSet,
    /// Whom the object asks its load balancer to let in. Ports of nodes stay open to others, and whether
    /// the load balancer does it is not known, so it takes nothing from `sources`.
    pub asked: AddressSet,
    /// The objects behind it from outside to inside, the workload, and then the rules that let it in.
    pub because: Vec<Origin>,
}

/// Whether an exposure is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// The policies let it in.
    Open(WhyOpen),
    /// It cannot be said.
    Unknown(WhyUnknown),
    /// The policies keep it out.
    Closed(WhyClosed),
}

/// Why it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhyOpen {
    /// No policy governs what arrives.
    Ungoverned,
    /// Rules allow it.
    Allowed,
    /// It is on the network of its node.
    HostNetwork,
}

/// Why nothing can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhyUnknown {
    /// The pods of the controller are not in the input; some rule may be about them.
    ControllerAbsent,
    /// The gateway is not in the input, so it is not known whether it takes the route.
    GatewayMissing,
    /// The controller is there, but nothing in the input leads to it from outside.
    ControllerHidden,
    /// The controller is on the host network, and a node reaches its own pods whatever the policies say.
    NodeExempt,
}

/// Why it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhyClosed {
    /// Policies do not let it in.
    Policies,
    /// Policies keep the outside away from the controller.
    Controller,
}

/// Joins entry points with the graph. `tiers` are those of the graph: they are evaluated again for
/// controllers whose pods are not in the input, and may be left out where there are none.
pub fn find(inventory: &Inventory, graph: &AllowedGraph, entries: Entries, tiers: Vec<Tier>) -> Exposures {
    let (direct, routed): (Vec<_>, Vec<_>) =
        entries.points.iter().partition(|point| point.controller.presence == Presence::Direct);
    let mut judge = Judge::new(inventory, graph);
    let mut all = merged(inventory, &judge, &direct);
    judge.learn_ways_in(&all, &entries.controllers);
    judge.invite(&absent_targets(inventory, &routed), tiers);
    all.extend(merged(inventory, &judge, &routed));
    all.sort_by(|a, b| key(a).cmp(&key(b)));
    let mut gaps = entries.gaps;
    gaps.extend(caveats::of(inventory, graph, &all));
    Exposures { all, dead_ends: entries.dead_ends, gaps }
}

fn key(e: &Exposure) -> (&EndpointName, EntryKind, usize, Tls, Access, &str) {
    (&e.entry, e.kind, e.workload, e.tls, e.access, &e.controller)
}

/// A container port behind an entry point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    workload: usize,
    variant: usize,
    protocol: Protocol,
    port: u16,
}

/// The container ports behind an entry point: service port, then target port, then the number that
/// its name has on each variant.
fn targets(inventory: &Inventory, point: &EntryPoint) -> Vec<Target> {
    let (service, choice, wanted) = match &point.backend {
        Backend::Port { workload, variant, protocol, port } => {
            let (workload, variant, protocol, port) = (*workload, *variant, *protocol, *port);
            return vec![Target { workload, variant, protocol, port }];
        }
        Backend::Service { service, port, protocol } => (&inventory.services[*service], port, *protocol),
    };
    let mut found = BTreeSet::new();
    for (workload, variant) in inventory.backends(service) {
        let pod = &inventory.workloads[workload].variants[variant];
        if let PortChoice::OfPods(port) = choice {
            let protocol = wanted.unwrap_or(Protocol::Tcp);
            found.insert(Target { workload, variant, protocol, port: *port });
            continue;
        }
        for port in service.ports.iter().filter(|p| wanted.is_none_or(|w| w == p.protocol)) {
            for number in port.targets(pod) {
                let chosen = match choice {
                    PortChoice::All | PortChoice::OfPods(_) => true,
                    PortChoice::Number(n) => port.port == *n,
                    PortChoice::Name(name) => port.name == *name,
                    PortChoice::Target(target) => {
                        port.target == *target || *target == crate::inventory::TargetPort::Number(number)
                    }
                };
                if chosen {
                    found.insert(Target { workload, variant, protocol: port.protocol, port: number });
                }
            }
        }
    }
    found.into_iter().collect()
}

/// Targets of controllers whose pods are not in the input.
fn absent_targets<'a>(inventory: &Inventory, points: &[&'a EntryPoint]) -> Vec<(&'a EntryPoint, Target)> {
    let absent = points.iter().filter(|point| point.controller.is_absent());
    absent.flat_map(|point| targets(inventory, point).into_iter().map(|t| (*point, t))).collect()
}

/// Judges every target and joins those that a person would see as one.
fn merged(inventory: &Inventory, judge: &Judge<'_>, points: &[&EntryPoint]) -> Vec<Exposure> {
    let mut by_key: BTreeMap<(EndpointName, EntryKind, usize, Tls, Access, String), Exposure> =
        BTreeMap::new();
    for point in points {
        for target in targets(inventory, point) {
            let one = exposure(inventory, point, target, judge.verdict(point, target));
            let key =
                (one.entry.clone(), one.kind, one.workload, one.tls, one.access, one.controller.clone());
            match by_key.get_mut(&key) {
                Some(known) => known.join(one),
                None => drop(by_key.insert(key, one)),
            }
        }
    }
    by_key.into_values().collect()
}

fn exposure(inventory: &Inventory, point: &EntryPoint, target: Target, verdict: Verdict) -> Exposure {
    let Verdict { access, sources, rules } = verdict;
    let mut because = point.chain.clone();
    because.push(inventory.workloads[target.workload].origin.clone());
    because.extend(rules);
    Exposure {
        entry: point.name.clone(),
        kind: point.kind,
        hosts: point.hosts.clone(),
        paths: point.paths.clone(),
        controller: point.controller.name.clone(),
        controllers: match &point.controller.presence {
            Presence::Inside(workloads) => workloads.clone(),
            Presence::Direct | Presence::Outside(_) | Presence::Absent | Presence::Missing => Vec::new(),
        },
        tls: point.tls,
        workload: target.workload,
        ports: TrafficSet::port(target.protocol, target.port),
        access,
        sources,
        asked: asked(inventory, point),
        because,
    }
}

/// `spec.loadBalancerSourceRanges` of a load balancer.
fn asked(inventory: &Inventory, point: &EntryPoint) -> AddressSet {
    match (&point.backend, point.kind) {
        (Backend::Service { service, .. }, EntryKind::LoadBalancer) => {
            inventory.services[*service].source_ranges.clone()
        }
        _ => AddressSet::all(),
    }
}

impl Exposure {
    /// Adds another way of the same kind to the same workload.
    fn join(&mut self, other: Exposure) {
        self.ports = self.ports.union(&other.ports);
        self.sources = self.sources.union(&other.sources);
        self.asked = self.asked.union(&other.asked);
        for (own, more) in [(&mut self.hosts, other.hosts), (&mut self.paths, other.paths)] {
            // No names stand for any name, which holds all others.
            match own.is_empty() || more.is_empty() {
                true => own.clear(),
                false => own.extend(more),
            }
        }
        for origin in other.because {
            if !self.because.contains(&origin) {
                self.because.push(origin);
            }
        }
    }

    /// Whom the load balancer is asked to let in, where that is not everyone.
    pub fn asked_for(&self) -> Option<&AddressSet> {
        (self.asked != AddressSet::all()).then_some(&self.asked)
    }

    /// Whether outside addresses of a whole family get in.
    pub fn is_open_to_everyone(&self) -> bool {
        AddressSet::all().ranges().iter().any(|family| self.sources.ranges().contains(family))
    }
}

impl Access {
    /// `open`, `closed` or `unknown`: the words of the reports.
    pub fn word(self) -> &'static str {
        match self {
            Access::Open(_) => "open",
            Access::Unknown(_) => "unknown",
            Access::Closed(_) => "closed",
        }
    }

    /// A half-sentence for people.
    pub fn why(self) -> &'static str {
        match self {
            Access::Open(WhyOpen::Ungoverned) => "no policy governs it",
            Access::Open(WhyOpen::Allowed) => "policies allow it",
            Access::Open(WhyOpen::HostNetwork) => "it is on the network of its node",
            Access::Unknown(WhyUnknown::ControllerAbsent) => {
                "the pods of the controller are not in the input, and rules may be about them"
            }
            Access::Unknown(WhyUnknown::GatewayMissing) => {
                "the gateway is not in the input, so it is not known whether it takes the route"
            }
            Access::Unknown(WhyUnknown::ControllerHidden) => {
                "nothing in the input leads to the controller from outside"
            }
            Access::Unknown(WhyUnknown::NodeExempt) => {
                "the controller is on the host network, and a node reaches its own pods whatever policies say"
            }
            Access::Closed(WhyClosed::Policies) => "no policy lets it in",
            Access::Closed(WhyClosed::Controller) => "policies keep the outside away from the controller",
        }
    }
}
