//! What a change of configuration does to the ways in from outside.
//!
//! Policies may say the same of both versions, and still an Ingress or a load balancer be new: whoever
//! the policies let in from anywhere is only now led in by somebody.

use super::{Access, EntryKind, Exposure, Exposures, Tls};
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
        let (was, is) = (Reach::of(&old), Reach::of(&new));
        let how = compare(&was, &is)?;
        let (entry, kind, workload) = key;
        Some(WayChange { entry, kind, workload, how, sure: is.sure, old, new })
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

/// What gets in by one way; nothing where no port is open.
struct Reach<'a> {
    ports: TrafficSet,
    sources: AddressSet,
    /// Any where `None`.
    hosts: Option<BTreeSet<&'a str>>,
    /// Any where `None`.
    paths: Option<BTreeSet<&'a str>>,
    sure: bool,
    /// How weak the TLS of the weakest is.
    weakness: u8,
}

impl<'a> Reach<'a> {
    fn of(exposures: &[&'a Exposure]) -> Reach<'a> {
        let named = |of: fn(&'a Exposure) -> &'a BTreeSet<String>| -> Option<BTreeSet<&'a str>> {
            let any = exposures.iter().any(|exposure| of(exposure).is_empty());
            let all = exposures.iter().flat_map(|exposure| of(exposure)).map(String::as_str);
            (!any).then(|| all.collect())
        };
        Reach {
            ports: exposures.iter().fold(TrafficSet::none(), |all, one| all.union(&one.ports)),
            sources: exposures.iter().fold(AddressSet::none(), |all, one| all.union(&one.sources)),
            hosts: named(|exposure| &exposure.hosts),
            paths: named(|exposure| &exposure.paths),
            sure: exposures.iter().any(|exposure| matches!(exposure.access, Access::Open(_))),
            weakness: exposures.iter().map(|exposure| weakness(exposure.tls)).max().unwrap_or(0),
        }
    }

    /// Whether something gets in here that did not get in there.
    fn exceeds(&self, other: &Reach<'_>) -> bool {
        let more = |own: &Option<BTreeSet<&str>>, other: &Option<BTreeSet<&str>>| match (own, other) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(own), Some(other)) => !own.is_subset(other),
        };
        !self.ports.difference(&other.ports).is_empty()
            || !self.sources.difference(&other.sources).is_empty()
            || more(&self.hosts, &other.hosts)
            || more(&self.paths, &other.paths)
            || (self.sure && !other.sure)
    }
}

fn compare(was: &Reach<'_>, is: &Reach<'_>) -> Option<HowChanged> {
    let how = match (was.ports.is_empty(), is.ports.is_empty()) {
        (true, true) => return None,
        (true, false) => HowChanged::Opens,
        (false, true) => HowChanged::Closes,
        (false, false) if is.exceeds(was) => HowChanged::Widens,
        (false, false) if is.weakness > was.weakness => HowChanged::LosesTls,
        (false, false) if was.exceeds(is) => HowChanged::Narrows,
        (false, false) if is.weakness < was.weakness => HowChanged::GainsTls,
        (false, false) => return None,
    };
    Some(how)
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
