//! Changes that are alike, told once: pairs that differ in their ends alone become one change from
//! some to others, so that a policy for a thousand workloads is a line and not a million.

use super::cause::{Cause, Causes};
use super::joint::JointId;
use super::{ChangeKind, ChangedEnd, Compare, Crossing, PairChange, Presence};
use crate::model::{AddressSet, DomainPattern, ExpectedProtection, TrafficSet};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};

/// Everything about a change but its ends and who of them is new or gone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Outcome {
    pub kind: ChangeKind,
    pub presence: Presence,
    pub crossing: Crossing,
    pub protection: [ExpectedProtection; 2],
    /// Old, new, unsegmented.
    pub traffic: [TrafficSet; 3],
    pub causes: Vec<Cause>,
}

/// One end of many pairs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Ends {
    /// Joint classes, sorted.
    Workloads(Vec<JointId>),
    External(AddressSet),
    Domain(DomainPattern),
}

/// What tells changes apart that are not told together.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    outcome: u32,
    /// Where there are several of the other end.
    end: Ends,
}

/// Pairs of each of some with each of others; a workload that is among both has none with itself.
struct Rectangle {
    outcome: u32,
    from: Ends,
    to: Ends,
    /// Where others like it would be found.
    keys: Vec<Key>,
}

/// The changes so far.
pub(super) struct Merged<'a> {
    compare: &'a Compare<'a>,
    outcomes: BTreeMap<Outcome, u32>,
    rectangles: Vec<Rectangle>,
    /// Rectangles into workloads, by their sources.
    into: HashMap<Key, usize>,
    /// Rectangles that lead outside, by their targets.
    out: HashMap<Key, usize>,
}

impl<'a> Merged<'a> {
    pub fn new(compare: &'a Compare<'a>) -> Merged<'a> {
        let (into, out) = (HashMap::new(), HashMap::new());
        Merged { compare, outcomes: BTreeMap::new(), rectangles: Vec::new(), into, out }
    }

    /// Connections of some, workloads or addresses outside, into one joint class.
    pub fn towards(&mut self, to: JointId, outcome: Outcome, mut from: Vec<JointId>) {
        let outcome = self.number(outcome);
        let outside = from.split_off(from.partition_point(|id| self.compare.joint.class(*id).is_some()));
        if !outside.is_empty() {
            let end = Ends::External(self.compare.addresses(&outside));
            self.put(to, vec![Key { outcome, end }]);
        }
        if from.is_empty() {
            return;
        }
        // A target that has no connection with itself may stand among its sources: others may have it
        // as one of theirs.
        let with_itself = match from.binary_search(&to) {
            Err(place) if self.compare.is_alone(to) => {
                let mut all = from.clone();
                all.insert(place, to);
                Some(all)
            }
            _ => None,
        };
        let key = |sources| Key { outcome, end: Ends::Workloads(sources) };
        self.put(to, [from].into_iter().chain(with_itself).map(key).collect());
    }

    /// A target joins the rectangle that is known by one of the keys, or begins one.
    fn put(&mut self, to: JointId, keys: Vec<Key>) {
        let known = keys.iter().find_map(|key| Some((key, *self.into.get(key)?)));
        match known {
            Some((key, number)) => {
                let rectangle = &mut self.rectangles[number];
                if let Ends::Workloads(targets) = &mut rectangle.to {
                    targets.push(to);
                }
                // From now on these are the sources.
                for other in std::mem::take(&mut rectangle.keys) {
                    if other != *key {
                        self.into.remove(&other);
                    }
                }
                rectangle.from = key.end.clone();
            }
            None => {
                let Some(first) = keys.first() else { return };
                let (outcome, from) = (first.outcome, first.end.clone());
                let number = self.rectangles.len();
                self.into.extend(keys.iter().map(|key| (key.clone(), number)));
                self.rectangles.push(Rectangle { outcome, from, to: Ends::Workloads(vec![to]), keys });
            }
        }
    }

    /// Connections of a joint class to an end outside.
    pub fn outwards(&mut self, from: JointId, outcome: Outcome, to: Ends) {
        let outcome = self.number(outcome);
        let key = Key { outcome, end: to };
        match self.out.get(&key) {
            Some(number) => {
                if let Ends::Workloads(sources) = &mut self.rectangles[*number].from {
                    sources.push(from);
                }
            }
            None => {
                self.out.insert(key.clone(), self.rectangles.len());
                let from = Ends::Workloads(vec![from]);
                self.rectangles.push(Rectangle { outcome, from, to: key.end, keys: Vec::new() });
            }
        }
    }

    fn number(&mut self, outcome: Outcome) -> u32 {
        let fresh = self.outcomes.len() as u32;
        *self.outcomes.entry(outcome).or_insert(fresh)
    }

    /// All changes, in the order of their ends.
    pub fn changes(self) -> Vec<PairChange> {
        let mut outcomes: Vec<(u32, Outcome)> =
            self.outcomes.into_iter().map(|(outcome, number)| (number, outcome)).collect();
        outcomes.sort_unstable_by_key(|(number, _)| *number);
        let causes = self.compare.causes();
        let change = |rectangle: Rectangle| {
            let (_, outcome) = &outcomes[rectangle.outcome as usize];
            let Outcome { kind, presence, crossing, protection, traffic, causes: own } = outcome.clone();
            let [old, new, unsegmented] = traffic;
            let ends = [&rectangle.from, &rectangle.to];
            let came_or_went = ends.into_iter().flat_map(|end| presences(end, &causes));
            let all: BTreeSet<Cause> = came_or_went.chain(own).collect();
            let [from, to] = ends.map(|end| self.compare.named(end));
            PairChange {
                from,
                to,
                kind,
                presence,
                crossing,
                old,
                new,
                unsegmented,
                protection,
                causes: all.into_iter().collect(),
            }
        };
        let mut found: Vec<PairChange> = self.rectangles.into_iter().map(change).collect();
        found.sort_by(|a, b| (&a.from, &a.to, a.kind).cmp(&(&b.from, &b.to, b.kind)));
        found
    }
}

/// Who of an end is new or gone.
fn presences(end: &Ends, causes: &Causes<'_>) -> Vec<Cause> {
    match end {
        Ends::Workloads(ids) => ids.iter().filter_map(|id| causes.presence(*id)).collect(),
        Ends::External(_) | Ends::Domain(_) => Vec::new(),
    }
}

impl Compare<'_> {
    /// The names of an end.
    fn named(&self, end: &Ends) -> ChangedEnd {
        match end {
            Ends::Workloads(ids) => {
                let mut names: Vec<_> = ids.iter().flat_map(|id| self.names(*id)).collect();
                names.sort();
                ChangedEnd::Workloads(names)
            }
            Ends::External(set) => ChangedEnd::External(set.clone()),
            Ends::Domain(name) => ChangedEnd::Domain(name.clone()),
        }
    }
}
