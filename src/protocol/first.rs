//! Who is asked: each detector declares next to itself with which first bytes a conversation can
//! begin in which it finds something, and only those are asked whose declaration fits.
//!
//! A declaration may be too wide, which costs time, and must never be too narrow, which would cost
//! a verdict: a test holds every detector against what it declares.

use super::{DETECTORS, Detector, Over, Seen};
use crate::capture::{Exchange, Speaker, Transport};
use std::sync::LazyLock;

/// A set of first bytes of one side; that the side says nothing can be in it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    bytes: [u64; 4],
    silence: bool,
}

/// A way in which a conversation can begin: the first bytes of both sides, of streams and of any
/// of their datagrams alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    client: First,
    server: First,
    over: Over,
    only: Only,
}

/// What else must hold for an opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    /// Nothing.
    Always,
    /// One of the ports is among the detector's.
    Hinted,
    /// The stream was joined late.
    Late,
}

impl First {
    /// No byte, and no silence.
    const NONE: First = First { bytes: [0; 4], silence: false };
    /// The side says nothing.
    pub const SILENCE: First = First { silence: true, ..First::NONE };
    /// Whatever the side says, if it says anything.
    pub const ANY: First = First { bytes: [!0; 4], silence: true };

    /// A letter or a digit of ASCII.
    pub const ALPHANUMERIC: First =
        First::range(b'0', b'9').or(First::range(b'A', b'Z')).or(First::range(b'a', b'z'));

    /// One of some bytes.
    pub const fn of(bytes: &[u8]) -> First {
        let mut set = First::NONE;
        let mut at = 0;
        while at < bytes.len() {
            set = set.with(bytes[at]);
            at += 1;
        }
        set
    }

    /// One of the bytes from one to another, both among them.
    pub const fn range(from: u8, to: u8) -> First {
        let mut set = First::NONE;
        let mut byte = from as u16;
        while byte <= to as u16 {
            set = set.with(byte as u8);
            byte += 1;
        }
        set
    }

    /// The bytes of which some bits have these values.
    pub const fn masked(mask: u8, value: u8) -> First {
        let mut set = First::NONE;
        let mut byte = 0_u16;
        while byte < 256 {
            if byte as u8 & mask == value {
                set = set.with(byte as u8);
            }
            byte += 1;
        }
        set
    }

    /// The beginnings of some words, letters of either case alike.
    pub const fn words(words: &[&[u8]]) -> First {
        let mut set = First::NONE;
        let mut at = 0;
        while at < words.len() {
            let first = words[at][0];
            set = set.with(first.to_ascii_lowercase()).with(first.to_ascii_uppercase());
            at += 1;
        }
        set
    }

    /// Whatever is in either set.
    pub const fn or(self, other: First) -> First {
        let (a, b) = (self.bytes, other.bytes);
        let bytes = [a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]];
        First { bytes, silence: self.silence || other.silence }
    }

    /// The same, or nothing at all.
    pub const fn or_silence(self) -> First {
        First { silence: true, ..self }
    }

    const fn with(self, byte: u8) -> First {
        let mut bytes = self.bytes;
        bytes[(byte >> 6) as usize] |= 1 << (byte & 63);
        First { bytes, ..self }
    }

    /// Whether a side with this first byte fits, or one that says nothing.
    #[cfg(test)]
    fn has(&self, first: Option<u8>) -> bool {
        match first {
            Some(byte) => self.bytes[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1,
            None => self.silence,
        }
    }
}

impl Opening {
    /// Any conversation.
    pub const ANY: Opening = Opening::both(First::ANY, First::ANY);

    /// Both sides begin like this.
    pub const fn both(client: First, server: First) -> Opening {
        Opening { client, server, over: Over::Any, only: Only::Always }
    }

    /// The client begins like this, the server as it likes.
    pub const fn client(first: First) -> Opening {
        Opening::both(first, First::ANY)
    }

    /// The server begins like this, the client as it likes.
    pub const fn server(first: First) -> Opening {
        Opening::both(First::ANY, first)
    }

