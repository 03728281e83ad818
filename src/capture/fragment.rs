//! IPv4 and IPv6 fragments put together, within a memory budget; what is given up is counted.
//!
//! A datagram that never became whole still hands over what was seen from its beginning.

use super::packet::{Address, Fragment, More, Packet};
use hashbrown::HashMap;

/// Bytes of fragments that may wait for others.
const MOST_BYTES: usize = 4 << 20;
/// Datagrams that may wait at a time.
const MOST_DATAGRAMS: usize = 4_096;
/// Pieces of one datagram: 64 KB in the smallest pieces that networks make.
const MOST_PIECES: usize = 1_024;
/// The largest datagram (RFC 791).
const LARGEST: usize = 65_535;
/// How long pieces wait for others, in nanoseconds: shorter than a flow table keeps what is over,
/// so that what is given up still finds its flow.
const PATIENCE: u64 = 4_000_000_000;

type Key = (Address, Address, u8, u32);

/// Datagrams in the making.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    waiting: HashMap<Key, Pieces>,
    /// Nothing has waited for too long before this time.
    due: u64,
    bytes: usize,
    /// Datagrams that were given up, by reason.
    pub(super) lost: Lost,
}

/// Why datagrams never became whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// The beginning was missing, so nothing could be told.
    pub(super) headless: u64,
    /// The beginning was seen and handed over.
    pub(super) incomplete: u64,
    /// Pieces overlapped with other bytes, or reached over the largest datagram.
    pub(super) contradictory: u64,
    /// Of all those, given up to stay within the memory budget.
    pub(super) budget: u64,
}

/// A datagram, whole or from its beginning on.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) head: Head,
    pub(super) bytes: Vec<u8>,
    /// Time of the last piece, in nanoseconds since 1970.
    pub(super) last: u64,
}

/// What the headers in front of the fragments said.
#[derive(Clone, Debug)]
pub(super) struct Head {
    packet: Packet<'static>,
}

#[derive(Debug)]
struct Pieces {
    head: Head,
    /// Offset and bytes, sorted by offset.
    pieces: Vec<(usize, Vec<u8>)>,
    kept: usize,
    /// Length of the whole, known from the last piece.
    total: Option<usize>,
    /// Bytes that the capture cut from pieces.
    cut: usize,
    count: u32,
    stated: u32,
    last: u64,
}

impl Head {
    fn of(packet: &Packet<'_>) -> Head {
        Head { packet: Packet { payload: &[], fragment: None, siblings: None, ..packet.clone() } }
    }

    /// A packet with these headers and no transport yet.
    pub(super) fn packet<'a>(&self) -> Packet<'a> {
        self.packet.clone()
    }

    /// The IP protocol of the datagram.
    pub(super) fn protocol(&self) -> u8 {
        self.packet.protocol
    }
}

impl Fragments {
    /// Takes a piece; returns the datagram that it completed.
    pub(super) fn add(&mut self, packet: &Packet<'_>, fragment: Fragment, nanos: u64) -> Option<Datagram> {
        let key = (packet.source, packet.target, packet.protocol, fragment.id);
        if self.waiting.get(&key).is_some_and(|known| nanos.saturating_sub(known.last) > PATIENCE) {
            self.give_up(key);
        }
        let (offset, missing) = (usize::from(fragment.offset), packet.missing as usize);
        let end = offset + packet.payload.len() + missing;
        if end > LARGEST {
            self.lost.contradictory += 1;
            return None;
        }
        let soonest = nanos.saturating_add(PATIENCE);
        self.due = if self.waiting.is_empty() { soonest } else { self.due.min(soonest) };
        let pieces = self.waiting.entry(key).or_insert_with(|| Pieces::new(packet));
        let before = pieces.kept;
        pieces.last = nanos;
        if fragment.offset == 0 {
            pieces.head = Head::of(packet);
        }
        if fragment.more == More::Last {
            pieces.total = Some(end);
        }
        pieces.cut += missing;
        pieces.count += packet.pieces;
        pieces.stated += packet.bytes;
        let fits = pieces.insert(offset, packet.payload);
        self.bytes += pieces.kept - before;
        if !fits {
            // RFC 5722, section 3: the whole datagram is dropped.
            self.lost.contradictory += 1;
            self.remove(&key);
            return None;
        }
        if pieces.is_whole() {
            return self.remove(&key).map(Pieces::join);
        }
        None
    }

    /// Nothing has waited for too long before this time.
    #[inline]
    pub(super) fn due(&self) -> u64 {
        if self.waiting.is_empty() { u64::MAX } else { self.due }
    }

    /// Gives up a datagram that has waited for too long; `None` where there is none.
    pub(super) fn expire(&mut self, nanos: u64) -> Option<Option<Datagram>> {
        let (key, oldest) =
            self.waiting.iter().min_by_key(|(key, p)| (p.last, **key)).map(|(key, p)| (*key, p.last))?;
        self.due = oldest.saturating_add(PATIENCE);
        (nanos > self.due).then(|| self.give_up(key))
    }

    /// Whether something must be given up to stay within the budget.
    pub(super) fn is_over_budget(&self) -> bool {
        self.bytes > MOST_BYTES || self.waiting.len() > MOST_DATAGRAMS
    }

