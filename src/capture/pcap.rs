//! The classic pcap format (draft-ietf-opsawg-pcap): both byte orders, micro- and nanoseconds.

use super::window::{Interface, LARGEST_RECORD, Oddities, Record, Window};
use std::io::{self, Read};

/// No tool writes longer packets: the largest snaplen of libpcap.
const LONGEST_LIKELY: usize = 262_144;

/// What the magic number says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    big_endian: bool,
    nanos_per_tick: u64,
    record_header: usize,
}

impl Header {
    /// The header that begins with these bytes.
    pub(super) fn of(magic: [u8; 4]) -> Option<Header> {
        let known = |value: u32| match value {
            0xa1b2_c3d4 => Some((1_000, 16)),
            0xa1b2_3c4d => Some((1, 16)),
            // The "modified" format of early Linux has eight more bytes in each record header.
            0xa1b2_cd34 => Some((1_000, 24)),
            _ => None,
        };
        let make = |big_endian: bool, (nanos_per_tick, record_header)| Header {
            big_endian,
            nanos_per_tick,
            record_header,
        };
        known(u32::from_le_bytes(magic))
            .map(|found| make(false, found))
            .or_else(|| known(u32::from_be_bytes(magic)).map(|found| make(true, found)))
    }

    fn u32(&self, bytes: &[u8], at: usize) -> u32 {
        let word = bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or([0; 4]);
        if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    }

    /// Whether these bytes look like a record header: sane lengths, a fraction below a second.
    fn plausible(&self, bytes: &[u8]) -> bool {
        let (fraction, captured, original) = (self.u32(bytes, 4), self.u32(bytes, 8), self.u32(bytes, 12));
        u64::from(fraction) * self.nanos_per_tick < 1_000_000_000
            && captured as usize <= LONGEST_LIKELY
            && captured <= original
            && original as usize <= LONGEST_LIKELY
            && captured > 0
    }
}

/// The records of one file.
#[derive(Debug)]
pub(super) struct Reader {
    header: Header,
    link_type: u32,
}

impl Reader {
    /// Reads the file header; a file that ends inside it has no records.
    pub(super) fn new(
        window: &mut Window<impl Read>,
        header: Header,
        oddities: &mut Oddities,
    ) -> io::Result<Reader> {
        let Some(file_header) = window.peek(24)? else {
            oddities.odd("truncated file header");
            window.skip(window.rest());
            return Ok(Reader { header, link_type: 0 });
        };
        // The upper bits hold the FCS length, not the link type.
        let link_type = header.u32(file_header, 20) & 0x0fff_ffff;
        window.skip(24);
        Ok(Reader { header, link_type })
    }

    /// What the file says of its only interface.
    pub(super) fn interface(&self) -> Interface {
        Interface { link_type: self.link_type, number: 0, medium: super::Medium::Unknown }
    }

    /// Whether the next record is in the window.
    pub(super) fn is_ready(&self, ready: &[u8]) -> bool {
        let captured = self.header.u32(ready, 8) as usize;
        ready.len() >= self.header.record_header && ready.len() - self.header.record_header >= captured
    }

    /// Walks sound records as far as they are in the window, at most so many, and tells how many
    /// bytes they take; `each` gets a time, where the packet stands, and its length.
    #[inline]
    pub(super) fn walk(&self, ready: &[u8], most: usize, mut each: impl FnMut(u64, usize, usize)) -> usize {
        let Header { big_endian, nanos_per_tick, record_header } = self.header;
        let word = |bytes: &[u8; 16], at: usize| {
            let word = u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
            if big_endian { word.swap_bytes() } else { word }
        };
        let mut at = 0;
        for _ in 0..most {
            let Some(record) = ready.get(at..).and_then(|rest| rest.first_chunk::<16>()) else { break };
            let (seconds, fraction) = (word(record, 0), word(record, 4));
            let (from, captured) = (at + record_header, word(record, 8) as usize);
            if captured > LONGEST_LIKELY || from + captured > ready.len() {
                break;
            }
            each(u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * nanos_per_tick, from, captured);
            at = from + captured;
        }
        at
    }

    /// The next record, past what is damaged.
    #[inline]
    pub(super) fn next(
        &mut self,
        window: &mut Window<impl Read>,
        oddities: &mut Oddities,
    ) -> io::Result<Option<Record>> {
        let header = self.header;
        while let Some(record) = window.peek(header.record_header)? {
            let captured = header.u32(record, 8) as usize;
            let seconds = u64::from(header.u32(record, 0));
            let fraction = u64::from(header.u32(record, 4));
            let (plausible, length) = (header.plausible(record), header.record_header + captured);
            let sound = match captured {
                0..=LONGEST_LIKELY => window.peek(length)?.is_some(),
                // A damaged length would swallow what comes after it.
                _ if captured <= LARGEST_RECORD => chained(window, header, length)?,
                _ => false,
            };
            match (sound, plausible) {
                (true, _) => {}
                (false, true) => break,
                (false, false) if resync(window, header, oddities)? => continue,
                (false, false) => return Ok(None),
            }
            let nanos = seconds * 1_000_000_000 + fraction * header.nanos_per_tick;
            window.skip(header.record_header);
            let bytes = window.skip(captured);
            return Ok(Some(Record { interface: self.interface(), nanos, bytes }));
        }
        if window.rest() > 0 {
            oddities.odd("the file ends inside a record");
        }
        Ok(None)
    }
}

/// Looks for the next place where two record headers in a row are plausible.
fn resync(window: &mut Window<impl Read>, header: Header, oddities: &mut Oddities) -> io::Result<bool> {
    let mut skipped = 0;
    loop {
        window.skip(1);
        skipped += 1;
        let Some(first) = window.peek(header.record_header)? else {
            oddities.many("bytes skipped after a damaged record", skipped + window.rest() as u64);
            return Ok(false);
        };
        if !header.plausible(first) {
            continue;
        }
        let length = header.record_header + header.u32(first, 8) as usize;
        if chained(window, header, length)? {
            oddities.many("bytes skipped after a damaged record", skipped);
            return Ok(true);
        }
    }
}

/// Whether behind a record of this length another begins, or the file ends.
fn chained(window: &mut Window<impl Read>, header: Header, length: usize) -> io::Result<bool> {
    Ok(match window.peek(length + header.record_header)? {
        Some(bytes) => header.plausible(&bytes[length..]),
        None => window.rest() == length,
    })
}