    /// Either side may be missing, and what is there begins like this.
    pub const fn each(first: First) -> Opening {
        Opening::both(first.or_silence(), first.or_silence())
    }

    /// Only with one of the detector's ports.
    pub const fn hinted(self) -> Opening {
        Opening { only: Only::Hinted, ..self }
    }

    /// Only where the stream was joined late.
    pub const fn late(self) -> Opening {
        Opening { only: Only::Late, ..self }
    }

    /// Only streams.
    pub const fn stream(self) -> Opening {
        Opening { over: Over::Stream, ..self }
    }

    /// Only datagrams.
    pub const fn datagram(self) -> Opening {
        Opening { over: Over::Datagram, ..self }
    }
}

/// The openings of all detectors that a transport can carry, a bit for each: by the first byte of
/// each side, by port, and by how the capture began.
#[derive(Debug)]
struct Table {
    /// The last row is that of silence.
    client: Vec<u128>,
    server: Vec<u128>,
    free: u128,
    late: u128,
    /// Those of detectors that tell when they have heard enough.
    hearing: u128,
    /// A bit for each port that hints at something, 64 in a word.
    hinting: Vec<u64>,
    /// Those ports in order, with what they hint at.
    hints: Vec<(u16, u128)>,
    /// Whose opening it is, by its bit; the same twice only one behind the other.
    owners: Vec<u8>,
}

const SILENT: usize = 256;

impl Table {
    fn of(transport: Transport) -> Table {
        let mut table = Table {
            client: vec![0; SILENT + 1],
            server: vec![0; SILENT + 1],
            free: 0,
            late: 0,
            hearing: 0,
            hinting: vec![0; 1 << 10],
            hints: Vec::new(),
            owners: Vec::new(),
        };
        for (number, detector) in DETECTORS.iter().enumerate() {
            if !detector.over().carries(transport) {
                continue;
            }
            for opening in detector.openings().iter().filter(|opening| opening.over.carries(transport)) {
                table.add(number as u8, *detector, opening);
            }
        }
        table
    }

    fn add(&mut self, number: u8, detector: &dyn Detector, opening: &Opening) {
        let bit = 1 << self.owners.len();
        self.owners.push(number);
        self.hearing |= if detector.heard().is_some() { bit } else { 0 };
        for (rows, first) in [(&mut self.client, opening.client), (&mut self.server, opening.server)] {
            rows[SILENT] |= if first.silence { bit } else { 0 };
            for (word, rows) in first.bytes.iter().zip(rows.chunks_mut(64)) {
                // Most sets hold few bytes, or all of them.
                let mut left = *word;
                while left != 0 {
                    rows[left.trailing_zeros() as usize] |= bit;
                    left &= left - 1;
                }
            }
        }
        match opening.only {
            Only::Always => self.free |= bit,
            Only::Late => self.late |= bit,
            Only::Hinted => detector.ports().iter().for_each(|port| self.hint(*port, bit)),
        }
    }

    fn hint(&mut self, port: u16, bit: u128) {
        self.hinting[usize::from(port >> 6)] |= 1 << (port & 63);
        match self.hints.binary_search_by_key(&port, |(known, _)| *known) {
            Ok(row) => self.hints[row].1 |= bit,
            Err(row) => self.hints.insert(row, (port, bit)),
        }
    }

    /// The openings at which a port hints; most ports hint at nothing.
    #[inline]
    fn hinted(&self, port: u16) -> u128 {
        if self.hinting[usize::from(port >> 6)] >> (port & 63) & 1 == 0 {
            return 0;
        }
        let row = self.hints.binary_search_by_key(&port, |(known, _)| *known);
        row.map_or(0, |row| self.hints[row].1)
    }

