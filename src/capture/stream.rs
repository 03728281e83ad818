//! The first payload bytes of one direction, put in order.

/// Datagrams kept of each direction.
const MOST_DATAGRAMS: usize = 16;
/// Segments that may wait for an earlier one.
const MOST_WAITING: usize = 16;

/// One direction of a flow.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) bytes: Vec<u8>,
    pub(super) lengths: Vec<u32>,
    /// The next sequence number that continues `bytes`.
    next: Option<u32>,
    waiting: Vec<(u32, Vec<u8>)>,
    pub(super) cut: bool,
    pub(super) holes: bool,
}

impl Stream {
    /// A SYN tells where the stream begins.
    pub(super) fn begin(&mut self, sequence: u32) {
        if self.bytes.is_empty() {
            self.next = Some(sequence.wrapping_add(1));
        }
    }

    /// Whether no more bytes are wanted.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        self.bytes.len() >= limit || self.cut || self.lengths.len() >= MOST_DATAGRAMS
    }

    /// A TCP segment with payload; returns how many bytes were kept.
    pub(super) fn segment(&mut self, sequence: u32, payload: &[u8], missing: usize, limit: usize) -> usize {
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next) as i32;
        if ahead > 0 {
            return self.wait(sequence, payload);
        }
        let known = ahead.unsigned_abs() as usize;
        let Some(fresh) = payload.get(known..) else { return 0 };
        let kept = self.append(fresh, limit);
        self.cut |= missing > 0;
        kept + self.drain(limit)
    }

    /// A datagram; returns how many bytes were kept.
    pub(super) fn datagram(&mut self, payload: &[u8], missing: usize, limit: usize) -> usize {
        let kept = payload.len().min(limit.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(&payload[..kept]);
        self.lengths.push(kept as u32);
        // A cut datagram does not hide the next one.
        self.holes |= missing > 0;
        kept
    }

    /// What is still waiting goes in behind its hole, so that a late start can be recognised.
    pub(super) fn close(&mut self, limit: usize) {
        if self.waiting.is_empty() {
            return;
        }
        self.holes = true;
        if self.bytes.is_empty() {
            self.waiting.sort_by_key(|(sequence, _)| *sequence);
            self.next = self.waiting.first().map(|(sequence, _)| *sequence);
            self.drain(limit);
        }
        self.waiting = Vec::new();
    }

    fn append(&mut self, payload: &[u8], limit: usize) -> usize {
        let kept = payload.len().min(limit.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(&payload[..kept]);
        self.next = self.next.map(|next| next.wrapping_add(payload.len() as u32));
        kept
    }

    fn wait(&mut self, sequence: u32, payload: &[u8]) -> usize {
        if self.waiting.len() >= MOST_WAITING {
            return 0;
        }
        self.waiting.push((sequence, payload.to_vec()));
        payload.len()
    }

    fn drain(&mut self, limit: usize) -> usize {
        let mut kept = 0;
        while let Some(next) = self.next {
            let fits = |(sequence, _): &(u32, Vec<u8>)| sequence.wrapping_sub(next) as i32 <= 0;
            let Some(index) = self.waiting.iter().position(fits) else { break };
            let (sequence, payload) = self.waiting.swap_remove(index);
            let known = next.wrapping_sub(sequence) as usize;
            kept += payload.get(known..).map_or(0, |fresh| self.append(fresh, limit));
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_out_of_order_and_repeated_are_put_right() {
        let mut stream = Stream::default();
        stream.begin(99);
        stream.segment(104, b"efgh", 0, 64);
        stream.segment(100, b"abcd", 0, 64);
        stream.segment(102, b"cdef", 0, 64);
        assert_eq!(stream.bytes, b"abcdefgh");
        stream.close(64);
        assert!(!stream.holes);
    }

    #[test]
    fn a_hole_is_said() {
        let mut stream = Stream::default();
        stream.begin(0);
        stream.segment(11, b"later", 0, 64);
        stream.close(64);
        assert!(stream.holes);
        assert_eq!(stream.bytes, b"later");
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut stream = Stream::default();
        stream.begin(u32::MAX - 2);
        stream.segment(u32::MAX - 1, b"abcd", 0, 64);
        stream.segment(2, b"ef", 0, 64);
        assert_eq!(stream.bytes, b"abcdef");
    }
}
