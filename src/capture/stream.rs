//! The first payload bytes of one direction, put in order.

use super::buffers::{Buffers, MOST_DATAGRAMS};
use super::sifted::Sifted;
use super::{Audience, Besides};

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
    waiting_bytes: u32,
    /// What was said and not kept, where only some of it is.
    pub(super) sifted: Sifted,
    /// What `bytes` count for: a buffer that fits at first and then doubles, whatever is lent.
    charged: u32,
    /// The stream began with a SYN.
    opened: bool,
    pub(super) cut: bool,
    pub(super) holes: bool,
    pub(super) besides: Besides,
}

/// What streams may take.
pub(super) struct Room<'a> {
    /// Bytes kept of each stream.
    pub(super) limit: usize,
    pub(super) buffers: &'a mut Buffers,
    /// Who tells what of a stream is kept that is sifted.
    pub(super) audience: &'a dyn Audience,
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
        self.said() >= limit || self.cut || self.lengths.len() >= MOST_DATAGRAMS
    }

    /// Bytes of which those that are kept are the first or all that was sought.
    #[inline]
    pub(super) fn said(&self) -> usize {
        self.bytes.len() + self.sifted.passed()
    }

    /// Whether segments wait for earlier ones.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Bytes of memory that this counts for, in order or waiting. They depend on the stream alone.
    #[inline]
    pub(super) fn held(&self) -> usize {
        let lengths = match self.lengths.len() {
            0 => 0,
            1 => 1,
            several => several.next_power_of_two().max(4),
        };
        self.charged as usize + lengths * size_of::<u32>() + self.waiting_bytes as usize
    }

    /// Reads from all of its memory that the next packet needs.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        let last = self.bytes.last().map_or(0, |last| u64::from(*last));
        last ^ self.lengths.len() as u64 ^ u64::from(self.charged)
    }

    /// A TCP segment with payload.
    pub(super) fn segment(&mut self, sequence: u32, payload: &[u8], missing: usize, room: &mut Room<'_>) {
        if self.next.is_none() && payload == [0] && !self.opened {
            // A keep-alive (RFC 9293, section 3.8.4) repeats the byte before the next one as a zero.
            return;
        }
        if self.opened
            && self.bytes.is_empty()
            && payload.len() > 1
            && self.next == Some(sequence.wrapping_add(1))
        {
            // Scripts that write captures forget that a SYN has a number of its own (RFC 9293, section 3.4);
            // a keep-alive has a single byte.
            self.next = Some(sequence);
        }
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next) as i32;
        if ahead > 0 {
            // Where its rest would have been, there is a hole, whatever comes later.
            self.holes |= missing > 0;
            return self.wait(sequence, payload, ahead as usize, room.limit);
        }
        let known = ahead.unsigned_abs() as usize;
        self.hear_again(known, payload, room.limit);
        let Some(fresh) = payload.get(known..) else { return };
        self.append(fresh, room);
        self.cut |= missing > 0;
        self.drain(room);
    }

    /// Notes where what is known of a segment, so many bytes of it, is not what was said before. A keep-alive
    /// may hold any byte (RFC 9293, section 3.8.4).
    fn hear_again(&mut self, known: usize, payload: &[u8], limit: usize) {
        // Where less is kept than was said, nobody knows where it stands.
        let all_is_kept = !self.sifted.is_begun() && self.said() < limit;
        if known == 0 || payload.len() == 1 || !all_is_kept {
            return;
        }
        let Some(begin) = self.bytes.len().checked_sub(known) else { return };
        if self.bytes[begin..].iter().zip(payload).any(|(before, now)| before != now) {
            self.besides = Besides::OtherBytes;
        }
    }

    /// A datagram.
    pub(super) fn datagram(&mut self, payload: &[u8], missing: usize, room: &mut Room<'_>) {
        let kept = payload.len().min(room.limit.saturating_sub(self.bytes.len()));
        self.push(&payload[..kept], room);
        if self.lengths.capacity() == 0 {
            self.lengths = room.buffers.take_lengths();
        }
        self.lengths.push(kept as u32);
        // A cut datagram does not hide the next one.
        self.holes |= missing > 0;
    }

    /// What is still waiting goes in behind its hole, so that a late start can be recognised.
    pub(super) fn close(&mut self, room: &mut Room<'_>) {
        if self.waiting.is_empty() {
            return;
        }
        self.holes = true;
        if self.bytes.is_empty() {
            self.waiting.sort_by_key(|(sequence, _)| *sequence);
            self.next = self.waiting.first().map(|(sequence, _)| *sequence);
            self.drain(room);
        }
        if self.waiting.iter().any(|(_, payload)| begins_with_text(payload, LONG_TEXT)) {
            self.besides = self.besides.max(Besides::TextBehindHole);
        }
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// Keeps bytes; the first ones count for themselves, for most flows have no more.
    fn push(&mut self, payload: &[u8], room: &mut Room<'_>) {
        let needed = self.bytes.len() + payload.len();
        if needed > self.charged as usize {
            let doubled = if self.bytes.is_empty() { 0 } else { (self.charged * 2).max(8) };
            self.charged = doubled.max(needed as u32);
        }
        room.buffers.grow(&mut self.bytes, needed, room.limit);
        self.bytes.extend_from_slice(payload);
    }

    fn append(&mut self, payload: &[u8], room: &mut Room<'_>) {
        let kept = &payload[..payload.len().min(room.limit.saturating_sub(self.said()))];
        match self.sifted.lets_pass(&self.bytes, kept, room.audience) {
            true => self.sifted.pass(&mut self.bytes, kept).iter().for_each(|part| self.push(part, room)),
            false => self.push(kept, room),
        }
        self.next = self.next.map(|next| next.wrapping_add(payload.len() as u32));
    }

    fn wait(&mut self, sequence: u32, payload: &[u8], ahead: usize, limit: usize) {
        let wanted = limit.saturating_sub(self.said() + ahead).min(payload.len());
        if self.waiting.len() >= MOST_WAITING || wanted == 0 {
            return;
        }
        self.waiting_bytes += wanted as u32;
        self.waiting.push((sequence, payload[..wanted].to_vec()));
    }

    fn drain(&mut self, room: &mut Room<'_>) {
        if self.waiting.is_empty() {
            return;
        }
        while let Some(next) = self.next {
            let fits = |(sequence, _): &(u32, Vec<u8>)| sequence.wrapping_sub(next) as i32 <= 0;
            let Some(index) = self.waiting.iter().position(fits) else { break };
            let (sequence, payload) = self.waiting.swap_remove(index);
            self.waiting_bytes -= payload.len() as u32;
            let known = next.wrapping_sub(sequence) as usize;
            self.hear_again(known, &payload, room.limit);
            if let Some(fresh) = payload.get(known..) {
                self.append(fresh, room);
            }
        }
    }
}

