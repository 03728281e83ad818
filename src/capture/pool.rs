//! Memory that is lent and given back: chunks that never move, so that growing copies nothing and
//! what is freed goes back a chunk at a time; and things with buffers of their own, used again.

/// Entries of a chunk; a power of two.
const CHUNK: usize = 1 << 12;

/// A growing list of entries that stay where they are; those of the last chunk that are not added
/// yet are there as well, as nothing made them.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    chunks: Vec<Box<[T; CHUNK]>>,
    length: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks { chunks: Vec::new(), length: 0 }
    }
}

impl<T: Default> Chunks<T> {
    /// How many entries there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.length
    }

    #[inline]
    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.chunks.get(number / CHUNK).map(|chunk| &chunk[number % CHUNK])
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.chunks.get_mut(number / CHUNK).map(|chunk| &mut chunk[number % CHUNK])
    }

    /// Adds an entry and tells its number.
    pub(super) fn push(&mut self, entry: T) -> usize {
        let number = self.length;
        if number / CHUNK == self.chunks.len() {
            let fresh: Vec<T> = std::iter::repeat_with(T::default).take(CHUNK).collect();
            let Ok(fresh) = fresh.into_boxed_slice().try_into() else { unreachable!("a chunk is full") };
            self.chunks.push(fresh);
        }
        self.chunks[number / CHUNK][number % CHUNK] = entry;
        self.length += 1;
        number
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).take(self.length)
    }

    /// Takes all chunks, for who gives their memory back one after the other.
    pub(super) fn take(&mut self) -> Vec<Box<[T; CHUNK]>> {
        std::mem::take(self).chunks
    }
}

/// Things that are lent by number; zero is none.
#[derive(Debug)]
pub(super) struct Pool<T> {
    things: Chunks<T>,
    free: Vec<u32>,
}

impl<T: Default> Default for Pool<T> {
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
        assert_eq!((chunks.len(), chunks.iter().count()), (CHUNK * 2 + 5, CHUNK * 2 + 5));
        assert_eq!((chunks.get(CHUNK * 2 + 5), chunks.get(CHUNK * 3)), (Some(&0), None));
        let taken: Vec<usize> = chunks.take().into_iter().flat_map(|chunk| *chunk).collect();
        assert_eq!((&taken[..CHUNK * 2 + 5], chunks.len()), (&numbers[..], 0));
        let mut pool: Pool<Vec<u8>> = Pool::default();
        let (one, other) = (pool.lend(), pool.lend());
        pool.get_mut(one).expect("lent").push(7);
        pool.give_back(one);
        assert_eq!((pool.lend(), pool.get(one), pool.get(0)), (one, Some(&vec![7]), None));
        assert_ne!(one, other);
    }
}
