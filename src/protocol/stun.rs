//! STUN and TURN (RFC 8489, 8656): headers with the magic number, or the older ones without it.
//!
//! The messages themselves are clear; media on the same ports may be encrypted, which headers do
//! not tell.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};
use crate::model::WhyUnknown;

detector! {
    Stun: "stun"; Both, ports [3478, 3479, 5349, 19302], Either;
    "STUN and TURN: headers with the magic number; media beside them are told apart";
    "RFC 8489, 8656, 3489, 7983";
    begins [Opening::client(First::masked(0xc0, 0)), Opening::server(First::masked(0xc0, 0))]
}

/// What a datagram on a STUN port is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Message,
    /// A message of the first version, which had no magic number.
    Old,
    Other,
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (mut messages, mut old, mut all) = (0, 0, 0);
    for datagram in seen.datagrams() {
        all += 1;
        match kind(seen, datagram) {
            Kind::Message => messages += 1,
            Kind::Old => old += 1,
            Kind::Other => {}
        }
    }
    if messages == 0 && (old == 0 || old != all || !(old >= 2 || seen.hinted(PORTS))) {
        return None;
    }
    let detection = match messages + old < all {
        true => Detection::unclear(
            "stun",
            WhyUnknown::Ambiguous,
            "clear messages, and media that may be encrypted",
        ),
        false => Detection::plain("stun", "messages in the clear"),
    };
    detection.certain()
}

/// RFC 8489, section 5: two zero bits, a length in words, the magic number.
fn kind(seen: &Seen<'_>, datagram: &[u8]) -> Kind {
    if datagram.first().is_none_or(|first| first >> 6 != 0) {
        return Kind::Other;
    }
    let mut cursor = Cursor(datagram);
    let (Some(kind), Some(length), Some(magic)) = (cursor.u16(), cursor.u16(), cursor.u32()) else {
        return Kind::Other;
    };
    let whole = usize::from(length) + 20 == datagram.len() || seen.is_stream() || seen.cut;
    let known = matches!(kind, 0x0001..=0x000c | 0x0011..=0x001c | 0x0101..=0x010c | 0x0111..=0x011c);
    match () {
        () if magic == 0x2112_a442 && kind >> 14 == 0 && length % 4 == 0 => Kind::Message,
        () if whole
            && matches!(kind, 1 | 2 | 0x101 | 0x102 | 0x111 | 0x112)
            && known
            && !seen.is_stream()
            && attributes(cursor.0) =>
        {
            Kind::Old
        }
        () => Kind::Other,
    }
}

/// Attributes of the first version fill the message exactly.
fn attributes(behind_magic: &[u8]) -> bool {
    let Some(rest) = behind_magic.get(12..) else { return false };
    let mut cursor = Cursor(rest);
    while !cursor.0.is_empty() {
        let known = cursor.u16().is_some_and(|kind| (1..=0x20).contains(&kind) || kind >= 0x8000);
        if !known || cursor.vector16().is_none() {
            return false;
        }
    }
    true
}
