//! Buffers for first bytes, in classes of sizes, used again: most flows keep a few hundred bytes
//! for a short time.

/// The smallest buffer.
const SMALLEST: usize = 64;
/// Steps between a size and its double.
const STEPS: usize = 4;
/// Classes of sizes, up to 64 KB; larger buffers are not used again.
const CLASSES: usize = 10 * STEPS + 1;
/// Classes that are looked at for a buffer: one that lies idle and is a quarter larger is better than
/// a fresh one, whose memory is in no cache.
const LOOKED_AT: usize = 2;
/// Bytes that may lie idle, unless somebody wants more.
pub(super) const MOST_IDLE: usize = 1 << 19;
/// Bytes of lists of lengths that may lie idle.
const MOST_IDLE_LENGTHS: usize = 1 << 16;
/// Datagrams kept of each direction of a flow.
pub(super) const MOST_DATAGRAMS: usize = 16;

/// Buffers that nobody uses.
#[derive(Debug)]
pub(super) struct Buffers {
    free: [Vec<Vec<u8>>; CLASSES],
    lengths: Vec<Vec<u32>>,
    idle: usize,
    most_idle: usize,
}

impl Default for Buffers {
    fn default() -> Self {
        Buffers::new(MOST_IDLE)
    }
}

impl Buffers {
    /// No buffers yet, of which so many bytes may lie idle.
    pub(super) fn new(most_idle: usize) -> Self {
        Buffers { free: std::array::from_fn(|_| Vec::new()), lengths: Vec::new(), idle: 0, most_idle }
    }

    /// An empty buffer of at least this size.
    fn take(&mut self, size: usize) -> Vec<u8> {
        let class = class(size);
        let fitting = class..(class + LOOKED_AT).min(CLASSES);
        let idle = self.free.get_mut(fitting).and_then(|some| some.iter_mut().find_map(Vec::pop));
        match idle {
            Some(buffer) => {
                self.idle -= buffer.capacity();
                buffer
            }
            None if class < CLASSES => Vec::with_capacity(capacity(class)),
            None => Vec::with_capacity(size),
        }
    }

    /// Makes room for as many bytes in all. What grows doubles, but not beyond a limit that it
    /// does not need to pass.
    #[inline]
    pub(super) fn grow(&mut self, buffer: &mut Vec<u8>, needed: usize, limit: usize) {
        if needed > buffer.capacity() {
            self.replace(buffer, needed.max((buffer.capacity() * 2).min(limit)));
        }
    }

    #[cold]
    fn replace(&mut self, buffer: &mut Vec<u8>, size: usize) {
        let mut larger = self.take(size);
        larger.extend_from_slice(buffer);
        self.give_back(std::mem::replace(buffer, larger));
    }

    /// Takes a buffer back.
    pub(super) fn give_back(&mut self, mut buffer: Vec<u8>) {
        let size = buffer.capacity();
        let class = class(size);
        if size == capacity(class)
            && self.idle + size <= self.most_idle
            && let Some(free) = self.free.get_mut(class)
        {
            buffer.clear();
            free.push(buffer);
            self.idle += size;
        }
    }

    /// An empty list for the lengths of datagrams.
    #[inline]
    pub(super) fn take_lengths(&mut self) -> Vec<u32> {
        self.lengths.pop().unwrap_or_else(|| Vec::with_capacity(MOST_DATAGRAMS))
    }

    /// Takes a list back.
    pub(super) fn give_back_lengths(&mut self, mut lengths: Vec<u32>) {
        let size = MOST_DATAGRAMS * size_of::<u32>();
        if lengths.capacity() == MOST_DATAGRAMS && self.lengths.len() < MOST_IDLE_LENGTHS / size {
            lengths.clear();
            self.lengths.push(lengths);
        }
    }
}

/// The first class whose buffers have at least this size.
fn class(size: usize) -> usize {
    let Some(last) = size.checked_sub(1).filter(|last| *last >= SMALLEST) else { return 0 };
    let top = last.ilog2();
    let step = (last >> (top - STEPS.ilog2())) % STEPS;
    (top - SMALLEST.ilog2()) as usize * STEPS + step + 1
}

/// The size of a class's buffers.
fn capacity(class: usize) -> usize {
    let Some(step) = class.checked_sub(1) else { return SMALLEST };
    (SMALLEST << (step / STEPS)) / STEPS * (STEPS + step % STEPS + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_each_other_without_a_gap() {
        let sizes: Vec<usize> = (0..CLASSES).map(capacity).collect();
        assert_eq!((&sizes[..6], sizes[CLASSES - 1]), (&[64, 80, 96, 112, 128, 160][..], 64 << 10));
        for size in 0..=(64 << 10) {
            let class = class(size);
            assert!(capacity(class) >= size && (class == 0 || capacity(class - 1) < size), "{size}");
        }
        assert_eq!(class((64 << 10) + 1), CLASSES);
    }

    #[test]
    fn what_grows_keeps_its_bytes_and_what_is_given_back_is_used_again() {
        let mut buffers = Buffers::default();
        let mut buffer = Vec::new();
        for byte in 0..200_u8 {
            buffers.grow(&mut buffer, usize::from(byte) + 1, 16_384);
            buffer.push(byte);
        }
        assert_eq!((buffer.len(), buffer.capacity()), (200, 256));
        assert!(buffer.iter().copied().eq(0..200));
        let place = buffer.as_ptr();
        buffers.give_back(buffer);
        // Those of 64 and 128 bytes lie there as well.
        assert_eq!(buffers.idle, 64 + 128 + 256);
        // One that is a quarter larger will do.
        let again = buffers.take(200);
        assert_eq!((again.as_ptr(), again.len(), buffers.idle), (place, 0, 64 + 128));
        assert_eq!((buffers.take(80).capacity(), buffers.idle), (80, 64 + 128));
    }

    #[test]
    fn no_more_lies_idle_than_is_allowed() {
        let mut buffers = Buffers::default();
        for _ in 0..100 {
            buffers.give_back(Vec::with_capacity(64 << 10));
            buffers.give_back_lengths(Vec::with_capacity(MOST_DATAGRAMS));
        }
        assert_eq!(buffers.idle, MOST_IDLE);
        buffers.give_back(Vec::with_capacity(1 << 20));
        assert_eq!(buffers.idle, MOST_IDLE);
    }
}
