//! Which groups of endpoints the selections of rules match: looked up by the rarest label that a
//! selection asks for, so that not every selection tries every group.

use super::{Groups, Mentioned};
use crate::inventory::{Inventory, Network};
use crate::model::Selector;
use crate::policy::{Namespaces, Population, Selection};
use hashbrown::HashMap;
use rayon::prelude::*;

/// For each selection, the groups that it matches.
pub(super) fn match_selections(
    inventory: &Inventory,
    mentioned: &Mentioned,
    groups: &Groups,
) -> Vec<Vec<u32>> {
    let names: Vec<&String> = inventory.namespaces.keys().collect();
    let mut by_label: HashMap<(&str, &str), Vec<u32>> = HashMap::new();
    for (number, group) in groups.list.iter().enumerate() {
        for (name, value) in &group.looks.labels {
            by_label.entry((name, value)).or_default().push(number as u32);
        }
    }
    let mut namespaces_of: HashMap<&Selector, Vec<bool>> = HashMap::new();
    for selection in &mentioned.selections {
        if let Namespaces::Matching(selector) = &selection.namespaces {
            let chosen = || inventory.namespaces.values().map(|n| selector.matches(&n.labels)).collect();
            namespaces_of.entry(selector).or_insert_with(chosen);
        }
    }
    let fits = |selection: &Selection, group: &u32| {
        let looks = &groups.list[*group as usize].looks;
        holds(selection.population, looks.network) && selection.endpoints.matches(&looks.labels)
    };
    let matched = |selection: &Selection| {
        let narrow = narrowest(&selection.endpoints, &by_label);
        let candidates: Vec<u32> = match &selection.namespaces {
            Namespaces::Named(name) => match names.binary_search(&name) {
                Ok(number) => {
                    let (own, place) = (&groups.by_namespace[number], Some(number as u32));
                    match narrow.filter(|narrow| narrow.len() < own.len()) {
                        Some(narrow) => {
                            let here = |group: &u32| groups.list[*group as usize].namespace == place;
                            narrow.iter().copied().filter(here).collect()
                        }
                        None => own.clone(),
                    }
                }
                Err(_) => Vec::new(),
            },
            Namespaces::Matching(selector) => {
                let chosen = &namespaces_of[selector];
                let in_namespace = |group: &u32| match groups.list[*group as usize].namespace {
                    Some(namespace) => chosen[namespace as usize],
                    None => selector.is_everything(),
                };
                match narrow {
                    Some(groups) => groups.iter().copied().filter(in_namespace).collect(),
                    None => (0..groups.list.len() as u32).filter(in_namespace).collect(),
                }
            }
        };
        candidates.into_iter().filter(|group| fits(selection, group)).collect()
    };
    mentioned.selections.par_iter().map(matched).collect()
}

fn holds(population: Population, network: Network) -> bool {
    match population {
        Population::Pods => network == Network::Pod,
        Population::HostNetwork => network == Network::Host,
        Population::HostEndpoints => network == Network::HostEndpoint,
        Population::Meshable => matches!(network, Network::Pod | Network::Machine),
        Population::Standalone => network == Network::Standalone,
    }
}

/// The shortest list of groups that an `In` requirement with one value leaves.
fn narrowest<'a>(selector: &'a Selector, by_label: &'a HashMap<(&str, &str), Vec<u32>>) -> Option<&'a [u32]> {
    use crate::model::Requirement::In;
    let lists = selector.requirements.iter().filter_map(|requirement| match requirement {
        In(key, values) if values.len() == 1 => {
            Some(by_label.get(&(key.as_str(), values[0].as_str())).map_or(&[][..], Vec::as_slice))
        }
        _ => None,
    });
    lists.min_by_key(|list| list.len())
}
