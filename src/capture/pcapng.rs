//! pcapng (draft-ietf-opsawg-pcapng): sections of either byte order, interfaces of any link type.

use super::container::{LARGEST_RECORD, Packets, Window};
use std::io;

/// The type of a section header, the same in both byte orders.
pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// What an interface description says of its packets.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u32,
    snaplen: u32,
    ticks: Ticks,
    offset_seconds: i64,
}

/// `if_tsresol`: the unit of the time stamps.
#[derive(Clone, Copy, Debug)]
enum Ticks {
    PowerOfTen(u32),
    PowerOfTwo(u32),
}

/// The section that is being read.
#[derive(Default)]
struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
}

/// Reads all blocks.
pub(super) fn read(window: &mut Window<'_>, packets: &mut Packets<'_>) -> io::Result<()> {
    let mut section = Section::default();
    while let Some(head) = window.peek(12)? {
        if head.starts_with(&SECTION) {
            match head[8..12] {
                [0x1a, 0x2b, 0x3c, 0x4d] => section = Section { big_endian: true, ..Section::default() },
                [0x4d, 0x3c, 0x2b, 0x1a] => section = Section::default(),
                _ => {
                    packets.odd("a section without its byte-order mark");
                    return Ok(());
                }
            }
        }
        let (kind, length) = (section.u32(head, 0), section.u32(head, 4) as usize);
        if length < 12 || length % 4 != 0 || length > LARGEST_RECORD {
            packets.odd("a damaged block; the rest was not read");
            return Ok(());
        }
        let Some(block) = window.peek(length)? else { break };
        if section.u32(block, length - 4) as usize != length {
            packets.odd("a block whose two lengths differ");
        }
        section.block(kind, &block[8..length - 4], packets);
        window.skip(length);
    }
    if window.rest() > 0 {
        packets.odd("the file ends inside a block");
    }
    Ok(())
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

    fn block(&mut self, kind: u32, body: &[u8], packets: &mut Packets<'_>) {
        match kind {
            1 => self.describe(body),
            // Enhanced packet, and the obsolete packet block with a 16-bit interface number.
            6 => self.packet(self.u32(body, 0), body, packets),
            2 => self.packet(u32::from(self.u16(body, 0)), body, packets),
            3 => self.simple(body, packets),
            _ => {}
        }
    }

    fn describe(&mut self, body: &[u8]) {
        let mut interface = Interface {
            link_type: u32::from(self.u16(body, 0)),
            snaplen: self.u32(body, 4),
            ticks: Ticks::PowerOfTen(6),
            offset_seconds: 0,
        };
        let mut at = 8;
        while at + 4 <= body.len() {
            let (code, length) = (self.u16(body, at), usize::from(self.u16(body, at + 2)));
            let value = body.get(at + 4..at + 4 + length).unwrap_or(&[]);
            match (code, value) {
                (0, _) => break,
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

    fn packet(&self, number: u32, body: &[u8], packets: &mut Packets<'_>) {
        let Some(interface) = self.interfaces.get(number as usize) else {
            packets.odd("a packet of an interface that is not described");
            return;
        };
        let ticks = (u64::from(self.u32(body, 4)) << 32) | u64::from(self.u32(body, 8));
        let captured = self.u32(body, 12) as usize;
        match body.get(20..20 + captured.min(body.len())) {
            Some(bytes) => packets.packet(interface.link_type, bytes, interface.nanos(ticks)),
            None => packets.odd("a packet that is longer than its block"),
        }
    }

    /// Simple packets have no time and belong to the first interface.
    fn simple(&self, body: &[u8], packets: &mut Packets<'_>) {
        let Some(interface) = self.interfaces.first() else {
            packets.odd("a packet of an interface that is not described");
            return;
        };
        let original = self.u32(body, 0);
        let limit = if interface.snaplen == 0 { original } else { original.min(interface.snaplen) };
        let bytes = body.get(4..).unwrap_or(&[]);
        packets.packet(interface.link_type, &bytes[..bytes.len().min(limit as usize)], 0);
    }
}

impl Interface {
    fn nanos(&self, ticks: u64) -> u64 {
        let nanos = match self.ticks {
            Ticks::PowerOfTen(9) => u128::from(ticks),
            Ticks::PowerOfTen(exponent) => u128::from(ticks) * 1_000_000_000 / 10_u128.pow(exponent),
            Ticks::PowerOfTwo(exponent) => (u128::from(ticks) * 1_000_000_000) >> exponent,
        };
        let shifted = nanos as i128 + i128::from(self.offset_seconds) * 1_000_000_000;
        u64::try_from(shifted.max(0)).unwrap_or(u64::MAX)
    }
}
