//! The index of the flow table: hash → slot, in the order of hashes, with gaps and no tombstones.
//!
//! It can be asked ahead of time for where a flow probably is, so that the memory of many packets'
//! flows is fetched at once.

/// Homes of a new index.
const SMALLEST: usize = 1 << 10;
/// Places behind the last home, for entries that stand far from theirs; more are added where they do
/// not suffice.
const TAIL: usize = 64;
/// No entry; behind all others in their order.
const GAP: u64 = u64::MAX;
/// Entries from its home on among which a hash is looked for at once.
const NEAR: usize = 4;

/// Each entry holds a hash above a slot number. An entry has a home by its hash, and stands there or
/// as few places behind it as the order of all entries allows, so that who is not in the index is
/// missed as soon as those who are are found. Any number of homes will do, and memory grows by
/// halves: doubling it, where there are hundreds of thousands of flows, takes as much as all their
/// first bytes.
#[derive(Debug)]
pub(super) struct Index {
    /// As many as homes, and behind them those that had no place left; the last one is a gap.
    entries: Vec<u64>,
    homes: usize,
    used: usize,
}

impl Index {
    pub(super) fn new() -> Index {
        Index { entries: vec![GAP; SMALLEST + TAIL], homes: SMALLEST, used: 0 }
    }

    /// Flows in the index.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Reads from where searches will begin, so that the waits overlap.
    #[inline]
    pub(super) fn fetch(&self, hashes: impl Iterator<Item = u32>) {
        let first = |hash| self.entries.get(self.home(hash)).copied().unwrap_or(GAP);
        std::hint::black_box(hashes.fold(0, |sum, hash| sum ^ first(hash)));
    }

    /// The slot of the first flow whose hash fits; another one is seldom.
    #[inline]
    pub(super) fn guess(&self, hash: u32) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// The slot of the flow that `is_it` agrees to.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.position(hash, is_it).map(|at| slot(self.entries[at]))
    }

    /// Adds a flow that is not in the index.
    pub(super) fn insert(&mut self, hash: u32, slot: u32) {
        if (self.used + 1) * 4 > self.homes * 3 {
            self.grow();
        }
        self.used += 1;
        let mut at = self.first(hash);
        let mut entry = u64::from(hash) << 32 | u64::from(slot);
        // Those behind it move on by one, up to the next gap.
        while entry != GAP {
            std::mem::swap(&mut self.entries[at], &mut entry);
            at += 1;
        }
        self.end_with_gap();
    }

    /// Removes the flow in a slot; those behind it move up, as far as their homes allow.
    pub(super) fn remove(&mut self, hash: u32, number: u32) {
        let Some(mut hole) = self.position(hash, |slot| slot == number) else { return };
        while let Some(entry) = self.entries.get(hole + 1).copied()
            && entry != GAP
            && self.home(hash_of(entry)) <= hole
        {
            self.entries[hole] = entry;
            hole += 1;
        }
        self.entries[hole] = GAP;
        self.used -= 1;
    }

    pub(super) fn clear(&mut self) {
        *self = Index::new();
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.homes as u64) >> 32) as usize
    }

    /// Where the first entry of a hash stands, or would stand.
    #[inline]
    fn first(&self, hash: u32) -> usize {
        let (home, wanted) = (self.home(hash), u64::from(hash) << 32);
        // Entries stand in their order: those before it are counted, for nobody can tell beforehand
        // how many there are, and a wrong guess costs more than looking at all.
        let near = self.entries[home..].first_chunk::<NEAR>().copied().unwrap_or_default();
        let before: usize = near.iter().map(|entry| usize::from(*entry < wanted)).sum();
        if before < NEAR {
            return home + before;
        }
        let mut at = home + NEAR;
        while self.entries[at] < wanted {
            at += 1;
        }
        at
    }

    #[inline]
    fn position(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        let mut at = self.first(hash);
        loop {
            let entry = self.entries[at];
            if hash_of(entry) != hash || entry == GAP {
                return None;
            }
            if is_it(slot(entry)) {
                return Some(at);
            }
            at += 1;
        }
    }

    fn end_with_gap(&mut self) {
        if self.entries.last().is_some_and(|last| *last != GAP) {
            // Not by the double, for a few places are enough.
            self.entries.reserve_exact(TAIL);
            self.entries.resize(self.entries.len() + TAIL, GAP);
        }
    }

    fn grow(&mut self) {
        self.homes = self.homes / 2 * 3;
        let old = std::mem::replace(&mut self.entries, vec![GAP; self.homes + TAIL]);
        let mut next = 0;
        for entry in old.into_iter().filter(|entry| *entry != GAP) {
            let at = self.home(hash_of(entry)).max(next);
            match self.entries.get_mut(at) {
                Some(free) => *free = entry,
                None => self.entries.push(entry),
            }
            next = at + 1;
        }
        self.end_with_gap();
    }
}

#[inline]
fn hash_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

#[inline]
fn slot(entry: u64) -> u32 {
    entry as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_holds_what_a_map_holds_also_where_hashes_collide() {
        let mut index = Index::new();
        let mut model: BTreeMap<u32, u32> = BTreeMap::new();
        let mut random = 9_u64;
        for round in 0..60_000_u32 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Few hashes, half of them near the end of their order: many flows share a home.
            let hash = random as u32 & 0x0fff | if random >> 20 & 1 == 0 { 0xffff_f000 } else { 0 };
            if random >> 60 < 9 {
                index.insert(hash, round);
                model.insert(round, hash);
            } else if let Some((slot, hash)) = model.iter().nth(random as usize % model.len().max(1)) {
                let (slot, hash) = (*slot, *hash);
                index.remove(hash, slot);
                model.remove(&slot);
            }
            if model.len() > 3_000 {
                let all: Vec<(u32, u32)> = model.iter().map(|(slot, hash)| (*slot, *hash)).collect();
                all.iter().for_each(|(slot, hash)| index.remove(*hash, *slot));
                model.clear();
            }
        }
        assert_eq!(index.len(), model.len());
        assert!(model.iter().all(|(slot, hash)| index.find(*hash, |found| found == *slot) == Some(*slot)));
        assert_eq!(index.find(0x1000, |_| true), None);
    }
}
