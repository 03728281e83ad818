//! What would be decided if one policy were not there.

use super::build::AllowedGraph;
use super::classes::{ClassId, PeerId};
use super::edge::Row;
use super::rows::Rows;
use crate::policy::{Action, Decision, Direction};
use std::collections::BTreeSet;

/// A row that more policies make is not taken apart: it would cost more than it tells.
const MANY: usize = 64;

impl AllowedGraph {
    /// The policies, by number, whose removal changes no decision, of those that allow something.
    /// Rows made of more than 64 policies are passed over, their policies are not listed.
    pub fn needless_policies(&self) -> Vec<u32> {
        let needed = self.sole_reasons();
        let allows = |policy: &u32| {
            let rules = self.policies[*policy as usize].rules.clone();
            !rules.is_empty()
                && rules.into_iter().all(|r| self.rules[r as usize].rule.action == Action::Allow)
        };
        let all = 0..self.policies.len() as u32;
        all.filter(|policy| !self.is_of_mesh(&self.policies[*policy as usize]))
            .filter(|policy| !needed.contains(policy) && allows(policy))
            .filter(|policy| self.is_needless(*policy))
            .collect()
    }

    /// Policies that alone allow something, which is most of them: nothing else need be asked.
    fn sole_reasons(&self) -> BTreeSet<u32> {
        let (mut needed, mut seen) = (BTreeSet::new(), BTreeSet::new());
        for direction in Direction::BOTH {
            for class in 0..self.classes().len() as ClassId {
                let row = self.row(class, direction);
                if !seen.insert(std::ptr::from_ref(row)) {
                    continue;
                }
                let decisions = row.named.iter().map(|(_, d)| d.as_ref()).chain([row.rest.as_ref()]);
                for decision in decisions {
                    let mut policies = decision.because.iter().map(|r| self.rules[*r as usize].policy);
                    let Some(first) = policies.next() else { continue };
                    if policies.all(|policy| policy == first) {
                        needed.insert(first);
                    }
                }
            }
        }
        needed
    }

    fn is_needless(&self, policy: u32) -> bool {
        let info = &self.policies[policy as usize];
        let mut seen = BTreeSet::new();
        let mut same = |class: &ClassId| {
            let row = self.row(*class, info.direction);
            // Classes that share a row share the answer.
            !seen.insert(std::ptr::from_ref(row))
                || (row.policies.len() > 1
                    && row.policies.len() <= MANY
                    && self.same_without(row, policy, *class))
        };
        !info.selected.is_empty() && info.selected.iter().all(&mut same)
    }

    fn same_without(&self, row: &Row, policy: u32, class: ClassId) -> bool {
        let direction = self.policies[policy as usize].direction;
        let policies: Vec<u32> = row.policies.iter().copied().filter(|other| *other != policy).collect();
        let rows = Rows::of(self);
        let peers =
            self.spoken_of(policy).filter(|_| rows.tiers_of(&policies) == rows.tiers_of(&row.policies));
        let without = rows.row_of(class, policies, direction, peers.as_deref());
        let same = |a: &Decision, b: &Decision| {
            (&a.allowed, &a.ungoverned, &a.narrowed) == (&b.allowed, &b.ungoverned, &b.narrowed)
        };
        let same_for = |peer: PeerId| same(row.decision(peer), without.decision(peer));
        let named = || row.named.iter().chain(&without.named).map(|(peer, _)| *peer);
        same(&row.rest, &without.rest)
            && match &peers {
                Some(peers) => peers.iter().copied().all(same_for),
                None => named().all(same_for),
            }
    }

    /// The peers that the rules of a policy name, sorted; `None` where one names everyone. As long as
    /// the subjects answer to the same tiers, its absence makes no difference for any other peer.
    fn spoken_of(&self, policy: u32) -> Option<Vec<PeerId>> {
        let rules = self.policies[policy as usize].rules.clone();
        let mut peers = Vec::new();
        for rule in rules {
            peers.extend_from_slice(self.rules[rule as usize].matches.as_deref()?);
        }
        peers.sort_unstable();
        peers.dedup();
        Some(peers)
    }
}

/// Each of some peers that is among the others, both sorted; the shorter list is walked.
pub(super) fn common(peers: &[PeerId], only: Option<&[PeerId]>, mut each: impl FnMut(PeerId)) {
    let (short, long) = match only {
        None => return peers.iter().copied().for_each(each),
        Some(only) if only.len() < peers.len() => (only, peers),
        Some(only) => (peers, only),
    };
    let both = short.iter().filter(|peer| long.binary_search(peer).is_ok());
    both.for_each(|peer| each(*peer));
}