/// No message of a handshake holds so much text at a stretch.
const LONG_TEXT: usize = 64;

/// Whether the first bytes of some, so many of them, can be read.
pub(super) fn begins_with_text(bytes: &[u8], length: usize) -> bool {
    let is_printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n');
    bytes.get(..length).is_some_and(|begin| begin.iter().all(is_printable))
}

#[cfg(test)]
mod tests {
    use super::super::flow::Collector;
    use super::*;

    /// A stream with room for some bytes.
    struct Limited(Stream, Buffers, usize);

    impl Limited {
        fn new(limit: usize) -> Limited {
            Limited(Stream::default(), Buffers::default(), limit)
        }

        fn with(&mut self, act: impl FnOnce(&mut Stream, &mut Room<'_>)) {
            let audience = &Collector(&mut |_| {});
            act(&mut self.0, &mut Room { limit: self.2, buffers: &mut self.1, audience });
        }

        fn segment(&mut self, sequence: u32, payload: &[u8]) {
            self.with(|stream, room| stream.segment(sequence, payload, 0, room));
        }

        fn close(&mut self) {
            self.with(Stream::close);
        }
    }

    #[test]
    fn segments_out_of_order_and_repeated_are_put_right() {
        let mut stream = Limited::new(64);
        stream.0.begin(99);
        stream.segment(104, b"efgh");
        stream.segment(100, b"abcd");
        stream.segment(102, b"cdef");
        assert_eq!(stream.0.bytes, b"abcdefgh");
        stream.close();
        assert!(!stream.0.holes);
    }

