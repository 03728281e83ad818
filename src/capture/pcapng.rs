//! pcapng (draft-ietf-opsawg-pcapng): sections of either byte order, interfaces of any link type.

use super::Medium;
use super::window::{self, LARGEST_RECORD, Oddities, Record, Window};
use std::io::{self, Read};

/// The type of a section header, the same in both byte orders.
pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Types of blocks that writers make: interfaces, packets, names, statistics, journals, secrets,
/// custom ones.
const KINDS: [u32; 10] = [1, 2, 3, 4, 5, 6, 9, 10, 0xbad, 0x4000_0bad];
/// No writer makes longer blocks of these types.
const LONGEST_LIKELY: usize = 1 << 20;

/// What an interface description says of its packets.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u32,
    snaplen: u32,
    ticks: Ticks,
    offset_seconds: i64,
    medium: Medium,
}

/// `if_tsresol`: the unit of the time stamps.
#[derive(Clone, Copy, Debug)]
enum Ticks {
    PowerOfTen(u32),
    PowerOfTwo(u32),
}

/// The records of one file, and the section that is being read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    section: Section,
}

#[derive(Debug, Default)]
struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
}

impl Reader {
    /// Whether the next block is a packet and in the window.
    #[inline]
    pub(super) fn is_ready(&self, ready: &[u8]) -> bool {
        let length = self.section.u32(ready, 4) as usize;
        self.section.u32(ready, 0) == 6
            && (32..=ready.len().min(LARGEST_RECORD)).contains(&length)
            && length.is_multiple_of(4)
    }

    /// Reads the next block, which is ready, and tells its length; a packet's bytes are counted from
    /// the beginning of the block.
    #[inline]
    pub(super) fn step(&mut self, ready: &[u8], oddities: &mut Oddities) -> (usize, Option<Record>) {
        let length = self.section.u32(ready, 4) as usize;
        let found = ready.get(..length).and_then(|block| self.read(block, oddities));
        (length, found)
    }

    /// The next packet, past blocks of other kinds.
    pub(super) fn next(
        &mut self,
        window: &mut Window<impl Read>,
        oddities: &mut Oddities,
    ) -> io::Result<Option<Record>> {
        while let Some(head) = window.peek(12)? {
            if head.starts_with(&SECTION) {
                match head[8..12] {
                    [0x1a, 0x2b, 0x3c, 0x4d] => {
                        self.section = Section { big_endian: true, ..Section::default() };
                    }
                    [0x4d, 0x3c, 0x2b, 0x1a] => self.section = Section::default(),
                    _ => {
                        oddities.odd("a section without its byte-order mark");
                        if !self.resync(window, oddities)? {
                            return Ok(None);
                        }
                        continue;
                    }
                }
            }
            let (length, likely) = (self.section.u32(head, 4) as usize, self.is_likely(head));
            if length < 12 || !length.is_multiple_of(4) || length > LARGEST_RECORD {
                if !self.resync(window, oddities)? {
                    return Ok(None);
                }
                continue;
            }
            let Some(block) = window.peek(length)? else {
                // What would swallow the rest of the file is rather a damaged length than a long block.
                if !likely && self.resync(window, oddities)? {
                    continue;
                }
                break;
            };
            let found = self.read(block, oddities);
            let all = window.skip(length);
            if let Some(mut record) = found {
                record.bytes = all.start + record.bytes.start..all.start + record.bytes.end;
                return Ok(Some(record));
            }
        }
        if window.rest() > 0 {
            oddities.odd("the file ends inside a block");
        }
        Ok(None)
    }

    /// Whether these twelve bytes begin a block as writers make them.
    fn is_likely(&self, head: &[u8]) -> bool {
        let (kind, length) = (self.section.u32(head, 0), self.section.u32(head, 4) as usize);
        head.starts_with(&SECTION)
            || KINDS.contains(&kind) && (12..=LONGEST_LIKELY).contains(&length) && length.is_multiple_of(4)
    }