    /// The openings that fit, a bit for each.
    fn fitting(&self, seen: &Seen<'_>) -> u128 {
        let free = self.free | self.hinted(seen.client_port) | self.hinted(seen.server_port);
        let free = if seen.late { free | self.late } else { free };
        let (client, server) = match seen.is_stream() {
            true => (stream(&self.client, seen.client), stream(&self.server, seen.server)),
            false => (
                datagrams(&self.client, seen.client, seen.client_datagrams()),
                datagrams(&self.server, seen.server, seen.server_datagrams()),
            ),
        };
        client & server & free
    }
}

impl Table {
    /// Whose openings these are, each detector once.
    fn owners(&'static self, openings: u128) -> impl Iterator<Item = &'static dyn Detector> {
        let (mut left, mut last) = (openings, None);
        std::iter::from_fn(move || {
            while left != 0 {
                let owner = self.owners[left.trailing_zeros() as usize];
                left &= left - 1;
                if last.replace(owner) != Some(owner) {
                    return Some(DETECTORS[usize::from(owner)]);
                }
            }
            None
        })
    }
}

#[inline]
fn stream(rows: &[u128], bytes: &[u8]) -> u128 {
    rows[bytes.first().map_or(SILENT, |first| usize::from(*first))]
}

/// A detector may look at any of the datagrams, many of which begin alike.
fn datagrams(rows: &[u128], bytes: &[u8], datagrams: super::seen::Datagrams<'_>) -> u128 {
    let (mut all, mut before) = (stream(rows, bytes), bytes.first());
    for datagram in datagrams {
        if datagram.first() != before {
            before = datagram.first();
            all |= stream(rows, datagram);
        }
    }
    all
}

fn table(transport: Transport) -> &'static Table {
    static TABLES: LazyLock<[Table; 3]> =
        LazyLock::new(|| [Transport::Tcp, Transport::Udp, Transport::Icmp].map(Table::of));
    match transport {
        Transport::Tcp | Transport::Sctp => &TABLES[0],
        Transport::Udp => &TABLES[1],
        Transport::Icmp | Transport::Other(_) => &TABLES[2],
    }
}

/// The detectors that may have something to say, in the order of [`DETECTORS`].
pub fn candidates(seen: &Seen<'_>) -> impl Iterator<Item = &'static dyn Detector> {
    let table = table(seen.transport);
    table.owners(table.fitting(seen))
}

/// Those whose openings fit a side of a connection that goes on, and that tell when they have heard
/// enough. Only the speaker's bytes are looked at: those of the other are in no cache.
pub(super) fn hearing(exchange: &Exchange<'_>) -> impl Iterator<Item = &'static dyn Detector> + use<> {
    let table = table(Transport::Tcp);
    let rows = match exchange.speaker {
        Speaker::Caller => &table.client,
        Speaker::Called => &table.server,
    };
    table.owners(stream(rows, exchange.said()) & table.hearing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_what_they_say() {
        let digits = First::range(b'0', b'9');
        assert!(digits.has(Some(b'0')) && digits.has(Some(b'9')) && !digits.has(Some(b':')));
        assert!(!digits.has(None) && digits.or_silence().has(None));
        let words = First::words(&[b"get ", b"<x"]).or(First::of(&[0xff]));
        assert!([b'g', b'G', b'<', 0xff].into_iter().all(|byte| words.has(Some(byte))));
        assert!(!words.has(Some(b'x')) && First::SILENCE.has(None) && !First::SILENCE.has(Some(0)));
        assert!((0..=255).all(|byte| First::ANY.has(Some(byte)) && !First::NONE.has(Some(byte))));
    }

    #[test]
    fn every_opening_of_every_detector_has_a_bit() {
        for transport in [Transport::Tcp, Transport::Udp, Transport::Icmp] {
            let table = table(transport);
            assert!(table.owners.len() <= 128, "{}", table.owners.len());
            let carried = DETECTORS.iter().filter(|detector| detector.over().carries(transport));
            let mut owners = table.owners.clone();
            owners.dedup();
            assert_eq!(owners.len(), carried.count(), "each has an opening, all of one stand together");
            assert!(owners.is_sorted());
        }
    }
}