    #[test]
    fn a_hole_is_said() {
        let mut stream = Limited::new(64);
        stream.0.begin(0);
        stream.segment(11, b"later");
        stream.close();
        assert!(stream.0.holes);
        assert_eq!(stream.0.bytes, b"later");
        assert_eq!(stream.0.waiting_bytes, 0);
    }

    #[test]
    fn a_segment_that_was_cut_and_waits_leaves_a_hole() {
        let mut stream = Limited::new(64);
        stream.0.begin(0);
        stream.with(|stream, room| stream.segment(4, b"defg", 90, room));
        stream.segment(1, b"abc");
        assert_eq!(stream.0.bytes, b"abcdefg");
        stream.close();
        assert!(stream.0.holes, "as if nothing were missing");
    }

    #[test]
    fn bytes_that_are_sent_again_and_are_others_are_told() {
        let told = |segments: &[(u32, &[u8])]| {
            let mut stream = Limited::new(64);
            stream.0.begin(0);
            segments.iter().for_each(|(sequence, payload)| stream.segment(*sequence, payload));
            stream.0.besides
        };
        let text: &[u8] = &(0..100).collect::<Vec<u8>>();
        assert_eq!(told(&[(1, b"abcdef"), (3, b"cdXf")]), Besides::OtherBytes);
        assert_eq!(told(&[(1, b"abcdef"), (3, b"cdefgh"), (1, b"abc")]), Besides::Nothing);
        assert_eq!(told(&[(5, b"Xf"), (1, b"abcdef")]), Besides::OtherBytes, "the later one came first");
        assert_eq!(told(&[(1, b"abcdef"), (6, b"X")]), Besides::Nothing, "a keep-alive");
        assert_eq!(told(&[(51, &text[50..60]), (1, text), (51, &text[50..60])]), Besides::Nothing, "beyond");
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut stream = Limited::new(64);
        stream.0.begin(u32::MAX - 2);
        stream.segment(u32::MAX - 1, b"abcd");
        stream.segment(2, b"ef");
        assert_eq!(stream.0.bytes, b"abcdef");
    }

    #[test]
    fn keep_alives_add_nothing() {
        let mut late = Limited::new(64);
        late.segment(99, &[0]);
        late.segment(100, b"abc");
        late.segment(102, &[0]);
        assert_eq!(late.0.bytes, b"abc");
    }

    #[test]
    fn what_lies_beyond_the_limit_does_not_wait() {
        let mut stream = Limited::new(64);
        stream.0.begin(0);
        stream.segment(100, &[1; 500]);
        assert_eq!(stream.0.held(), 0);
        stream.segment(61, &[1; 500]);
        assert_eq!(stream.0.waiting_bytes, 4);
    }

    #[test]
    fn a_stream_that_does_not_count_its_syn_is_whole() {
        let mut stream = Limited::new(64);
        stream.0.begin(99);
        stream.segment(99, b"x");
        assert!(stream.0.bytes.is_empty(), "a keep-alive");
        stream.segment(99, b"GET ");
        stream.segment(103, b"/");
        assert_eq!(stream.0.bytes, b"GET /");
    }

    #[test]
    fn bytes_count_for_a_buffer_that_fits_at_first_and_then_doubles() {
        let mut stream = Limited::new(1_000);
        let mut held = Vec::new();
        for (sequence, length) in [(0, 100), (100, 50), (150, 60), (210, 300)] {
            stream.segment(sequence, &vec![7; length]);
            held.push(stream.0.held());
        }
        assert_eq!(held, [100, 200, 400, 800]);
        let mut datagrams = Limited::new(1_000);
        for _ in 0..3 {
            datagrams.with(|stream, room| stream.datagram(b"abc", 0, room));
        }
        assert_eq!((datagrams.0.held(), datagrams.0.lengths.as_slice()), (16 + 16, &[3, 3, 3][..]));
    }
}