    /// Looks for the next place where a likely block has the same length at both of its ends, or a
    /// section begins.
    #[cold]
    fn resync(&self, window: &mut Window<impl Read>, oddities: &mut Oddities) -> io::Result<bool> {
        let mut skipped = 0;
        let found = loop {
            window.skip(1);
            skipped += 1;
            let Some(head) = window.peek(12)? else {
                skipped += window.rest() as u64;
                window.skip(window.rest());
                break false;
            };
            if !self.is_likely(head) {
                continue;
            }
            if head.starts_with(&SECTION) {
                match head[8..12] {
                    [0x1a, 0x2b, 0x3c, 0x4d] | [0x4d, 0x3c, 0x2b, 0x1a] => break true,
                    _ => continue,
                }
            }
            let length = self.section.u32(head, 4) as usize;
            if window
                .peek(length)?
                .is_some_and(|block| self.section.u32(block, length - 4) as usize == length)
            {
                break true;
            }
        };
        oddities.many("bytes skipped after a damaged block", skipped);
        Ok(found)
    }

    /// Reads a block of at least twelve bytes; a packet's bytes are counted from its beginning.
    #[inline]
    fn read(&mut self, block: &[u8], oddities: &mut Oddities) -> Option<Record> {
        let length = block.len();
        if self.section.u32(block, length - 4) as usize != length {
            oddities.odd("a block whose two lengths differ");
        }
        let mut record = self.section.block(self.section.u32(block, 0), &block[8..length - 4], oddities)?;
        record.bytes = 8 + record.bytes.start..8 + record.bytes.end;
        Some(record)
    }
}

impl Section {
    fn u16(&self, bytes: &[u8], at: usize) -> u16 {
        let word = bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).unwrap_or([0; 2]);
        if self.big_endian { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) }
    }

    fn u32(&self, bytes: &[u8], at: usize) -> u32 {
        let word = bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).unwrap_or([0; 4]);
        if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    }

    /// Reads a block; a packet's bytes are counted from the beginning of the body.
    fn block(&mut self, kind: u32, body: &[u8], oddities: &mut Oddities) -> Option<Record> {
        match kind {
            // Enhanced packet, and the obsolete packet block with a 16-bit interface number.
            6 => self.packet(self.u32(body, 0), body, oddities),
            2 => self.packet(u32::from(self.u16(body, 0)), body, oddities),
            3 => self.simple(body, oddities),
            1 => {
                self.describe(body);
                None
            }
            5 => {
                self.statistics(body, oddities);
                None
            }
            _ => None,
        }
    }

    /// What the capturing system says that it dropped (`isb_ifdrop`, `isb_osdrop`).
    fn statistics(&self, body: &[u8], oddities: &mut Oddities) {
        let mut at = 12;
        while at + 4 <= body.len() {
            let (code, length) = (self.u16(body, at), usize::from(self.u16(body, at + 2)));
            let value = body.get(at + 4..at + 4 + length).unwrap_or(&[]);
            if let (5 | 7, 8) = (code, value.len()) {
                let (low, high) = (u64::from(self.u32(value, 0)), u64::from(self.u32(value, 4)));
                let count = if self.big_endian { low << 32 | high } else { high << 32 | low };
                if count > 0 {
                    oddities.many("packets that the capturing system dropped", count);
                }
            }
            if code == 0 {
                break;
            }
            at += 4 + length.div_ceil(4) * 4;
        }
    }

    fn describe(&mut self, body: &[u8]) {
        let mut interface = Interface {
            link_type: u32::from(self.u16(body, 0)),
            snaplen: self.u32(body, 4),
            ticks: Ticks::PowerOfTen(6),
            offset_seconds: 0,
            medium: Medium::Unknown,
        };
        let mut at = 8;
        while at + 4 <= body.len() {
            let (code, length) = (self.u16(body, at), usize::from(self.u16(body, at + 2)));
            let value = body.get(at + 4..at + 4 + length).unwrap_or(&[]);
            match (code, value) {
                (0, _) => break,
                // `if_name`: the one of Linux, and the first of the BSDs.
                (2, b"lo" | b"lo\0" | b"lo0") => interface.medium = Medium::Loopback,
                (9, [resolution, ..]) => {
                    let exponent = u32::from(resolution & 0x7f);
                    interface.ticks = match resolution & 0x80 {
                        0 => Ticks::PowerOfTen(exponent.min(18)),
                        _ => Ticks::PowerOfTwo(exponent.min(62)),
                    };
                }
                (14, value) if value.len() == 8 => {
                    let (low, high) = (self.u32(value, 0), self.u32(value, 4));
                    let (low, high) = if self.big_endian { (high, low) } else { (low, high) };
                    interface.offset_seconds = ((u64::from(high) << 32) | u64::from(low)) as i64;
                }
                _ => {}
            }
            at += 4 + length.div_ceil(4) * 4;
        }
        self.interfaces.push(interface);
    }

    fn packet(&self, number: u32, body: &[u8], oddities: &mut Oddities) -> Option<Record> {
        let Some(interface) = self.interfaces.get(number as usize) else {
            oddities.odd("a packet of an interface that is not described");
            return None;
        };
        let ticks = (u64::from(self.u32(body, 4)) << 32) | u64::from(self.u32(body, 8));
        let captured = self.u32(body, 12) as usize;
        if body.len() < 20 + captured {
            oddities.odd("a packet that is longer than its block");
            return None;
        }
        let nanos = interface.nanos(ticks);
        Some(Record { interface: interface.named(number), nanos, bytes: 20..20 + captured })
    }

    /// Simple packets have no time and belong to the first interface.
    fn simple(&self, body: &[u8], oddities: &mut Oddities) -> Option<Record> {
        let Some(interface) = self.interfaces.first() else {
            oddities.odd("a packet of an interface that is not described");
            return None;
        };
        if body.len() < 4 {
            oddities.odd("a packet that is longer than its block");
            return None;
        }
        let original = self.u32(body, 0);
        let limit = if interface.snaplen == 0 { original } else { original.min(interface.snaplen) };
        let bytes = (body.len() - 4).min(limit as usize);
        Some(Record { interface: interface.named(0), nanos: 0, bytes: 4..4 + bytes })
    }
}