    /// Gives up the datagram that waited for longest; what it began with is returned.
    pub(super) fn give_up_oldest(&mut self) -> Option<Datagram> {
        let oldest =
            self.waiting.iter().min_by_key(|(key, pieces)| (pieces.last, **key)).map(|(key, _)| *key)?;
        self.lost.budget += u64::from(self.is_over_budget());
        self.give_up(oldest)
    }

    fn give_up(&mut self, key: Key) -> Option<Datagram> {
        let pieces = self.remove(&key)?;
        match pieces.pieces.first() {
            Some((0, _)) => {
                self.lost.incomplete += 1;
                Some(pieces.join())
            }
            _ => {
                self.lost.headless += 1;
                None
            }
        }
    }

    /// Whether nothing waits any more.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn remove(&mut self, key: &Key) -> Option<Pieces> {
        let pieces = self.waiting.remove(key)?;
        self.bytes -= pieces.kept;
        Some(pieces)
    }
}

impl Pieces {
    fn new(packet: &Packet<'_>) -> Pieces {
        Pieces {
            head: Head::of(packet),
            pieces: Vec::new(),
            kept: 0,
            total: None,
            cut: 0,
            count: 0,
            stated: 0,
            last: 0,
        }
    }

    /// Puts a piece in its place; an exact repetition changes nothing, any other overlap is refused.
    fn insert(&mut self, offset: usize, bytes: &[u8]) -> bool {
        let at = self.pieces.partition_point(|(known, _)| *known < offset);
        if self.pieces.get(at).is_some_and(|(known, old)| *known == offset && old == bytes) {
            return true;
        }
        let before = at.checked_sub(1).and_then(|index| self.pieces.get(index));
        let overlaps = before.is_some_and(|(start, old)| start + old.len() > offset)
            || self.pieces.get(at).is_some_and(|(start, _)| offset + bytes.len() > *start);
        if overlaps || self.pieces.len() >= MOST_PIECES {
            return false;
        }
        self.kept += bytes.len() + 64;
        self.pieces.insert(at, (offset, bytes.to_vec()));
        true
    }

    fn is_whole(&self) -> bool {
        let seen: usize = self.pieces.iter().map(|(_, bytes)| bytes.len()).sum();
        self.total.is_some_and(|total| seen + self.cut >= total)
    }

    /// The bytes from the beginning up to the first hole.
    fn join(self) -> Datagram {
        let mut whole = Vec::with_capacity(self.kept);
        for (offset, bytes) in &self.pieces {
            if *offset != whole.len() {
                break;
            }
            whole.extend_from_slice(bytes);
        }
        let missing = match self.total {
            Some(total) => total.saturating_sub(whole.len()),
            None => self.cut.max(1),
        };
        let mut head = self.head;
        head.packet.missing = missing as u32;
        head.packet.pieces = self.count;
        head.packet.bytes = self.stated;
        Datagram { head, bytes: whole, last: self.last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u16, more: More, payload: &'static [u8], id: u32) -> (Packet<'static>, Fragment) {
        let packet = Packet { protocol: 17, payload, bytes: payload.len() as u32 + 20, ..Packet::default() };
        (packet, Fragment { id, offset, more })
    }

    fn add(fragments: &mut Fragments, (packet, fragment): (Packet<'static>, Fragment)) -> Option<Datagram> {
        fragments.add(&packet, fragment, 0)
    }

    #[test]
    fn pieces_in_any_order_and_repeated_make_the_whole() {
        let mut fragments = Fragments::default();
        assert!(add(&mut fragments, piece(8, More::Last, b"world", 7)).is_none());
        assert!(add(&mut fragments, piece(8, More::Last, b"world", 7)).is_none());
        let whole = add(&mut fragments, piece(0, More::Follow, b"hello, w", 7)).expect("whole");
        assert_eq!((whole.bytes.as_slice(), whole.head.packet().missing), (&b"hello, wworld"[..], 0));
        assert_eq!(whole.head.packet().pieces, 3);
        assert!(fragments.is_empty() && fragments.bytes == 0);
    }

    #[test]
    fn overlapping_pieces_are_dropped_and_counted() {
        let mut fragments = Fragments::default();
        add(&mut fragments, piece(0, More::Follow, b"12345678", 1));
        assert!(add(&mut fragments, piece(0, More::Follow, b"abcdefgh", 1)).is_none());
        assert_eq!((fragments.lost.contradictory, fragments.bytes), (1, 0));
    }

    #[test]
    fn the_budget_holds_and_the_beginning_is_not_lost() {
        let mut fragments = Fragments::default();
        for id in 0..=MOST_DATAGRAMS as u32 {
            add(&mut fragments, piece(0, More::Follow, b"12345678", id));
        }
        assert!(fragments.is_over_budget());
        let given_up = fragments.give_up_oldest().expect("the beginning");
        assert_eq!((given_up.bytes.as_slice(), given_up.head.packet().missing), (&b"12345678"[..], 1));
        assert_eq!((fragments.lost.incomplete, fragments.lost.budget), (1, 1));
        assert!(!fragments.is_over_budget());
    }
}
