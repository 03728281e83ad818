//! Needs → policies: for each workload that was seen, the NetworkPolicy that allows what it needed
//! and nothing else. Whether that is enough is proved by who calls this: the policies are analysed
//! with everything else, and the observed flows are judged again.

use crate::analysis::{self, Analysis};
use crate::check::needs::{Count, LeftOut, Need, Needs, Side};
use crate::graph::{Direction, Namespaces, Peer, PolicyInfo, Population, Selection, by_labels};
use crate::inventory::{Network, Variant, Workload};
use crate::model::{AddressRange, AddressSet, EndpointName, Labels, Origin, TrafficSet};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What is suggested, and what is not.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// Policies, by namespace and name.
    pub policies: Vec<Suggested>,
    /// Workloads without a policy, by name of the reason.
    pub without: Vec<(usize, Without)>,
    /// Flows that no policy was made for: why, who and what, and how many.
    pub left_out: BTreeMap<(LeftOut, String, String), usize>,
}

/// One policy.
#[derive(Clone, Debug)]
pub struct Suggested {
    /// For whom, by index.
    pub workload: usize,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object; no policy that was read has it.
    pub name: String,
    /// Whom it selects: the pods of the workload alone.
    pub subject: Selection,
    /// Directions in which something was seen; the other is left as it is.
    pub sides: Vec<SuggestedSide>,
    /// Policies that select these pods already: what they allow stays open.
    pub beside: Vec<Origin>,
}

/// What a policy says of one direction.
#[derive(Clone, Debug)]
pub struct SuggestedSide {
    /// Which.
    pub direction: Direction,
    /// Rules, by what they allow.
    pub rules: Vec<SuggestedRule>,
}

/// Peers that need the same ports.
#[derive(Clone, Debug)]
pub struct SuggestedRule {
    /// The ports.
    pub traffic: TrafficSet,
    /// Who.
    pub peers: Vec<Peer>,
    /// Addresses that were seen among them.
    pub addresses: BTreeSet<IpAddr>,
    /// Workloads among them whose labels others have too, by index, with these; all of their
    /// namespace where they have no labels at all.
    pub wider: Vec<(usize, Wider)>,
    /// How many flows needed it.
    pub count: Count,
}

/// Whom a rule allows beside the workload that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wider {
    /// Those whose labels it shares, by index.
    Others(Vec<usize>),
    /// Every pod of its namespace, for it has no labels.
    Namespace,
}

/// Why a workload gets no policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Without {
    /// No flow of its pods was a need.
    NotSeen,
    /// Its pods have no labels that a policy could select them by.
    NoLabels,
    /// Its labels select pods of others too, by index.
    Others(Vec<usize>),
}

/// Policies for what was observed.
pub fn of(analysis: &Analysis) -> Suggestion {
    let Needs { needed, left_out } = analysis::needs(analysis);
    let known = Known::of(analysis, &needed);
    let names = |p: &PolicyInfo| (p.origin.namespace.to_string(), p.origin.name.to_string());
    let mut taken: BTreeSet<(String, String)> = analysis.graph.policies.iter().map(names).collect();
    let (mut policies, mut without) = (Vec::new(), Vec::new());
    for (index, workload) in analysis.inventory.workloads.iter().enumerate() {
        if !workload.variants.iter().any(|variant| variant.network == Network::Pod) {
            continue;
        }
        let sides: Vec<SuggestedSide> = [Direction::Ingress, Direction::Egress]
            .into_iter()
            .filter_map(|direction| known.side(index, direction))
            .collect();
        let subject = known.subject(index);
        match (sides.is_empty(), subject) {
            (true, _) => without.push((index, Without::NotSeen)),
            (false, Err(why)) => without.push((index, why)),
            (false, Ok(subject)) => {
                let namespace = workload.name.namespace.clone();
                let name = known.free_name(index, &taken);
                taken.insert((namespace.clone(), name.clone()));
                let beside = beside(analysis, index, &sides);
                policies.push(Suggested { workload: index, namespace, name, subject, sides, beside });
            }
        }
    }
    Suggestion { policies, without, left_out }
}

/// Whether no address leads to any pod.
pub fn nobody_has_addresses(analysis: &Analysis) -> bool {
    let pods = analysis.inventory.workloads.iter().flat_map(|workload| &workload.variants);
    let unknown = |variant: &Variant| variant.network != Network::Pod || variant.addresses.is_empty();
    analysis.inventory.tenancy.is_empty() && pods.into_iter().all(unknown)
}

