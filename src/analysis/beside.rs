//! What a change does on networks beside that of the cluster: told as a whole, network by network.

use super::{Analysis, SecondaryNetwork};
use crate::graph::{self, End};
use crate::model::{Bend, Gap, Origin, TrafficSet};
use std::collections::{BTreeMap, BTreeSet};

/// What changed on one network.
#[derive(Clone, Debug)]
pub struct ChangedBeside {
    /// In words.
    pub gap: Gap,
    /// Whether something may travel there that did not.
    pub opens: bool,
}

/// Networks on which the two versions differ.
pub fn compared_beside(old: &Analysis, new: &Analysis) -> Vec<ChangedBeside> {
    let named = |analysis: &Analysis| -> BTreeSet<String> {
        analysis.networks.iter().map(|network| network.name.clone()).collect()
    };
    let names = &named(old) | &named(new);
    names.iter().filter_map(|name| changed(name, of(old, name), of(new, name))).collect()
}

fn of<'a>(analysis: &'a Analysis, name: &str) -> Option<&'a SecondaryNetwork> {
    analysis.networks.iter().find(|network| network.name == name)
}

type Allowed = BTreeMap<(String, String), TrafficSet>;

fn changed(
    name: &str,
    old: Option<&SecondaryNetwork>,
    new: Option<&SecondaryNetwork>,
) -> Option<ChangedBeside> {
    let (before, after) = (allowed(old), allowed(new));
    let (opened, closed) = (more(&after, &before), more(&before, &after));
    let (first, ends) = match (opened.first(), closed.first()) {
        (Some(ends), _) => ("opens", ends),
        (None, Some(ends)) => ("closes", ends),
        (None, None) => return None,
    };
    let what = format!(
        "the network {name}, beside that of the cluster: {} connections let more through than before, {} less; it \
         {first} for example {} -> {}, and `graph` lists them",
        opened.len(),
        closed.len(),
        ends.0,
        ends.1
    );
    let origin = place(new).or(place(old))?;
    Some(ChangedBeside { gap: Gap { what, origin, bends: Bend::MayAllowMore }, opens: !opened.is_empty() })
}

/// Pairs between which more may travel here than there.
fn more<'a>(here: &'a Allowed, there: &Allowed) -> Vec<&'a (String, String)> {
    let none = TrafficSet::none();
    let beyond = |(ends, traffic): &(&(String, String), &TrafficSet)| {
        !traffic.difference(there.get(*ends).unwrap_or(&none)).is_empty()
    };
    here.iter().filter(beyond).map(|(ends, _)| ends).collect()
}

fn allowed(network: Option<&SecondaryNetwork>) -> Allowed {
    let Some(SecondaryNetwork { name: _, analysis }) = network else { return Allowed::new() };
    let name = |end: &End| match end {
        End::Workload(index) => analysis.inventory.workloads[*index].name.to_string(),
        End::External(addresses) => addresses.to_string(),
        End::Domain(domain) => domain.to_string(),
    };
    let all = graph::connections(&analysis.graph, &analysis.inventory);
    // Outside addresses are cut by the rules of each version, and so cannot be compared by name.
    let inside = all.filter(|c| matches!((&c.from, &c.to), (End::Workload(_), End::Workload(_))));
    inside.map(|c| ((name(&c.from), name(&c.to)), c.traffic)).collect()
}

fn place(network: Option<&SecondaryNetwork>) -> Option<Origin> {
    network?.analysis.inventory.workloads.first().map(|workload| workload.origin.clone())
}
