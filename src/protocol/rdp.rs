//! Remote Desktop: a connection request over TPKT that settles the kind of security, then TLS.

use super::bytes::{Cursor, find};
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector, tls};
use crate::model::WhyUnknown;

detector! {
    Rdp: "rdp"; Stream, ports [3389], Either;
    "RDP: negotiation of security, TLS behind it, the old kind told apart";
    "MS-RDPBCGR section 2.2.1; RFC 1006";
    begins [Opening::client(First::of(&[3]))]
}

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (request, client) = tpkt(seen.client)?;
    if request.get(1) != Some(&0xe0) || !is_request(request) {
        return None;
    }
    let (selected, server) = match tpkt(seen.server) {
        Some((answer, server)) if answer.get(1) == Some(&0xd0) => (selected(answer), server),
        Some(_) => return None,
        None => (None, &[][..]),
    };
    if let Some(detection) = tls::upgraded("rdp", client, server, seen.time) {
        return detection.with("security", security(selected)).certain();
    }
    let detection = match (selected, client.is_empty()) {
        (Some(0) | None, false) if level(server) == Some(0) => {
            Detection::plain("rdp", "the old kind of security, and its encryption is off")
        }
        (Some(0) | None, false) if level(server) == Some(1) => Detection::plain(
            "rdp",
            "the old kind of security at its lowest level: what the server shows is in the clear",
        ),
        (Some(0) | None, false) => Detection::unclear(
            "rdp",
            WhyUnknown::Ambiguous,
            "the old kind of security: its encryption may be weak or off",
        ),
        _ => Detection::unclear(
            "rdp",
            WhyUnknown::HandshakeIncomplete,
            "a connection request without what came of it",
        ),
    };
    detection.with("security", security(selected)).certain()
}

/// The level of encryption that the server names among the data behind its mark: type, length, method,
/// level (MS-RDPBCGR, section 2.2.1.4.3).
fn level(server: &[u8]) -> Option<u32> {
    const SERVER_DATA: &[u8] = b"McDn";
    const SECURITY: &[u8] = &[2, 12];
    let mut rest = &server[find(server, SERVER_DATA)?..];
    while let Some(at) = find(rest, SECURITY) {
        rest = &rest[at + SECURITY.len()..];
        let mut cursor = Cursor(rest);
        let (length, method, level) = (cursor.le16()?, cursor.le32()?, cursor.le32()?);
        if length >= 12 && matches!((method, level), (0, 0) | (1 | 2 | 8 | 16, 1..=4)) {
            return Some(level);
        }
    }
    None
}

fn security(selected: Option<u32>) -> &'static str {
    match selected {
        Some(0) => "rdp",
        Some(1) => "tls",
        Some(2 | 8) => "credssp",
        Some(4) => "rdstls",
        _ => "unknown",
    }
}

/// The X.224 part of the first packet, and what follows it (RFC 1006, section 6).
fn tpkt(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut cursor = Cursor(bytes);
    if cursor.u16()? != 0x0300 {
        return None;
    }
    let length = usize::from(cursor.u16()?).checked_sub(4)?;
    let body = cursor.take(length)?;
    let fits = body.len() >= 7 && usize::from(body[0]) + 1 == body.len();
    fits.then_some((body, cursor.0))
}

/// A cookie, a negotiation request, or only the fixed part (section 2.2.1.1).
fn is_request(body: &[u8]) -> bool {
    let rest = &body[7..];
    rest.is_empty()
        || rest.starts_with(b"Cookie: ")
        || rest.starts_with(b"tsv://")
        || negotiation(rest, 1).is_some()
}

fn selected(body: &[u8]) -> Option<u32> {
    negotiation(&body[7..], 2)
}

fn negotiation(bytes: &[u8], kind: u8) -> Option<u32> {
    match bytes {
        [found, _, 8, 0, a, b, c, d, ..] if *found == kind => Some(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}
