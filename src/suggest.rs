//! Needs → policies: for each workload that was seen, the NetworkPolicy that allows what it needed
//! and nothing else. Whether that is enough is proved by who calls this: the policies are analysed
//! with everything else, and the observed flows are judged again.

use crate::analysis::{self, Analysis};
use crate::check::needs::{LeftOut, Need, Needs, Side};
use crate::graph::{Direction, Namespaces, Peer, Population, Selection, by_labels};
use crate::inventory::{Network, Variant};
use crate::model::{AddressRange, AddressSet, Labels, Origin, TrafficSet};
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
    /// Workloads among them whose labels others have too, by index, with these.
    pub wider: Vec<(usize, Vec<usize>)>,
    /// How many flows needed it.
    pub flows: usize,
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
    let taken: BTreeSet<(&str, &str)> =
        analysis.graph.policies.iter().map(|p| (&*p.origin.namespace, &*p.origin.name)).collect();
    let (mut policies, mut without) = (Vec::new(), Vec::new());
    for (index, workload) in analysis.inventory.workloads.iter().enumerate() {
        if !workload.variants.iter().any(|variant| variant.network == Network::Pod) {
            continue;
        }
        let sides: Vec<SuggestedSide> = [Direction::Ingress, Direction::Egress]
            .into_iter()
            .filter_map(|direction| side(analysis, index, direction, &needed))
            .collect();
        let subject = subject(analysis, index);
        match (sides.is_empty(), subject) {
            (true, _) => without.push((index, Without::NotSeen)),
            (false, Err(why)) => without.push((index, why)),
            (false, Ok(subject)) => {
                let (kind, name) = (workload.name.kind.to_lowercase(), &workload.name.name);
                let namespace = workload.name.namespace.clone();
                let own = [format!("observed-{name}"), format!("observed-{kind}-{name}")];
                let alike = analysis
                    .inventory
                    .workloads
                    .iter()
                    .filter(|other| other.name.namespace == namespace && other.name.name == *name);
                let plain = alike.count() == 1 && !taken.contains(&(&*namespace, &*own[0]));
                let [short, long] = own;
                let name = if plain { short } else { long };
                let beside = beside(analysis, index, &sides);
                policies.push(Suggested { workload: index, namespace, name, subject, sides, beside });
            }
        }
    }
    Suggestion { policies, without, left_out }
}

/// What one workload needs in one direction; `None` where nothing was seen.
fn side(
    analysis: &Analysis,
    workload: usize,
    direction: Direction,
    needed: &BTreeMap<Need, usize>,
) -> Option<SuggestedSide> {
    let mut of_peer: BTreeMap<Side, (TrafficSet, usize)> = BTreeMap::new();
    for (need, flows) in needed {
        let (own, other) = match direction {
            Direction::Ingress => (need.to, need.from),
            Direction::Egress => (need.from, need.to),
        };
        if own == Side::Pods(workload) {
            let (traffic, count) = of_peer.entry(other).or_insert((TrafficSet::none(), 0));
            *traffic = traffic.union(&TrafficSet::port(need.protocol, need.port));
            *count += flows;
        }
    }
    let mut rules: BTreeMap<TrafficSet, (BTreeSet<Side>, usize)> = BTreeMap::new();
    for (peer, (traffic, flows)) in of_peer {
        let (peers, count) = rules.entry(traffic).or_default();
        peers.insert(peer);
        *count += flows;
    }
    let rule = |(traffic, (sides, flows)): (TrafficSet, (BTreeSet<Side>, usize))| {
        let entered = match direction {
            Direction::Ingress => ways_in(analysis, workload, &traffic),
            Direction::Egress => AddressSet::default(),
        };
        SuggestedRule {
            peers: peers(analysis, &sides, &entered),
            addresses: addresses(&sides),
            wider: wider(analysis, &sides),
            traffic,
            flows,
        }
    };
    let rules: Vec<SuggestedRule> = rules.into_iter().map(rule).collect();
    (!rules.is_empty()).then_some(SuggestedSide { direction, rules })
}