/// What is asked of all workloads again and again, put in order once.
struct Known<'a> {
    analysis: &'a Analysis,
    /// Who needed what of a workload, with the other end.
    needed: BTreeMap<(usize, Direction), BTreeMap<Side, (TrafficSet, Count)>>,
    /// The pods of each workload, by the labels that all of them have.
    selections: Vec<Selection>,
    /// Workloads of each namespace.
    namespaces: BTreeMap<&'a str, Vec<usize>>,
    /// Ports of a workload that something leads to from outside, and the addresses that get there.
    entries: BTreeMap<usize, Vec<(&'a TrafficSet, &'a AddressSet)>>,
}

impl<'a> Known<'a> {
    fn of(analysis: &'a Analysis, all: &BTreeMap<Need, Count>) -> Known<'a> {
        let workloads = &analysis.inventory.workloads;
        let mut namespaces: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, workload) in workloads.iter().enumerate() {
            namespaces.entry(&workload.name.namespace).or_default().push(index);
        }
        let mut needed: BTreeMap<_, BTreeMap<Side, (TrafficSet, Count)>> = BTreeMap::new();
        for (need, count) in all {
            let ends = [(Direction::Ingress, need.to, need.from), (Direction::Egress, need.from, need.to)];
            for (direction, own, other) in ends {
                let Side::Pods(workload) = own else { continue };
                let peers = needed.entry((workload, direction)).or_default();
                let (traffic, known) = peers.entry(other).or_insert((TrafficSet::none(), Count::default()));
                *traffic = traffic.union(&TrafficSet::port(need.protocol, need.port));
                *known = known.plus(*count);
            }
        }
        let mut entries: BTreeMap<usize, Vec<(&TrafficSet, &AddressSet)>> = BTreeMap::new();
        for way in analysis.exposures.all.iter().filter(|way| way.controllers.is_empty()) {
            entries.entry(way.workload).or_default().push((&way.ports, &way.sources));
        }
        let selections = workloads.iter().map(selection).collect();
        Known { analysis, needed, selections, namespaces, entries }
    }

    /// What one workload needs in one direction; `None` where nothing was seen.
    fn side(&self, workload: usize, direction: Direction) -> Option<SuggestedSide> {
        let of_peer = self.needed.get(&(workload, direction))?;
        let mut rules: BTreeMap<&TrafficSet, (BTreeSet<Side>, Count)> = BTreeMap::new();
        for (peer, (traffic, count)) in of_peer {
            let (peers, all) = rules.entry(traffic).or_default();
            peers.insert(*peer);
            *all = all.plus(*count);
        }
        let rule = |(traffic, (sides, count)): (&TrafficSet, (BTreeSet<Side>, Count))| {
            let entered = match direction {
                Direction::Ingress => self.ways_in(workload, traffic),
                Direction::Egress => AddressSet::default(),
            };
            SuggestedRule {
                peers: self.peers(&sides, &entered),
                addresses: addresses(&sides),
                wider: self.wider(&sides),
                traffic: traffic.clone(),
                count,
            }
        };
        let rules: Vec<SuggestedRule> = rules.into_iter().map(rule).collect();
        (!rules.is_empty()).then_some(SuggestedSide { direction, rules })
    }

    /// Pods by their labels, then addresses together. Whoever came in by a way that is open on
    /// purpose stands for all who may come that way.
    fn peers(&self, sides: &BTreeSet<Side>, entered: &AddressSet) -> Vec<Peer> {
        let pods = sides.iter().filter_map(|side| match side {
            Side::Pods(workload) => Some(Peer::Endpoints(self.selections[*workload].clone())),
            Side::Node(_) | Side::Outside(_) => None,
        });
        let came_in = |side: &Side| matches!(side, Side::Outside(ip) if entered.contains(*ip));
        let purposely = if sides.iter().any(came_in) { entered.ranges() } else { &[] };
        let single = sides.iter().filter_map(|side| match side {
            Side::Pods(_) => None,
            Side::Node(ip) | Side::Outside(ip) => Some(AddressRange::single(*ip)),
        });
        let blocks: AddressSet = single.chain(purposely.iter().copied()).collect();
        let blocks = (!blocks.is_empty()).then_some(Peer::Addresses(blocks));
        pods.chain(blocks).collect()
    }

    /// Peers that cannot be named without naming others of their namespace.
    fn wider(&self, sides: &BTreeSet<Side>) -> Vec<(usize, Wider)> {
        let of = |index: usize| match self.selections[index].endpoints.requirements.is_empty() {
            true => Some(Wider::Namespace),
            false => Some(self.others(index)).filter(|others| !others.is_empty()).map(Wider::Others),
        };
        let pods = sides.iter().filter_map(|side| match side {
            Side::Pods(index) => Some((*index, of(*index)?)),
            Side::Node(_) | Side::Outside(_) => None,
        });
        pods.collect()
    }

