//! NRPE, by which Nagios and its kin run checks on other machines: packets with a checksum, in the
//! clear where TLS does not stand around them.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector};

detector! {
    Nrpe: "nrpe"; Stream, ports [5666], Clear;
    "NRPE: queries and answers whose checksum is right";
    "NRPE source, include/common.h (v2_packet, v3_packet)";
    begins [Opening::client(First::of(&[0])), Opening::server(First::of(&[0]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let speaks = is_packet(seen.client, QUERY) || is_packet(seen.server, RESPONSE);
    speaks.then(|| Detection::plain("nrpe", "checks and their results in the clear"))?.certain()
}

const QUERY: u16 = 1;
const RESPONSE: u16 = 2;

/// The whole packet of version 2: a head of ten bytes, a text of 1,024, and two bytes that fill up.
const FIXED: usize = 1_036;
/// Of the head of later versions, behind which the text has the length that stands at its end.
const HEAD: usize = 16;

/// Version, type, and a checksum over everything, itself counted as zero.
fn is_packet(bytes: &[u8], wanted: u16) -> bool {
    let mut cursor = Cursor(bytes);
    let (Some(version), Some(kind), Some(checksum)) = (cursor.u16(), cursor.u16(), cursor.u32()) else {
        return false;
    };
    let length = match version {
        2 => Some(FIXED),
        3 | 4 => cursor.u32().and(cursor.u32()).map(|text| HEAD.saturating_add(text as usize)),
        _ => None,
    };
    let whole = length.filter(|_| kind == wanted).and_then(|length| bytes.get(..length));
    whole.is_some_and(|packet| {
        let mut sum = flate2::Crc::new();
        [&packet[..4], &[0; 4], &packet[8..]].iter().for_each(|part| sum.update(part));
        sum.sum() == checksum
    })
}
