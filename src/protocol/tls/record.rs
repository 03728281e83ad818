//! The record layer of TLS (RFC 8446, section 5) and the handshake messages in it.

use crate::protocol::bytes::Cursor;
use crate::protocol::spread::{hold_text_before_a_mac, is_printable, is_readable, middle};
use smallvec::SmallVec;
use std::borrow::Cow;

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

/// Records of one direction; most conversations show few enough to need no memory of their own.
pub(super) type Records<'a> = SmallVec<[Record<'a>; 8]>;

/// Records from the first byte on, as far as they make sense; the last may be cut.
pub(super) fn records(bytes: &[u8]) -> Records<'_> {
    let mut found = Records::new();
    let mut rest = bytes;
    while let Some((record, behind)) = record(rest) {
        found.push(record);
        rest = behind;
    }
    found
}

/// Whether the last record holds data, and ends behind a limit; so much of it was seen that it is known
/// whether it begins with text.
pub(super) fn ends_in_data_behind(bytes: &[u8], limit: usize) -> bool {
    const SHOWN: usize = 64;
    let mut rest = bytes;
    while let Some((record, behind)) = record(rest) {
        if !record.is_whole() {
            let begin = bytes.len() - rest.len();
            let shown = record.kind == DATA && record.body.len() >= SHOWN;
            return shown && begin + 5 + record.length >= limit;
        }
        rest = behind;
    }
    false
}

/// What stands behind the last record and cannot be the beginning of one; nothing without records.
pub(super) fn behind<'a>(bytes: &'a [u8], records: &[Record<'_>]) -> &'a [u8] {
    if records.is_empty() {
        return &[];
    }
    let taken = records.iter().map(|record| 5 + record.length).sum::<usize>();
    let rest = bytes.get(taken..).unwrap_or(&[]);
    let may_go_on = match rest {
        [kind, 3, 0..=4, ..] | [kind, 3] | [kind] => rest.len() < 5 && (CHANGE_CIPHER..=24).contains(kind),
        _ => false,
    };
    if may_go_on { &[] } else { rest }
}

/// Whether what data records hold was made by no cipher.
///
/// Eight bytes in front may count (RFC 5288), and a tag or a MAC of about twenty stands behind.
pub(super) fn are_readable(records: &[Record<'_>]) -> bool {
    let data = records.iter().filter(|record| record.kind == DATA);
    is_readable(data.map(|record| middle(record.body, 8, if record.is_whole() { 20 } else { 0 })))
}

/// Whether a data record begins with text, behind what may be a nonce: so much of it is no cipher text.
pub(super) fn begin_with_text(records: &[Record<'_>]) -> bool {
    const ENOUGH: usize = 32;
    let mut data = records.iter().filter(|record| record.kind == DATA);
    data.any(|record| record.body.get(8..8 + ENOUGH).is_some_and(|begin| begin.iter().all(is_printable)))
}

/// Whether short data records hold text: so few bytes say nothing by how their values are spread.
pub(super) fn say(records: &[Record<'_>]) -> bool {
    let whole = || records.iter().filter(|record| record.kind == DATA && record.is_whole());
    hold_text_before_a_mac(|| whole().map(|record| record.body))
}

/// Whether bytes begin with a record.
pub(super) fn begins(bytes: &[u8]) -> bool {
    record(bytes).is_some()
}

/// The first record, and what stands behind it; nothing behind a cut one.
#[inline]
fn record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let ([kind, 3, 0..=4, high, low], rest) = bytes.split_first_chunk::<5>()? else { return None };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if !(CHANGE_CIPHER..=24).contains(kind) || length > LONGEST {
        return None;
    }
    let (body, behind) = rest.split_at(rest.len().min(length));
    Some((Record { kind: *kind, length, body }, behind))
}

/// The clear handshake messages of one direction, put together over records.
pub(super) fn handshake<'a>(records: &[Record<'a>]) -> Cow<'a, [u8]> {
    let clear = records.iter().take_while(|r| r.kind == HANDSHAKE || r.kind == ALERT);
    let mut bodies = clear.filter(|r| r.kind == HANDSHAKE).map(|r| r.body);
    let first = bodies.next().unwrap_or(&[]);
    let mut bodies = bodies.peekable();
    if bodies.peek().is_none() {
        return Cow::Borrowed(first);
    }
    let mut flight = Vec::with_capacity(first.len() + bodies.clone().map(<[u8]>::len).sum::<usize>());
    flight.extend_from_slice(first);
    bodies.for_each(|body| flight.extend_from_slice(body));
    Cow::Owned(flight)
}

/// Messages of a flight: type and body; the last may be cut.
pub(super) fn messages(flight: &[u8]) -> Messages<'_> {
    Messages(Cursor(flight))
}

/// Messages that are walked.
#[derive(Clone, Copy)]
pub(super) struct Messages<'a>(Cursor<'a>);

impl<'a> Iterator for Messages<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (kind, length) = (self.0.u8()?, self.0.u24()?);
        let here = self.0.0.len().min(length);
        self.0.take(here).map(|body| (kind, body))
    }
}

/// Where in the first `within` bytes chained records begin: two of them, the second one at the very
/// place where the first one ends. A chance of this is one in 2^40 for each byte that is tried. What stands
/// before it comes first.
pub(super) fn chain(bytes: &[u8], within: usize) -> Option<(&[u8], Records<'_>)> {
    for at in memchr::memchr_iter(DATA, &bytes[..bytes.len().min(within)]) {
        if bytes[at..].starts_with(&[DATA, 3]) {
            let found = records(&bytes[at..]);
            let whole = found.iter().filter(|record| record.is_whole()).count();
            let ends = found.iter().map(|record| 5 + record.length).sum::<usize>();
            let to_the_end = at + ends >= bytes.len();
            if found.len() >= 2 && to_the_end || whole >= 3 {
                return Some((&bytes[..at], found));
            }
        }
    }
    None
}
