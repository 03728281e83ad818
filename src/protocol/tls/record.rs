//! The record layer of TLS (RFC 8446, section 5) and the handshake messages in it.

use crate::protocol::bytes::Cursor;

/// A TLS record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) kind: u8,
    pub(super) length: usize,
    pub(super) body: &'a [u8],
}

pub(super) const CHANGE_CIPHER: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const DATA: u8 = 23;

/// The longest record: 2^14 bytes and the expansion that TLS 1.2 allows.
const LONGEST: usize = (1 << 14) + 2048;

impl Record<'_> {
    pub(super) fn is_whole(&self) -> bool {
        self.body.len() == self.length
    }

    /// Data or an alert behind a cipher: a clear alert has two bytes (RFC 5246, section 7.2).
    pub(super) fn is_sealed(&self) -> bool {
        self.is_data() || self.kind == ALERT && self.length >= 18
    }

    /// Data behind a cipher: shorter records cannot hold a tag.
    pub(super) fn is_data(&self) -> bool {
        self.kind == DATA && self.length >= 17
    }
}

/// Records from the first byte on, as far as they make sense; the last may be cut.
pub(super) fn records(bytes: &[u8]) -> Vec<Record<'_>> {
    let mut found = Vec::new();
    let mut cursor = Cursor(bytes);
    while let Some(head) = cursor.take(5) {
        let (kind, length) = (head[0], usize::from(u16::from_be_bytes([head[3], head[4]])));
        if !(20..=24).contains(&kind) || head[1] != 3 || head[2] > 4 || length > LONGEST {
            break;
        }
        let body = &cursor.0[..cursor.0.len().min(length)];
        if found.is_empty() {
            // Most begin like this and go on.
            found.reserve(8);
        }
        found.push(Record { kind, length, body });
        if cursor.take(length).is_none() {
            break;
        }
    }
    found
}

/// The clear handshake messages of one direction, put together over records.
pub(super) fn handshake(records: &[Record<'_>]) -> Vec<u8> {
    let clear = records.iter().take_while(|r| r.kind == HANDSHAKE || r.kind == ALERT);
    let bodies = clear.filter(|r| r.kind == HANDSHAKE).map(|r| r.body);
    let mut flight = Vec::with_capacity(bodies.clone().map(<[u8]>::len).sum());
    bodies.for_each(|body| flight.extend_from_slice(body));
    flight
}

/// Messages of a flight: type and body; the last may be cut.
pub(super) fn messages(flight: &[u8]) -> Vec<(u8, &[u8])> {
    let mut cursor = Cursor(flight);
    let mut found = Vec::new();
    while let (Some(kind), Some(length)) = (cursor.u8(), cursor.u24()) {
        found.push((kind, &cursor.0[..cursor.0.len().min(length)]));
        if cursor.take(length).is_none() {
            break;
        }
    }
    found
}

/// Where in the first `within` bytes chained records begin: two of them, the second one at the very
/// place where the first one ends. A chance of this is one in 2^40 for each byte that is tried.
pub(super) fn chain(bytes: &[u8], within: usize) -> Option<Vec<Record<'_>>> {
    for at in memchr::memchr_iter(DATA, &bytes[..bytes.len().min(within)]) {
        if bytes[at..].starts_with(&[DATA, 3]) {
            let found = records(&bytes[at..]);
            let whole = found.iter().filter(|record| record.is_whole()).count();
            let ends = found.iter().map(|record| 5 + record.length).sum::<usize>();
            let to_the_end = at + ends >= bytes.len();
            if found.len() >= 2 && to_the_end || whole >= 3 {
                return Some(found);
            }
        }
    }
    None
}