    /// Addresses outside that objects of the cluster let in to these ports, straight to the pods.
    fn ways_in(&self, workload: usize, traffic: &TrafficSet) -> AddressSet {
        let entries = self.entries.get(&workload).map_or(&[][..], Vec::as_slice);
        let ways = entries.iter().filter(|(ports, _)| traffic.difference(ports).is_empty());
        ways.fold(AddressSet::default(), |all, (_, sources)| all.union(sources))
    }

    /// The pods of a workload, where they can be selected without anybody else: what is made for one
    /// must not close in another.
    fn subject(&self, index: usize) -> Result<Selection, Without> {
        let selection = &self.selections[index];
        if selection.endpoints.requirements.is_empty() {
            return Err(Without::NoLabels);
        }
        let others = self.others(index);
        if others.is_empty() { Ok(selection.clone()) } else { Err(Without::Others(others)) }
    }

    /// Workloads of the same namespace whose pods the selection of one selects too.
    fn others(&self, index: usize) -> Vec<usize> {
        let (workloads, selection) = (&self.analysis.inventory.workloads, &self.selections[index]);
        let pods = |v: &Variant| v.network == Network::Pod && selection.endpoints.matches(&v.labels);
        let alike = |other: &usize| *other != index && workloads[*other].variants.iter().any(pods);
        self.neighbours(index).iter().copied().filter(alike).collect()
    }

    fn neighbours(&self, index: usize) -> &[usize] {
        let namespace = &*self.analysis.inventory.workloads[index].name.namespace;
        self.namespaces.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// A name that no policy has: with the kind where two workloads are called alike, and with a
    /// number where that is taken too. Names have at most 253 characters.
    fn free_name(&self, index: usize, taken: &BTreeSet<(String, String)>) -> String {
        const MOST: usize = 253;
        let workloads = &self.analysis.inventory.workloads;
        let EndpointName { namespace, kind, name } = &workloads[index].name;
        let alike = self.neighbours(index).iter().filter(|other| workloads[**other].name.name == *name);
        let short = (alike.count() == 1).then(|| format!("observed-{name}"));
        let long = format!("observed-{}-{name}", kind.to_lowercase());
        let numbered = (2_usize..).map(|number| (long.clone(), format!("-{number}")));
        let all = short.into_iter().chain([long.clone()]).map(|name| (name, String::new())).chain(numbered);
        let cut = |(name, tail): (String, String)| {
            let kept: String = name.chars().take(MOST - tail.len()).collect();
            format!("{}{tail}", kept.trim_end_matches(['-', '.']))
        };
        let mut fitting = all.map(cut).filter(|name| !taken.contains(&(namespace.clone(), name.clone())));
        fitting.next().unwrap_or(long)
    }
}

fn addresses(sides: &BTreeSet<Side>) -> BTreeSet<IpAddr> {
    let address = |side: &Side| match side {
        Side::Pods(_) => None,
        Side::Node(ip) | Side::Outside(ip) => Some(*ip),
    };
    sides.iter().filter_map(address).collect()
}

/// The pods of a workload, by the labels that all of them have.
fn selection(workload: &Workload) -> Selection {
    let mut pods = workload.variants.iter().filter(|variant| variant.network == Network::Pod);
    let mut common: Labels = pods.next().map(|variant| variant.labels.clone()).unwrap_or_default();
    pods.for_each(|variant| common.retain(|key, value| variant.labels.get(key) == Some(value)));
    Selection {
        population: Population::Pods,
        namespaces: Namespaces::Named(workload.name.namespace.clone()),
        endpoints: by_labels(&common),
    }
}

/// Policies that allow something of these pods already, in a direction that the new one is about.
fn beside(analysis: &Analysis, workload: usize, sides: &[SuggestedSide]) -> Vec<Origin> {
    let graph = &analysis.graph;
    let rows = sides
        .iter()
        .flat_map(|side| graph.classes_of(workload).iter().map(|class| graph.row(*class, side.direction)));
    let numbers: BTreeSet<u32> = rows.flat_map(|row| row.policies.iter().copied()).collect();
    let allowing = numbers.into_iter().map(|number| &graph.policies[number as usize]);
    let allowing = allowing.filter(|policy| !policy.rules.is_empty());
    let by_name: BTreeMap<_, _> = allowing
        .map(|policy| ((&policy.origin.kind, &policy.origin.namespace, &policy.origin.name), &policy.origin))
        .collect();
    by_name.into_values().cloned().collect()
}