/// Pods by their labels, then addresses together. Whoever came in by a way that is open on purpose
/// stands for all who may come that way.
fn peers(analysis: &Analysis, sides: &BTreeSet<Side>, entered: &AddressSet) -> Vec<Peer> {
    let pods = sides.iter().filter_map(|side| match side {
        Side::Pods(workload) => Some(Peer::Endpoints(selection(analysis, *workload))),
        Side::Node(_) | Side::Outside(_) => None,
    });
    let blocks = sides.iter().filter_map(|side| match side {
        Side::Pods(_) => None,
        Side::Outside(ip) if entered.contains(*ip) => Some(entered.clone()),
        Side::Node(ip) | Side::Outside(ip) => Some([AddressRange::single(*ip)].into_iter().collect()),
    });
    let blocks = blocks.reduce(|all: AddressSet, more| all.union(&more));
    pods.chain(blocks.map(Peer::Addresses)).collect()
}

fn addresses(sides: &BTreeSet<Side>) -> BTreeSet<IpAddr> {
    let address = |side: &Side| match side {
        Side::Pods(_) => None,
        Side::Node(ip) | Side::Outside(ip) => Some(*ip),
    };
    sides.iter().filter_map(address).collect()
}

/// Peers that cannot be named without naming others of their namespace.
fn wider(analysis: &Analysis, sides: &BTreeSet<Side>) -> Vec<(usize, Vec<usize>)> {
    let pods = sides.iter().filter_map(|side| match side {
        Side::Pods(index) => Some((*index, others(analysis, *index, &selection(analysis, *index)))),
        Side::Node(_) | Side::Outside(_) => None,
    });
    pods.filter(|(_, others)| !others.is_empty()).collect()
}

/// Addresses outside that objects of the cluster let in to these ports, straight to the pods.
fn ways_in(analysis: &Analysis, workload: usize, traffic: &TrafficSet) -> AddressSet {
    let ways = analysis.exposures.all.iter().filter(|exposure| {
        exposure.workload == workload
            && exposure.controllers.is_empty()
            && traffic.difference(&exposure.ports).is_empty()
    });
    ways.fold(AddressSet::default(), |all, exposure| all.union(&exposure.sources))
}

/// The pods of a workload, by the labels that all of them have.
fn selection(analysis: &Analysis, index: usize) -> Selection {
    let workload = &analysis.inventory.workloads[index];
    let mut pods = workload.variants.iter().filter(|variant| variant.network == Network::Pod);
    let mut common: Labels = pods.next().map(|variant| variant.labels.clone()).unwrap_or_default();
    pods.for_each(|variant| common.retain(|key, value| variant.labels.get(key) == Some(value)));
    Selection {
        population: Population::Pods,
        namespaces: Namespaces::Named(workload.name.namespace.clone()),
        endpoints: by_labels(&common),
    }
}

/// The same, where it selects nobody else: what is made for one must not close in another.
fn subject(analysis: &Analysis, index: usize) -> Result<Selection, Without> {
    let selection = selection(analysis, index);
    if selection.endpoints.requirements.is_empty() {
        return Err(Without::NoLabels);
    }
    let others = others(analysis, index, &selection);
    if others.is_empty() { Ok(selection) } else { Err(Without::Others(others)) }
}

/// Workloads of the same namespace whose pods a selection selects too.
fn others(analysis: &Analysis, index: usize, selection: &Selection) -> Vec<usize> {
    let namespace = &analysis.inventory.workloads[index].name.namespace;
    let others = analysis.inventory.workloads.iter().enumerate().filter(|(other, workload)| {
        let pods = |v: &&Variant| v.network == Network::Pod && selection.endpoints.matches(&v.labels);
        *other != index && workload.name.namespace == *namespace && workload.variants.iter().any(|v| pods(&v))
    });
    others.map(|(other, _)| other).collect()
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
