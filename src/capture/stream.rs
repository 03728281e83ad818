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
    waiting_bytes: usize,
    /// The stream began with a SYN.
    opened: bool,
    pub(super) cut: bool,
    pub(super) holes: bool,
}

impl Stream {
    /// A SYN tells where the stream begins.
    pub(super) fn begin(&mut self, sequence: u32) {
        if self.bytes.is_empty() {
            self.next = Some(sequence.wrapping_add(1));
        }
        self.opened = true;
    }

    /// Whether no more bytes are wanted.
    pub(super) fn is_full(&self, limit: usize) -> bool {
        self.bytes.len() >= limit || self.cut || self.lengths.len() >= MOST_DATAGRAMS
    }

    /// Whether segments wait for earlier ones.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Bytes of memory that are held, in order or waiting.
    #[inline]
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity() + self.lengths.capacity() * 4 + self.waiting_bytes
    }

    /// A TCP segment with payload.
    pub(super) fn segment(&mut self, sequence: u32, payload: &[u8], missing: usize, limit: usize) {
        if self.next.is_none() && payload == [0] && !self.opened {
            // A keep-alive (RFC 9293, section 3.8.4) repeats the byte before the next one as a zero.
            return;
        }
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next) as i32;
        if ahead > 0 {
            return self.wait(sequence, payload, ahead as usize, limit);
        }
        let known = ahead.unsigned_abs() as usize;
        let Some(fresh) = payload.get(known..) else { return };
        self.append(fresh, limit);
        self.cut |= missing > 0;
        self.drain(limit);
    }

    /// A datagram.
    pub(super) fn datagram(&mut self, payload: &[u8], missing: usize, limit: usize) {
        let kept = payload.len().min(limit.saturating_sub(self.bytes.len()));
        self.push(&payload[..kept]);
        if self.lengths.is_empty() {
            self.lengths.reserve_exact(1);
        }
        self.lengths.push(kept as u32);
        // A cut datagram does not hide the next one.
        self.holes |= missing > 0;
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
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// Keeps bytes; the first ones get exactly the room that they need, for most flows have no more.
    fn push(&mut self, payload: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(payload.len());
        }
        self.bytes.extend_from_slice(payload);
    }

    fn append(&mut self, payload: &[u8], limit: usize) {
        let kept = payload.len().min(limit.saturating_sub(self.bytes.len()));
        self.push(&payload[..kept]);
        self.next = self.next.map(|next| next.wrapping_add(payload.len() as u32));
    }

    fn wait(&mut self, sequence: u32, payload: &[u8], ahead: usize, limit: usize) {
        let wanted = limit.saturating_sub(self.bytes.len() + ahead).min(payload.len());
        if self.waiting.len() >= MOST_WAITING || wanted == 0 {
            return;
        }
        self.waiting_bytes += wanted;
        self.waiting.push((sequence, payload[..wanted].to_vec()));
    }

    fn drain(&mut self, limit: usize) {
        while let Some(next) = self.next {
            let fits = |(sequence, _): &(u32, Vec<u8>)| sequence.wrapping_sub(next) as i32 <= 0;
            let Some(index) = self.waiting.iter().position(fits) else { break };
            let (sequence, payload) = self.waiting.swap_remove(index);
            self.waiting_bytes -= payload.len();
            let known = next.wrapping_sub(sequence) as usize;
            if let Some(fresh) = payload.get(known..) {
                self.append(fresh, limit);
            }
        }
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
        assert_eq!(stream.waiting_bytes, 0);
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut stream = Stream::default();
        stream.begin(u32::MAX - 2);
        stream.segment(u32::MAX - 1, b"abcd", 0, 64);
        stream.segment(2, b"ef", 0, 64);
        assert_eq!(stream.bytes, b"abcdef");
    }

    #[test]
    fn keep_alives_add_nothing() {
        let mut late = Stream::default();
        late.segment(99, &[0], 0, 64);
        late.segment(100, b"abc", 0, 64);
        late.segment(102, &[0], 0, 64);
        assert_eq!(late.bytes, b"abc");
    }

    #[test]
    fn what_lies_beyond_the_limit_does_not_wait() {
        let mut stream = Stream::default();
        stream.begin(0);
        stream.segment(100, &[1; 500], 0, 64);
        assert_eq!(stream.held(), 0);
        stream.segment(61, &[1; 500], 0, 64);
        assert_eq!(stream.waiting_bytes, 4);
    }
}
