//! Endpoints of one namespace that look alike to rules, put together; each namespace by itself, so
//! that those in which nothing changed need not be looked at again.

use super::{GroupKey, Groups, Member, Mentioned, Seen, Served, services_by_choice};
use crate::inventory::{Inventory, Service, Workload};
use crate::policy::{Dataplane, Services};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Look-alikes of one namespace; their members are numbered from its first workload on, and their
/// keys have no namespace yet.
pub(super) type OfNamespace = Arc<Vec<(GroupKey, Vec<Member>)>>;

/// Puts the variants of each namespace together that look alike to rules. Namespaces that are `kept`
/// are not looked at again.
pub(super) fn group(
    inventory: &Inventory,
    mentioned: &Mentioned,
    served: &Served<'_>,
    dataplane: &Dataplane,
    kept: &mut BTreeMap<String, OfNamespace>,
) -> Groups {
    let numbers: BTreeMap<&str, u32> = inventory.namespaces.keys().map(String::as_str).zip(0..).collect();
    let services = services_by_choice(mentioned, inventory);
    let runs: Vec<&[Workload]> =
        inventory.workloads.chunk_by(|a, b| a.name.namespace == b.name.namespace).collect();
    let known = &*kept;
    let of_run = |run: &&[Workload]| match known.get(&run[0].name.namespace) {
        Some(known) => known.clone(),
        None => Arc::new(look_alikes(inventory, mentioned, served, &services, dataplane, run)),
    };
    let found: Vec<OfNamespace> = runs.par_iter().map(of_run).collect();
    let mut groups =
        Groups { list: Vec::new(), by_namespace: vec![Vec::new(); numbers.len()], unaddressed: 0 };
    // Endpoints without a namespace may have several names for it.
    let mut nowhere: HashMap<GroupKey, u32> = HashMap::new();
    let mut first = 0;
    for (run, alike) in runs.iter().zip(&found) {
        let namespace = numbers.get(run[0].name.namespace.as_str()).copied();
        for (key, members) in alike.iter() {
            let key = GroupKey { namespace, ..key.clone() };
            let members = members.iter().map(|m| Member { workload: m.workload + first, ..*m });
            let next = groups.list.len() as u32;
            let number = match namespace {
                Some(namespace) => {
                    groups.by_namespace[namespace as usize].push(next);
                    next
                }
                None => *nowhere.entry(key.clone()).or_insert(next),
            };
            match groups.list.get_mut(number as usize) {
                Some((_, known)) => known.extend(members),
                None => groups.list.push((key, members.collect())),
            }
        }
        first += run.len() as u32;
    }
    let variants = inventory.workloads.iter().flat_map(|workload| &workload.variants);
    groups.unaddressed = variants.filter(|variant| variant.addresses.is_empty()).count();
    *kept = runs.iter().map(|run| run[0].name.namespace.clone()).zip(found).collect();
    groups
}

/// The look-alikes among the workloads of one namespace, in their order.
fn look_alikes(
    inventory: &Inventory,
    mentioned: &Mentioned,
    served: &Served<'_>,
    services: &BTreeMap<&Services, Vec<&Service>>,
    dataplane: &Dataplane,
    workloads: &[Workload],
) -> Vec<(GroupKey, Vec<Member>)> {
    let mut index: HashMap<GroupKey, usize> = HashMap::new();
    let mut list: Vec<(GroupKey, Vec<Member>)> = Vec::new();
    for (w, workload) in (0..).zip(workloads) {
        for (v, variant) in (0..).zip(&workload.variants) {
            let seen = Seen { inventory, mentioned, services, workload, variant };
            let key = GroupKey {
                namespace: None,
                labels: seen.labels(),
                named_ports: seen.named_ports(),
                network: variant.network,
                sets: seen.sets(dataplane),
                backs: served.by(workload, variant),
            };
            let number = *index.entry(key).or_insert_with_key(|key| {
                list.push((key.clone(), Vec::new()));
                list.len() - 1
            });
            list[number].1.push(Member { workload: w, variant: v });
        }
    }
    list
}
