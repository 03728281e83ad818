//! The index of the flow table: hash → slot, with open addressing and no tombstones.
//!
//! It can be asked ahead of time for where a flow probably is, so that the memory of many packets'
//! flows is fetched at once.

/// Entries of a new index.
const SMALLEST: usize = 1 << 10;

/// Each entry holds a hash above a slot number; zero is no entry. Homes lie in the order of hashes,
/// so that any number of entries will do, and memory grows by halves: doubling it, where there are
/// hundreds of thousands of flows, takes as much as all their first bytes.
#[derive(Debug)]
pub(super) struct Index {
    entries: Vec<u64>,
    used: usize,
}

impl Index {
    pub(super) fn new() -> Index {
        Index { entries: vec![0; SMALLEST], used: 0 }
    }

    /// Flows in the index.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Reads from where searches will begin, so that the waits overlap.
    #[inline]
    pub(super) fn fetch(&self, hashes: impl Iterator<Item = u32>) {
        let first = |hash| self.entries.get(self.home(hash)).copied().unwrap_or(0);
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
        if (self.used + 1) * 4 > self.entries.len() * 3 {
            self.grow();
        }
        self.used += 1;
        self.put(u64::from(hash) << 32 | (u64::from(slot) + 1));
    }

    /// Removes the flow in a slot; those behind it move up, so that no gap hides them.
    pub(super) fn remove(&mut self, hash: u32, number: u32) {
        let Some(mut hole) = self.position(hash, |slot| slot == number) else { return };
        let mut at = hole;
        loop {
            at = self.behind(at);
            let entry = self.entries[at];
            if entry == 0 {
                break;
            }
            // It may move if its home is not behind the hole.
            if self.steps(self.home((entry >> 32) as u32), at) >= self.steps(hole, at) {
                self.entries[hole] = entry;
                hole = at;
            }
        }
        self.entries[hole] = 0;
        self.used -= 1;
    }

    pub(super) fn clear(&mut self) {
        *self = Index::new();
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.entries.len() as u64) >> 32) as usize
    }

    /// The place that follows, in a ring.
    #[inline]
    fn behind(&self, at: usize) -> usize {
        if at + 1 == self.entries.len() { 0 } else { at + 1 }
    }

    /// Steps from one place to another.
    fn steps(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.entries.len() - from }
    }

    #[inline]
    fn position(&self, hash: u32, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        let mut at = self.home(hash);
        loop {
            let entry = self.entries[at];
            if entry == 0 {
                return None;
            }
            if (entry >> 32) as u32 == hash && is_it(slot(entry)) {
                return Some(at);
            }
            at = self.behind(at);
        }
    }

    fn put(&mut self, entry: u64) {
        let mut at = self.home((entry >> 32) as u32);
        while self.entries[at] != 0 {
            at = self.behind(at);
        }
        self.entries[at] = entry;
    }

    fn grow(&mut self) {
        let larger = vec![0; self.entries.len() / 2 * 3];
        let old = std::mem::replace(&mut self.entries, larger);
        old.into_iter().filter(|entry| *entry != 0).for_each(|entry| self.put(entry));
    }
}

#[inline]
fn slot(entry: u64) -> u32 {
    (entry as u32).wrapping_sub(1)
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
            // Few hashes, half of them near the end of the ring: many flows share a home.
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