impl Interface {
    fn named(&self, number: u32) -> window::Interface {
        window::Interface { link_type: self.link_type, number, medium: self.medium }
    }

    fn nanos(&self, ticks: u64) -> u64 {
        if let (Ticks::PowerOfTen(6), 0) = (self.ticks, self.offset_seconds) {
            return ticks.saturating_mul(1_000);
        }
        let nanos = match self.ticks {
            Ticks::PowerOfTen(9) => u128::from(ticks),
            Ticks::PowerOfTen(exponent) => u128::from(ticks) * 1_000_000_000 / 10_u128.pow(exponent),
            Ticks::PowerOfTwo(exponent) => (u128::from(ticks) * 1_000_000_000) >> exponent,
        };
        let shifted = nanos as i128 + i128::from(self.offset_seconds) * 1_000_000_000;
        u64::try_from(shifted.max(0)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by fuzzing: what stood behind such a block was taken for a packet of it.
    #[test]
    fn blocks_too_short_for_a_packet_hold_none() {
        let mut section = Section::default();
        section.describe(&[1, 0, 0, 0, 0, 0, 0, 0]);
        let mut oddities = Oddities::default();
        for (kind, length) in [(6, 16), (2, 19), (3, 0), (3, 3)] {
            let found = section.block(kind, &[0; 20][..length], &mut oddities);
            assert!(found.is_none(), "a packet in {length} bytes of block {kind}");
        }
        assert_eq!(oddities.0.values().sum::<u64>(), 4);
        let empty = section.block(6, &[0; 20], &mut oddities).expect("a packet of no bytes");
        assert_eq!(empty.bytes, 20..20);
    }
}
