//! Tabular Data Stream of SQL Server: PRELOGIN settles encryption, and TLS may be wrapped in it.
//!
//! Encryption "off" covers the login only, which is why the answer decides. Version 8 begins with
//! TLS and is left to `tls`.

use super::bytes::Cursor;
use super::first::{First, Opening};
use super::{Detection, Probe, Seen, detector, tls};
use crate::model::{Proof, Protection, WhyUnknown};

detector! {
    Tds: "tds"; Stream, ports [1433], Either;
    "SQL Server: PRELOGIN and what it agrees on, login and batches in the clear";
    "MS-TDS sections 2.2.3 and 2.2.6.5";
    begins [Opening::client(First::of(&[BATCH, 2, RPC, 6, 7, 14, LOGIN, PRELOGIN]))]
}

const BATCH: u8 = 1;
const RPC: u8 = 3;
const ANSWER: u8 = 4;
const LOGIN: u8 = 16;
const PRELOGIN: u8 = 18;

fn probe(seen: &Seen<'_>) -> Option<Probe> {
    let (asked, answered) = (packets(seen.client), packets(seen.server));
    let first = *asked.first()?;
    match first.0 {
        PRELOGIN => prelogin(seen, &asked, answered.first().map(|(_, body)| *body)),
        BATCH | RPC | LOGIN | 2 | 6 | 7 | 14 if seen.server.is_empty() || !answered.is_empty() => {
            // Passwords of a login are only disguised (section 2.2.6.4).
            let secret = (first.0 == LOGIN).then_some("tds-login");
            let hinted = seen.hinted(PORTS) || !answered.is_empty();
            if !hinted && !tells(first) {
                return None;
            }
            Detection::plain("tds", "packets in the clear").with_credentials(secret).certain_if(hinted)
        }
        _ => None,
    }
}

/// Whether a request proves itself by what it holds: a login tells its own length (section 2.2.6.4),
/// batches and calls begin with headers that hold a transaction (2.2.5.3.2), or are text of two bytes.
fn tells((kind, body): (u8, &[u8])) -> bool {
    let length = |bytes: &[u8]| Cursor(bytes).le32().map(|length| length as usize);
    let headers = || body.get(4..10) == Some(&[18, 0, 0, 0, 2, 0]);
    let wide = || {
        let (pairs, _) = body.as_chunks::<2>();
        pairs.len() >= 4 && pairs.iter().take(32).all(|[low, high]| *high == 0 && (b' '..=b'~').contains(low))
    };
    match kind {
        LOGIN => length(body) == Some(body.len()),
        BATCH => headers() || wide(),
        RPC => headers(),
        _ => false,
    }
}

fn prelogin(seen: &Seen<'_>, asked: &[(u8, &[u8])], answer: Option<&[u8]>) -> Option<Probe> {
    let wanted = encryption(asked[0].1)?;
    let agreed = answer.and_then(encryption);
    let handshake = asked.iter().skip(1).any(|(kind, body)| *kind == PRELOGIN && body.starts_with(&[22, 3]));
    let inside = || tls::upgraded("tds", &unwrapped(seen.client), &unwrapped(seen.server), seen.time);
    let clear = asked.iter().any(|(kind, _)| matches!(*kind, BATCH | RPC | LOGIN | 14));
    let detection = match (wanted, agreed, handshake) {
        (_, Some(0), true) => Detection {
            protection: Protection::Plaintext(Proof::UpgradeRefused),
            why: "encryption covers the login only, what follows is in the clear".into(),
            ..inside().unwrap_or_else(unfinished)
        },
        (_, Some(1 | 3), true) | (1, None, true) => inside().unwrap_or_else(unfinished),
        (_, _, false) if clear => {
            let secret = asked.iter().any(|(kind, _)| *kind == LOGIN).then_some("tds-login");
            let detection = Detection::new(
                "tds",
                Protection::Plaintext(Proof::UpgradeRefused),
                "no encryption was agreed on, and a login followed in the clear",
            );
            detection.with_credentials(secret)
        }
        _ => unfinished(),
    };
    detection.certain()
}

fn unfinished() -> Detection {
    let why = "PRELOGIN was seen, and not what came of it";
    Detection::unclear("tds", WhyUnknown::HandshakeIncomplete, why)
}

/// The TLS of one side: its handshake is the content of PRELOGIN packets behind the first packet, and
/// what follows stands bare (section 2.2.6.5).
fn unwrapped(bytes: &[u8]) -> Vec<u8> {
    let mut cursor = Cursor(bytes);
    let mut inside = Vec::new();
    let mut first = true;
    while let [kind, _, high, low, ..] = cursor.0 {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if !first && *kind != PRELOGIN || length < 8 {
            break;
        }
        let packet = cursor.take(length.min(cursor.0.len())).unwrap_or(&[]);
        if !std::mem::take(&mut first) {
            inside.extend_from_slice(packet.get(8..).unwrap_or(&[]));
        }
    }
    inside.extend_from_slice(cursor.0);
    inside
}

/// The option ENCRYPTION of PRELOGIN: 0 off, 1 on, 2 not supported, 3 required.
fn encryption(body: &[u8]) -> Option<u8> {
    let mut cursor = Cursor(body);
    for _ in 0..16 {
        match cursor.u8()? {
            0xff => return None,
            token => {
                let (offset, length) = (usize::from(cursor.u16()?), cursor.u16()?);
                if token == 1 && length == 1 {
                    return body.get(offset).copied().filter(|value| *value <= 3);
                }
            }
        }
    }
    None
}

/// Packets of a direction as far as they chain: type and content (section 2.2.3).
fn packets(bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut cursor = Cursor(bytes);
    let mut found = Vec::new();
    while let Some(head) = cursor.take(8) {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let known = matches!(head[0], BATCH | 2 | RPC | ANSWER | 6 | 7 | 14 | LOGIN | 17 | PRELOGIN);
        // Only the last packet of a message may be short.
        let whole = head[1] & 1 == 1 || length >= 512;
        if !known || !whole || head[1] & 0xe0 != 0 || head[7] != 0 || !(8..=32_767).contains(&length) {
            break;
        }
        let body = &cursor.0[..cursor.0.len().min(length - 8)];
        found.push((head[0], body));
        if cursor.take(length - 8).is_none() {
            break;
        }
    }
    found
}
