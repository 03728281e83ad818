//! Endpoints of one namespace that look alike to rules, put together; each namespace by itself, so
//! that those in which nothing changed need not be looked at again.

use super::{Group, Groups, Looks, Member, Mentioned, Seen, Served, services_by_choice};
use crate::inventory::{Inventory, Service, Workload};
use crate::policy::{Dataplane, Services};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Look-alikes of one namespace; their members are numbered from its first workload on.
pub(super) type OfNamespace = Arc<Vec<(Arc<Looks>, Vec<Member>)>>;

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
    let mut nowhere: HashMap<Arc<Looks>, u32> = HashMap::new();
    let mut first = 0;
    for (run, alike) in runs.iter().zip(&found) {
        let namespace = numbers.get(run[0].name.namespace.as_str()).copied();
        for (looks, members) in alike.iter() {
            let members = members.iter().map(|m| Member { workload: m.workload + first, ..*m });
            let next = groups.list.len() as u32;
            let number = match namespace {
                Some(namespace) => {
                    groups.by_namespace[namespace as usize].push(next);
                    next
                }
                None => *nowhere.entry(looks.clone()).or_insert(next),
            };
            match groups.list.get_mut(number as usize) {
                Some(known) => known.members.extend(members),
                None => {
                    groups.list.push(Group { namespace, looks: looks.clone(), members: members.collect() });
                }
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
) -> Vec<(Arc<Looks>, Vec<Member>)> {
    let mut index: HashMap<Arc<Looks>, usize> = HashMap::new();
    let mut list: Vec<(Arc<Looks>, Vec<Member>)> = Vec::new();
    for (w, workload) in (0..).zip(workloads) {
        for (v, variant) in (0..).zip(&workload.variants) {
            let seen = Seen { inventory, mentioned, services, workload, variant };
            let sets = seen.sets(dataplane);
            let looks = Arc::new(Looks {
                labels: seen.labels(),
                named_ports: seen.named_ports(),
                network: variant.network,
                standing: seen.standing(dataplane),
                partly: mentioned.partly_holding(variant, &sets),
                sets,
                backs: served.by(workload, variant),
            });
            let number = *index.entry(looks).or_insert_with_key(|looks| {
                list.push((looks.clone(), Vec::with_capacity(1)));
                list.len() - 1
            });
            list[number].1.push(Member { workload: w, variant: v });
        }
    }
    list
}
