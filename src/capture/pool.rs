//! Memory that is lent and given back: chunks that never move, so that growing copies nothing and
//! what is freed goes back a chunk at a time; and things with buffers of their own, used again.

/// Entries of a chunk; a power of two.
const CHUNK: usize = 1 << 12;

/// A growing list of entries that stay where they are.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    length: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks { chunks: Vec::new(), length: 0 }
    }
}

impl<T> Chunks<T> {
    /// How many entries there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.length
    }

    #[inline]
    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.chunks.get(number / CHUNK)?.get(number % CHUNK)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.chunks.get_mut(number / CHUNK)?.get_mut(number % CHUNK)
    }

    /// Adds an entry and tells its number.
    pub(super) fn push(&mut self, entry: T) -> usize {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(entry),
            // The first chunk grows: most captures are small.
            None => self.chunks.push(vec![entry]),
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(entry);
                self.chunks.push(chunk);
            }
        }
        self.length += 1;
        self.length - 1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }

    /// How many chunks there are, for who takes them one after the other.
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Takes a chunk out and gives its memory back; the numbers of others do not change.
    pub(super) fn take(&mut self, chunk: usize) -> Vec<T> {
        self.chunks.get_mut(chunk).map(std::mem::take).unwrap_or_default()
    }
}

/// Things that are lent by number; zero is none.
#[derive(Debug)]
pub(super) struct Pool<T> {
    things: Chunks<T>,
    free: Vec<u32>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool { things: Chunks::default(), free: Vec::new() }
    }
}

impl<T: Default> Pool<T> {
    /// Lends one, as the last user left it.
    pub(super) fn lend(&mut self) -> u32 {
        match self.free.pop() {
            Some(number) => number,
            None => self.things.push(T::default()) as u32 + 1,
        }
    }

    /// Takes one back.
    pub(super) fn give_back(&mut self, number: u32) {
        self.free.push(number);
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.things.get((number as usize).checked_sub(1)?)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.things.get_mut((number as usize).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_numbers_and_things_are_used_again() {
        let mut chunks = Chunks::default();
        let numbers: Vec<usize> = (0..CHUNK * 2 + 5).map(|entry| chunks.push(entry)).collect();
        assert!(numbers.iter().all(|number| chunks.get(*number) == Some(number)));
        assert_eq!((chunks.len(), chunks.chunks(), chunks.iter().count()), (CHUNK * 2 + 5, 3, CHUNK * 2 + 5));
        assert_eq!(chunks.take(1).len(), CHUNK);
        assert_eq!((chunks.get(CHUNK), chunks.get(CHUNK * 2)), (None, Some(&(CHUNK * 2))));
        let mut pool: Pool<Vec<u8>> = Pool::default();
        let (one, other) = (pool.lend(), pool.lend());
        pool.get_mut(one).expect("lent").push(7);
        pool.give_back(one);
        assert_eq!((pool.lend(), pool.get(one), pool.get(0)), (one, Some(&vec![7]), None));
        assert_ne!(one, other);
    }
}
