//! What a change of configuration does to the ways in from outside.
//!
//! Policies may say the same of both versions, and still an Ingress or a load balancer be new: whoever
//! the policies let in from anywhere is only now led in by somebody.

use super::{Access, EntryKind, Exposure, Exposures, Tls};
use crate::entry::host_covers;
use crate::inventory::Inventory;
use crate::model::{AddressSet, EndpointName, TrafficSet};
use std::collections::{BTreeMap, BTreeSet};

/// A way to a workload that is not what it was.
#[derive(Clone, Debug)]
pub struct WayChange<'a> {
    /// The object that leads in.
    pub entry: &'a EndpointName,
    /// Which kind of way it is.
    pub kind: EntryKind,
    /// The workload that it leads to.
    pub workload: &'a EndpointName,
    /// In what way it changed.
    pub how: HowChanged,
    /// Whether it is certain that it is open now.
    pub sure: bool,
    /// Exposures of the old version that are not closed.
    pub old: Vec<&'a Exposure>,
    /// Exposures of the new version that are not closed.
    pub new: Vec<&'a Exposure>,
}

/// In what way a way in changed, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HowChanged {
    /// Nothing led in, or policies kept it closed.
    Opens,
    /// More ports, hosts, paths or clients than before, or surely where it was not known.
    Widens,
    /// TLS ends nowhere that is known, or only for those who want it.
    LosesTls,
    /// It leads in no longer, or policies keep it closed.
    Closes,
    /// Fewer ports, hosts, paths or clients.
    Narrows,
    /// TLS where there was none.
    GainsTls,
}

/// One version: who exists, and what leads to whom.
pub type Side<'a> = (&'a Inventory, &'a Exposures);

/// Ways in that changed, by the names of their ends.
pub fn changes<'a>(old: Side<'a>, new: Side<'a>) -> Vec<WayChange<'a>> {
    let (mut before, mut after) = (ways(old), ways(new));
    let keys: BTreeSet<Key<'_>> = before.keys().chain(after.keys()).copied().collect();
    let one = |key: Key<'a>| {
        let (old, new) = (before.remove(&key).unwrap_or_default(), after.remove(&key).unwrap_or_default());
        let how = compare(&old, &new)?;
        let sure = new.iter().any(|exposure| is_sure(exposure));
        let (entry, kind, workload) = key;
        Some(WayChange { entry, kind, workload, how, sure, old, new })
    };
    keys.into_iter().filter_map(one).collect()
}

type Key<'a> = (&'a EndpointName, EntryKind, &'a EndpointName);

fn ways((inventory, exposures): Side<'_>) -> BTreeMap<Key<'_>, Vec<&Exposure>> {
    let mut found: BTreeMap<Key<'_>, Vec<&Exposure>> = BTreeMap::new();
    for exposure in exposures.all.iter().filter(|exposure| !matches!(exposure.access, Access::Closed(_))) {
        let key = (&exposure.entry, exposure.kind, &inventory.workloads[exposure.workload].name);
        found.entry(key).or_default().push(exposure);
    }
    found
}

fn compare(old: &[&Exposure], new: &[&Exposure]) -> Option<HowChanged> {
    let leads = |all: &[&Exposure]| all.iter().any(|exposure| !exposure.ports.is_empty());
    let anyhow = |_: &Exposure, _: &Exposure| true;
    let as_weak = |own: &Exposure, other: &Exposure| weakness(other.tls) >= weakness(own.tls);
    let how = match (leads(old), leads(new)) {
        (false, false) => return None,
        (false, true) => HowChanged::Opens,
        (true, false) => HowChanged::Closes,
        (true, true) if exceeds(new, old, anyhow) => HowChanged::Widens,
        (true, true) if exceeds(new, old, as_weak) => HowChanged::LosesTls,
        (true, true) if exceeds(old, new, anyhow) => HowChanged::Narrows,
        (true, true) if exceeds(old, new, as_weak) => HowChanged::GainsTls,
        (true, true) => return None,
    };
    Some(how)
}

/// Whether something gets in here that does not get in there: for each host and path by itself, so
/// that one host cannot stand for another. `counts` says which of the others are looked at.
fn exceeds(here: &[&Exposure], there: &[&Exposure], counts: impl Fn(&Exposure, &Exposure) -> bool) -> bool {
    let goes_beyond = |own: &Exposure, host: Option<&str>, path: Option<&str>| {
        let known = || {
            let fitting = there.iter().filter(|other| counts(own, other));
            fitting.filter(|other| names(&other.hosts, host, host_fits) && names(&other.paths, path, str::eq))
        };
        let ports = known().fold(TrafficSet::none(), |all, other| all.union(&other.ports));
        let sources = known().fold(AddressSet::none(), |all, other| all.union(&other.sources));
        let asked = known().fold(AddressSet::none(), |all, other| all.union(&other.asked));
        !own.ports.difference(&ports).is_empty()
            || !own.sources.difference(&sources).is_empty()
            || !own.asked.difference(&asked).is_empty()
            || (is_sure(own) && !known().any(|other| is_sure(other)))
    };
    here.iter().filter(|own| !own.ports.is_empty()).any(|own| {
        let paths = each(&own.paths);
        each(&own.hosts).into_iter().any(|host| paths.iter().any(|path| goes_beyond(own, host, *path)))
    })
}

/// Every name by itself; one `None`, for any, where there are none.
fn each(names: &BTreeSet<String>) -> Vec<Option<&str>> {
    match names.is_empty() {
        true => vec![None],
        false => names.iter().map(|name| Some(name.as_str())).collect(),
    }
}

/// Whether some names, any where there are none, hold one; `None` stands for any.
fn names(all: &BTreeSet<String>, one: Option<&str>, fits: impl Fn(&str, &str) -> bool) -> bool {
    all.is_empty() || one.is_some_and(|one| all.iter().any(|name| fits(name, one)))
}

fn host_fits(held: &str, host: &str) -> bool {
    held == host || host_covers(held, host)
}

fn is_sure(exposure: &Exposure) -> bool {
    matches!(exposure.access, Access::Open(_))
}

/// How much less than the best.
fn weakness(tls: Tls) -> u8 {
    match tls {
        Tls::Reencrypt | Tls::Passthrough => 0,
        Tls::Edge => 1,
        Tls::Unknown => 2,
        Tls::Optional => 3,
        Tls::None => 4,
    }
}
